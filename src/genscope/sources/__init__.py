"""Floor 4: where roots come from. A source opens its material, plans, computes the catalogue's measures and returns a Result."""
