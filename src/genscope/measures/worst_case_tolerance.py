"""Worst-case tolerance measures of Jiang et al. 2020 (their sharpness forms): how far the weights are, against how far they can be pushed.

These rank networks; they are not bounds. Larger values go with a larger gap.
"""

import math
from typing import Any

from genscope.core.catalogue import measure
from genscope.core.estimate import Estimate
from genscope.core.status import Undefined
from genscope.measures.ingredients.sigma import WorstAlpha, WorstMagnitudeAlpha
from genscope.measures.ingredients.types import Params
from genscope.measures.pac_bayes import at_scale, magnitude_sum

_J = "Jiang et al. 2020"
_FACTS: dict[str, Any] = {"unit": "nats", "expects": "larger gap", "invariant_to": ("permutation",), "cost": "a scale search"}
_DELTA = 0.05


@measure(symbol=r"\mu_{\mathrm{sharpness-orig}}", source=f"{_J}, sharpness", **_FACTS)
def sharpness_orig(param_norm: float, n_params: int, worst_alpha: WorstAlpha, n_examples: int, *, delta: float = _DELTA) -> Estimate | Undefined:
    """The worst-case measure around the origin.

    Formula:
        ‖w‖² ln(2ω)/(4α²) + ln(m/δ) + 10, α the largest box half-width at whose worst point found the error is ≤ the target.
    Reading:
        Distance against worst-case tolerance.
    Args:
        param_norm: ‖w‖².
        n_params: parameters ω.
        worst_alpha: the search for α.
        n_examples: training examples m.
        delta: δ in the formula.
    Returns:
        A number with its interval; unit nats.
    Raises:
        Nothing; undefined when the training error is above the target from the start; doubtful when the search saturates.
    Invariances:
        Permuting hidden units.
    Cost:
        A scale search.
    Source:
        Jiang et al. 2020, sharpness.
    Example:
        >>> from genscope.measures.ingredients.worked_example import value_of
        >>> value_of("sharpness_orig")
        20.18
    """
    return at_scale(worst_alpha.search, lambda alpha: param_norm * math.log(2 * n_params) / (4 * alpha**2) + math.log(n_examples / delta) + 10)


@measure(symbol=r"\mu_{\mathrm{sharpness-init}}", source=f"{_J}, sharpness", **_FACTS)
def sharpness_init(l2_dist: float, n_params: int, worst_alpha: WorstAlpha, n_examples: int, *, delta: float = _DELTA) -> Estimate | Undefined:
    """The worst-case measure around the initialization.

    Formula:
        ‖w−w₀‖² ln(2ω)/(4α²) + ln(m/δ) + 10, α as in sharpness_orig.
    Reading:
        Distance against worst-case tolerance.
    Args:
        l2_dist: ‖w − w₀‖².
        n_params: parameters ω.
        worst_alpha: the search for α.
        n_examples: training examples m.
        delta: δ in the formula.
    Returns:
        A number with its interval; unit nats.
    Raises:
        Nothing; undefined when the training error is above the target from the start; doubtful when the search saturates.
    Invariances:
        Permuting hidden units.
    Cost:
        A scale search.
    Source:
        Jiang et al. 2020, sharpness.
    Example:
        >>> from genscope.measures.ingredients.worked_example import value_of
        >>> value_of("sharpness_init")
        15.85
    """
    return at_scale(worst_alpha.search, lambda alpha: l2_dist * math.log(2 * n_params) / (4 * alpha**2) + math.log(n_examples / delta) + 10)


@measure(symbol=r"1/\alpha^2", source=f"{_J}, sharpness-flatness", **_FACTS)
def sharpness_flatness(worst_alpha: WorstAlpha) -> Estimate | Undefined:
    """The inverse squared worst-case tolerance.

    Formula:
        1/α², α as in sharpness_orig.
    Reading:
        Larger is sharper.
    Args:
        worst_alpha: the search for α.
    Returns:
        A number with its interval; unit nats.
    Raises:
        Nothing; undefined when the training error is above the target from the start; doubtful when the search saturates.
    Invariances:
        Permuting hidden units.
    Cost:
        A scale search.
    Source:
        Jiang et al. 2020, sharpness-flatness.
    Example:
        >>> from genscope.measures.ingredients.worked_example import value_of
        >>> value_of("sharpness_flatness")
        1.04
    """
    return at_scale(worst_alpha.search, lambda alpha: alpha**-2)


@measure(symbol=r"\mu_{\mathrm{sharpness-mag-orig}}", source=f"{_J}, magnitude-aware", **_FACTS)
def sharpness_mag_orig(params: Params, worst_magnitude_alpha: WorstMagnitudeAlpha, n_examples: int, *, delta: float = _DELTA) -> Estimate | Undefined:
    """The magnitude-aware worst-case measure around the origin.

    Formula:
        ¼ Σ ln[(ε² + (α'² + 4 ln(2ω/δ))‖w‖²/ω)/(ε² + α'²w_i²)] + ln(m/δ) + 10, box half-widths α'|w_i| + ε.
    Reading:
        Each weight may move in proportion to its size, at worst.
    Args:
        params: parameters, name to tensor.
        worst_magnitude_alpha: the search for α'.
        n_examples: training examples m.
        delta: δ in the formula.
    Returns:
        A number with its interval; unit nats.
    Raises:
        Nothing; undefined when the training error is above the target from the start; doubtful when the search saturates.
    Invariances:
        Permuting hidden units.
    Cost:
        A scale search.
    Source:
        Jiang et al. 2020, magnitude-aware.
    Example:
        >>> from genscope.measures.ingredients.worked_example import value_of
        >>> value_of("sharpness_mag_orig")
        26.88
    """
    return at_scale(worst_magnitude_alpha.search, lambda alpha: _worst_magnitude(params, None, alpha, n_examples, delta))


@measure(symbol=r"\mu_{\mathrm{sharpness-mag-init}}", source=f"{_J}, magnitude-aware", **_FACTS)
def sharpness_mag_init(
    params: Params, initial_params: Params, worst_magnitude_alpha: WorstMagnitudeAlpha, n_examples: int, *, delta: float = _DELTA
) -> Estimate | Undefined:
    """The magnitude-aware worst-case measure around the initialization.

    Formula:
        ¼ Σ ln[(ε² + (α'² + 4 ln(2ω/δ))‖w−w₀‖²/ω)/(ε² + α'²(w_i−w₀_i)²)] + ln(m/δ) + 10.
    Reading:
        Each weight may move in proportion to its size, at worst.
    Args:
        params: parameters, name to tensor.
        initial_params: the same before training.
        worst_magnitude_alpha: the search for α'.
        n_examples: training examples m.
        delta: δ in the formula.
    Returns:
        A number with its interval; unit nats.
    Raises:
        Nothing; undefined without the initial weights; undefined when the training error is above the target from the start; doubtful when the search
        saturates.
    Invariances:
        Permuting hidden units.
    Cost:
        A scale search.
    Source:
        Jiang et al. 2020, magnitude-aware.
    Example:
        >>> from genscope.measures.ingredients.worked_example import value_of
        >>> value_of("sharpness_mag_init")
        35.38
    """
    return at_scale(worst_magnitude_alpha.search, lambda alpha: _worst_magnitude(params, initial_params, alpha, n_examples, delta))


@measure(symbol=r"1/\alpha'^2", source=f"{_J}, sharpness-mag-flatness", **_FACTS)
def sharpness_mag_flatness(worst_magnitude_alpha: WorstMagnitudeAlpha) -> Estimate | Undefined:
    """The inverse squared worst-case tolerance relative to the weights.

    Formula:
        1/α'², α' as in sharpness_mag_orig.
    Reading:
        Larger is sharper.
    Args:
        worst_magnitude_alpha: the search for α'.
    Returns:
        A number with its interval; unit nats.
    Raises:
        Nothing; undefined when the training error is above the target from the start; doubtful when the search saturates.
    Invariances:
        Permuting hidden units.
    Cost:
        A scale search.
    Source:
        Jiang et al. 2020, sharpness-mag-flatness.
    Example:
        >>> from genscope.measures.ingredients.worked_example import value_of
        >>> value_of("sharpness_mag_flatness")
        1.026
    """
    return at_scale(worst_magnitude_alpha.search, lambda alpha: alpha**-2)


def _worst_magnitude(params: Params, initial: Params | None, alpha: float, n_examples: int, delta: float) -> float:
    count = sum(value.numel() for value in params.values())
    return magnitude_sum(params, initial, alpha, alpha**2 + 4 * math.log(2 * count / delta)) + math.log(n_examples / delta) + 10
