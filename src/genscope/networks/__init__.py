"""Floor 1: modules become functions. Traced graphs, batch normalization folded with a proof, homogeneity, norms of layers and paths."""
