"""Path norms: sums over all paths from an input or a bias to an output."""

from typing import Any

from genscope.core.catalogue import measure
from genscope.measures.ingredients.path import LogPathNorms

_FACTS: dict[str, Any] = {
    "unit": "nats",
    "expects": "larger gap",
    "source": "Neyshabur et al. 2015 and 2017; Gonon et al. 2024, definition 3.2",
    "invariant_to": ("node_rescaling", "permutation"),
    "cost": "one forward pass",
}


@measure(symbol=r"\ln\sum_p|\prod w|", **_FACTS)
def log_path_norm_l1(log_path_norms: LogPathNorms) -> float:
    """The ℓ1 path norm, in logarithms.

    Formula:
        ln Σ_paths |∏ w|; max pooling sums, skips add, biases start paths, BatchNorm folded.
    Reading:
        Bounds ln of the ℓ∞ Lipschitz constant; larger goes with a larger gap.
    Args:
        log_path_norms: ln of the ℓ1 and ℓ2 path norms.
    Returns:
        A number; unit nats.
    Raises:
        Nothing; undefined where paths have no meaning (softmax, GELU, LayerNorm).
    Invariances:
        Rescaling units (incoming times c, outgoing over c), permuting hidden units.
    Cost:
        One forward pass.
    Source:
        Neyshabur et al. 2015 and 2017; Gonon et al. 2024, definition 3.2.
    Example:
        >>> from genscope.measures.ingredients.worked_example import value_of
        >>> value_of("log_path_norm_l1")
        1.792
    """
    return log_path_norms.l1


@measure(symbol=r"\ln(\sum_p\prod w^2)^{1/2}", **_FACTS)
def log_path_norm_l2(log_path_norms: LogPathNorms) -> float:
    """The ℓ2 path norm, in logarithms.

    Formula:
        ln (Σ_paths ∏ w²)^{1/2}.
    Reading:
        Capacity that no rescaling of units can change.
    Args:
        log_path_norms: ln of the ℓ1 and ℓ2 path norms.
    Returns:
        A number; unit nats.
    Raises:
        Nothing; undefined where paths have no meaning (softmax, GELU, LayerNorm).
    Invariances:
        Rescaling units (incoming times c, outgoing over c), permuting hidden units.
    Cost:
        One forward pass.
    Source:
        Neyshabur et al. 2015 and 2017; Gonon et al. 2024, definition 3.2.
    Example:
        >>> from genscope.measures.ingredients.worked_example import value_of
        >>> value_of("log_path_norm_l2")
        1.151
    """
    return log_path_norms.l2
