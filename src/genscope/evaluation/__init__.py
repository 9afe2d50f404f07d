"""Floor 4: does a measure predict the gap? Tables of models and measures in, associations with their uncertainty out."""
