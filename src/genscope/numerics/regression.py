"""One straight line through a cloud: the fit the field publishes, and the error on models it has not seen."""

import math
from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class LineFit:
    """``y ≈ intercept + slope · x``; ``residuals`` and ``loo_residuals`` [n] in the unit of y.

    ``rmse`` divides by n (population), as published tables do. ``loo_r2`` compares with the leave-one-out mean: 0 is no better than
    guessing the mean of the other models, 1 is perfect, negative is worse than the mean.
    """

    slope: float
    intercept: float
    r2: float
    rmse: float
    loo_rmse: float | None
    loo_r2: float | None
    loo_residuals: np.ndarray


def fit_line(x: np.ndarray, y: np.ndarray) -> LineFit | None:
    r"""Ordinary least squares of y on x, with exact leave-one-out errors.

    .. math:: e_{(i)} = e_i / (1 - h_i), \quad h_i = 1/n + (x_i-\bar x)^2/\sum_j (x_j-\bar x)^2

    Args:
        x, y: finite values, shape [n].

    Returns:
        A :class:`LineFit`; ``None`` when n < 3 or x is constant. Leave-one-out numbers are ``None`` when one model alone decides the slope (h = 1).
        ``r2`` is 0 when y is constant.

    Invariances: r2, rmse and leave-one-out errors do not change when x is scaled or shifted.
    Cost: O(n).
    Source: Allen 1974 (PRESS); population RMSE as in Martin, Peng & Mahoney 2021.

    Example:
        >>> fit = fit_line(np.array([0.0, 1.0, 2.0]), np.array([1.0, 3.0, 5.0]))
        >>> round(fit.slope, 9), round(fit.intercept, 9), round(fit.r2, 9)
        (2.0, 1.0, 1.0)
    """
    x, y = np.asarray(x, dtype=np.float64), np.asarray(y, dtype=np.float64)
    n = len(x)
    if n < 3 or np.all(x == x[0]):
        return None
    # Both sides in units of their largest magnitude, so that squares neither overflow nor vanish.
    x_unit, y_unit = float(np.abs(x).max()), float(np.abs(y).max()) or 1.0
    x, y = x / x_unit, y / y_unit
    dx, dy = x - x.mean(), y - y.mean()
    sxx, syy = float(dx @ dx), float(dy @ dy)
    if sxx == 0.0:
        return None
    slope = float(dx @ dy) / sxx
    residuals = dy - slope * dx
    sse = float(residuals @ residuals)
    free = np.maximum(1 - 1.0 / n - dx * dx / sxx, 0.0)
    loo_rmse = loo_r2 = None
    loo = np.full(n, np.nan)
    if free.min() > 1e-9:
        loo = residuals / free
        loo_rmse = float(np.sqrt(np.mean(loo * loo))) * y_unit
        around_mean = dy * n / (n - 1)
        loo_r2 = 1 - float(loo @ loo) / float(around_mean @ around_mean) if syy > 0 else None
    intercept = float(y.mean() - slope * x.mean()) * y_unit
    r2 = 1 - sse / syy if syy > 0 else 0.0
    return LineFit(slope * (y_unit / x_unit), intercept, r2, math.sqrt(sse / n) * y_unit, loo_rmse, loo_r2, loo * y_unit)


def weighted_lines(weights: np.ndarray, x: np.ndarray, y: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Slope and r (signed square root of R²) of y on x under every row of weights, shape [resamples] each; NaN where x or y is constant."""
    weights = np.asarray(weights, dtype=np.float64)
    x_unit, y_unit = float(np.abs(x).max()) or 1.0, float(np.abs(y).max()) or 1.0
    dx, dy = x / x_unit, y / y_unit
    dx, dy = dx - dx.mean(), dy - dy.mean()
    total = weights.sum(axis=1)
    mx, my = weights @ dx / total, weights @ dy / total
    sxx = np.maximum(weights @ (dx * dx) / total - mx * mx, 0.0)
    syy = np.maximum(weights @ (dy * dy) / total - my * my, 0.0)
    sxy = weights @ (dx * dy) / total - mx * my
    good = (sxx > 1e-12 * (dx @ dx) / len(dx)) & (syy > 1e-12 * (dy @ dy) / len(dy))
    scale = np.sqrt(sxx) * np.sqrt(syy)
    good &= scale > 0
    slope = np.where(good, sxy / np.where(good, sxx, 1.0), np.nan)
    r = np.where(good, np.clip(sxy / np.where(good, scale, 1.0), -1.0, 1.0), np.nan)
    with np.errstate(over="ignore", invalid="ignore"):
        return slope * (y_unit / x_unit), r
