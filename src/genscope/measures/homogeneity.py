"""What multiplying the weights does to the outputs: the degree of homogeneity, how exact it is; and a bound on the slope in the input."""

from typing import Any

from genscope.core.catalogue import measure
from genscope.core.estimate import Estimate
from genscope.core.status import DOUBTFUL, SKIPPED, Undefined
from genscope.measures.ingredients.subset import Subset

_SOURCE = "Liao et al. 2018, equation 2; Poggio et al. 2020, structural lemma"
EXAMPLES = 64


@measure(symbol="K", unit="1", expects="none", source=_SOURCE, invariant_to=("permutation",), cost="none")
def homogeneity_degree(graph: Any) -> int | Undefined:
    """The degree K of positive homogeneity of the network in its weights.

    Formula:
        f(cW; x) = c^K f(W; x) for every c > 0, read off the traced network.
    Reading:
        Where it exists, layers can be normalized one by one and margins compared at equal norms; it says nothing about the gap by itself.
    Args:
        graph: the traced network.
    Returns:
        A whole number, the depth of a chain; unit 1.
    Raises:
        Nothing; undefined where a later bias, LayerNorm, softmax or a smooth activation breaks it, and the sentence names the layer.
    Invariances:
        Permuting hidden units.
    Cost:
        None.
    Source:
        Liao et al. 2018, equation 2; Poggio et al. 2020, structural lemma.
    Example:
        >>> from genscope.measures.ingredients.worked_example import value_of
        >>> value_of("homogeneity_degree")
        2
    """
    from genscope.networks.homogeneity import homogeneity

    found = homogeneity(graph)
    return found.degree if found.uniform else Undefined(f"the network is not homogeneous: {_breaker(found)}", SKIPPED)


@measure(symbol=r"\max|f(cW)-c^Kf(W)|/\max|c^Kf(W)|", unit="1", expects="none", source=_SOURCE, invariant_to=("permutation",), cost="two forwards")
def homogeneity_error(network: Any, graph: Any, subset: Subset) -> float | Estimate:
    """How far the outputs are from c^K times the outputs when all weights are multiplied by c = 1.5.

    Formula:
        max |f(cW; x) − c^K f(W; x)| / max |c^K f(W; x)| over up to 64 training examples, in float64.
    Reading:
        About 1e-16 where the network is homogeneous; otherwise how wrong it is to reason as if it were.
    Args:
        network: the network.
        graph: the traced network, which tells K.
        subset: training examples.
    Returns:
        A number of at least 0; unit 1.
    Raises:
        Nothing; doubtful where the degree is that of the longest path only, because something breaks homogeneity.
    Invariances:
        Permuting hidden units.
    Cost:
        Two forwards of 64 examples.
    Source:
        Liao et al. 2018, equation 2; Poggio et al. 2020, structural lemma.
    Example:
        >>> from genscope.measures.ingredients.worked_example import value_of
        >>> value_of("homogeneity_error")
        0.0
    """
    from genscope.networks.homogeneity import homogeneity
    from genscope.networks.homogeneity import homogeneity_error as error_of

    found = homogeneity(graph)
    error = max(error_of(network, x, found.degree) for x, _ in subset.head(EXAMPLES))
    return error if found.uniform else Estimate(error, None, None, DOUBTFUL, f"not homogeneous: {_breaker(found)}")


def _breaker(found: Any) -> str:
    return next((layer.sentence for layer in found.layers if not layer.keeps), "paths of different degree meet")


@measure(
    symbol=r"\ln\mathrm{Lip}(f)",
    unit="nats",
    expects="larger gap",
    source="Szegedy et al. 2014, section 4.3; Neyshabur et al. 2017, section 2",
    invariant_to=("permutation",),
    cost="the layers' operator norms",
)
def log_lipschitz_bound(graph: Any) -> float | Undefined:
    """An upper bound on the Lipschitz constant of the outputs in the input, in logarithms.

    Formula:
        ln of ∏ ‖A_i‖₂ along chains; branches that are added add, concatenated ones add in squares, pooling counts windows.
    Reading:
        No input change of ℓ2 size ε moves the outputs by more than ε times it; lipschitz_lower_bound is what data really reach.
    Args:
        graph: the traced network.
    Returns:
        A number; unit nats.
    Raises:
        Nothing; undefined with attention or LayerNorm, which have no finite constant, and for a layer that is zero.
    Invariances:
        Permuting hidden units.
    Cost:
        The operator norms of the layers.
    Source:
        Szegedy et al. 2014, section 4.3; Neyshabur et al. 2017, section 2.
    Example:
        >>> from genscope.measures.ingredients.worked_example import value_of
        >>> value_of("log_lipschitz_bound")
        1.386
    """
    from genscope.networks.lipschitz import log_lipschitz_bound as bound_of

    return bound_of(graph)
