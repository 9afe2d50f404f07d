"""Neyshabur et al., Figure 4: two-layer perceptrons of growing width."""

from typing import TYPE_CHECKING

import numpy as np

from genscope.experiments.papers.neyshabur_networks import CAPACITIES, NORM_NAMES, NORMS, recipe, run_networks, run_one
from genscope.experiments.papers.neyshabur_pictures import draw_errors, draw_pac_bayes
from genscope.experiments.papers.neyshabur_statistics import grid, mean_with_interval, slopes, twins, with_null
from genscope.experiments.values import Cell, Check, Experiment, Family, Judgement, Size
from genscope.experiments.verdicts import check_above, check_below, judgement

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from genscope.experiments.runs import Runs
    from genscope.figures.theme import Theme

UNITS = {"smoke": (8, 32, 128), "small": (8, 16, 32, 64, 128, 256, 512, 1024), "full": (8, 16, 32, 64, 128, 256, 512, 1024, 2048, 4096)}
SEEDS = {"smoke": 2, "small": 6, "full": 6}
N_TRUE = {"smoke": 300, "small": 1000, "full": 60_000}
TURN = 128  # where the paper's norms stop falling
DEPARTURES = (
    "scikit-learn's digits (1,000 images of 8×8 pixels) instead of MNIST.",
    "Trained with learning rate 0.1 to a cross-entropy of 10⁻³ instead of 0.01 to 10⁻⁴.",
    "Expected sharpness over 20 perturbations of 600 examples instead of 1,000 perturbations of one batch of 64.",
)


def _cells(size: Size) -> list[Cell]:
    shared = {**recipe(size, "mnist"), "architecture": "mlp", "n_true": N_TRUE[size], "random": False}
    inputs = 784 if size == "full" else 64
    return [
        Cell(f"{units} hidden units, seed {seed}", {**shared, "widths": [inputs, units, 10], "units": units, "seed": seed})
        for units in UNITS[size]
        for seed in range(SEEDS[size])
    ]


NETWORKS = Family("neyshabur-width", 1, _cells, run_one, run_networks, at_most=96)


def _fitting(runs: "Runs") -> int:
    """The place of the smallest width whose networks all fit the training data."""
    _, _, train = grid(runs, NETWORKS, "train_error", "units")
    fits = np.nanmax(train, axis=1) <= 0.001
    return int(np.argmax(fits)) if fits.any() else len(fits) - 1


def _slope_check(runs: "Runs", name: str, words: str, *, rises: bool, late: bool, decides: bool = True, log: bool = False) -> Check:
    """The slope of a number over ln width, before or after the paper's turning point, seed by seed."""
    levels, _, table = grid(runs, NETWORKS, name, "units")
    table = np.log(table) if log else table
    place = np.arange(len(levels))
    chosen = (levels >= TURN) if late else (levels <= TURN) & (place >= _fitting(runs))
    where = f"from {TURN} units up" if late else f"from {levels[_fitting(runs)]:.0f} to {TURN} units"
    statistic = f"{words}: slope over ln width {where}"
    sign, rule = (1.0, check_above) if rises else (-1.0, check_below)
    if chosen.sum() < 2:
        return rule(statistic, None, 0.0, note="fewer than two widths there", decides=decides)
    mean, interval = mean_with_interval(slopes(levels[chosen], table[chosen]))
    null, null_interval = mean_with_interval(sign * slopes(levels[chosen], twins(table[chosen])))
    check = rule(statistic, mean, 0.0, interval=interval, null=None if null is None else sign * null, n_runs=table.shape[1], decides=decides)
    return with_null(check, null_interval, 0.0)


def _departures(runs: "Runs") -> tuple[str, ...]:
    return DEPARTURES if runs.size != "full" else ()


def _judge_errors(runs: "Runs") -> Judgement:
    levels, _, test = grid(runs, NETWORKS, "test_error", "units")
    first = _fitting(runs)
    mean, interval = mean_with_interval(test[-1] - test[first])
    null, null_interval = mean_with_interval(twins(test)[first])
    change = check_below(
        f"test error with {levels[-1]:.0f} units minus that with {levels[first]:.0f}", mean, 0.0, interval=interval, null=null, n_runs=test.shape[1]
    )
    _, _, train = grid(runs, NETWORKS, "train_error", "units")
    fit = check_below(f"largest training error from {levels[first]:.0f} units up", float(np.nanmax(train[first:])), 0.005)
    checks = (fit, with_null(change, None if null_interval is None else (-null_interval[1], -null_interval[0]), 0.0))
    meaning = (
        f"{levels[first]:.0f} hidden units fit the training data; the test error is {test[first].mean():.2%} there and {test[-1].mean():.2%} with "
        f"{levels[-1]:.0f}. More units than the data need do not hurt, without any explicit regularization."
    )
    return judgement(checks, meaning, departures=_departures(runs))


def _judge_norms(runs: "Runs") -> Judgement:
    checks = [_slope_check(runs, name, NORM_NAMES[name], rises=False, late=False) for name in NORMS]
    checks += [_slope_check(runs, name, NORM_NAMES[name], rises=True, late=True) for name in ("l2_over_margin", "l1_path_over_margin")]
    checks.append(_slope_check(runs, "l2_path_over_margin", NORM_NAMES["l2_path_over_margin"], rises=False, late=True))
    checks.append(_slope_check(runs, CAPACITIES[2], "ℓ2-path capacity with its factors h_i", rises=True, late=True))
    checks.append(_slope_check(runs, "spectral_over_margin", NORM_NAMES["spectral_over_margin"], rises=True, late=True, decides=False))
    told = "; ".join(f"{check.statistic} {check.observed:+.2f}" for check in checks if check.observed is not None)
    against = [check.statistic for check in checks if check.passed is False]
    meaning = (
        f"What the capacities do as the layer widens (slopes over ln width): {told}. A measure that explained why wide networks generalize would "
        "keep falling, as the test error does. "
        + (f"Against the paper: {'; '.join(against)}. " if against else "")
        + "The turning point of 128 units is that of MNIST and need not be that of other data."
    )
    return judgement(checks, meaning, departures=_departures(runs))


def _judge_pac_bayes(runs: "Runs") -> Judgement:
    words = "ln KL at expected sharpness 0.05"
    checks = [
        _slope_check(runs, "kl_at_sharpness", words, rises=False, late=False, log=True),
        _slope_check(runs, "kl_at_sharpness", words, rises=True, late=True, log=True),
    ]
    told = " and ".join(f"{check.observed:+.2f}" for check in checks if check.observed is not None)
    meaning = (
        f"Slopes of ln KL over ln width below and above {TURN} units: {told}. Where the second is not negative the joint measure does not explain "
        "why wider networks generalize as well."
    )
    return judgement(checks, meaning, departures=_departures(runs))


def _draw_errors(runs: "Runs", theme: "Theme") -> "Figure":
    figure, axes, levels = draw_errors(runs, NETWORKS, theme, "units")
    _width_axis(axes, levels)
    return figure


def _width_axis(axes, levels: np.ndarray) -> None:  # type: ignore[no-untyped-def]
    axes.set_xscale("log", base=2)
    axes.set_xticks(levels, [f"{level:.0f}" for level in levels])
    axes.set_xlabel("hidden units")
    axes.minorticks_off()


def _draw_norms(runs: "Runs", theme: "Theme") -> "Figure":
    from genscope.figures.theme import MARKERS, new_figure, style_legend

    figure, axes = new_figure(theme, 6.4, 4.2)
    for index, name in enumerate((*NORMS, CAPACITIES[2])):
        levels, _, table = grid(runs, NETWORKS, name, "units")
        change = np.nanmean(table - table[_fitting(runs)], axis=1)
        plain = name in NORMS
        label = NORM_NAMES[name] if plain else "ℓ2-path with factors h_i"
        axes.plot(levels, change, marker=MARKERS[index], linestyle="-" if plain else "--", label=label)
    axes.axhline(0.0, color=theme.muted, linewidth=0.8)
    _width_axis(axes, levels)
    axes.set(ylabel="change of ln capacity from the first width that fits")
    style_legend(axes, theme)
    return figure


def _draw_pac_bayes(runs: "Runs", theme: "Theme") -> "Figure":
    return draw_pac_bayes(runs, NETWORKS, theme, "units", "{:,} units")


def _experiment(letter: str, place: str, title: str, claim: str, judge, draw, paper: str, caption: str) -> Experiment:  # type: ignore[no-untyped-def]
    source = f"Neyshabur et al., Figure 4 ({place})"
    return Experiment(f"S4-F4{letter}", source, title, claim, (NETWORKS,), judge, draw, paper, caption, cost="T2")


EXPERIMENTS = (
    _experiment(
        "a",
        "left",
        "Width: errors",
        "A small width fits the training data (32 units on MNIST), and networks with more hidden units generalize better.",
        _judge_errors,
        _draw_errors,
        "Training and test error against the number of hidden units; the test error falls beyond the width that fits.",
        "Mean over seeds, bars span them.",
    ),
    _experiment(
        "b",
        "middle",
        "Width: norms over margin",
        "All norms over the margin fall up to 128 units; beyond, ℓ2 and ℓ1-path rise, ℓ2-path keeps falling but not with its factors h_i.",
        _judge_norms,
        _draw_norms,
        "The norms over margin against the number of hidden units, scaled to one axis: falling, then parting.",
        "Change of the natural logarithm of each capacity from the smallest width that fits, mean over seeds.",
    ),
    _experiment(
        "c",
        "right",
        "Width: sharpness and KL together",
        "The joint measure falls up to 128 units and fails to explain the generalization of wider networks.",
        _judge_pac_bayes,
        _draw_pac_bayes,
        "Expected sharpness against KL divergence, one curve per width.",
        "Weights perturbed by N(0, α²(10|w| + 1)²), each curve runs over α; dashed: the level of comparison.",
    ),
)
