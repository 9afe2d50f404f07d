"""The Tracy–Widom law of the largest eigenvalue of real random matrices, and its place and width for a matrix of given size."""

import math
from functools import lru_cache

import numpy as np
from scipy.optimize import brentq
from scipy.special import airy

from genscope.errors import UsageError

_NODES = 40
_REACH = 16.0  # Ai(x) is below 1e-17 of its scale beyond this


def tracy_widom_cdf(s: float) -> float:
    r"""Distribution function ``F₁(s)`` of the Tracy–Widom law for real symmetric ensembles (β = 1).

    :math:`F_1(s) = \det(1 - B_s)` with the operator :math:`B_s(x, y) = \mathrm{Ai}(x + y + s)` on the half line, its Fredholm determinant taken by
    Gauss–Legendre quadrature.

    Args:
        s: the centred and scaled largest eigenvalue.

    Returns:
        A probability, accurate to 1e-11.

    Cost: one 40 × 40 determinant.

    Source: Ferrari & Spohn 2005 (determinant); Bornemann 2010 (quadrature).

    Example:
        >>> round(tracy_widom_cdf(0.9793), 4)
        0.95
    """
    if s < -9.0:  # F₁ ≈ exp(−|s|³/24) is below 1e-13 there
        return 0.0
    if s > _REACH:
        return 1.0
    nodes, weights = _legendre()
    x = (nodes + 1.0) * (_REACH - min(s, 0.0)) / 2.0
    w = np.sqrt(weights * (_REACH - min(s, 0.0)) / 2.0)
    kernel = airy(x[:, None] + x[None, :] + s)[0]
    return float(min(max(np.linalg.det(np.eye(_NODES) - w[:, None] * kernel * w[None, :]), 0.0), 1.0))


@lru_cache(maxsize=1)
def _legendre() -> tuple[np.ndarray, np.ndarray]:
    return np.polynomial.legendre.leggauss(_NODES)


@lru_cache(maxsize=1024)
def tracy_widom_quantile(probability: float) -> float:
    """The value that a Tracy–Widom (β = 1) variable stays below with ``probability``.

    Args:
        probability: between 1e-9 and 1 − 1e-12.

    Returns:
        The quantile, to about 1e-9.

    Raises:
        UsageError: a probability outside that range.

    Example:
        >>> round(tracy_widom_quantile(0.99), 4)
        2.0234
    """
    if not 1e-9 <= probability <= 1 - 1e-12:
        raise UsageError(f"A Tracy–Widom quantile needs a probability between 1e-9 and 1 − 1e-12, not {probability}.")
    return float(brentq(lambda s: tracy_widom_cdf(s) - probability, -8.0, 14.0, xtol=1e-10))


def largest_eigenvalue_law(rows: float, cols: float) -> tuple[float, float]:
    r"""Centre and width of the largest eigenvalue of ``WᵀW`` for independent entries of variance 1.

    :math:`\mu = (\sqrt{n - 1/2} + \sqrt{p - 1/2})^2` and
    :math:`\sigma = \sqrt{\mu}\,(1/\sqrt{n - 1/2} + 1/\sqrt{p - 1/2})^{1/3}`; then ``(λ_max − μ)/σ`` follows Tracy–Widom with an error of order
    min(n, p)^(−2/3). Relative to the edge the width shrinks like M^(−2/3).

    Args:
        rows, cols: shape of ``W``.

    Returns:
        (μ, σ), to be multiplied by the variance of the entries.

    Source: Johnstone 2001, Theorem 1.1, with the centring of Ma 2012.

    Example:
        >>> mu, sigma = largest_eigenvalue_law(100, 400)
        >>> round(mu, 2), round(sigma, 2)
        (897.75, 15.93)
    """
    a, b = math.sqrt(max(rows, 1) - 0.5), math.sqrt(max(cols, 1) - 0.5)
    return (a + b) ** 2, (a + b) * (1.0 / a + 1.0 / b) ** (1.0 / 3.0)
