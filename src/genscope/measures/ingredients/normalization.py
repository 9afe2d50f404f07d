"""By which product norm a network's outputs are divided."""

from dataclasses import dataclass
from typing import Any

from genscope.core.catalogue import ingredient
from genscope.core.status import Undefined
from genscope.errors import GenscopeError
from genscope.measures.ingredients.subset import Subset


@dataclass(frozen=True)
class Normalization:
    """``f = ρ f̃``: ``ln ρ``, how it was found (``layers`` or ``output``), and a sentence on it."""

    log_rho: float
    method: str
    sentence: str


@ingredient
def normalization(network: Any, graph: Any, subset: Subset) -> Normalization | Undefined:
    """The product of the layers' Frobenius norms where the theory holds exactly, else the output norm on one training example."""
    from genscope.networks.normalize import normalize_by_output, normalize_layers

    example = subset.head(1)[0][0]
    try:
        found = normalize_layers(graph)
        reason = ""
    except GenscopeError as error:
        reason = str(error)
        found = normalize_by_output(network, example)
    return Normalization(found.log_product, found.method, f"{found.label}{f' because: {reason}' if reason else ''}")


@ingredient
def log_product_norm(normalization: Normalization) -> float | Undefined:
    """``ln ρ`` of the layerwise product norm; undefined where only an output norm exists."""
    if normalization.method != "layers":
        return Undefined(f"the network has no exact layer normalization ({normalization.sentence})")
    return normalization.log_rho
