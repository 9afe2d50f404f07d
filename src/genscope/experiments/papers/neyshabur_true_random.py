"""Neyshabur et al., Figures 1 and 2: norms, sharpness and PAC-Bayes of networks trained on true and on random labels."""

from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np

from genscope.experiments.papers.neyshabur_networks import DEPARTURES, NORM_NAMES, NORMS, recipe, run_networks, run_one
from genscope.experiments.papers.neyshabur_pictures import draw_bi_criteria
from genscope.experiments.papers.neyshabur_statistics import (
    grid,
    mean_with_interval,
    share_with_interval,
    slopes,
    twins,
    wins,
    with_null,
)
from genscope.experiments.values import Cell, Check, Experiment, Family, Judgement, Size
from genscope.experiments.verdicts import check_above, check_below, judgement

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    from genscope.experiments.runs import Runs
    from genscope.figures.theme import Theme

N_TRUE = {"smoke": (50, 200), "small": (50, 100, 200, 400, 800), "full": (10_000, 20_000, 30_000, 40_000, 50_000)}
SEEDS = {"smoke": 2, "small": 8, "full": 6}
WIDTHS = {"smoke": [64, 64, 64, 10], "small": [64, 128, 128, 10], "full": None}
LABELS = ((False, "true labels"), (True, "random labels"))


def _cells(size: Size) -> list[Cell]:
    shared = {**recipe(size), "widths": WIDTHS[size]}
    return [
        Cell(f"{word}, {n} examples, seed {seed}", {**shared, "random": random, "n_true": n, "seed": seed})
        for n in N_TRUE[size]
        for random, word in LABELS
        for seed in range(SEEDS[size])
    ]


NETWORKS = Family("neyshabur-true-random", 1, _cells, run_one, run_networks, at_most=96)


def _pair(runs: "Runs", name: str) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Numbers of examples, and the table [sizes, seeds] of a number with true and with random labels."""
    levels, _, true = grid(runs, NETWORKS, name, "n_true", random=False)
    _, _, random = grid(runs, NETWORKS, name, "n_true", random=True)
    return levels, true, random


def _order_check(name: str, true: np.ndarray, random: np.ndarray) -> Check:
    share, interval = share_with_interval(*wins(random - true))
    null, null_interval = share_with_interval(*wins(twins(true)))
    statistic = f"{name}: share of pairs in which random labels have the larger"
    check = check_above(statistic, share, 0.75, interval=interval, null=null, n_runs=wins(random - true)[1])
    return with_null(check, null_interval, 0.75)


def _growth_check(name: str, levels: np.ndarray, true: np.ndarray, random: np.ndarray) -> Check:
    growth = slopes(levels, random) - slopes(levels, true)
    mean, interval = mean_with_interval(growth)
    null, null_interval = mean_with_interval(slopes(levels, twins(true)))
    statistic = f"{name}: slope over ln m, random minus true labels"
    return with_null(check_above(statistic, mean, 0.0, interval=interval, null=null, n_runs=len(growth)), null_interval, 0.0)


def _judge_norms(runs: "Runs") -> Judgement:
    checks: list[Check] = []
    gaps = {}
    for name in NORMS:
        levels, true, random = _pair(runs, name)
        checks += [_order_check(NORM_NAMES[name], true, random), _growth_check(NORM_NAMES[name], levels, true, random)]
        gaps[name] = float(np.nanmean(slopes(levels, random) - slopes(levels, true)))
    first = sorted(gaps, key=lambda name: -gaps[name])
    told = ", ".join(f"{NORM_NAMES[name]} {gaps[name]:+.2f}" for name in first)
    larger, faster = (sum(check.passed is True for check in checks[start::2]) for start in (0, 1))
    meaning = (
        f"Of four norms over the margin, {larger} are larger after training on random labels in nearly every pair of networks, and {faster} grow "
        f"faster with the number of examples (difference of the slopes of ln capacity over ln m: {told}). Pairs of networks that differ in nothing "
        "but the seed are the null control. The factors 4 and h_i that the figure drops depend on the architecture alone, so with them nothing "
        "changes here."
    )
    return judgement(checks, meaning, departures=_departures(runs))


def _departures(runs: "Runs") -> tuple[str, ...]:
    return DEPARTURES if runs.size != "full" else ("The sizes of the subsets are not in the text: 10,000 to 50,000 in steps of 10,000.",)


def _judge_sharpness(runs: "Runs") -> Judgement:
    levels, true, random = _pair(runs, "keskar_sharpness")
    ratio, null = np.log(random) - np.log(true), twins(np.log(true))
    small, small_interval = mean_with_interval(ratio[0])
    large, large_interval = mean_with_interval(ratio[-1])
    null_small, null_large = mean_with_interval(null[0]), mean_with_interval(null[-1])
    n_seeds = ratio.shape[1]
    statistic = f"ln of sharpness, random over true labels, at m = {levels[0]:,.0f}"
    note = "the order that the paper calls wrong"
    first = check_below(statistic, small, 0.0, interval=small_interval, null=null_small[0], n_runs=n_seeds, note=note)
    last = check_above(f"the same at m = {levels[-1]:,.0f}", large, 0.0, interval=large_interval, null=null_large[0], n_runs=n_seeds)
    null_passed = null_small[1] is not None and null_small[1][1] < 0.0
    checks = (replace(first, null_passed=null_passed), with_null(last, null_large[1], 0.0))
    meaning = (
        f"Maximal sharpness in the box of width 5·10⁻⁴(|w| + 1): random over true labels is {np.exp(small or 0):.2f} times at {levels[0]:,.0f} "
        f"examples and {np.exp(large or 0):.2f} times at {levels[-1]:,.0f} (geometric means over {n_seeds} seeds). The paper saw the order turn from "
        "wrong to right with growing m; sharpness alone also changes under rescalings that leave the function as it is, so its order says little "
        "either way."
    )
    return judgement(checks, meaning, departures=_departures(runs))


def _judge_pac_bayes(runs: "Runs") -> Judgement:
    levels, true, random = _pair(runs, "kl_at_sharpness")
    true, random = np.log(true), np.log(random)
    at_each = [mean_with_interval(row) for row in random - true]
    first, last = at_each[0], at_each[-1]
    checks = (
        _order_check("KL divergence at an expected sharpness of 0.05", true, random),
        _growth_check("ln KL at an expected sharpness of 0.05", levels, true, random),
        check_above(f"ln KL ratio, random over true, at m = {levels[0]:,.0f}", first[0], 0.0, interval=first[1], n_runs=true.shape[1], decides=False),
        check_above(f"the same at m = {levels[-1]:,.0f}", last[0], 0.0, interval=last[1], n_runs=true.shape[1], decides=False),
    )
    meaning = (
        f"To be as flat in expectation (a rise of 0.05 nats), networks with random labels need {np.exp(first[0] or 0):.1f} times the KL "
        f"divergence of those with true labels at {levels[0]:,.0f} examples and {np.exp(last[0] or 0):.1f} times at {levels[-1]:,.0f}. Sharpness "
        "and norm together order what sharpness alone does not. The divergence is Σ w²/(2σ²); the appendix leaves out the factor 1/2, which moves "
        "no order."
    )
    return judgement(checks, meaning, departures=_departures(runs))


def _draw_norms(runs: "Runs", theme: "Theme") -> "Figure":
    from genscope.figures.theme import new_figure, style_legend

    figure, axes = new_figure(theme, 8.0, 5.6, rows=2, cols=2, sharex=True)
    for panel, name in zip(axes.flat, NORMS, strict=True):
        _lines(panel, runs, name, theme)
        panel.set_title(f"{NORM_NAMES[name]} over margin")
        panel.set_ylabel("ln capacity (nats)")
    for panel in axes[1]:
        panel.set_xlabel("training examples m")
    style_legend(axes[0, 0], theme)
    return figure


def _lines(panel: "Axes", runs: "Runs", name: str, theme: "Theme", log: bool = False) -> None:
    from genscope.figures.theme import MARKERS

    for index, ((random, word), colour) in enumerate(zip(LABELS, theme.cycle, strict=False)):
        levels, _, table = grid(runs, NETWORKS, name, "n_true", random=random)
        middle = np.exp(np.nanmean(np.log(table), axis=1)) if log else np.nanmean(table, axis=1)
        spread = [middle - np.nanmin(table, axis=1), np.nanmax(table, axis=1) - middle]
        panel.errorbar(levels, middle, spread, color=colour, marker=MARKERS[index], capsize=3, linewidth=1.4, label=word)
    panel.set_xscale("log")
    panel.set_xticks(levels, [f"{level:,.0f}" for level in levels])
    panel.minorticks_off()
    if log:
        panel.set_yscale("log")


def _draw_sharpness(runs: "Runs", theme: "Theme") -> "Figure":
    from genscope.figures.theme import new_figure, style_legend

    figure, axes = new_figure(theme, 5.6, 4.0)
    _lines(axes, runs, "keskar_sharpness", theme, log=True)
    axes.set(xlabel="training examples m", ylabel="max sharpness (relative rise of the loss)")
    style_legend(axes, theme)
    return figure


def _draw_pac_bayes(runs: "Runs", theme: "Theme") -> "Figure":
    from genscope.figures.theme import new_figure

    figure, axes = new_figure(theme, 8.4, 4.0, cols=2, sharex=True, sharey=True)
    for panel, (random, word) in zip(axes, LABELS, strict=True):
        draw_bi_criteria(panel, runs, NETWORKS, theme, "n_true", "m = {:,}", random=random)
        panel.set(title=word, xlabel="KL divergence (nats)")
    axes[0].set_ylabel("expected sharpness (nats)")
    return figure


_SOURCE = "Neyshabur et al."
_COMMON = "Bars span the seeds."
EXPERIMENTS = (
    Experiment(
        id="S4-F1",
        source=f"{_SOURCE}, Figure 1",
        title="Norms over margin with true and random labels",
        claim="Norms over the margin are always larger for networks trained on random labels, and the difference grows with the number of examples.",
        families=(NETWORKS,),
        judge=_judge_norms,
        draw=_draw_norms,
        paper_figure="Four panels (ℓ2, ℓ1-path, ℓ2-path, spectral) of capacity against the size of the training set; the red line of random labels "
        "lies above the blue one of true labels and leaves it.",
        caption=f"Natural logarithm of each norm over the squared 5 % margin, against the number of training examples. {_COMMON}",
        errata=("The plotted versions drop the factors 4 and h_i of the bounds in the text; both versions are stored with every run.",),
        cost="T2",
    ),
    Experiment(
        id="S4-F2a",
        source=f"{_SOURCE}, Figure 2 (left)",
        title="Maximal sharpness with true and random labels",
        claim="For small training sets sharpness is smaller with random labels, which is the wrong order; for larger ones it is larger.",
        families=(NETWORKS,),
        judge=_judge_sharpness,
        draw=_draw_sharpness,
        paper_figure="Max sharpness against the size of the training set; the lines of true and random labels cross.",
        caption=f"Keskar's sharpness in the box 5·10⁻⁴(|w| + 1), found by ascent (a lower bound of the maximum). {_COMMON}",
        errata=("Ascent in a non-convex box gives a lower bound, in the paper as here.",),
        cost="T2",
    ),
    *(
        Experiment(
            id=f"S4-F2{letter}",
            source=f"{_SOURCE}, Figure 2 ({place})",
            title=f"Expected sharpness against KL divergence, {word}",
            claim="At a fixed expected sharpness (0.05) networks trained on random labels have the larger KL divergence, and the difference "
            "grows with the number of examples.",
            families=(NETWORKS,),
            judge=_judge_pac_bayes,
            draw=_draw_pac_bayes,
            paper_figure="Expected sharpness against KL divergence, one curve per size of the training set; those of true labels lie lower.",
            caption="Weights perturbed by N(0, α²(10|w| + 1)²), each curve runs over α; dashed: the level at which networks are compared.",
            errata=(
                "The appendix gives the divergence as α⁻² Σ (w/(10|w| + 1))²; with Σ w²/(2σ²) of Equation 6 it is half as large. No order changes.",
                "The cross-entropy is unbounded, so Equations 5 and 6 bound nothing for it; the plot compares networks, it certifies none.",
            ),
            cost="T2",
        )
        for letter, place, word in (("b", "middle", "true labels"), ("c", "right", "random labels"))
    ),
)
