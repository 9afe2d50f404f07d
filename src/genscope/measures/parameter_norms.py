"""Counts and norms of all parameters together."""

from genscope.core.catalogue import measure
from genscope.measures.ingredients.layers import InitialDistances, LayerNorms
from genscope.measures.ingredients.types import Params

_J = "Jiang et al. 2020"
_S4 = "Neyshabur et al. 2017"


@measure(
    symbol=r"\omega", unit="parameters", expects="larger gap", source=_J, invariant_to=("node_rescaling", "layer_scaling", "permutation"), cost="O(1)"
)
def n_params(params: Params) -> int:
    """The number of scalar parameters.

    Formula:
        ω = dim(w); tied parameters count once.
    Reading:
        Capacity by counting.
    Args:
        params: parameters, name to tensor.
    Returns:
        A number; unit parameters.
    Raises:
        Nothing; a non-finite result becomes a status.
    Invariances:
        Rescaling units (incoming times c, outgoing over c), multiplying one bias-free layer by c, permuting hidden units.
    Cost:
        O(1).
    Source:
        Jiang et al. 2020.
    Example:
        >>> from genscope.measures.ingredients.worked_example import value_of
        >>> value_of("n_params")
        8
    """
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
    """Depth times number of parameters.

    Formula:
        d · dim(w), the VC dimension of ReLU networks up to logarithms; d counts weight matrices.
    Reading:
        Capacity by counting.
    Args:
        params: parameters, name to tensor.
        layer_norms: norms of every weight matrix, in order.
    Returns:
        A number; unit parameters.
    Raises:
        Nothing; undefined for a network without weight matrices.
    Invariances:
        Rescaling units (incoming times c, outgoing over c), multiplying one bias-free layer by c, permuting hidden units.
    Cost:
        O(1).
    Source:
        Neyshabur et al. 2017, section 2.1.
    Example:
        >>> from genscope.measures.ingredients.worked_example import value_of
        >>> value_of("vc_form")
        16
    """
    return len(layer_norms) * n_params(params)


@measure(symbol=r"\|w\|^2", unit="1", expects="larger gap", source=f"{_J}, parameter norm", invariant_to=("permutation",), cost="O(n)")
def param_norm(params: Params) -> float:
    """The squared norm of all parameters.

    Formula:
        ‖w‖² = Σ w², biases included.
    Reading:
        Distance from the origin.
    Args:
        params: parameters, name to tensor.
    Returns:
        A number; unit 1.
    Raises:
        Nothing; a non-finite result becomes a status.
    Invariances:
        Permuting hidden units.
    Cost:
        O(n).
    Source:
        Jiang et al. 2020, parameter norm.
    Example:
        >>> from genscope.measures.ingredients.worked_example import value_of
        >>> value_of("param_norm")
        9.0
    """
    return float(sum(float(value.double().square().sum()) for value in params.values()))


@measure(
    symbol=r"\|w-w_0\|^2", unit="1", expects="larger gap", source=f"{_J}, distance from initialization", invariant_to=("permutation",), cost="O(n)"
)
def l2_dist(initial_distances: InitialDistances) -> float:
    """The squared distance of all parameters from their initialization.

    Formula:
        ‖w − w₀‖², biases included.
    Reading:
        How far training went.
    Args:
        initial_distances: norms of the moves from the initialization.
    Returns:
        A number; unit 1.
    Raises:
        Nothing; undefined without the initial weights.
    Invariances:
        Permuting hidden units.
    Cost:
        O(n).
    Source:
        Jiang et al. 2020, distance from initialization.
    Example:
        >>> from genscope.measures.ingredients.worked_example import value_of
        >>> value_of("l2_dist")
        3.0
    """
    return initial_distances.squared_total


@measure(
    symbol=r"\sum_i\|W_i-W_i^0\|_2^2", unit="1", expects="larger gap", source=f"{_J}, dist-spec-init", invariant_to=("permutation",), cost="SVDs"
)
def dist_spec_init(initial_distances: InitialDistances) -> float:
    """The summed squared spectral distance from the initialization.

    Formula:
        Σ_i ‖W_i − W_i⁰‖₂².
    Reading:
        How far training went, by each layer's largest direction.
    Args:
        initial_distances: norms of the moves from the initialization.
    Returns:
        A number; unit 1.
    Raises:
        Nothing; undefined without the initial weights.
    Invariances:
        Permuting hidden units.
    Cost:
        SVDs.
    Source:
        Jiang et al. 2020, dist-spec-init.
    Example:
        >>> from genscope.measures.ingredients.worked_example import value_of
        >>> value_of("dist_spec_init")
        2.0
    """
    return sum(layer.spectral**2 for layer in initial_distances.layers)
