"""Path norms of the traced network."""

from dataclasses import dataclass
from typing import Any

from genscope.core.catalogue import ingredient
from genscope.core.status import Undefined


@dataclass(frozen=True)
class LogPathNorms:
    """``ln Σ_paths |∏w|`` and ``ln (Σ_paths ∏w²)^{1/2}``."""

    l1: float
    l2: float


@ingredient
def log_path_norms(graph: Any) -> LogPathNorms | Undefined:
    """The ℓ1 and ℓ2 path norms over the traced graph: max pooling sums, skips add, biases start paths."""
    from genscope.networks.path_norm import log_path_norm

    l1, l2 = log_path_norm(graph, 1.0), log_path_norm(graph, 2.0)
    if isinstance(l1, Undefined) or isinstance(l2, Undefined):
        return l1 if isinstance(l1, Undefined) else l2  # type: ignore[return-value]
    return LogPathNorms(l1, l2)
