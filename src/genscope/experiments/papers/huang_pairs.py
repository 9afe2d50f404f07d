"""Huang et al.: comparisons of good with poisoned networks of the same seed, and rank correlations over all of them."""

from typing import TYPE_CHECKING

import numpy as np

from genscope.experiments.papers.huang_statistics import spearman_with_interval, within_groups
from genscope.experiments.papers.neyshabur_statistics import mean_with_interval
from genscope.experiments.values import Check, Family
from genscope.experiments.verdicts import check_above

if TYPE_CHECKING:
    from genscope.experiments.runs import Runs

Rows = list[tuple[dict[str, object], dict[str, object]]]
DEPARTURES = (
    "Swiss roll: the paper's network of 3,614 parameters on 120 points instead of 400, 3,500 epochs instead of 800,000; β falls to 0.3 of "
    "itself for the last quarter so that every training loss ends below the lowest cutoff.",
    "Digits: a perceptron 64-64-64-10 on 300 of scikit-learn's digits stands in for the ResNet-20 on SVHN; the other 700 are the poison.",
    "96 directions per basin instead of 3,000.",
)


def poisoned_rows(runs: "Runs", family: Family) -> Rows:
    """(settings, numbers) of the networks that differ in β and seed alone."""
    return [(dict(settings), dict(numbers)) for settings, numbers in runs.table(family) if settings.get("kind", "poison") == "poison"]


def values(rows: Rows, name: str) -> np.ndarray:
    """One number of every row; NaN where it is not defined."""
    found = [numbers.get(name, settings.get(name)) for settings, numbers in rows]
    return np.array([np.nan if value is None else value for value in found], dtype=np.float64)


def order_check(statistic: str, rows: Rows, x: str, y: str, sign: float = 1.0, decides: bool = True) -> Check:
    """Spearman's ρ of ``x`` and ``sign · y`` over networks should exceed 0.8; null: networks that differ in nothing but the seed."""
    left, right = values(rows, x), sign * values(rows, y)
    rho, interval = spearman_with_interval(left, right)
    null = within_groups(left, right, [settings["beta"] for settings, _ in rows])
    n = int((np.isfinite(left) & np.isfinite(right)).sum())
    return check_above(statistic, rho, 0.8, interval=interval, null=null, n_runs=n, decides=decides, note="null: same β, other seeds")


def ends(rows: Rows) -> tuple[float, float]:
    """The smallest and the largest β."""
    betas = values(rows, "beta")
    return float(betas.min()), float(betas.max())


def good_and_bad(rows: Rows, name: str) -> tuple[np.ndarray, np.ndarray]:
    """One number of the networks without poison and of the most poisoned ones, in the order of seeds."""
    low, high = ends(rows)
    return tuple(values([row for row in rows if row[0]["beta"] == beta], name) for beta in (low, high))  # type: ignore[return-value]


def ratio_check(
    statistic: str, rows: Rows, name: str, threshold: float, *, good_over_bad: bool, log: bool = False, paper: float | None = None
) -> Check:
    """Geometric mean over seeds of a ratio between good and bad networks, above a threshold; null: good networks of two seeds, the larger first.

    Args:
        statistic: in words.
        rows: of the networks.
        name: the number; ``log`` says that it is a logarithm already.
        threshold: of the ratio.
        good_over_bad: which one is above the line.
        log: see ``name``.
        paper: the paper's number.
    """
    good, bad = (part if log else np.log(part) for part in good_and_bad(rows, name))
    difference = (good - bad) * (1.0 if good_over_bad else -1.0)
    mean, interval = mean_with_interval(difference)
    finite = good[np.isfinite(good)]
    spread = float(np.exp(np.abs(finite[:, None] - finite[None]).sum() / (len(finite) * (len(finite) - 1)))) if len(finite) > 1 else None
    shown = None if interval is None else (float(np.exp(interval[0])), float(np.exp(interval[1])))
    observed = None if mean is None else float(np.exp(mean))
    note = "null: mean ratio of two good networks of different seeds, the larger first"
    return check_above(statistic, observed, threshold, interval=shown, null=spread, paper=paper, n_runs=len(difference), note=note)
