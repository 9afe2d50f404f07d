"""Neyshabur et al., Figure 3: global minima that generalize badly, made by confusion sets with random labels."""

from typing import TYPE_CHECKING

import numpy as np

from genscope.experiments.papers.neyshabur_networks import DEPARTURES, NORM_NAMES, NORMS, recipe, run_networks, run_one
from genscope.experiments.papers.neyshabur_pictures import draw_errors, draw_pac_bayes
from genscope.experiments.papers.neyshabur_statistics import grid, mean_with_interval, twins, with_null
from genscope.experiments.values import Cell, Check, Experiment, Family, Judgement, Size
from genscope.experiments.verdicts import check_above, check_below, judgement

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from genscope.experiments.runs import Runs
    from genscope.figures.theme import Theme

N_TRUE = {"smoke": 100, "small": 300, "full": 10_000}
N_CONFUSION = {"smoke": (0, 50, 100), "small": (0, 50, 100, 200, 400, 700), "full": (0, 2_000, 5_000, 10_000, 20_000, 40_000)}
SEEDS = {"smoke": 2, "small": 8, "full": 6}
WIDTHS = {"smoke": [64, 64, 64, 10], "small": [64, 128, 128, 10], "full": None}


def _cells(size: Size) -> list[Cell]:
    shared = {**recipe(size), "widths": WIDTHS[size], "n_true": N_TRUE[size], "random": False}
    return [
        Cell(f"confusion set of {n}, seed {seed}", {**shared, "n_confusion": n, "seed": seed})
        for n in N_CONFUSION[size]
        for seed in range(SEEDS[size])
    ]


NETWORKS = Family("neyshabur-confusion", 1, _cells, run_one, run_networks, at_most=96)


def _rank_check(runs: "Runs", name: str, words: str, threshold: float = 0.8) -> Check:
    """Spearman's correlation of a number with the size of the confusion set, seed by seed."""
    levels, _, table = grid(runs, NETWORKS, name, "n_confusion")
    mean, interval = mean_with_interval(_spearman(levels, table))
    null, null_interval = mean_with_interval(_spearman(levels, twins(table)))
    statistic = f"Spearman of {words} with the size of the confusion set"
    return with_null(check_above(statistic, mean, threshold, interval=interval, null=null, n_runs=table.shape[1]), null_interval, threshold)


def _spearman(levels: np.ndarray, table: np.ndarray) -> np.ndarray:
    from genscope.numerics.rank_correlation import spearman_rho

    found = [spearman_rho(levels[np.isfinite(column)], column[np.isfinite(column)]) for column in table.T]
    return np.array([np.nan if value is None else value for value in found], dtype=np.float64)


def _departures(runs: "Runs") -> tuple[str, ...]:
    return DEPARTURES if runs.size != "full" else ("The sizes of the confusion sets are read off the figure.",)


def _judge_errors(runs: "Runs") -> Judgement:
    _, _, train = grid(runs, NETWORKS, "train_error", "n_confusion")
    levels, _, test = grid(runs, NETWORKS, "test_error", "n_confusion")
    worst = float(np.nanmax(train))
    checks = (check_below("largest training error", worst, 0.005), _rank_check(runs, "test_error", "test error"))
    meaning = (
        f"All networks are global minima on the {N_TRUE[runs.size]:,} true examples, yet the mean test error goes from "
        f"{np.nanmean(test[0]):.1%} without a confusion set to {np.nanmean(test[-1]):.1%} with {levels[-1]:,.0f} random labels: zero training "
        "error says nothing of generalization."
    )
    return judgement(checks, meaning, departures=_departures(runs))


def _judge_norms(runs: "Runs") -> Judgement:
    checks = [_rank_check(runs, name, NORM_NAMES[name]) for name in NORMS]
    levels, _, sharp = grid(runs, NETWORKS, "keskar_sharpness", "n_confusion")
    mean, interval = mean_with_interval(_spearman(levels, sharp))
    checks.append(check_below("Spearman of max sharpness with the size of the confusion set", mean, 0.8, interval=interval, n_runs=sharp.shape[1]))
    meaning = (
        f"The four norms over the margin rise with the confusion set as the test error does. Max sharpness has a rank correlation of "
        f"{mean or 0:+.2f} with it, "
        "so the paper's remark that sharpness behaves badly here "
        + ("holds." if (mean or 0) < 0.8 else "does not: on these networks it orders them as the norms do.")
    )
    return judgement(checks, meaning, departures=_departures(runs))


def _judge_pac_bayes(runs: "Runs") -> Judgement:
    levels, _, table = grid(runs, NETWORKS, "kl_at_sharpness", "n_confusion")
    rise = np.nanmean(np.log(table), axis=1)
    meaning = (
        f"At an expected sharpness of 0.05 nats the KL divergence grows {np.exp(rise[-1] - rise[0]):.1f} times from no confusion set to "
        f"{levels[-1]:,.0f} examples: the joint measure orders these minima as their test errors do."
    )
    return judgement([_rank_check(runs, "kl_at_sharpness", "KL at expected sharpness 0.05")], meaning, departures=_departures(runs))


def _draw_errors(runs: "Runs", theme: "Theme") -> "Figure":
    figure, axes, _ = draw_errors(runs, NETWORKS, theme, "n_confusion")
    axes.set(xlabel="size of the confusion set")
    return figure


def _draw_norms(runs: "Runs", theme: "Theme") -> "Figure":
    from genscope.figures.theme import MARKERS, new_figure, style_legend

    figure, axes = new_figure(theme, 6.4, 4.2)
    for index, name in enumerate((*NORMS, "keskar_sharpness")):
        levels, _, table = grid(runs, NETWORKS, name, "n_confusion")
        values = np.log(table) if name == "keskar_sharpness" else table
        rise = np.nanmean(values - values[0], axis=1)
        dashed = name == "keskar_sharpness"
        axes.plot(levels, rise, marker=MARKERS[index], linestyle="--" if dashed else "-", label="max sharpness" if dashed else NORM_NAMES[name])
    axes.axhline(0.0, color=theme.muted, linewidth=0.8)
    axes.set(xlabel="size of the confusion set", ylabel="change of ln measure from no confusion set")
    style_legend(axes, theme)
    return figure


def _draw_pac_bayes(runs: "Runs", theme: "Theme") -> "Figure":
    return draw_pac_bayes(runs, NETWORKS, theme, "n_confusion", "{:,} random labels")


def _experiment(letter: str, place: str, title: str, claim: str, judge, draw, paper: str, caption: str) -> Experiment:  # type: ignore[no-untyped-def]
    source = f"Neyshabur et al., Figure 3 ({place})"
    return Experiment(f"S4-F3{letter}", source, title, claim, (NETWORKS,), judge, draw, paper, caption, cost="T2")


EXPERIMENTS = (
    _experiment(
        "a",
        "left",
        "Bad global minima: errors",
        "With zero training error on a fixed true set, the test error rises with the size of a confusion set of random labels.",
        _judge_errors,
        _draw_errors,
        "Training and test error against the size of the confusion set: flat at zero, and rising.",
        "Mean over seeds, bars span them. The training error is that of true and confusion sets together.",
    ),
    _experiment(
        "b",
        "middle",
        "Bad global minima: norms and sharpness",
        "Norms over the margin rise with the confusion set as the test error does; sharpness behaves badly.",
        _judge_norms,
        _draw_norms,
        "The four norms over margin and sharpness, each scaled to one axis, against the size of the confusion set.",
        "Change of the natural logarithm from the network without a confusion set, mean over seeds.",
    ),
    _experiment(
        "c",
        "right",
        "Bad global minima: sharpness and KL together",
        "At a fixed expected sharpness, networks with the higher generalization error have the larger KL divergence.",
        _judge_pac_bayes,
        _draw_pac_bayes,
        "Expected sharpness against KL divergence, one curve per size of the confusion set.",
        "Weights perturbed by N(0, α²(10|w| + 1)²), each curve runs over α; dashed: the level of comparison.",
    ),
)
