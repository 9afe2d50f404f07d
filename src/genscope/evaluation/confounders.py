"""Is it the measure, or what the measure hangs on? Partial correlations, and the same correlation within and across groups."""

from typing import Any

import numpy as np

from genscope.core.seeds import generator_for
from genscope.evaluation.association import finite_or_none, put_interval
from genscope.evaluation.study import Batch, RankOptions
from genscope.numerics.bootstrap import correlation_interval, percentile_interval
from genscope.numerics.rank_correlation import average_ranks, kendall_tau, weighted_correlations
from genscope.numerics.rank_null import kendall_p_values
from genscope.numerics.regression import fit_line

MIN_GROUP = 3


def partial_from_correlations(correlations: np.ndarray) -> np.ndarray:
    r"""Partial correlation of the first two variables given all others, from a matrix of correlations.

    .. math:: \rho_{xy\cdot z} = -P_{xy}/\sqrt{P_{xx}P_{yy}}, \quad P = R^{-1}

    For one covariate this is (ρxy − ρxz ρyz)/√((1−ρxz²)(1−ρyz²)), for Kendall's τ as for Pearson's r.

    Args:
        correlations: symmetric, unit diagonal, shape [..., k, k].

    Returns:
        shape [...]; NaN where the covariates determine x or y.

    Example:
        >>> round(float(partial_from_correlations(np.array([[1, .5, .5], [.5, 1, .5], [.5, .5, 1]]))), 6)
        0.333333
    """
    correlations = np.asarray(correlations, dtype=np.float64)
    good = np.isfinite(correlations).all(axis=(-2, -1))
    safe = np.where(good[..., None, None], correlations, np.eye(correlations.shape[-1]))
    good &= np.abs(np.linalg.det(safe)) > 1e-10
    safe = np.where(good[..., None, None], safe, np.eye(correlations.shape[-1]))
    precision = np.linalg.inv(safe)
    scale = precision[..., 0, 0] * precision[..., 1, 1]
    good &= scale > 0
    return np.where(good, np.clip(-precision[..., 0, 1] / np.sqrt(np.where(good, scale, 1.0)), -1, 1), np.nan)


def partial_correlations(batch: Batch, options: RankOptions) -> dict[str, dict[str, Any]]:
    """Kendall's and Spearman's partial correlation of measure and target given all covariates, with bootstrap intervals.

    Read the Spearman one: it goes to 0 when the covariates explain all, for monotone relations close to normal. Kendall's partial τ is printed
    because the literature does, but it keeps the sign of the overall τ even then.

    A covariate that is the measure itself, constant, or missing for some of these models is left out; ``covariates_used`` names the rest.
    """
    rows: dict[str, dict[str, Any]] = {}
    given = {name: column[batch.mask] for name, column in batch.study.covariates.items()}
    given = {name: column for name, column in given.items() if np.isfinite(column).all() and len(np.unique(column)) > 1}
    kinds = ("kendall", "spearman")
    for name in batch.names:
        rows[name] = {f"partial_{kind}{end}": None for kind in kinds for end in ("", "_low", "_high")} | {"covariates_used": []}
    if not given or batch.n < 4:
        return rows
    weights = np.vstack([np.ones((1, batch.n), dtype=np.float32), batch.weights(options)])
    names = list(given)
    with_target = weighted_correlations(weights, np.vstack([batch.columns, *given.values()]), batch.target)
    with_given = [weighted_correlations(weights, np.vstack([batch.columns, *given.values()]), given[name]) for name in names]
    k = len(batch.names)
    for m, name in enumerate(batch.names):
        used = [c for c, other in enumerate(names) if not _same_order(batch.columns[m], given[other])]
        rows[name]["covariates_used"] = [names[c] for c in used]
        if not used:
            continue
        for which, kind in enumerate(kinds):
            matrix = np.ones((len(weights), len(used) + 2, len(used) + 2))
            matrix[:, 0, 1] = matrix[:, 1, 0] = with_target[which][m]
            for a, c in enumerate(used, start=2):
                matrix[:, 0, a] = matrix[:, a, 0] = with_given[c][which][m]
                matrix[:, 1, a] = matrix[:, a, 1] = with_target[which][k + c]
                for b, d in enumerate(used, start=2):
                    if a != b:
                        matrix[:, a, b] = with_given[c][which][k + d]
            partial = partial_from_correlations(matrix)
            rows[name][f"partial_{kind}"] = float(partial[0]) if np.isfinite(partial[0]) else None
            put_interval(rows[name], f"partial_{kind}", percentile_interval(partial[1:], options.level) if np.isfinite(partial[0]) else None)
    return rows


def _same_order(x: np.ndarray, z: np.ndarray) -> bool:
    tau = kendall_tau(x, z)
    return tau is not None and abs(tau) > 1 - 1e-12


def group_correlations(batch: Batch, options: RankOptions) -> dict[str, dict[str, Any]]:
    """Kendall's τ within groups (pairs of one group only, pooled) and across groups (of the groups' median ranks), beside the overall τ.

    Returns:
        by measure: ``within_kendall(_low,_high)``, ``within_p_value`` (models exchanged within groups only), ``across_kendall``, ``n_groups``.
    """
    keys = ("within_kendall", "within_kendall_low", "within_kendall_high", "within_p_value", "across_kendall")
    rows: dict[str, dict[str, Any]] = {name: {**dict.fromkeys(keys), "n_groups": 0} for name in batch.names}
    codes = batch.codes(batch.study.groups)
    if codes is None or batch.n < 3:
        return rows
    sizes = np.bincount(codes)
    for name in batch.names:
        rows[name]["n_groups"] = len(sizes)
    if sizes.max() >= 2:
        weights = np.vstack([np.ones((1, batch.n), dtype=np.float32), batch.weights(options)])
        within = weighted_correlations(weights, batch.columns, batch.target, codes)[0]
        columns, target, labels = batch.independent(codes)
        p_values, _ = kendall_p_values(columns, target, options.n_permutations, generator_for(options.seed, "rank", "within"), labels)
        for m, name in enumerate(batch.names):
            if np.isfinite(within[m, 0]):
                rows[name].update(within_kendall=float(within[m, 0]), within_p_value=float(p_values[m]))
                put_interval(rows[name], "within_kendall", correlation_interval(within[m, 0], within[m, 1:], sizes.tolist(), options.level))
    if len(sizes) >= 3:
        ranked = [average_ranks(values) for values in (*batch.columns, batch.target)]
        medians = [np.array([np.median(ranks[codes == g]) for g in range(len(sizes))]) for ranks in ranked]
        for m, name in enumerate(batch.names):
            rows[name]["across_kendall"] = kendall_tau(medians[m], medians[-1])
    return rows


def per_group_table(batch: Batch) -> list[dict[str, Any]]:
    """One row per measure and group: n, Kendall's τ, R², RMSE, slope, intercept and leave-one-out RMSE, as papers print them."""
    labels = batch.study.groups
    codes = batch.codes(labels)
    if labels is None or codes is None:
        return []
    here = np.array([label for label, kept in zip(labels, batch.mask, strict=True) if kept], dtype=object)
    rows = []
    for name, column in zip(batch.names, batch.columns, strict=True):
        for group in dict.fromkeys(here):
            members = here == group
            x, y = column[members], batch.target[members]
            row: dict[str, Any] = {"measure": name, "group": group, "n": len(x)}
            fit = fit_line(x, y) if len(x) >= MIN_GROUP else None
            row["kendall"] = kendall_tau(x, y) if len(x) >= MIN_GROUP else None
            row |= {key: finite_or_none(getattr(fit, key)) if fit else None for key in ("r2", "rmse", "slope", "intercept", "loo_rmse")}
            reason = None if row["kendall"] is not None else (f"only {len(x)} model(s)" if len(x) < MIN_GROUP else "constant in this group")
            rows.append({**row, "status": "ok" if reason is None else "skipped", "reason": reason})
    return rows
