"""How closely each measure follows the target: rank correlations, a line, its error on unseen models, intervals and a null."""

from typing import Any

import numpy as np

from genscope.core.seeds import generator_for
from genscope.evaluation.study import Batch, RankOptions
from genscope.numerics.bootstrap import correlation_interval, percentile_interval
from genscope.numerics.rank_correlation import kendall_tau, pearson_r, spearman_rho, weighted_correlations
from genscope.numerics.rank_null import kendall_p_values
from genscope.numerics.regression import fit_line, weighted_lines

INTERVALS = "percentile bootstrap"


def associations(batch: Batch, options: RankOptions) -> dict[str, dict[str, Any]]:
    """Statistics by measure over one batch; undefined numbers are ``None``.

    Keys: ``n n_independent`` (clusters, or n) ``kendall(_low,_high) p_value p_value_method spearman(_low,_high) pearson(_low,_high) r2(_low,_high)
    rmse slope(_low,_high) intercept loo_rmse(_low,_high) loo_r2``. The line is target on measure, the RMSE divides by n.
    """
    rows = {name: _point_estimates(column, batch.target) for name, column in zip(batch.names, batch.columns, strict=True)}
    usable = [k for k, name in enumerate(batch.names) if rows[name]["kendall"] is not None]
    if batch.n < 3 or not usable:
        return rows
    columns = batch.columns[usable]
    weights = batch.weights(options)
    kendall, spearman = weighted_correlations(weights, columns, batch.target)
    free_columns, free_target, _ = batch.independent()
    rng = generator_for(options.seed, "rank", "permutation")
    p_values, method = kendall_p_values(free_columns[usable], free_target, options.n_permutations, rng)
    for k, column in enumerate(columns):
        row = rows[batch.names[usable[k]]]
        row["p_value"], row["p_value_method"], row["n_independent"] = float(p_values[k]), method, len(free_target)
        put_interval(row, "kendall", correlation_interval(row["kendall"], kendall[k], batch.n, options.level))
        put_interval(row, "spearman", correlation_interval(row["spearman"], spearman[k], batch.n, options.level))
        slope, r = weighted_lines(weights, column, batch.target)
        put_interval(row, "pearson", percentile_interval(r, options.level))
        put_interval(row, "r2", percentile_interval(r * r, options.level))
        put_interval(row, "slope", percentile_interval(slope, options.level))
        put_interval(row, "loo_rmse", _loo_interval(column, batch.target, weights, options.level))
    return rows


def finite_or_none(value: float | None) -> float | None:
    """The number, or ``None`` when it is beyond what a float holds."""
    return float(value) if value is not None and np.isfinite(value) else None


def put_interval(row: dict[str, Any], name: str, interval: tuple[float, float] | None) -> None:
    """Write ``name_low`` and ``name_high``; an undefined interval is two ``None``."""
    row[f"{name}_low"], row[f"{name}_high"] = interval or (None, None)


def _point_estimates(x: np.ndarray, y: np.ndarray) -> dict[str, Any]:
    row: dict[str, Any] = {"n": len(x), "n_independent": len(x)}
    enough = len(x) >= 3
    row |= {"kendall": kendall_tau(x, y) if enough else None, "kendall_low": None, "kendall_high": None, "p_value": None, "p_value_method": None}
    row |= {"spearman": spearman_rho(x, y) if enough else None, "spearman_low": None, "spearman_high": None}
    row |= {"pearson": pearson_r(x, y) if enough else None, "pearson_low": None, "pearson_high": None}
    fit = fit_line(x, y) if enough else None
    for name in ("r2", "rmse", "slope", "intercept", "loo_rmse", "loo_r2"):
        row[name] = finite_or_none(getattr(fit, name)) if fit else None
    for name in ("r2", "slope", "loo_rmse"):
        put_interval(row, name, None)
    return row


def _loo_interval(x: np.ndarray, y: np.ndarray, weights: np.ndarray, level: float) -> tuple[float, float] | None:
    fit = fit_line(x, y)
    if fit is None or fit.loo_rmse is None:
        return None
    # The models are resampled, not refitted: a refit on copies would have seen the model it is tested on.
    unit = float(np.abs(fit.loo_residuals).max())
    if not 0 < unit < np.inf:
        return (0.0, 0.0) if unit == 0 else None
    squares = weights.astype(np.float64) @ np.square(fit.loo_residuals / unit) / weights.sum(axis=1)
    low, high = percentile_interval(np.sqrt(squares), level) or (0.0, 0.0)
    return low * unit, high * unit
