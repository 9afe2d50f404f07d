"""Floor 3: the named formulas, one family per file. Pure functions; what they share stands in ``ingredients``."""
