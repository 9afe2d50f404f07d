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
    """The operator norm of each layer at the input size it really sees.

    Formula:
        ‖A_i‖₂, the largest singular value of the layer as a linear map with its padding, stride and groups.
    Reading:
        How far a layer can stretch its input.
    Args:
        layer_operators: operator norm of every layer.
    Returns:
        One number per layer with its interval; unit 1.
    Raises:
        Nothing; undefined when the network cannot be traced.
    Invariances:
        Permuting hidden units.
    Cost:
        Some tens of convolutions per layer.
    Source:
        Neyshabur et al. 2017, section 2.3; Sedghi et al. 2019.
    Example:
        >>> from genscope.measures.ingredients.worked_example import value_of
        >>> value_of("layer_operator_norm")
        {'0': 2.0, '2': 2.0}
    """
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
    """The product of the layers' operator norms, in logarithms.

    Formula:
        ln ∏ ‖A_i‖₂.
    Reading:
        Bounds ln of the Lipschitz constant of a feed-forward network (1-Lipschitz activations and pooling); with skips it bounds nothing.
    Args:
        layer_operators: operator norm of every layer.
    Returns:
        A number; unit nats.
    Raises:
        Nothing; undefined when the network cannot be traced.
    Invariances:
        Permuting hidden units.
    Cost:
        The layers' operator norms.
    Source:
        Neyshabur et al. 2017, section 2.3; Sedghi et al. 2019.
    Example:
        >>> from genscope.measures.ingredients.worked_example import value_of
        >>> value_of("log_prod_of_operator")
        1.386
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
    """The squared product of operator norms over the squared margin, in logarithms.

    Formula:
        ln γ⁻² ∏‖A_i‖₂².
    Reading:
        The spectral capacity with the layers as they are.
    Args:
        positive_margin: the margin quantile, where it is positive.
        log_prod_of_operator: ln of their product.
    Returns:
        A number; unit nats.
    Raises:
        Nothing; undefined when the margin quantile is not positive.
    Invariances:
        Multiplying one bias-free layer by c, permuting hidden units.
    Cost:
        Operator norms.
    Source:
        Neyshabur et al. 2017, section 2.3; Sedghi et al. 2019.
    Example:
        >>> from genscope.measures.ingredients.worked_example import value_of
        >>> value_of("operator_over_margin")
        1.386
    """
    return 2.0 * (log_prod_of_operator - math.log(positive_margin))
