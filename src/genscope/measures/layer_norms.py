"""Norms of the layers, one by one, summed and multiplied (products as natural logarithms)."""

from genscope.core.catalogue import measure
from genscope.measures.ingredients.layers import InitialDistances, LayerNorms

_J = "Jiang et al. 2020"
_S4 = "Neyshabur et al. 2017"


@measure(symbol=r"\|W_i\|_F", unit="1", expects="larger gap", source=_S4, invariant_to=("permutation",), cost="O(n)")
def layer_frobenius_norm(layer_norms: tuple[LayerNorms, ...]) -> dict[str, float]:
    """The Frobenius norm of each weight matrix.

    Formula:
        ‖W_i‖_F = (Σ w²)^{1/2}.
    Reading:
        The size of a layer.
    Args:
        layer_norms: norms of every weight matrix, in order.
    Returns:
        One number per layer; unit 1.
    Raises:
        Nothing; undefined for a network without weight matrices.
    Invariances:
        Permuting hidden units.
    Cost:
        O(n).
    Source:
        Neyshabur et al. 2017.
    Example:
        >>> from genscope.measures.ingredients.worked_example import value_of
        >>> value_of("layer_frobenius_norm")
        {'0.weight': 2.236, '2.weight': 2.0}
    """
    return {layer.layer: layer.frobenius for layer in layer_norms}


@measure(symbol=r"\|W_i\|_2", unit="1", expects="larger gap", source=_S4, invariant_to=("permutation",), cost="one SVD per layer")
def layer_spectral_norm(layer_norms: tuple[LayerNorms, ...]) -> dict[str, float]:
    """The largest singular value of each weight matrix.

    Formula:
        ‖W_i‖₂; a convolution's kernel is reshaped to [out, in·k·k], which is not its operator norm.
    Reading:
        How far a layer can stretch its input (matrices only).
    Args:
        layer_norms: norms of every weight matrix, in order.
    Returns:
        One number per layer; unit 1.
    Raises:
        Nothing; undefined for a network without weight matrices.
    Invariances:
        Permuting hidden units.
    Cost:
        One SVD per layer.
    Source:
        Neyshabur et al. 2017.
    Example:
        >>> from genscope.measures.ingredients.worked_example import value_of
        >>> value_of("layer_spectral_norm")
        {'0.weight': 2.0, '2.weight': 2.0}
    """
    return {layer.layer: layer.spectral for layer in layer_norms}


@measure(symbol=r"\|W_i\|_{1,\infty}", unit="1", expects="larger gap", source=f"{_S4}, Bartlett 1998", invariant_to=("permutation",), cost="O(n)")
def layer_l1_inf_norm(layer_norms: tuple[LayerNorms, ...]) -> dict[str, float]:
    """The largest ℓ1 norm of the weights that enter one unit, per layer.

    Formula:
        ‖W_i‖_{1,∞} = max_j Σ_k |w_jk|.
    Reading:
        How far a layer can stretch its input in the maximum norm.
    Args:
        layer_norms: norms of every weight matrix, in order.
    Returns:
        One number per layer; unit 1.
    Raises:
        Nothing; undefined for a network without weight matrices.
    Invariances:
        Permuting hidden units.
    Cost:
        O(n).
    Source:
        Neyshabur et al. 2017, Bartlett 1998.
    Example:
        >>> from genscope.measures.ingredients.worked_example import value_of
        >>> value_of("layer_l1_inf_norm")
        {'0.weight': 2.0, '2.weight': 2.0}
    """
    return {layer.layer: layer.l1_inf for layer in layer_norms}


@measure(symbol=r"\|W_i-W_i^0\|_F", unit="1", expects="larger gap", source=_J, invariant_to=("permutation",), cost="O(n)")
def layer_distance_from_init(initial_distances: InitialDistances) -> dict[str, float]:
    """How far each weight matrix moved from its initialization.

    Formula:
        ‖W_i − W_i⁰‖_F.
    Reading:
        Small where training hardly used the layer.
    Args:
        initial_distances: norms of the moves from the initialization.
    Returns:
        One number per layer; unit 1.
    Raises:
        Nothing; undefined without the initial weights.
    Invariances:
        Permuting hidden units.
    Cost:
        O(n).
    Source:
        Jiang et al. 2020.
    Example:
        >>> from genscope.measures.ingredients.worked_example import value_of
        >>> value_of("layer_distance_from_init")
        {'0.weight': 1.0, '2.weight': 1.414}
    """
    return {layer.layer: layer.frobenius for layer in initial_distances.layers}


@measure(symbol=r"\|W_i-W_i^0\|_2", unit="1", expects="larger gap", source=_J, invariant_to=("permutation",), cost="one SVD per layer")
def layer_spectral_distance_from_init(initial_distances: InitialDistances) -> dict[str, float]:
    """The largest singular value of each layer's move from its initialization.

    Formula:
        ‖W_i − W_i⁰‖₂.
    Reading:
        Small where training hardly used the layer.
    Args:
        initial_distances: norms of the moves from the initialization.
    Returns:
        One number per layer; unit 1.
    Raises:
        Nothing; undefined without the initial weights.
    Invariances:
        Permuting hidden units.
    Cost:
        One SVD per layer.
    Source:
        Jiang et al. 2020.
    Example:
        >>> from genscope.measures.ingredients.worked_example import value_of
        >>> value_of("layer_spectral_distance_from_init")
        {'0.weight': 1.0, '2.weight': 1.0}
    """
    return {layer.layer: layer.spectral for layer in initial_distances.layers}
