"""Floor 1: pure functions of arrays — no files, no layer names, no state."""
