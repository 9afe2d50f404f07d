"""Floor 5: verbs that join rooms of the floor below (a comparison that is also ranked against scores)."""
