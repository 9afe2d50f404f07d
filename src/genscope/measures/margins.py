"""Margins: by how much each training example is classified right."""

import math

import numpy as np
from scipy.stats import binom

from genscope.core.catalogue import measure
from genscope.core.estimate import Estimate

_S4 = "Neyshabur et al. 2017"


def order_statistic(values: np.ndarray, quantile: float) -> float:
    """The smallest value such that a share ``quantile`` of the examples lies at or below it: the ⌈εm⌉-th smallest.

    Example:
        >>> order_statistic(np.arange(100.0), 0.05), order_statistic(np.arange(100.0), 0.0)
        (4.0, 0.0)
    """
    rank = max(1, math.ceil(quantile * len(values) - 1e-12))
    return float(np.partition(values, rank - 1)[rank - 1])


@measure(
    symbol=r"\gamma_{\mathrm{margin}}",
    unit="logit units",
    expects="smaller gap",
    source=f"{_S4}, section 2.2",
    invariant_to=("node_rescaling", "permutation"),
    cost="one pass",
)
def margin(margins: np.ndarray, *, quantile: float = 0.05) -> Estimate:
    """The margin that all but a share ``quantile`` of the training examples exceed.

    Formula:
        γ = the ⌈εm⌉-th smallest of f_y − max_{j≠y} f_j, with the 95 % order-statistic interval of that quantile.
    Reading:
        Larger is more confident; negative when more than that share is wrong, and then reported as it is.
    Args:
        margins: margin of each training example, [examples].
        quantile: share ε of examples below the margin.
    Returns:
        A number with its interval; unit logit units.
    Raises:
        Nothing; a non-finite result becomes a status.
    Invariances:
        Rescaling units (incoming times c, outgoing over c), permuting hidden units.
    Cost:
        One pass.
    Source:
        Neyshabur et al. 2017, section 2.2.
    Example:
        >>> from genscope.measures.ingredients.worked_example import value_of
        >>> value_of("margin")
        2.0
    """
    ordered = np.sort(margins)
    n = len(ordered)
    low, high = (int(np.clip(binom.ppf(p, n, quantile), 0, n - 1)) for p in (0.025, 0.975))
    return Estimate(order_statistic(margins, quantile), float(ordered[low]), float(ordered[high]))


@measure(
    symbol=r"\min_i \gamma_i",
    unit="logit units",
    expects="smaller gap",
    source=f"{_S4}, section 2.2",
    invariant_to=("node_rescaling", "permutation"),
    cost="one pass",
)
def hard_margin(margins: np.ndarray) -> float:
    """The smallest margin of any training example.

    Formula:
        min_i f_{y_i} − max_{j≠y_i} f_j.
    Reading:
        Decided by one example and by the size of the training set.
    Args:
        margins: margin of each training example, [examples].
    Returns:
        A number; unit logit units.
    Raises:
        Nothing; a non-finite result becomes a status.
    Invariances:
        Rescaling units (incoming times c, outgoing over c), permuting hidden units.
    Cost:
        One pass.
    Source:
        Neyshabur et al. 2017, section 2.2.
    Example:
        >>> from genscope.measures.ingredients.worked_example import value_of
        >>> value_of("hard_margin")
        2.0
    """
    return float(margins.min())


@measure(
    symbol=r"1/\gamma^2",
    unit="1/logit units^2",
    expects="larger gap",
    source="Jiang et al. 2020, inverse margin",
    invariant_to=("node_rescaling", "permutation"),
    cost="one pass",
)
def inverse_margin(positive_margin: float) -> float:
    """The inverse squared margin.

    Formula:
        1/γ² of the margin quantile.
    Reading:
        Smaller is better; the common factor of all norms over margin.
    Args:
        positive_margin: the margin quantile, where it is positive.
    Returns:
        A number; unit 1/logit units^2.
    Raises:
        Nothing; undefined when the margin quantile is not positive.
    Invariances:
        Rescaling units (incoming times c, outgoing over c), permuting hidden units.
    Cost:
        One pass.
    Source:
        Jiang et al. 2020, inverse margin.
    Example:
        >>> from genscope.measures.ingredients.worked_example import value_of
        >>> value_of("inverse_margin")
        0.25
    """
    return positive_margin**-2
