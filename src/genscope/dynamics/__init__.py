"""Floor 2: gradient flows of homogeneous networks: three systems, integrators in the loss frame, invariants, limits."""
