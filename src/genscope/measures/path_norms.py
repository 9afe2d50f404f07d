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
    """``ln Σ_paths |∏ w|``; also a bound on ``ln`` of the ℓ∞ Lipschitz constant."""
    return log_path_norms.l1


@measure(symbol=r"\ln(\sum_p\prod w^2)^{1/2}", **_FACTS)
def log_path_norm_l2(log_path_norms: LogPathNorms) -> float:
    """``ln (Σ_paths ∏ w²)^{1/2}``."""
    return log_path_norms.l2
