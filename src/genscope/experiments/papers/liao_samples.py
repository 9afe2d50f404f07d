"""Liao et al., Figures 1, 3 and 19: what more training images and wider networks do to the gap."""

from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING

import numpy as np

from genscope.experiments.papers.liao_fits import Net, column, networks, rank_correlation, undecided_when_few
from genscope.experiments.papers.liao_pictures import draw_series
from genscope.experiments.papers.liao_series import departures_of
from genscope.experiments.papers.liao_sizes import SAMPLES, WIDTHS
from genscope.experiments.values import Check, Experiment, Judgement, Size
from genscope.experiments.verdicts import check_below, check_within, judgement
from genscope.numerics.regression import fit_line

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from genscope.experiments.runs import Runs
    from genscope.figures.theme import Theme


def split(nets: list[Net]) -> tuple[list[Net], list[Net]]:
    """Networks trained on natural and on random labels, by growing training set."""
    ordered = sorted(nets, key=lambda net: net["n_train"])
    return [net for net in ordered if not net["random_labels"]], [net for net in ordered if net["random_labels"]]


def gap(nets: list[Net], name: str) -> np.ndarray:
    """Test minus training."""
    return column(nets, f"test_{name}") - column(nets, f"train_{name}")


def judge_natural(nets: list[Net], size: Size) -> Judgement:
    """Figure 1a: the gap of the classification error shrinks; the control are random labels, where there is nothing to learn."""
    natural, random = split(nets)
    n, params = column(natural, "n_train"), natural[0]["n_params"]
    found, control = gap(natural, "error"), gap(random, "error")
    rank, interval = rank_correlation(n, found)
    null, _ = rank_correlation(column(random, "n_train"), control)
    checks = [
        check_below("Spearman of training-set size and gap of the classification error", rank, 0.0, interval=interval, null=null, n_runs=len(n),
                    note="null: random labels, where training errors are bound to rise"),
        check_below("gap at the largest set over gap at the smallest", float(found[-1] / found[0]), 0.5, null=float(control[-1] / control[0])),
        check_within("gap at the largest set", float(found[-1]), (0.0, 1.0), null=float(control[-1]), decides=False),
    ]  # fmt: skip
    meaning = (
        f"With {params:,.0f} parameters the gap falls from {found[0]:.2f} at {n[0]:,.0f} images to {found[-1]:.2f} at {n[-1]:,.0f}. On random labels "
        f"it falls as well, from {control[0]:.2f} to {control[-1]:.2f}, because a fixed number of parameters cannot fit ever more labels: a gap that "
        f"shrinks with N is a property of counting, and says nothing of learning."
    )
    return judgement(undecided_when_few(checks, len(n)), meaning, n_runs=len(nets), departures=departures_of(size))


def judge_random(nets: list[Net], size: Size) -> Judgement:
    """Figure 1b: random labels are fitted, and the test error is at chance."""
    natural, random = split(nets)
    params = random[0]["n_params"]
    fitted = [net for net in random if net["n_train"] <= params / 8] or random[:1]
    twins = [net for net in natural if net["n_train"] in {net["n_train"] for net in fitted}]
    chance = float(np.mean(column(random, "test_error")))
    checks = [
        check_below("largest training error on random labels, up to an eighth as many images as parameters",
                    float(column(fitted, "train_error").max()), 0.01, null=float(column(twins, "train_error").max()), note="control: natural labels"),
        check_within("mean test error on random labels", chance, (0.87, 0.93), null=float(np.mean(column(natural, "test_error"))), paper=0.9,
                     note="control: natural labels"),
        check_within("training error at the largest set", float(random[-1]["train_error"]), (0.0, 1.0), decides=False),
    ]  # fmt: skip
    meaning = (
        f"Up to {fitted[-1]['n_train']:,} images the network of {params:,.0f} parameters fits random labels with a training error of at most "
        f"{checks[0].observed:.3f}, and its test error is {chance:.3f}, which is chance. With {random[-1]['n_train']:,} images the training error is "
        f"{random[-1]['train_error']:.2f}: this network is too small to fit them."
    )
    return judgement(undecided_when_few(checks, len(random)), meaning, n_runs=len(nets), departures=departures_of(size))


def judge_loss_gap(nets: list[Net], size: Size) -> Judgement:
    """Figure 19: the gap of the normalized loss shrinks slowly with N; the control is the unnormalized loss of the same networks."""
    natural, random = split(nets)
    checks: list[Check] = []
    exponents: dict[str, float | None] = {}
    for name, chosen in (("natural", natural), ("random", random)):
        n = column(chosen, "n_train")
        normalized, raw = np.abs(gap(chosen, "loss_normalized")), np.abs(gap(chosen, "loss"))
        rank, interval = rank_correlation(n, normalized)
        null, _ = rank_correlation(n, raw)
        fit = fit_line(np.log(n), np.log(np.maximum(normalized, 1e-12)))
        exponents[name] = fit.slope if fit else None
        checks.append(check_below(f"Spearman of N and |normalized test − training loss|, {name} labels", rank, 0.0, interval=interval, null=null,
                                  n_runs=len(n), note="control: the unnormalized losses of the same networks"))  # fmt: skip
        checks.append(check_within(f"exponent of the normalized gap in N, {name} labels", exponents[name], (-0.5, 0.0), decides=False))
    last = natural[-1]
    meaning = (
        f"The normalized gap changes as N to the power {exponents['natural'] or 0:.2f} on natural and {exponents['random'] or 0:.2f} on random "
        f"labels; at {last['n_train']:,} images it is {float(np.abs(gap([last], 'loss_normalized'))[0]):.1e} nats. Its size is mostly that of 1/ρ, "
        f"the number all outputs are divided by (ln ρ runs from {natural[0]['log_rho']:.1f} to {last['log_rho']:.1f}), so that small gaps follow "
        f"from large norms as well as from generalization."
    )
    return judgement(undecided_when_few(checks, len(natural)), meaning, n_runs=len(nets), departures=departures_of(size))


def judge_widths(nets: list[Net], size: Size) -> Judgement:
    """Figure 3: beyond the interpolation point more parameters do not raise the test error."""
    params, error = column(nets, "n_params"), column(nets, "test_error")
    beyond = [net for net in nets if net["n_params"] > net["n_train"]]
    rank, interval = rank_correlation(column(beyond, "n_params"), column(beyond, "test_error"))
    untrained, _ = rank_correlation(column(beyond, "n_params"), column(beyond, "untrained_error"))
    largest, smallest = (float(error[params == end].mean()) for end in (params.max(), params.min()))
    blank = [float(column(nets, "untrained_error")[params == end].mean()) for end in (params.max(), params.min())]
    checks = [
        check_below("Spearman of parameters and test error, more parameters than images", rank, 0.5, interval=interval, null=untrained,
                    n_runs=len(beyond), note="control: the same networks before training"),
        check_below("test error of the widest minus that of the narrowest network", largest - smallest, -0.01, null=blank[0] - blank[1],
                    note="control: the same networks before training"),
        check_within("training error of the widest network", float(column(nets, "train_error")[params == params.max()].mean()), (0.0, 0.01),
                     decides=False),
    ]  # fmt: skip
    meaning = (
        f"From {params.min():,.0f} to {params.max():,.0f} parameters on {nets[0]['n_train']:,} images the test error goes from {smallest:.3f} to "
        f"{largest:.3f}. Beyond one parameter per image its rank correlation with the number of parameters is {rank:+.2f} ({interval[0]:+.2f} to "
        f"{interval[1]:+.2f})."
    )
    return judgement(undecided_when_few(checks, len(beyond)), meaning, n_runs=len(nets), departures=departures_of(size))


def _judge_samples(judge: Callable[[list[Net], Size], Judgement], runs: "Runs") -> Judgement:
    return judge(networks(runs, SAMPLES), runs.size)


def _judge_widths(runs: "Runs") -> Judgement:
    return judge_widths(networks(runs, WIDTHS), runs.size)


def _draw_errors(random: bool, runs: "Runs", theme: "Theme") -> "Figure":
    from genscope.figures.theme import new_figure, style_legend

    figure, axes = new_figure(theme, 5.8, 3.9)
    nets = split(networks(runs, SAMPLES))[random]
    n = column(nets, "n_train")
    for color, (name, values) in enumerate(
        (("training error", column(nets, "train_error")), ("test error", column(nets, "test_error")), ("gap", gap(nets, "error")))
    ):
        draw_series(axes, n, values, theme, color=color, label=name, line=True)
    axes.axvline(nets[0]["n_params"], color=theme.muted, linestyle=":", linewidth=1.0, label="number of parameters")
    axes.set(xlabel="training images", ylabel="classification error", xscale="log", ylim=(-0.03, 1.0))
    style_legend(axes, theme)
    return figure


def _draw_loss_gap(runs: "Runs", theme: "Theme") -> "Figure":
    from genscope.figures.theme import new_figure, style_legend

    figure, axes = new_figure(theme, 10.2, 6.2, rows=2, cols=3)
    for row, (labels, nets) in enumerate(zip(("natural", "random"), split(networks(runs, SAMPLES)), strict=True)):
        n = column(nets, "n_train")
        for color, part in enumerate(("train", "test")):
            draw_series(axes[row][0], n, column(nets, f"{part}_loss"), theme, color=color, label=part, line=True)
            draw_series(axes[row][1], n, column(nets, f"{part}_loss_normalized"), theme, color=color, label=part, line=True)
        draw_series(axes[row][2], n, np.maximum(np.abs(gap(nets, "loss_normalized")), 1e-9), theme, color=2, line=True)
        for panel, title in zip(axes[row], ("as trained", "normalized", "|gap|, normalized"), strict=True):
            panel.set(title=f"{labels} labels: {title}", xlabel="training images", ylabel="cross-entropy (nats)", xscale="log")
        axes[row][1].ticklabel_format(axis="y", useOffset=False)
        axes[row][2].set_yscale("log")
        style_legend(axes[row][0], theme)
    return figure


def _draw_widths(runs: "Runs", theme: "Theme") -> "Figure":
    from genscope.figures.theme import new_figure, style_legend

    figure, axes = new_figure(theme, 5.8, 3.9)
    nets = networks(runs, WIDTHS)
    params = column(nets, "n_params")
    for color, part in enumerate(("train", "test")):
        draw_series(axes, params, column(nets, f"{part}_error"), theme, color=color, label=f"{part} error")
    axes.axvline(nets[0]["n_train"], color=theme.muted, linestyle=":", linewidth=1.0, label="number of training images")
    axes.set(xlabel="parameters", ylabel="classification error", xscale="log")
    style_legend(axes, theme)
    return figure


LAYOUT = "The network of 9,370 parameters is given without strides; three 3×3 convolutions of stride 2 and two linear layers give that number."
EXPERIMENTS = (
    Experiment(
        id="S1-F1a", source="Liao et al., Figure 1a", title="The gap of the classification error shrinks with more images",
        claim="On natural labels the generalization error in classification converges to zero as the training set grows.",
        families=(SAMPLES,), judge=partial(_judge_samples, judge_natural), draw=partial(_draw_errors, False), cost="T2",
        paper_figure="Training and test error and their difference against the number of training images; the difference falls towards zero.",
        caption="One network per point; dotted: number of parameters.", errata=(LAYOUT,),
    ),
    Experiment(
        id="S1-F1b", source="Liao et al., Figure 1b", title="Random labels are fitted and do not generalize",
        claim="The same network fits randomly labelled images with zero training error, and its test error is at chance.",
        families=(SAMPLES,), judge=partial(_judge_samples, judge_random), draw=partial(_draw_errors, True), cost="T2",
        paper_figure="The same for random labels: training error near zero, test error at 0.9.",
        caption="One network per point; dotted: number of parameters.", errata=(LAYOUT,),
    ),
    Experiment(
        id="S1-F3", source="Liao et al., Figure 3", title="More parameters than images do not raise the test error",
        claim="The test error does not increase when the number of parameters grows beyond the size of the training set.",
        families=(WIDTHS,), judge=_judge_widths, draw=_draw_widths, cost="T2",
        paper_figure="Training and test error against the number of parameters at a fixed training set; flat or falling beyond its size.",
        caption="One network per width; dotted: number of training images.",
    ),
    Experiment(
        id="S1-F19", source="Liao et al., Figure 19", title="The gap of the normalized loss shrinks slowly with more images",
        claim="The difference of normalized test and training loss decreases with N, very slowly, on natural and on random labels.",
        families=(SAMPLES,), judge=partial(_judge_samples, judge_loss_gap), draw=_draw_loss_gap, cost="T2",
        paper_figure="Unnormalized losses, normalized losses and their difference against the number of training images, natural and random labels.",
        caption="One network per point; top natural, bottom random labels.",
    ),
)  # fmt: skip
