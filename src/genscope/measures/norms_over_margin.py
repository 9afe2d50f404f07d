"""Capacities of Neyshabur et al. 2017: a norm of the network over its margin, as plotted (without constants) and as stated (with them).

All values are natural logarithms of the capacity. Scaling the last layer of a bias-free network scales norm and margin alike and leaves
all of them unchanged.
"""

import math

from genscope.core.catalogue import measure
from genscope.measures.ingredients.layers import LayerNorms
from genscope.measures.ingredients.path import LogPathNorms
from genscope.numerics.logspace import log_product

_S4 = "Neyshabur et al. 2017, section 2.2"
_SCALING = ("layer_scaling", "permutation")
_PATH = ("node_rescaling", "layer_scaling", "permutation")


def over_margin(log_capacity: float, margin: float) -> float:
    """A capacity over the squared margin, in logarithms."""
    return log_capacity - 2.0 * math.log(margin)


@measure(symbol=r"\ln\gamma^{-2}\prod\|W_i\|_F^2", unit="nats", expects="larger gap", source=_S4, invariant_to=_SCALING, cost="O(n)")
def l2_over_margin(positive_margin: float, layer_norms: tuple[LayerNorms, ...]) -> float:
    """The product of Frobenius norms over the margin, as plotted.

    Formula:
        ln γ⁻² ∏‖W_i‖_F².
    Reading:
        The ℓ2 capacity without its constants.
    Args:
        positive_margin: the margin quantile, where it is positive.
        layer_norms: norms of every weight matrix, in order.
    Returns:
        A number; unit nats.
    Raises:
        Nothing; undefined when the margin quantile is not positive; undefined for a network without weight matrices.
    Invariances:
        Multiplying one bias-free layer by c, permuting hidden units.
    Cost:
        O(n).
    Source:
        Neyshabur et al. 2017, section 2.2.
    Example:
        >>> from genscope.measures.ingredients.worked_example import value_of
        >>> value_of("l2_over_margin")
        1.609
    """
    return over_margin(2 * log_product(layer.frobenius for layer in layer_norms), positive_margin)


@measure(symbol=r"\ln\gamma^{-2}(\sum_p|\prod w|)^2", unit="nats", expects="larger gap", source=_S4, invariant_to=_PATH, cost="one forward")
def l1_path_over_margin(positive_margin: float, log_path_norms: LogPathNorms) -> float:
    """The ℓ1 path norm over the margin, as plotted.

    Formula:
        ln γ⁻² (Σ_paths |∏ w|)².
    Reading:
        The ℓ1-path capacity without its constants.
    Args:
        positive_margin: the margin quantile, where it is positive.
        log_path_norms: ln of the ℓ1 and ℓ2 path norms.
    Returns:
        A number; unit nats.
    Raises:
        Nothing; undefined when the margin quantile is not positive; undefined where paths have no meaning (softmax, GELU, LayerNorm).
    Invariances:
        Rescaling units (incoming times c, outgoing over c), multiplying one bias-free layer by c, permuting hidden units.
    Cost:
        One forward.
    Source:
        Neyshabur et al. 2017, section 2.2.
    Example:
        >>> from genscope.measures.ingredients.worked_example import value_of
        >>> value_of("l1_path_over_margin")
        2.197
    """
    return over_margin(2 * log_path_norms.l1, positive_margin)


@measure(symbol=r"\ln\gamma^{-2}\sum_p\prod w^2", unit="nats", expects="larger gap", source=_S4, invariant_to=_PATH, cost="one forward")
def l2_path_over_margin(positive_margin: float, log_path_norms: LogPathNorms) -> float:
    """The ℓ2 path norm over the margin, as plotted.

    Formula:
        ln γ⁻² Σ_paths ∏ w².
    Reading:
        The ℓ2-path capacity without its constants.
    Args:
        positive_margin: the margin quantile, where it is positive.
        log_path_norms: ln of the ℓ1 and ℓ2 path norms.
    Returns:
        A number; unit nats.
    Raises:
        Nothing; undefined when the margin quantile is not positive; undefined where paths have no meaning (softmax, GELU, LayerNorm).
    Invariances:
        Rescaling units (incoming times c, outgoing over c), multiplying one bias-free layer by c, permuting hidden units.
    Cost:
        One forward.
    Source:
        Neyshabur et al. 2017, section 2.2.
    Example:
        >>> from genscope.measures.ingredients.worked_example import value_of
        >>> value_of("l2_path_over_margin")
        0.9163
    """
    return over_margin(2 * log_path_norms.l2, positive_margin)


@measure(symbol=r"\ln\gamma^{-2}\prod\|W_i\|_2^2", unit="nats", expects="larger gap", source=_S4, invariant_to=_SCALING, cost="one SVD per layer")
def spectral_over_margin(positive_margin: float, layer_norms: tuple[LayerNorms, ...]) -> float:
    """The product of spectral norms over the margin, as plotted.

    Formula:
        ln γ⁻² ∏‖W_i‖₂², kernels reshaped.
    Reading:
        The spectral capacity without its constants.
    Args:
        positive_margin: the margin quantile, where it is positive.
        layer_norms: norms of every weight matrix, in order.
    Returns:
        A number; unit nats.
    Raises:
        Nothing; undefined when the margin quantile is not positive; undefined for a network without weight matrices.
    Invariances:
        Multiplying one bias-free layer by c, permuting hidden units.
    Cost:
        One SVD per layer.
    Source:
        Neyshabur et al. 2017, section 2.2.
    Example:
        >>> from genscope.measures.ingredients.worked_example import value_of
        >>> value_of("spectral_over_margin")
        1.386
    """
    return over_margin(2 * log_product(layer.spectral for layer in layer_norms), positive_margin)


@measure(symbol=r"\ln\gamma^{-2}\prod\|W_i\|_{1,\infty}^2", unit="nats", expects="larger gap", source=_S4, invariant_to=_SCALING, cost="O(n)")
def l1_inf_over_margin(positive_margin: float, layer_norms: tuple[LayerNorms, ...]) -> float:
    """The product of incoming ℓ1 norms over the margin.

    Formula:
        ln γ⁻² ∏‖W_i‖²_{1,∞}.
    Reading:
        Bartlett's 1998 capacity.
    Args:
        positive_margin: the margin quantile, where it is positive.
        layer_norms: norms of every weight matrix, in order.
    Returns:
        A number; unit nats.
    Raises:
        Nothing; undefined when the margin quantile is not positive; undefined for a network without weight matrices.
    Invariances:
        Multiplying one bias-free layer by c, permuting hidden units.
    Cost:
        O(n).
    Source:
        Neyshabur et al. 2017, section 2.2.
    Example:
        >>> from genscope.measures.ingredients.worked_example import value_of
        >>> value_of("l1_inf_over_margin")
        1.386
    """
    return over_margin(2 * log_product(layer.l1_inf for layer in layer_norms), positive_margin)
