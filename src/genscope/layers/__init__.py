"""Floor 1, from tensors to matrices: what kind of layer a tensor is, which matrices it holds, or why it holds none."""
