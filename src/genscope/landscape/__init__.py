"""Floor 2: algorithms on the loss as a function of the parameters: directions, points, surfaces, paths, basins."""
