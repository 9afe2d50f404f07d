"""Norms of the layers multiplied or summed (products as natural logarithms)."""

import math

from genscope.core.catalogue import measure
from genscope.measures.ingredients.layers import LayerNorms
from genscope.measures.ingredients.types import Params
from genscope.numerics.logspace import log_product

_J = "Jiang et al. 2020"
_S4 = "Neyshabur et al. 2017"


@measure(
    symbol=r"\sum_i\|W_i\|_F^2/\|W_i\|_2^2",
    unit="1",
    expects="larger gap",
    source=f"{_J}, fro-over-spec",
    invariant_to=("layer_scaling", "permutation"),
    cost="one SVD per layer",
)
def fro_over_spec(layer_norms: tuple[LayerNorms, ...]) -> float:
    """The sum of the layers' stable ranks.

    Formula:
        Σ_i ‖W_i‖_F²/‖W_i‖₂².
    Reading:
        How many directions the layers use.
    Args:
        layer_norms: norms of every weight matrix, in order.
    Returns:
        A number; unit 1.
    Raises:
        Nothing; undefined for a network without weight matrices.
    Invariances:
        Multiplying one bias-free layer by c, permuting hidden units.
    Cost:
        One SVD per layer.
    Source:
        Jiang et al. 2020, fro-over-spec.
    Example:
        >>> from genscope.measures.ingredients.worked_example import value_of
        >>> value_of("fro_over_spec")
        2.25
    """
    return sum((layer.frobenius / layer.spectral) ** 2 for layer in layer_norms)


@measure(symbol=r"\ln\prod_i\|W_i\|_F^2", unit="nats", expects="larger gap", source=f"{_J}, prod-of-fro", invariant_to=("permutation",), cost="O(n)")
def log_prod_of_fro(layer_norms: tuple[LayerNorms, ...]) -> float:
    """The product of squared Frobenius norms, in logarithms.

    Formula:
        ln ∏ ‖W_i‖_F².
    Reading:
        Capacity without the margin.
    Args:
        layer_norms: norms of every weight matrix, in order.
    Returns:
        A number; unit nats.
    Raises:
        Nothing; undefined for a network without weight matrices.
    Invariances:
        Permuting hidden units.
    Cost:
        O(n).
    Source:
        Jiang et al. 2020, prod-of-fro.
    Example:
        >>> from genscope.measures.ingredients.worked_example import value_of
        >>> value_of("log_prod_of_fro")
        2.996
    """
    return 2 * log_product(layer.frobenius for layer in layer_norms)


@measure(symbol=r"\ln\prod_i\|W_i\|_2^2", unit="nats", expects="larger gap", source=f"{_J}, prod-of-spec", invariant_to=("permutation",), cost="SVDs")
def log_prod_of_spec(layer_norms: tuple[LayerNorms, ...]) -> float:
    """The product of squared spectral norms, in logarithms.

    Formula:
        ln ∏ ‖W_i‖₂², kernels reshaped.
    Reading:
        Capacity without the margin.
    Args:
        layer_norms: norms of every weight matrix, in order.
    Returns:
        A number; unit nats.
    Raises:
        Nothing; undefined for a network without weight matrices.
    Invariances:
        Permuting hidden units.
    Cost:
        SVDs.
    Source:
        Jiang et al. 2020, prod-of-spec.
    Example:
        >>> from genscope.measures.ingredients.worked_example import value_of
        >>> value_of("log_prod_of_spec")
        2.773
    """
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
    """The product of the layers' largest incoming ℓ1 norms, in logarithms.

    Formula:
        ln ∏ ‖W_i‖_{1,∞}.
    Reading:
        Bounds ln of the ℓ∞ Lipschitz constant of a feed-forward network.
    Args:
        layer_norms: norms of every weight matrix, in order.
    Returns:
        A number; unit nats.
    Raises:
        Nothing; undefined for a network without weight matrices.
    Invariances:
        Permuting hidden units.
    Cost:
        O(n).
    Source:
        Neyshabur et al. 2017, section 2.3: bounds the L_inf Lipschitz constant.
    Example:
        >>> from genscope.measures.ingredients.worked_example import value_of
        >>> value_of("log_prod_of_l1_inf")
        1.386
    """
    return log_product(layer.l1_inf for layer in layer_norms)


@measure(symbol=r"\ln\sum_i", unit="nats", expects="larger gap", source=f"{_J}, sum-of-spec", invariant_to=("permutation",), cost="SVDs")
def log_sum_of_spec(layer_norms: tuple[LayerNorms, ...]) -> float:
    """The sum of squared spectral norms after balancing the layers, in logarithms.

    Formula:
        ln[d (∏‖W_i‖₂²)^{1/d}].
    Reading:
        The product norm on the scale of one layer.
    Args:
        layer_norms: norms of every weight matrix, in order.
    Returns:
        A number; unit nats.
    Raises:
        Nothing; undefined for a network without weight matrices.
    Invariances:
        Permuting hidden units.
    Cost:
        SVDs.
    Source:
        Jiang et al. 2020, sum-of-spec.
    Example:
        >>> from genscope.measures.ingredients.worked_example import value_of
        >>> value_of("log_sum_of_spec")
        2.079
    """
    return _log_balanced_sum(log_prod_of_spec(layer_norms), len(layer_norms))


@measure(symbol=r"\ln\sum_i", unit="nats", expects="larger gap", source=f"{_J}, sum-of-fro", invariant_to=("permutation",), cost="O(n)")
def log_sum_of_fro(layer_norms: tuple[LayerNorms, ...]) -> float:
    """The sum of squared Frobenius norms after balancing the layers, in logarithms.

    Formula:
        ln[d (∏‖W_i‖_F²)^{1/d}].
    Reading:
        The product norm on the scale of one layer.
    Args:
        layer_norms: norms of every weight matrix, in order.
    Returns:
        A number; unit nats.
    Raises:
        Nothing; undefined for a network without weight matrices.
    Invariances:
        Permuting hidden units.
    Cost:
        O(n).
    Source:
        Jiang et al. 2020, sum-of-fro.
    Example:
        >>> from genscope.measures.ingredients.worked_example import value_of
        >>> value_of("log_sum_of_fro")
        2.191
    """
    return _log_balanced_sum(log_prod_of_fro(layer_norms), len(layer_norms))


@measure(
    symbol=r"\ln\prod_i\|W_i\|_{p,q}", unit="nats", expects="larger gap", source=f"{_S4}, Q7 group norms", invariant_to=("permutation",), cost="O(n)"
)
def log_prod_of_group_norm(params: Params, *, p: float = 1.0, q: float = 2.0) -> float:
    """The product of group norms, in logarithms.

    Formula:
        ln ∏ ‖W_i‖_{p,q}: the ℓq norm over units of the ℓp norm of their incoming weights.
    Reading:
        Capacity without the margin; (2, 2) is Frobenius, (1, ∞) Bartlett's.
    Args:
        params: parameters, name to tensor.
        p: exponent over incoming weights.
        q: exponent over units.
    Returns:
        A number; unit nats.
    Raises:
        Nothing; a non-finite result becomes a status.
    Invariances:
        Permuting hidden units.
    Cost:
        O(n).
    Source:
        Neyshabur et al. 2017, Q7 group norms.
    Example:
        >>> from genscope.measures.ingredients.worked_example import value_of
        >>> value_of("log_prod_of_group_norm")
        1.844
    """
    from genscope.measures.ingredients.layers import weight_matrices

    return group_norm_log_product(weight_matrices(params), p, q)


def group_norm_log_product(matrices: dict, p: float, q: float) -> float:
    """``ln ∏ ‖W_i‖_{p,q}``: the ℓq norm over units of the ℓp norm of their incoming weights (Neyshabur et al. 2015).

    Example:
        >>> import numpy as np
        >>> round(math.exp(group_norm_log_product({"w": np.array([[3.0, 4.0], [0.0, 12.0]])}, 2, 2)), 6)
        13.0
    """
    import numpy as np

    return log_product(float(np.linalg.norm(np.linalg.norm(matrix, ord=p, axis=1), ord=q)) for matrix in matrices.values())


def _log_balanced_sum(log_product_of_squares: float, depth: int) -> float:
    return math.log(depth) + log_product_of_squares / depth
