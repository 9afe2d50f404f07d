"""Operator norms of the layers at the input size they really see, and the Lipschitz product made of them."""

import math
from typing import Any

from genscope.core.catalogue import ingredient, measure
from genscope.core.estimate import Estimate
from genscope.core.status import DOUBTFUL, OK
from genscope.numerics.logspace import log_product

_SOURCE = "Neyshabur et al. 2017, section 2.3; Sedghi et al. 2019"


@ingredient
def layer_operators(graph: Any) -> tuple[Any, ...]:
    """Operator norm of every layer of the traced network: padding, stride and groups as they are."""
    from genscope.networks.layer_operators import layer_operators as operators_of

    return operators_of(graph)


@measure(
    symbol=r"\|A_i\|_2", unit="1", expects="larger gap", source=_SOURCE, invariant_to=("permutation",), cost="some tens of convolutions per layer"
)
def layer_operator_norm(layer_operators: tuple[Any, ...]) -> dict[str, Estimate]:
    """The largest singular value of each layer as a linear map of its real input (not of its reshaped kernel)."""
    found = {}
    for layer in layer_operators:
        value = layer.operator_norm
        reason = "" if layer.converged else f"the iteration stopped at a relative residual of {layer.residual:.1g}"
        found[layer.layer] = Estimate(value, value, value * (1 + layer.residual), OK if layer.converged else DOUBTFUL, reason)
    return found


@measure(
    symbol=r"\ln\prod_i\|A_i\|_2", unit="nats", expects="larger gap", source=_SOURCE, invariant_to=("permutation",), cost="the layers' operator norms"
)
def log_prod_of_operator(layer_operators: tuple[Any, ...]) -> float:
    """``ln ∏ ‖A_i‖₂``: bounds ``ln`` of the Lipschitz constant of a feed-forward network with 1-Lipschitz activations and pooling.

    With skip connections the product runs over all layers but bounds nothing.
    """
    return log_product(layer.operator_norm for layer in layer_operators)


@measure(
    symbol=r"\ln\gamma^{-2}\prod\|A_i\|_2^2",
    unit="nats",
    expects="larger gap",
    source=_SOURCE,
    invariant_to=("layer_scaling", "permutation"),
    cost="operator norms",
)
def operator_over_margin(positive_margin: float, log_prod_of_operator: float) -> float:
    """``ln γ⁻² ∏ ‖A_i‖₂²`` with the layers' true operator norms."""
    return 2.0 * (log_prod_of_operator - math.log(positive_margin))
