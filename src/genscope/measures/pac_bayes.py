"""PAC-Bayes and worst-case sharpness measures of Jiang et al. 2020: how far the weights are, against how much they can move.

These rank networks; they are not bounds. The bound is ``pac_bayes_certificate``. Scales come from one search (see the ingredients);
where the search saturates the row says so. Larger values go with a larger gap.
"""

import math
from typing import Any

from genscope.core.catalogue import measure
from genscope.core.estimate import Estimate
from genscope.core.status import DOUBTFUL, Undefined
from genscope.measures.ingredients.sigma import EPSILON, IsotropicSigma, MagnitudeSigma
from genscope.measures.ingredients.types import Params
from genscope.numerics.sigma_search import SigmaSearch

_J = "Jiang et al. 2020"
_FACTS: dict[str, Any] = {"unit": "nats", "expects": "larger gap", "invariant_to": ("permutation",), "cost": "a scale search"}
_DELTA = 0.05


@measure(symbol=r"\mu_{\mathrm{pac-bayes-orig}}", source=f"{_J}, PAC-Bayes bounds", **_FACTS)
def pacbayes_orig(param_norm: float, isotropic_sigma: IsotropicSigma, n_examples: int, *, delta: float = _DELTA) -> Estimate | Undefined:
    """The PAC-Bayes measure around the origin.

    Formula:
        ‖w‖²/(4σ²) + ln(m/δ) + 10, σ the largest with mean training error ≤ the target under N(0, σ²I).
    Reading:
        Distance against tolerance; ranks networks, bounds nothing.
    Args:
        param_norm: ‖w‖².
        isotropic_sigma: the search for σ.
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
        Jiang et al. 2020, PAC-Bayes bounds.
    Example:
        >>> from genscope.measures.ingredients.worked_example import value_of
        >>> value_of("pacbayes_orig")
        21.46
    """
    return at_scale(isotropic_sigma.search, lambda sigma: param_norm / (4 * sigma**2) + math.log(n_examples / delta) + 10)


@measure(symbol=r"\mu_{\mathrm{pac-bayes-init}}", source=f"{_J}, PAC-Bayes bounds", **_FACTS)
def pacbayes_init(l2_dist: float, isotropic_sigma: IsotropicSigma, n_examples: int, *, delta: float = _DELTA) -> Estimate | Undefined:
    """The PAC-Bayes measure around the initialization.

    Formula:
        ‖w−w₀‖²/(4σ²) + ln(m/δ) + 10, σ as in pacbayes_orig.
    Reading:
        Distance against tolerance; ranks networks, bounds nothing.
    Args:
        l2_dist: ‖w − w₀‖².
        isotropic_sigma: the search for σ.
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
        Jiang et al. 2020, PAC-Bayes bounds.
    Example:
        >>> from genscope.measures.ingredients.worked_example import value_of
        >>> value_of("pacbayes_init")
        16.28
    """
    return at_scale(isotropic_sigma.search, lambda sigma: l2_dist / (4 * sigma**2) + math.log(n_examples / delta) + 10)


@measure(symbol=r"1/\sigma^2", source=f"{_J}, pac-bayes-flatness", **_FACTS)
def pacbayes_flatness(isotropic_sigma: IsotropicSigma) -> Estimate | Undefined:
    """The inverse squared tolerance to isotropic noise.

    Formula:
        1/σ², σ as in pacbayes_orig.
    Reading:
        Larger is sharper.
    Args:
        isotropic_sigma: the search for σ.
    Returns:
        A number with its interval; unit nats.
    Raises:
        Nothing; undefined when the training error is above the target from the start; doubtful when the search saturates.
    Invariances:
        Permuting hidden units.
    Cost:
        A scale search.
    Source:
        Jiang et al. 2020, pac-bayes-flatness.
    Example:
        >>> from genscope.measures.ingredients.worked_example import value_of
        >>> value_of("pacbayes_flatness")
        3.453
    """
    return at_scale(isotropic_sigma.search, lambda sigma: sigma**-2)


@measure(symbol=r"\mu_{\mathrm{pac-bayes-mag-orig}}", source=f"{_J}, magnitude-aware", **_FACTS)
def pacbayes_mag_orig(params: Params, magnitude_sigma: MagnitudeSigma, n_examples: int, *, delta: float = _DELTA) -> Estimate | Undefined:
    """The magnitude-aware PAC-Bayes measure around the origin.

    Formula:
        ¼ Σ ln[(ε² + (σ'²+1)‖w‖²/ω)/(ε² + σ'²w_i²)] + ln(m/δ) + 10, noise variance σ'²w_i² + ε².
    Reading:
        Each weight may move in proportion to its size.
    Args:
        params: parameters, name to tensor.
        magnitude_sigma: the search for σ'.
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
        >>> value_of("pacbayes_mag_orig")
        22.21
    """
    return at_scale(magnitude_sigma.search, lambda sigma: magnitude_sum(params, None, sigma, sigma**2 + 1) + math.log(n_examples / delta) + 10)


@measure(symbol=r"\mu_{\mathrm{pac-bayes-mag-init}}", source=f"{_J}, magnitude-aware", **_FACTS)
def pacbayes_mag_init(
    params: Params, initial_params: Params, magnitude_sigma: MagnitudeSigma, n_examples: int, *, delta: float = _DELTA
) -> Estimate | Undefined:
    """The magnitude-aware PAC-Bayes measure around the initialization.

    Formula:
        ¼ Σ ln[(ε² + (σ'²+1)‖w−w₀‖²/ω)/(ε² + σ'²(w_i−w₀_i)²)] + ln(m/δ) + 10.
    Reading:
        Each weight may move in proportion to its size.
    Args:
        params: parameters, name to tensor.
        initial_params: the same before training.
        magnitude_sigma: the search for σ'.
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
        >>> value_of("pacbayes_mag_init")
        30.32
    """
    return at_scale(
        magnitude_sigma.search, lambda sigma: magnitude_sum(params, initial_params, sigma, sigma**2 + 1) + math.log(n_examples / delta) + 10
    )


@measure(symbol=r"1/\sigma'^2", source=f"{_J}, pac-bayes-mag-flatness", **_FACTS)
def pacbayes_mag_flatness(magnitude_sigma: MagnitudeSigma) -> Estimate | Undefined:
    """The inverse squared tolerance to noise relative to the weights.

    Formula:
        1/σ'², σ' as in pacbayes_mag_orig.
    Reading:
        Larger is sharper.
    Args:
        magnitude_sigma: the search for σ'.
    Returns:
        A number with its interval; unit nats.
    Raises:
        Nothing; undefined when the training error is above the target from the start; doubtful when the search saturates.
    Invariances:
        Permuting hidden units.
    Cost:
        A scale search.
    Source:
        Jiang et al. 2020, pac-bayes-mag-flatness.
    Example:
        >>> from genscope.measures.ingredients.worked_example import value_of
        >>> value_of("pacbayes_mag_flatness")
        1.704
    """
    return at_scale(magnitude_sigma.search, lambda sigma: sigma**-2)


def at_scale(search: SigmaSearch, value_of: Any) -> Estimate | Undefined:
    """The value at the found scale with the bracket as its interval, and what saturation means for it."""
    if search.saturated == "below":
        return Undefined(f"the error is above the target even at the smallest scale tried ({search.above:.3g})")
    value = value_of(search.sigma)
    if search.saturated == "above":
        return Estimate(
            value, status=DOUBTFUL, reason=f"the error stays below the target up to the largest scale tried ({search.sigma:g}); the search saturated"
        )
    other = value_of(search.above)
    return Estimate(value, min(value, other), max(value, other))


def magnitude_sum(params: Params, initial: Params | None, scale: float, top: float) -> float:
    """``¼ Σ ln[(ε² + top·‖w−w₀‖²/ω)/(ε² + scale²(w_i−w₀_i)²)]`` in float64."""
    moved = {name: value.double() - (initial[name].double() if initial is not None else 0.0) for name, value in params.items()}
    count = sum(value.numel() for value in moved.values())
    squared = sum(float(value.square().sum()) for value in moved.values())
    logs = sum(float((EPSILON**2 + scale**2 * value.square()).log().sum()) for value in moved.values())
    return 0.25 * (count * math.log(EPSILON**2 + top * squared / count) - logs)
