"""PAC-Bayes and worst-case sharpness measures of Jiang et al. 2020: how far the weights are, against how much they can move.

These rank networks; they are not bounds. The bound is ``pac_bayes_certificate``. Scales come from one search (see the ingredients);
where the search saturates the row says so. Larger values go with a larger gap.
"""

import math
from typing import Any

from genscope.core.catalogue import measure
from genscope.core.estimate import Estimate
from genscope.core.status import DOUBTFUL, Undefined
from genscope.measures.ingredients.sigma import EPSILON, IsotropicSigma, MagnitudeSigma, WorstAlpha, WorstMagnitudeAlpha
from genscope.measures.ingredients.types import Params
from genscope.numerics.sigma_search import SigmaSearch

_J = "Jiang et al. 2020"
_FACTS: dict[str, Any] = {"unit": "nats", "expects": "larger gap", "invariant_to": ("permutation",), "cost": "a scale search"}
_DELTA = 0.05


@measure(symbol=r"\mu_{\mathrm{pac-bayes-orig}}", source=f"{_J}, PAC-Bayes bounds", **_FACTS)
def pacbayes_orig(param_norm: float, isotropic_sigma: IsotropicSigma, n_examples: int, *, delta: float = _DELTA) -> Estimate | Undefined:
    """``‖w‖²/(4σ²) + ln(m/δ) + 10``."""
    return _at(isotropic_sigma.search, lambda sigma: param_norm / (4 * sigma**2) + math.log(n_examples / delta) + 10)


@measure(symbol=r"\mu_{\mathrm{pac-bayes-init}}", source=f"{_J}, PAC-Bayes bounds", **_FACTS)
def pacbayes_init(l2_dist: float, isotropic_sigma: IsotropicSigma, n_examples: int, *, delta: float = _DELTA) -> Estimate | Undefined:
    """``‖w − w₀‖²/(4σ²) + ln(m/δ) + 10``."""
    return _at(isotropic_sigma.search, lambda sigma: l2_dist / (4 * sigma**2) + math.log(n_examples / delta) + 10)


@measure(symbol=r"1/\sigma^2", source=f"{_J}, pac-bayes-flatness", **_FACTS)
def pacbayes_flatness(isotropic_sigma: IsotropicSigma) -> Estimate | Undefined:
    """``1/σ²`` for the largest σ with mean training error at most the target."""
    return _at(isotropic_sigma.search, lambda sigma: sigma**-2)


@measure(symbol=r"\mu_{\mathrm{pac-bayes-mag-orig}}", source=f"{_J}, magnitude-aware", **_FACTS)
def pacbayes_mag_orig(params: Params, magnitude_sigma: MagnitudeSigma, n_examples: int, *, delta: float = _DELTA) -> Estimate | Undefined:
    """``¼ Σ ln[(ε² + (σ'²+1)‖w‖²/ω)/(ε² + σ'²w_i²)] + ln(m/δ) + 10``."""
    return _at(magnitude_sigma.search, lambda sigma: _magnitude(params, None, sigma, sigma**2 + 1) + math.log(n_examples / delta) + 10)


@measure(symbol=r"\mu_{\mathrm{pac-bayes-mag-init}}", source=f"{_J}, magnitude-aware", **_FACTS)
def pacbayes_mag_init(
    params: Params, initial_params: Params, magnitude_sigma: MagnitudeSigma, n_examples: int, *, delta: float = _DELTA
) -> Estimate | Undefined:
    """``¼ Σ ln[(ε² + (σ'²+1)‖w−w₀‖²/ω)/(ε² + σ'²(w_i−w₀_i)²)] + ln(m/δ) + 10``."""
    return _at(magnitude_sigma.search, lambda sigma: _magnitude(params, initial_params, sigma, sigma**2 + 1) + math.log(n_examples / delta) + 10)


@measure(symbol=r"1/\sigma'^2", source=f"{_J}, pac-bayes-mag-flatness", **_FACTS)
def pacbayes_mag_flatness(magnitude_sigma: MagnitudeSigma) -> Estimate | Undefined:
    """``1/σ'²`` of the magnitude-aware scale."""
    return _at(magnitude_sigma.search, lambda sigma: sigma**-2)


@measure(symbol=r"\mu_{\mathrm{sharpness-orig}}", source=f"{_J}, sharpness", **_FACTS)
def sharpness_orig(param_norm: float, n_params: int, worst_alpha: WorstAlpha, n_examples: int, *, delta: float = _DELTA) -> Estimate | Undefined:
    """``‖w‖² ln(2ω)/(4α²) + ln(m/δ) + 10`` with the worst-case box scale α."""
    return _at(worst_alpha.search, lambda alpha: param_norm * math.log(2 * n_params) / (4 * alpha**2) + math.log(n_examples / delta) + 10)


@measure(symbol=r"\mu_{\mathrm{sharpness-init}}", source=f"{_J}, sharpness", **_FACTS)
def sharpness_init(l2_dist: float, n_params: int, worst_alpha: WorstAlpha, n_examples: int, *, delta: float = _DELTA) -> Estimate | Undefined:
    """``‖w−w₀‖² ln(2ω)/(4α²) + ln(m/δ) + 10`` with the worst-case box scale α."""
    return _at(worst_alpha.search, lambda alpha: l2_dist * math.log(2 * n_params) / (4 * alpha**2) + math.log(n_examples / delta) + 10)


@measure(symbol=r"1/\alpha^2", source=f"{_J}, sharpness-flatness", **_FACTS)
def sharpness_flatness(worst_alpha: WorstAlpha) -> Estimate | Undefined:
    """``1/α²`` of the worst-case box scale."""
    return _at(worst_alpha.search, lambda alpha: alpha**-2)


@measure(symbol=r"\mu_{\mathrm{sharpness-mag-orig}}", source=f"{_J}, magnitude-aware", **_FACTS)
def sharpness_mag_orig(params: Params, worst_magnitude_alpha: WorstMagnitudeAlpha, n_examples: int, *, delta: float = _DELTA) -> Estimate | Undefined:
    """``¼ Σ ln[(ε² + (α'² + 4 ln(2ω/δ))‖w‖²/ω)/(ε² + α'²w_i²)] + ln(m/δ) + 10``."""
    return _at(worst_magnitude_alpha.search, lambda alpha: _worst_magnitude(params, None, alpha, n_examples, delta))


@measure(symbol=r"\mu_{\mathrm{sharpness-mag-init}}", source=f"{_J}, magnitude-aware", **_FACTS)
def sharpness_mag_init(
    params: Params, initial_params: Params, worst_magnitude_alpha: WorstMagnitudeAlpha, n_examples: int, *, delta: float = _DELTA
) -> Estimate | Undefined:
    """``¼ Σ ln[(ε² + (α'² + 4 ln(2ω/δ))‖w−w₀‖²/ω)/(ε² + α'²(w_i−w₀_i)²)] + ln(m/δ) + 10``."""
    return _at(worst_magnitude_alpha.search, lambda alpha: _worst_magnitude(params, initial_params, alpha, n_examples, delta))


@measure(symbol=r"1/\alpha'^2", source=f"{_J}, sharpness-mag-flatness", **_FACTS)
def sharpness_mag_flatness(worst_magnitude_alpha: WorstMagnitudeAlpha) -> Estimate | Undefined:
    """``1/α'²`` of the worst-case scale relative to the weights."""
    return _at(worst_magnitude_alpha.search, lambda alpha: alpha**-2)


def _at(search: SigmaSearch, value_of: Any) -> Estimate | Undefined:
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


def _magnitude(params: Params, initial: Params | None, scale: float, top: float) -> float:
    """``¼ Σ ln[(ε² + top·‖w−w₀‖²/ω)/(ε² + scale²(w_i−w₀_i)²)]`` in float64."""
    moved = {name: value.double() - (initial[name].double() if initial is not None else 0.0) for name, value in params.items()}
    count = sum(value.numel() for value in moved.values())
    squared = sum(float(value.square().sum()) for value in moved.values())
    logs = sum(float((EPSILON**2 + scale**2 * value.square()).log().sum()) for value in moved.values())
    return 0.25 * (count * math.log(EPSILON**2 + top * squared / count) - logs)


def _worst_magnitude(params: Params, initial: Params | None, alpha: float, n_examples: int, delta: float) -> float:
    count = sum(value.numel() for value in params.values())
    return _magnitude(params, initial, alpha, alpha**2 + 4 * math.log(2 * count / delta)) + math.log(n_examples / delta) + 10
