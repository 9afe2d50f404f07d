"""Maximum-likelihood fits of the families a tail may follow instead of a power law.

All work on ``z = log(λ / xmin) >= 0``, ascending, and give log-densities with respect to ``x = λ / xmin``. The log-normal and the
stretched exponential contain the power law as a limit: on a sample that no finite member fits better, the fit is ``None``.
"""

from dataclasses import dataclass

import numpy as np
from scipy import optimize, special

_FARTHEST_MODE = 500.0
_SMALLEST_POWER = 1e-3
_LONGEST_STEP = 1.5
_NODES, _WEIGHTS = np.polynomial.legendre.leggauss(120)


@dataclass(frozen=True)
class Family:
    """One fitted family: parameters in units of ``x = λ / xmin``, and the log-density of every value of the tail."""

    parameters: dict[str, float]
    log_density: np.ndarray


def power_law_log_density(z: np.ndarray, rate: float) -> np.ndarray:
    """``log f = log(alpha - 1) - alpha z``."""
    return np.log(rate) - (rate + 1.0) * z


def fit_exponential(z: np.ndarray) -> Family:
    """``f(x) = Λ exp(-Λ (x - 1))``; ``Λ = 1 / mean(x - 1)``."""
    beyond = np.expm1(z)
    rate = 1.0 / float(beyond.mean())
    return Family({"rate": rate}, np.log(rate) - rate * beyond)


def fit_lognormal(z: np.ndarray) -> Family | None:
    """Log-normal cut off below ``x = 1``: ``z`` is a normal variable kept where it is positive.

    The two likelihood equations reduce to one (Cohen 1950): with ``h = -μ/σ`` and ``r(h) = φ(h) / (1 - Φ(h))``,
    ``mean(z²) / mean(z)² = (1 - h r + h²) / (r - h)²``, which rises from 1 to 2 with ``h``. At 2 and beyond the maximum lies at
    ``μ → -∞``: the power law itself, and the answer is ``None``.
    """
    first, second = float(z.mean()), float(np.mean(z * z))
    wanted = second / first**2

    def lack(h: float) -> float:
        hazard = (2.0 / np.pi) ** 0.5 / special.erfcx(h / 2.0**0.5)
        return float((1.0 - h * (hazard - h)) / (hazard - h) ** 2) - wanted

    low = -8.0
    while lack(low) > 0.0:
        low *= 2.0
        if low < -1e8:
            return None
    if lack(_FARTHEST_MODE) <= 0.0:
        return None
    h = float(optimize.brentq(lack, low, _FARTHEST_MODE, xtol=1e-13, rtol=1e-14))
    hazard = (2.0 / np.pi) ** 0.5 / float(special.erfcx(h / 2.0**0.5))
    sigma = first / (hazard - h)
    scaled = z / sigma + h
    constant = np.log(sigma) + 0.5 * np.log(2.0 * np.pi) + float(special.log_ndtr(-h))
    return Family({"mu": -h * sigma, "sigma": sigma}, -0.5 * scaled**2 - constant - z)


def fit_stretched_exponential(z: np.ndarray) -> Family | None:
    """``f(x) = Λ b x^(b-1) exp(-Λ (x^b - 1))``; for each ``b`` the best ``Λ`` is ``1 / mean(x^b - 1)``, so one dimension is left."""
    first = float(z.mean())

    def negative(log_power: float) -> float:
        power = float(np.exp(log_power))
        return float(np.log(np.mean(np.expm1(power * z))) - np.log(power) - power * first)

    best = optimize.minimize_scalar(negative, bounds=(np.log(_SMALLEST_POWER), np.log(30.0 / max(float(z[-1]), 1e-3))), method="bounded")
    power = float(np.exp(best.x))
    if power < 2.0 * _SMALLEST_POWER:
        return None
    beyond = np.expm1(power * z)
    rate = 1.0 / float(beyond.mean())
    return Family({"rate": rate, "power": power}, np.log(rate * power) + (power - 1.0) * z - rate * beyond)


def fit_truncated_power_law(z: np.ndarray) -> Family | None:
    """``f(x) ∝ x^(-alpha) exp(-Λ x)`` for ``x >= 1``, ``Λ >= 0``: a two-parameter exponential family, Newton's method.

    ``None`` where the likelihood rises all the way to ``Λ = 0``, the plain power law.
    """
    x = np.exp(z)
    rate, mean_z, mean_x = 1.0 / float(z.mean()), float(z.mean()), float(x.mean())
    if rate > 1.0 and mean_x >= rate / (rate - 1.0):
        return None
    alpha, log_cut = 1.0 + 0.5 * rate, -float(z[-1])
    value, gradient, hessian = _truncated_terms(alpha, log_cut, mean_z, mean_x)
    for _ in range(100):
        step = -np.linalg.solve(hessian, gradient)
        if abs(step[1]) > _LONGEST_STEP:  # too far for the cut: the best alpha for the longest step that is allowed
            step[1] = np.copysign(_LONGEST_STEP, step[1])
            step[0] = -(gradient[0] + hessian[0, 1] * step[1]) / hessian[0, 0]
        decrease, length = float(gradient @ step), 1.0
        while length > 1e-8:
            tried = _truncated_terms(alpha + length * float(step[0]), log_cut + length * float(step[1]), mean_z, mean_x)
            if tried[0] <= value + 1e-4 * length * decrease + 1e-15 * abs(value):
                break
            length *= 0.5
        alpha, log_cut = alpha + length * float(step[0]), log_cut + length * float(step[1])
        value, gradient, hessian = tried
        if abs(decrease) < 1e-13:
            break
    cut = float(np.exp(log_cut))
    return Family({"alpha": alpha, "cut_rate": cut}, -alpha * (z - mean_z) - cut * (x - mean_x) - value)


def truncated_power_law_survival(z: np.ndarray, alpha: float, cut: float) -> np.ndarray:
    """``P(X > x)`` of the truncated power law at ``x = exp(z)``, ``z`` ascending."""
    edges = np.append(z, max(float(z[-1]), _reach(alpha, cut)))
    half = 0.5 * np.diff(edges)[:, None]
    nodes, weights = np.polynomial.legendre.leggauss(8)
    inside = edges[:-1, None] + half * (nodes + 1.0)
    pieces = (half * weights * np.exp((1.0 - alpha) * inside - cut * np.expm1(inside))).sum(axis=1)
    pieces[-1] = _tail_mass(alpha, cut, float(edges[-2]), float(edges[-1]))
    above = np.cumsum(pieces[::-1])[::-1]
    below_first = 0.0 if z[0] <= 0.0 else _tail_mass(alpha, cut, 0.0, float(z[0]))
    return above / (above[0] + below_first)


def _tail_mass(alpha: float, cut: float, low: float, high: float) -> float:
    z = low + 0.5 * (high - low) * (_NODES + 1.0)
    return float(0.5 * (high - low) * np.sum(_WEIGHTS * np.exp((1.0 - alpha) * z - cut * np.expm1(z))))


def _reach(alpha: float, cut: float) -> float:
    """Where the integrand ``exp((1 - alpha) z - cut (e^z - 1))`` has fallen below 1e-18 of its start for good."""
    high = 1.0
    while (alpha - 1.0) * high + cut * float(np.expm1(high)) < 42.0 and high < 650.0:
        high *= 1.3
    return high


def _truncated_terms(alpha: float, log_cut: float, mean_z: float, mean_x: float) -> tuple[float, np.ndarray, np.ndarray]:
    """Mean negative log-likelihood, its gradient in (alpha, log Λ) and the Fisher information there; moments by quadrature over ``z``."""
    cut = float(np.exp(log_cut))
    reach = _reach(alpha, cut)
    z = 0.5 * reach * (_NODES + 1.0)
    beyond = np.expm1(z)
    exponent = (1.0 - alpha) * z - cut * beyond
    top = float(exponent.max())
    mass = 0.5 * reach * _WEIGHTS * np.exp(exponent - top)
    total = float(mass.sum())
    mass /= total
    scaled = cut * beyond
    first = np.array([mass @ z, mass @ scaled])
    cross = float(mass @ (z * scaled))
    second = np.array([[mass @ (z * z), cross], [cross, mass @ (scaled * scaled)]])
    value = alpha * mean_z + cut * (mean_x - 1.0) + float(np.log(total)) + top
    return value, np.array([mean_z, cut * (mean_x - 1.0)]) - first, second - np.outer(first, first)
