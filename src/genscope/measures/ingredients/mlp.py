"""Bias-free feed-forward ReLU networks, recognised by proof: the chain of matrices must compute what the network computes."""

from dataclasses import dataclass

import numpy as np

from genscope.core.catalogue import ingredient
from genscope.core.status import Undefined
from genscope.measures.ingredients.layers import weight_matrices
from genscope.measures.ingredients.subset import Subset
from genscope.measures.ingredients.types import Forward, Params


@dataclass(frozen=True)
class ReluChain:
    """``f(x) = W_d D_{d−1} W_{d−1} ⋯ D_1 W_1 x`` with matrices ``[h_i, h_{i−1}]`` in float64, and inputs ``[examples, h_0]`` of unit norm."""

    names: tuple[str, ...]
    weights: tuple[np.ndarray, ...]
    inputs: np.ndarray

    def preactivations(self, x: np.ndarray) -> list[np.ndarray]:
        """``W_k h_{k−1}`` of every layer for one input."""
        found = []
        for weight in self.weights:
            found.append(weight @ x)
            x = np.maximum(found[-1], 0.0)
        return found


@ingredient
def relu_chain(params: Params, forward: Forward, subset: Subset, *, chain_inputs: int = 8) -> ReluChain | Undefined:
    """The network as a chain of matrices; biases are set to zero, as in theorem 1 of Neyshabur et al. 2017, which has none."""
    import torch

    why = "theorem 1 is about feed-forward ReLU networks of matrices"
    x, _ = subset.head(chain_inputs)[0]
    if any(value.ndim > 2 for value in params.values()) or not torch.is_tensor(x) or not x.is_floating_point():
        return Undefined(f"{why}; this network has other layers")
    matrices = weight_matrices(params)
    widths = list(matrices.values())
    flat = x.reshape(len(x), -1).double().cpu().numpy()
    sizes = [flat.shape[1]] if not widths else [flat.shape[1], *(matrix.shape[0] for matrix in widths)]
    if not widths or any(matrix.shape[1] != size for matrix, size in zip(widths, sizes, strict=False)):
        return Undefined(f"{why}; the matrices of this network do not form a chain")
    unbiased = {name: value if value.ndim == 2 else torch.zeros_like(value) for name, value in params.items()}
    with torch.no_grad():
        expected = forward(unbiased, x).double().cpu().numpy()
    found = flat.T
    for matrix in widths[:-1]:
        found = np.maximum(matrix @ found, 0.0)
    found = (widths[-1] @ found).T
    if found.shape != expected.shape or np.abs(found - expected).max() > 1e-4 * max(np.abs(expected).max(), 1e-30):
        return Undefined(f"{why}; a chain of this network's matrices does not compute its outputs")
    norms = np.linalg.norm(flat, axis=1, keepdims=True)
    return ReluChain(tuple(matrices), tuple(widths), flat / np.where(norms > 0, norms, 1.0))
