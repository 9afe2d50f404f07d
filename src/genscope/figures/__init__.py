"""Floor 4: one value becomes one picture. Pure drawing with matplotlib's object interface, in a light and a dark theme; nothing is computed here."""
