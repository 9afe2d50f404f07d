"""Floor 1: modules become functions. Functional calls, traced graphs, batch-norm folding that proves itself, homogeneity, norms of layers and paths."""
