"""Norms of the layers, one by one, summed and multiplied (products as natural logarithms)."""

import math

from genscope.core.catalogue import measure
from genscope.measures.ingredients.layers import InitialDistances, LayerNorms
from genscope.measures.ingredients.types import Params
from genscope.numerics.logspace import log_product

_J = "Jiang et al. 2020"
_S4 = "Neyshabur et al. 2017"
Layers = tuple[LayerNorms, ...]


@measure(symbol=r"\|W_i\|_F", unit="1", expects="larger gap", source=_S4, invariant_to=("permutation",), cost="O(n)")
def layer_frobenius_norm(layer_norms: tuple[LayerNorms, ...]) -> dict[str, float]:
    """``‖W_i‖_F`` of each weight matrix."""
    return {layer.layer: layer.frobenius for layer in layer_norms}


@measure(symbol=r"\|W_i\|_2", unit="1", expects="larger gap", source=_S4, invariant_to=("permutation",), cost="one SVD per layer")
def layer_spectral_norm(layer_norms: tuple[LayerNorms, ...]) -> dict[str, float]:
    """``‖W_i‖₂`` of each weight matrix, a convolution's kernel reshaped to ``[out, in·k·k]`` (not its operator norm)."""
    return {layer.layer: layer.spectral for layer in layer_norms}


@measure(symbol=r"\|W_i\|_{1,\infty}", unit="1", expects="larger gap", source=f"{_S4}, Bartlett 1998", invariant_to=("permutation",), cost="O(n)")
def layer_l1_inf_norm(layer_norms: tuple[LayerNorms, ...]) -> dict[str, float]:
    """``‖W_i‖_{1,∞}``: the largest ℓ1 norm of the weights that enter one unit."""
    return {layer.layer: layer.l1_inf for layer in layer_norms}


@measure(symbol=r"\|W_i-W_i^0\|_F", unit="1", expects="larger gap", source=_J, invariant_to=("permutation",), cost="O(n)")
def layer_distance_from_init(initial_distances: InitialDistances) -> dict[str, float]:
    """``‖W_i − W_i⁰‖_F`` of each weight matrix."""
    return {layer.layer: layer.frobenius for layer in initial_distances.layers}


@measure(symbol=r"\|W_i-W_i^0\|_2", unit="1", expects="larger gap", source=_J, invariant_to=("permutation",), cost="one SVD per layer")
def layer_spectral_distance_from_init(initial_distances: InitialDistances) -> dict[str, float]:
    """``‖W_i − W_i⁰‖₂`` of each weight matrix."""
    return {layer.layer: layer.spectral for layer in initial_distances.layers}


@measure(
    symbol=r"\omega", unit="parameters", expects="larger gap", source=_J, invariant_to=("node_rescaling", "layer_scaling", "permutation"), cost="O(1)"
)
def n_params(params: Params) -> int:
    """The number of scalar parameters; tied ones count once."""
    return sum(int(value.numel()) for value in params.values())


@measure(
    symbol=r"d\,\dim(w)",
    unit="parameters",
    expects="larger gap",
    source=f"{_S4}, section 2.1",
    invariant_to=("node_rescaling", "layer_scaling", "permutation"),
    cost="O(1)",
)
def vc_form(params: Params, layer_norms: tuple[LayerNorms, ...]) -> int:
    """``d · dim(w)``: the VC dimension of ReLU networks up to logarithms; depth d counts weight matrices."""
    return len(layer_norms) * n_params(params)


@measure(symbol=r"\|w\|^2", unit="1", expects="larger gap", source=f"{_J}, parameter norm", invariant_to=("permutation",), cost="O(n)")
def param_norm(params: Params) -> float:
    """``Σ w²`` over all parameters, biases included."""
    return float(sum(float(value.double().square().sum()) for value in params.values()))


@measure(
    symbol=r"\|w-w_0\|^2", unit="1", expects="larger gap", source=f"{_J}, distance from initialization", invariant_to=("permutation",), cost="O(n)"
)
def l2_dist(initial_distances: InitialDistances) -> float:
    """``‖w − w₀‖²`` over all parameters, biases included."""
    return initial_distances.squared_total


@measure(
    symbol=r"\sum_i\|W_i-W_i^0\|_2^2", unit="1", expects="larger gap", source=f"{_J}, dist-spec-init", invariant_to=("permutation",), cost="SVDs"
)
def dist_spec_init(initial_distances: InitialDistances) -> float:
    """``Σ_i ‖W_i − W_i⁰‖₂²``."""
    return sum(layer.spectral**2 for layer in initial_distances.layers)


@measure(
    symbol=r"\sum_i\|W_i\|_F^2/\|W_i\|_2^2",
    unit="1",
    expects="larger gap",
    source=f"{_J}, fro-over-spec",
    invariant_to=("layer_scaling", "permutation"),
    cost="one SVD per layer",
)
def fro_over_spec(layer_norms: tuple[LayerNorms, ...]) -> float:
    """The sum of the layers' stable ranks, ``Σ_i ‖W_i‖_F²/‖W_i‖₂²``."""
    return sum((layer.frobenius / layer.spectral) ** 2 for layer in layer_norms)


@measure(symbol=r"\ln\prod_i\|W_i\|_F^2", unit="nats", expects="larger gap", source=f"{_J}, prod-of-fro", invariant_to=("permutation",), cost="O(n)")
def log_prod_of_fro(layer_norms: tuple[LayerNorms, ...]) -> float:
    """``ln ∏ ‖W_i‖_F²``."""
    return 2 * log_product(layer.frobenius for layer in layer_norms)


@measure(symbol=r"\ln\prod_i\|W_i\|_2^2", unit="nats", expects="larger gap", source=f"{_J}, prod-of-spec", invariant_to=("permutation",), cost="SVDs")
def log_prod_of_spec(layer_norms: tuple[LayerNorms, ...]) -> float:
    """``ln ∏ ‖W_i‖₂²`` with reshaped kernels."""
    return 2 * log_product(layer.spectral for layer in layer_norms)


@measure(
    symbol=r"\ln\prod_i\|W_i\|_{1,\infty}",
    unit="nats",
    expects="larger gap",
    source=f"{_S4}, section 2.3: bounds the L_inf Lipschitz constant",
    invariant_to=("permutation",),
    cost="O(n)",
)
def log_prod_of_l1_inf(layer_norms: tuple[LayerNorms, ...]) -> float:
    """``ln ∏ ‖W_i‖_{1,∞}``, a bound on ``ln`` of the Lipschitz constant from ℓ∞ to ℓ∞ of a feed-forward network (ReLU, max pooling)."""
    return log_product(layer.l1_inf for layer in layer_norms)


@measure(symbol=r"\ln\sum_i", unit="nats", expects="larger gap", source=f"{_J}, sum-of-spec", invariant_to=("permutation",), cost="SVDs")
def log_sum_of_spec(layer_norms: tuple[LayerNorms, ...]) -> float:
    """``ln[d (∏ ‖W_i‖₂²)^{1/d}]``: the sum of squared spectral norms after the layers are balanced."""
    return _log_balanced_sum(log_prod_of_spec(layer_norms), len(layer_norms))


@measure(symbol=r"\ln\sum_i", unit="nats", expects="larger gap", source=f"{_J}, sum-of-fro", invariant_to=("permutation",), cost="O(n)")
def log_sum_of_fro(layer_norms: tuple[LayerNorms, ...]) -> float:
    """``ln[d (∏ ‖W_i‖_F²)^{1/d}]``: the sum of squared Frobenius norms after the layers are balanced."""
    return _log_balanced_sum(log_prod_of_fro(layer_norms), len(layer_norms))


def group_norm_log_product(matrices: dict, p: float, q: float) -> float:
    """``ln ∏ ‖W_i‖_{p,q}``: the ℓq norm over units of the ℓp norm of their incoming weights (Neyshabur et al. 2015).

    Example:
        >>> import numpy as np
        >>> round(math.exp(group_norm_log_product({"w": np.array([[3.0, 4.0], [0.0, 12.0]])}, 2, 2)), 6)
        13.0
    """
    import numpy as np

    return log_product(float(np.linalg.norm(np.linalg.norm(matrix, ord=p, axis=1), ord=q)) for matrix in matrices.values())


@measure(
    symbol=r"\ln\prod_i\|W_i\|_{p,q}", unit="nats", expects="larger gap", source=f"{_S4}, Q7 group norms", invariant_to=("permutation",), cost="O(n)"
)
def log_prod_of_group_norm(params: Params, *, p: float = 1.0, q: float = 2.0) -> float:
    """``ln ∏ ‖W_i‖_{p,q}`` with the norms of the incoming weights (p) and over the units (q)."""
    from genscope.measures.ingredients.layers import weight_matrices

    return group_norm_log_product(weight_matrices(params), p, q)


def _log_balanced_sum(log_product_of_squares: float, depth: int) -> float:
    return math.log(depth) + log_product_of_squares / depth
