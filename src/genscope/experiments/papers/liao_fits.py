"""Statistics of plots of test against training loss: a line with its interval, rank correlations, and the null of unrelated scales."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from genscope.core.seeds import generator_for
from genscope.experiments.values import Check
from genscope.numerics.bootstrap import correlation_interval, percentile_interval, resampling_weights
from genscope.numerics.rank_correlation import spearman_rho, weighted_correlations
from genscope.numerics.regression import fit_line, weighted_lines

if TYPE_CHECKING:
    from genscope.experiments.runs import Runs
    from genscope.experiments.values import Family

Net = Mapping[str, Any]
N_RESAMPLES = 1000
N_NULL = 200
FEWEST = 6


def networks(runs: "Runs", family: "Family") -> list[Net]:
    """Settings and numbers of every finished cell in one mapping each."""
    return [{**settings, **numbers} for settings, numbers in runs.table(family)]


def converged(nets: Sequence[Net], largest_error: float = 0.005) -> list[Net]:
    """Networks that fit their training labels, as the claims presuppose; all of them where fewer than four do."""
    kept = [net for net in nets if net["train_error"] <= largest_error]
    return kept if len(kept) >= 4 else list(nets)


def column(nets: Sequence[Net], name: str) -> np.ndarray:
    """One number of every network, as floats; missing is NaN."""
    return np.array([math.nan if net.get(name) is None else float(net[name]) for net in nets])


@dataclass(frozen=True)
class Line:
    """``y ≈ intercept + slope·x`` with 95% bootstrap intervals over networks; ``offset`` is the mean of y − x (the slope-one fit)."""

    slope: float
    slope_interval: tuple[float, float]
    intercept: float
    r2: float
    r2_interval: tuple[float, float]
    rmse: float
    offset: float
    residual_sd: float

    def at(self, x: float) -> float:
        """The line at x."""
        return self.intercept + self.slope * x


UNKNOWN = (math.nan, math.nan)


def line_through(x: np.ndarray, y: np.ndarray, seed: int = 0) -> Line | None:
    """The least-squares line of y on x, ``None`` with fewer than three networks or a constant x."""
    fit = fit_line(x, y)
    if fit is None:
        return None
    weights = resampling_weights(len(x), N_RESAMPLES, generator_for(seed, "liao", "line")).astype(np.float64)
    slopes, r = weighted_lines(weights, x, y)
    residuals = y - fit.intercept - fit.slope * x
    sd = float(np.sqrt(residuals @ residuals / max(1, len(x) - 2)))
    intervals = (percentile_interval(slopes) or UNKNOWN, percentile_interval(r * r) or UNKNOWN)
    return Line(fit.slope, intervals[0], fit.intercept, fit.r2, intervals[1], fit.rmse, float(np.mean(y - x)), sd)


def rank_correlation(x: np.ndarray, y: np.ndarray, seed: int = 0) -> tuple[float, tuple[float, float]]:
    """Spearman's ρ and its 95% bootstrap interval; NaN where it is undefined."""
    rho = spearman_rho(x, y) if len(x) >= 3 else None
    if rho is None:
        return math.nan, UNKNOWN
    weights = resampling_weights(len(x), N_RESAMPLES, generator_for(seed, "liao", "rank"))
    found = weighted_correlations(weights, x[None], y)[1][0]
    return rho, correlation_interval(rho, found, len(x)) or UNKNOWN


def shuffled_rank_correlation(n: int, seed: int = 0) -> float:
    """The 97.5% point of Spearman's ρ between n values and themselves in random order: what chance reaches."""
    rng = generator_for(seed, "liao", "shuffle", str(n))
    order = np.arange(float(n))
    return float(np.quantile([spearman_rho(order, rng.permutation(order)) or 0.0 for _ in range(N_RESAMPLES)], 0.975))


def expanded_loss(margin: np.ndarray, spread: np.ndarray, log_scale: np.ndarray, n_classes: int) -> np.ndarray:
    """Cross-entropy of ``f/ρ`` to second order: ``ln C − m/ρ + v/(2ρ²)`` with m = E[f_y − mean_c f_c] and v = E[var_c f]."""
    inverse = np.exp(-log_scale)
    return math.log(n_classes) - margin * inverse + 0.5 * spread * inverse**2


@dataclass(frozen=True)
class ScaleNull:
    """What a figure shows when every network is divided by a number that has nothing to do with it; medians over repetitions.

    ``points`` is one repetition: training and test losses [networks].
    """

    slope: float
    r2: float
    rmse: float
    rank: float
    rank_above: float
    points: tuple[np.ndarray, np.ndarray]


def random_scale_null(nets: Sequence[Net], n_classes: int, *, log_rho: str = "log_rho", seed: int = 0) -> ScaleNull:
    """The null control of every fit of normalized losses: scales drawn log-uniformly from the range of the networks' own norms.

    Losses are computed from the two moments of each network's logits (:func:`expanded_loss`), so no network is needed. A claim that this null
    passes as well says nothing about norms: it is the first-order law of the loss near ln C.
    """
    scales = column(nets, log_rho)
    moments = {name: column(nets, name) for name in ("train_margin", "train_spread", "test_margin", "test_spread", "test_error")}
    rng = generator_for(seed, "liao", "random scales")
    rows = []
    points = (np.empty(0), np.empty(0))
    for _ in range(N_NULL):
        drawn = rng.uniform(scales.min(), scales.max(), len(nets))
        train = expanded_loss(moments["train_margin"], moments["train_spread"], drawn, n_classes)
        test = expanded_loss(moments["test_margin"], moments["test_spread"], drawn, n_classes)
        fit = fit_line(train, test)
        if fit is not None:
            points = (train, test)
            rows.append((fit.slope, fit.r2, fit.rmse, spearman_rho(train, moments["test_error"]) or 0.0))
    if not rows:
        return ScaleNull(math.nan, math.nan, math.nan, math.nan, math.nan, points)
    table = np.array(rows)
    slope, r2, rmse, rank = (float(value) for value in np.median(table, axis=0))
    return ScaleNull(slope, r2, rmse, rank, float(np.quantile(table[:, 3], 0.975)), points)


def fixed_point(line: Line) -> float:
    """``intercept/(1 − slope)``: where the line meets the diagonal; ln C by the first-order law."""
    return line.intercept / (1.0 - line.slope) if line.slope != 1.0 else math.inf


def law_deviation(nets: Sequence[Net], n_classes: int, suffix: str = "_normalized") -> float:
    """Largest relative difference between ``(L_test − ln C)/(L_train − ln C)`` and m_test/m_train over the networks."""
    log_c = math.log(n_classes)
    measured = (column(nets, f"test_loss{suffix}") - log_c) / (column(nets, f"train_loss{suffix}") - log_c)
    predicted = column(nets, "test_margin") / column(nets, "train_margin")
    return float(np.max(np.abs(measured / predicted - 1.0)))


def undecided_when_few(checks: Sequence[Check], n: int) -> list[Check]:
    """With fewer than six networks no interval means anything: nothing that decides is decided."""
    if n >= FEWEST:
        return list(checks)
    return [replace(check, passed=None, runs_needed=FEWEST) if check.decides else check for check in checks]
