"""Liao et al., Figure 20: why normalized losses are close to ln C."""

import math
from typing import TYPE_CHECKING

import numpy as np

from genscope.experiments.papers.liao_fits import Net, column, converged, expanded_loss, networks
from genscope.experiments.papers.liao_protocols import CLASSES
from genscope.experiments.papers.liao_series import MNIST, departures_of
from genscope.experiments.values import Experiment, Judgement, Size
from genscope.experiments.verdicts import check_below, check_within, judgement

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from genscope.experiments.runs import Runs
    from genscope.figures.theme import Theme

# Printed: mean and standard deviation of the largest output, normalized and not.
PRINTED = (0.026683, 0.007144, 60.564373, 16.214078)


def reference(nets: list[Net]) -> Net:
    """The network whose product norm is closest to the printed one, 60.564373/0.026683 = 2,270."""
    natural = converged([net for net in nets if not net["random_labels"]])
    return min(natural, key=lambda net: abs(net["log_rho"] - math.log(PRINTED[2] / PRINTED[0])))


def judge_histogram(nets: list[Net], size: Size) -> Judgement:
    """The largest normalized outputs are near zero, so the loss is near ln C; any large divisor does that."""
    net = reference(nets)
    log_c = math.log(CLASSES[str(net["data"])])
    rho = math.exp(net["log_rho"])
    unrelated = expanded_loss(column([net], "train_margin"), column([net], "train_spread"), np.array([math.log(1e3)]), CLASSES[str(net["data"])])
    printed_ratio = (PRINTED[2] / PRINTED[0]) / (PRINTED[3] / PRINTED[1])
    checks = [
        check_below("mean largest output of the normalized network", net["top_mean_normalized"], 0.1, null=net["top_mean"] / 1e3, paper=PRINTED[0],
                    note="null: the same network divided by 1,000"),
        check_within("normalized training loss − ln C (nats)", net["train_loss_normalized"] - log_c, (-0.1, 0.0), null=float(unrelated[0]) - log_c),
        check_within("ratio of the means over ratio of the standard deviations, 1 for one common factor",
                     (net["top_mean"] / net["top_mean_normalized"]) / (net["top_sd"] / net["top_sd_normalized"]), (0.999, 1.001), null=1.0,
                     paper=printed_ratio),
        check_within("product norm", rho, (0.0, math.inf), paper=PRINTED[2] / PRINTED[0], decides=False),
    ]  # fmt: skip
    meaning = (
        f"The largest output of the network with product norm {rho:,.0f} is {net['top_mean']:.1f} ± {net['top_sd']:.1f} over the training images and "
        f"{net['top_mean_normalized']:.4f} ± {net['top_sd_normalized']:.4f} after normalization; its normalized loss is "
        f"{net['train_loss_normalized']:.4f}, ln C is {log_c:.4f}. The printed numbers agree with one factor of 2,270 between both. Dividing by "
        f"1,000, which is no norm of anything, gives the same picture."
    )
    return judgement(checks, meaning, n_runs=1, departures=departures_of(size))


def _judge(runs: "Runs") -> Judgement:
    return judge_histogram(networks(runs, MNIST), runs.size)


def _draw(runs: "Runs", theme: "Theme") -> "Figure":
    from genscope.figures.theme import new_figure

    net = reference(networks(runs, MNIST))
    cell = next(cell for cell in runs.cells(MNIST) if cell.settings["std"] == net["std"] and not cell.settings["random_labels"])
    arrays = runs.arrays(cell, MNIST)
    figure, axes = new_figure(theme, 5.8, 3.8)
    edges = arrays["top_edges"] * math.exp(-net["log_rho"])
    axes.stairs(arrays["top_counts"], edges, fill=True, color=theme.cycle[0], alpha=0.8)
    axes.axvline(net["top_mean_normalized"], color=theme.cycle[1], linewidth=1.2)
    axes.set(xlabel="largest output of the normalized network", ylabel="training images")
    return figure


EXPERIMENTS = (
    Experiment(
        id="S1-F20",
        source="Liao et al., Figure 20",
        title="Normalized outputs are close to zero",
        claim="The largest outputs of the normalized network are near zero (0.027 ± 0.007 on MNIST), which puts its cross-entropy near ln 10.",
        families=(MNIST,),
        judge=_judge,
        draw=_draw,
        paper_figure="Histogram of the largest normalized output over the 50,000 training images of MNIST, from about 0.01 to 0.06.",
        caption="Training images per bin; the line marks the mean. The network whose product norm is closest to the printed 2,270.",
        cost="T2",
    ),
)
