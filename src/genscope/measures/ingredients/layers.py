"""The weight matrices of a network, one layer after another, and the norms that the measures multiply or add."""

from dataclasses import dataclass

import numpy as np
from scipy.sparse.linalg import svds

from genscope.core.catalogue import ingredient
from genscope.core.status import Undefined
from genscope.measures.ingredients.types import Params


@dataclass(frozen=True)
class LayerNorms:
    """Norms of one weight tensor as a matrix ``[units, incoming]`` (a convolution's kernel is reshaped; biases are left out).

    Args:
        layer: the parameter's name.
        rows: units h_i (output channels).
        cols: incoming weights per unit.
        frobenius: ``‖W‖_F``.
        spectral: ``‖W‖_2`` of the reshaped matrix; for a convolution neither bound of the operator norm.
        l1_inf: ``‖W‖_{1,∞}``, the largest ℓ1 norm of a unit's incoming weights.
        l2_inf: ``‖W‖_{2,∞}``.
        l21: ``‖Wᵀ‖_{2,1}``, the sum of the units' ℓ2 norms.
        l1: ``Σ|w|``.
    """

    layer: str
    rows: int
    cols: int
    frobenius: float
    spectral: float
    l1_inf: float
    l2_inf: float
    l21: float
    l1: float


@dataclass(frozen=True)
class InitialDistances:
    """The same norms of ``W − W₀``, where W₀ is the initialization."""

    layers: tuple[LayerNorms, ...]
    squared_total: float
    """``‖w − w₀‖²`` over all parameters, biases included."""


@dataclass(frozen=True)
class LayerMatrices:
    """Weight matrices in float64 by name, in the order of the network's parameters."""

    matrices: dict[str, np.ndarray]


def weight_matrices(params: Params) -> dict[str, np.ndarray]:
    """Every parameter with at least two dimensions as ``[units, incoming]`` in float64; vectors (biases, scales) are not matrices."""
    found = {}
    for name, value in params.items():
        if value.ndim >= 2:
            found[name] = value.detach().double().cpu().numpy().reshape(value.shape[0], -1)
    return found


def norms_of(layer: str, matrix: np.ndarray) -> LayerNorms:
    """All norms of one matrix."""
    units = np.linalg.norm(matrix, axis=1)
    l1 = np.abs(matrix).sum(axis=1)
    return LayerNorms(
        layer,
        rows=len(matrix),
        cols=matrix.shape[1],
        frobenius=float(np.linalg.norm(units)),
        spectral=spectral_norm(matrix),
        l1_inf=float(l1.max()),
        l2_inf=float(units.max()),
        l21=float(units.sum()),
        l1=float(l1.sum()),
    )


def spectral_norm(matrix: np.ndarray) -> float:
    """The largest singular value: from the small Gram matrix up to 1,500 rows, by Lanczos beyond."""
    if not matrix.any():
        return 0.0
    if min(matrix.shape) <= 1500:
        # The square of the largest singular value loses nothing to the Gram matrix; a common scale keeps it in range.
        scale = float(np.abs(matrix).max())
        scaled = matrix / scale
        gram = scaled @ scaled.T if matrix.shape[0] <= matrix.shape[1] else scaled.T @ scaled
        return scale * float(np.sqrt(np.linalg.eigvalsh(gram)[-1]))
    start = np.random.default_rng(0).standard_normal(min(matrix.shape))
    return float(svds(matrix, k=1, v0=start, return_singular_vectors=False)[0])


@ingredient
def layer_norms(params: Params) -> tuple[LayerNorms, ...] | Undefined:
    """Norms of every weight matrix, in order."""
    matrices = weight_matrices(params)
    if not matrices:
        return Undefined("the network has no weight matrix")
    return tuple(norms_of(name, matrix) for name, matrix in matrices.items())


@ingredient
def initial_distances(params: Params, initial_params: Params) -> InitialDistances | Undefined:
    """Norms of ``W − W₀`` for every weight matrix, and the whole squared distance."""
    differing = [name for name, value in params.items() if name not in initial_params or initial_params[name].shape != value.shape]
    if differing:
        return Undefined(f"the initial weights have no tensor {differing[0]!r} of the same shape, so there is no distance from initialization")
    now, then = weight_matrices(params), weight_matrices(initial_params)
    if not now:
        return Undefined("the network has no weight matrix")
    total = sum(float((params[name].double() - initial_params[name].double()).square().sum()) for name in params)
    return InitialDistances(tuple(norms_of(name, now[name] - then[name]) for name in now), total)
