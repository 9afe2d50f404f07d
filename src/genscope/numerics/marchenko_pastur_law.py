"""The Marchenko–Pastur law of a random matrix in closed form, and what it does to a planted singular value.

Throughout, ``W`` is rows × cols with independent entries of mean 0 and standard deviation ``sigma``; the law is that of the eigenvalues of ``WᵀW``
(squared singular values, no 1/N) on the smaller side, with M = min and N = max of the sides. Sizes may be fractional.
"""

import math

import numpy as np

from genscope.errors import UsageError


def marchenko_pastur_edges(rows: float, cols: float, sigma: float = 1.0) -> tuple[float, float]:
    r"""Edges :math:`\sigma^2(\sqrt N \mp \sqrt M)^2` of the bulk of ``WᵀW``; the lower one is 0 for a square matrix (hard edge).

    Example:
        >>> marchenko_pastur_edges(100, 400)
        (100.0, 900.0)
    """
    a, b = math.sqrt(max(rows, cols)), math.sqrt(min(rows, cols))
    return sigma**2 * (a - b) ** 2, sigma**2 * (a + b) ** 2


def marchenko_pastur_density(eigenvalues: np.ndarray, rows: float, cols: float, sigma: float = 1.0) -> np.ndarray:
    r"""Density :math:`\sqrt{(\lambda_+ - \lambda)(\lambda - \lambda_-)} / (2\pi\sigma^2 M \lambda)`; 0 outside the edges.

    Args:
        eigenvalues: where to evaluate, any shape.
        rows, cols, sigma: shape and scale of the random matrix.

    Returns:
        The density of one eigenvalue, per unit of eigenvalue. It diverges like 1/√λ at 0 for a square matrix.

    Source: Marchenko & Pastur 1967; Bai & Silverstein 2010, Eq. 3.1.1.

    Example:
        >>> round(float(marchenko_pastur_density(np.array([500.0]), 100, 400)[0]), 8)
        0.00127324
    """
    low, high = marchenko_pastur_edges(rows, cols, sigma)
    x = np.asarray(eigenvalues, dtype=np.float64)
    inside = (x > low) & (x < high) & (x > 0)
    safe = np.where(inside, x, (low + high) / 2)
    return np.where(inside, np.sqrt((high - safe) * (safe - low)) / (2 * math.pi * sigma**2 * min(rows, cols) * safe), 0.0)


def marchenko_pastur_cdf(eigenvalues: np.ndarray, rows: float, cols: float, sigma: float = 1.0) -> np.ndarray:
    r"""Share of bulk eigenvalues below each value, in closed form.

    With :math:`\lambda = \sigma^2 (N + M - 2\sqrt{NM}\cos\theta)` and c = M/N,
    :math:`F = [(1 + c)\theta/2 + \sqrt c \sin\theta - (1 - c)\arctan(\frac{1 + \sqrt c}{1 - \sqrt c}\tan(\theta/2))] / (\pi c)`.

    Args:
        eigenvalues: where to evaluate, any shape.
        rows, cols, sigma: shape and scale of the random matrix.

    Returns:
        Probabilities in [0, 1].

    Example:
        >>> marchenko_pastur_cdf(np.array([0.0, 100.0, 900.0]), 100, 400).tolist()
        [0.0, 0.0, 1.0]
    """
    return _cdf_of_angle(_angle(eigenvalues, rows, cols, sigma), min(rows, cols) / max(rows, cols))


def marchenko_pastur_quantile(probabilities: np.ndarray, rows: float, cols: float, sigma: float = 1.0, *, finite_size: bool = False) -> np.ndarray:
    r"""Eigenvalue below which a share of the bulk lies.

    Args:
        probabilities: in [0, 1].
        rows, cols, sigma: shape and scale of the random matrix.
        finite_size: add the order-1/M term of real matrices, :math:`F + (1/2 - \theta/\pi)/(2M)`, which matters for small matrices.

    Returns:
        Eigenvalues, to a relative 1e-12 of the bulk's width.

    Raises:
        UsageError: a probability outside [0, 1].

    Source: the finite-size term is the β = 1 correction of Dumitriu & Edelman 2006 (half-masses at the edges minus an arcsine law).

    Example:
        >>> round(float(marchenko_pastur_quantile(np.array([0.5]), 100, 400)[0]), 3)
        366.402
    """
    p = np.asarray(probabilities, dtype=np.float64)
    if p.size and not (p.min() >= 0 and p.max() <= 1):
        raise UsageError("Quantiles of the Marchenko–Pastur law need probabilities between 0 and 1.")
    m, n = min(rows, cols), max(rows, cols)
    low, high = np.zeros_like(p), np.full_like(p, math.pi)
    theta = math.pi * p
    for _ in range(60):
        excess = _cdf_of_angle(theta, m / n) + ((0.5 - theta / math.pi) / (2 * m) if finite_size else 0.0) - p
        low, high = np.where(excess < 0, theta, low), np.where(excess < 0, high, theta)
        with np.errstate(divide="ignore", invalid="ignore"):
            newton = theta - excess / (_density_of_angle(theta, m / n) - (1 / (2 * math.pi * m) if finite_size else 0.0))
        # Newton where it stays between the brackets, halving them where the density vanishes at an edge
        following = np.where((newton >= low) & (newton <= high), newton, (low + high) / 2)
        # quadratic convergence: after a step of 1e-8 only rounding is left
        settled = not theta.size or np.max(np.abs(following - theta)) < 1e-8
        theta = following
        if settled:
            break
    return sigma**2 * ((math.sqrt(n) - math.sqrt(m)) ** 2 + 4 * math.sqrt(n * m) * np.sin(theta / 2) ** 2)


def _angle(eigenvalues: np.ndarray, rows: float, cols: float, sigma: float) -> np.ndarray:
    low, high = marchenko_pastur_edges(rows, cols, sigma)
    share = np.clip((np.asarray(eigenvalues, dtype=np.float64) - low) / (high - low), 0.0, 1.0)
    return 2.0 * np.arcsin(np.sqrt(share))


def _cdf_of_angle(theta: np.ndarray, ratio: float) -> np.ndarray:
    root = math.sqrt(ratio)
    turned = np.arctan2((1 + root) * np.sin(theta / 2), (1 - root) * np.cos(theta / 2))
    return np.clip(((1 + ratio) * theta / 2 + root * np.sin(theta) - (1 - ratio) * turned) / (math.pi * ratio), 0.0, 1.0)


def _density_of_angle(theta: np.ndarray, ratio: float) -> np.ndarray:
    """Derivative of :func:`_cdf_of_angle`."""
    root = math.sqrt(ratio)
    tall, flat = (1 + root) * np.sin(theta / 2), (1 - root) * np.cos(theta / 2)
    turning = (1 - ratio) / 2 / np.maximum(tall**2 + flat**2, 1e-300)
    return ((1 + ratio) / 2 + root * np.cos(theta) - (1 - ratio) * turning) / (math.pi * ratio)


def detection_limit(rows: float, cols: float, sigma: float = 1.0) -> float:
    r"""Planted singular value :math:`\sigma (MN)^{1/4}` below which a rank-one signal leaves no outlier (the BBP transition).

    Source: Baik, Ben Arous & Péché 2005; Benaych-Georges & Nadakuditi 2012, section 3.1.

    Example:
        >>> round(detection_limit(100, 400), 6)
        14.142136
    """
    return sigma * (rows * cols) ** 0.25


def outlier_eigenvalue(signal: np.ndarray, rows: float, cols: float, sigma: float = 1.0) -> np.ndarray:
    r"""Eigenvalue of ``WᵀW`` that a planted singular value θ produces: :math:`(\theta^2 + \sigma^2 M)(\theta^2 + \sigma^2 N)/\theta^2`.

    At and below the detection limit it is the bulk's upper edge.

    Args:
        signal: planted singular values θ > 0, any shape.
        rows, cols, sigma: shape and scale of the noise.

    Source: Benaych-Georges & Nadakuditi 2012, section 3.1.

    Example:
        >>> outlier_eigenvalue(np.array([20.0]), 100, 400).tolist()
        [1000.0]
    """
    theta = np.maximum(np.asarray(signal, dtype=np.float64), detection_limit(rows, cols, sigma))
    return (theta**2 + sigma**2 * rows) * (theta**2 + sigma**2 * cols) / theta**2


def signal_behind(eigenvalue: np.ndarray, rows: float, cols: float, sigma: float = 1.0) -> np.ndarray:
    r"""The planted singular value behind an outlier: the inverse of :func:`outlier_eigenvalue` above the upper edge, the detection limit below it.

    Source: Gavish & Donoho 2017 (optimal shrinkage).

    Example:
        >>> signal_behind(np.array([1000.0]), 100, 400).tolist()
        [20.0]
    """
    excess = np.asarray(eigenvalue, dtype=np.float64) - sigma**2 * (rows + cols)
    root = np.sqrt(np.maximum(excess**2 - 4 * sigma**4 * rows * cols, 0.0))
    return np.where(excess > 0, np.sqrt(np.maximum((excess + root) / 2, sigma**2 * math.sqrt(rows * cols))), detection_limit(rows, cols, sigma))
