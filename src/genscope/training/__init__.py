"""Floor 4: the small training loop, and the models and data sets that the papers need."""
