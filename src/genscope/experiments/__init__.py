"""Floor 6: the papers' claims as runs, pictures and verdicts; the store of finished cells; a user's own studies."""
