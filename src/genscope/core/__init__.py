"""Floor 0: what things are. Values, the catalogue of measures, the resolver, seeded generators. No files, no layers."""
