"""Liao et al., Figures 2a, 2b, 9 to 12 and 15 to 18: test against training cross-entropy, before and after normalization."""

from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING

import numpy as np

from genscope.experiments.papers.liao_fits import (
    Line,
    Net,
    column,
    converged,
    fixed_point,
    law_deviation,
    line_through,
    networks,
    random_scale_null,
    rank_correlation,
    undecided_when_few,
)
from genscope.experiments.papers.liao_pictures import LossPlot, draw_losses
from genscope.experiments.papers.liao_protocols import CLASSES
from genscope.experiments.papers.liao_series import FIVE_LAYER, INITIALIZATION, MNIST, PRETRAINING, departures_of
from genscope.experiments.values import Check, Experiment, Family, Judgement, Size
from genscope.experiments.verdicts import check_above, check_below, check_true, check_within, judgement

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from genscope.experiments.runs import Runs
    from genscope.figures.theme import Theme


@dataclass(frozen=True)
class Panel:
    """One figure: which networks, which norm, and what the paper prints.

    Args:
        id, title, where: of the experiment.
        family: its networks.
        varied: setting that differs between the networks, and its words.
        suffix: ``_normalized`` or ``_normalized_l1``.
        random_labels: whether the paper shows networks trained on random labels on the line.
        slope, intercept, r2: printed, where they are.
    """

    id: str
    title: str
    where: str
    family: Family
    varied: str
    words: str
    suffix: str = "_normalized"
    random_labels: bool = False
    slope: float | None = None
    intercept: float | None = None
    r2: float | None = None

    @property
    def log_rho(self) -> str:
        """The scale that belongs to the norm."""
        return "log_rho_l1" if self.suffix.endswith("l1") else "log_rho"


def judge_normalized(panel: Panel, nets: list[Net], size: Size) -> Judgement:
    """Slope, R² and the place of random labels, each beside the null of unrelated scales."""
    n_classes = CLASSES[str(nets[0]["data"])]
    natural = converged([net for net in nets if not net["random_labels"]])
    random = [net for net in nets if net["random_labels"]]
    train, test = (column(natural, f"{part}_loss{panel.suffix}") for part in ("train", "test"))
    line = line_through(train, test)
    null = random_scale_null(natural, n_classes, log_rho=panel.log_rho)
    if line is None:
        return judgement(
            [Check("networks on the line", "at least 3", float(len(natural)))], "There are too few networks with different losses to fit a line."
        )
    n = len(natural)
    checks = [
        check_within(
            "slope of test against training loss, normalized", line.slope, (0.8, 1.1), interval=line.slope_interval, null=null.slope,
            paper=panel.slope, n_runs=n, note="null: the same networks, each divided by an unrelated scale",
        ),
        check_above("R² of the line", line.r2, 0.95, interval=line.r2_interval, null=null.r2, paper=panel.r2, n_runs=n),
    ]  # fmt: skip
    if random and panel.random_labels:
        checks.append(_random_label_check(panel, random, line.residual_sd, [line.at(x) for x in column(random, f"train_loss{panel.suffix}")]))
    shown = _shown(panel, natural, n_classes, line, null.rank, null.rank_above)
    checks += shown
    if natural[0]["network"] == "five-layer-bn":
        checks.append(_bias_check(natural))
    slope_ratio = float(np.median(column(natural, "test_margin") / column(natural, "train_margin")))
    meaning = (
        f"{n} networks lie on a line of slope {line.slope:.3f} ({line.slope_interval[0]:.3f} to {line.slope_interval[1]:.3f}) with R² {line.r2:.4f}. "
        f"Divided by scales that have nothing to do with them, the same networks give slope {null.slope:.3f} and R² {null.r2:.4f}: close to the "
        f"constant loss ln {n_classes}, every scaling puts networks on a line, whose slope is the ratio of test to training margins (median "
        f"{slope_ratio:.3f} here). What the line could tell is the order of the networks: the rank correlation of normalized training loss and "
        f"test error is {shown[-1].observed or 0.0:+.2f}."
    )
    if size == "small" and slope_ratio < 0.8:
        meaning += (
            " After a thousand training images test margins lag far behind training margins, and so does the slope: it measures generalization and "
            "is no constant. The paper's networks saw fifty times as many."
        )
    return judgement(undecided_when_few(checks, n), meaning, n_runs=len(nets), departures=departures_of(size))


def _random_label_check(panel: Panel, random: list[Net], sd: float, expected: list[float]) -> Check:
    gaps = np.abs(column(random, f"test_loss{panel.suffix}") - np.array(expected))
    far = float(gaps.max() / sd) if sd > 0 else None
    chance = float(np.mean(column(random, "test_error")))
    return check_below(
        "distance of the random-label network from the line, in residual standard deviations", far, 3.0, note=f"its test error is {chance:.3f}"
    )


def _shown(panel: Panel, natural: list[Net], n_classes: int, line: Line, null_rank: float, null_above: float) -> list[Check]:
    """What explains the line (the first-order law) and what would be news (the rank correlation with the error)."""
    train = column(natural, f"train_loss{panel.suffix}")
    paper = None if panel.slope is None or panel.intercept is None else panel.intercept / (1 - panel.slope)
    rank, interval = rank_correlation(train, column(natural, "test_error"))
    return [
        check_within(
            "intercept/(1 − slope), ln C by the first-order law", fixed_point(line), (np.log(n_classes) - 0.03, np.log(n_classes) + 0.03),
            paper=paper, decides=False,
        ),
        check_below(
            "largest relative deviation from (L_test − ln C)/(L_train − ln C) = m_test/m_train",
            law_deviation(natural, n_classes, panel.suffix), 0.01, decides=False,
        ),
        check_above(
            "Spearman of normalized training loss and test error", rank, 0.0, interval=interval, null=null_rank, n_runs=len(natural), decides=False,
            note=f"97.5% point of the null {null_above:+.2f}",
        ),
    ]  # fmt: skip


def _bias_check(natural: list[Net]) -> Check:
    change = float(np.mean(column(natural, "test_error_biases_left") - column(natural, "test_error")))
    return check_true(
        "test error when the folded biases are not divided equals the network's", abs(change) < 1e-9,
        note=f"it changes by {change:+.3f} on average", decides=False,
    )  # fmt: skip


def judge_raw(nets: list[Net], size: Size) -> Judgement:
    """No relation between the losses of networks as they are."""
    natural = converged([net for net in nets if not net["random_labels"]])
    train, test = column(natural, "train_loss"), column(natural, "test_loss")
    line = line_through(train, test)
    rank, interval = rank_correlation(train, test)
    related = line_through(column(natural, "train_loss_normalized"), column(natural, "test_loss_normalized"))
    printed_sign = float(np.median(column(natural, "train_loss_printed_sign")))
    checks = [
        check_below(
            "R² of test against training loss, as trained", line.r2 if line else None, 0.5, interval=line.r2_interval if line else None,
            null=related.r2 if related else None, n_runs=len(natural), note="control: the same networks after normalization",
        ),
        check_true("training error 0 for every network", all(net["train_error"] == 0 for net in natural), decides=False),
        check_within("Spearman of test and training loss", rank, (-1.0, 1.0), interval=interval, decides=False),
    ]  # fmt: skip
    meaning = (
        f"Among {len(natural)} networks that fit their training data, the training loss explains {line.r2 if line else float('nan'):.0%} of the "
        f"spread of the test loss. With the sign as printed in Equations 9 and 10, exp(−f), the median training loss of these networks would be "
        f"{printed_sign:.1f} instead of {float(np.median(train)):.4f}."
    )
    extra = ("All networks stop near one training loss, which narrows the horizontal range.",) if size != "full" else ()
    return judgement(undecided_when_few(checks, len(natural)), meaning, n_runs=len(nets), departures=(*departures_of(size), *extra))


def _judge_panel(panel: Panel, runs: "Runs") -> Judgement:
    return judge_normalized(panel, networks(runs, panel.family), runs.size)


def _judge_raw(family: Family, runs: "Runs") -> Judgement:
    return judge_raw(networks(runs, family), runs.size)


def _plot(nets: list[Net], panel: Panel, suffix: str, *, null: bool) -> LossPlot:
    natural = converged([net for net in nets if not net["random_labels"]])
    random = [net for net in nets if net["random_labels"]] if panel.random_labels else []
    train, test = column(natural, f"train_loss{suffix}"), column(natural, f"test_loss{suffix}")
    control = random_scale_null(natural, CLASSES[str(nets[0]["data"])], log_rho=panel.log_rho).points if null else None
    line = line_through(train, test) if null else None
    labels = [f"{net[panel.varied]:g}" for net in natural]
    return LossPlot(
        train, test, labels, column(random, f"train_loss{suffix}"), column(random, f"test_loss{suffix}"), control,
        None if line is None else (line.intercept, line.slope),
    )  # fmt: skip


def _draw_panel(panel: Panel, runs: "Runs", theme: "Theme") -> "Figure":
    from genscope.figures.theme import new_figure

    figure, (left, right) = new_figure(theme, 9.6, 4.2, cols=2)
    nets = networks(runs, panel.family)
    draw_losses(left, _plot(nets, panel, panel.suffix, null=True), theme)
    left.set(title="normalized networks", xlabel="training cross-entropy (nats)", ylabel="test cross-entropy (nats)")
    draw_losses(right, _plot(nets, panel, "", null=False), theme, diagonal=False)
    right.set(title="networks as trained", xlabel="training cross-entropy (nats)", ylabel="test cross-entropy (nats)")
    return figure


def _draw_raw(panel: Panel, runs: "Runs", theme: "Theme") -> "Figure":
    from genscope.figures.theme import new_figure

    figure, axes = new_figure(theme, 5.6, 4.2)
    draw_losses(axes, _plot(networks(runs, panel.family), panel, "", null=False), theme, diagonal=False)
    axes.set(xlabel="training cross-entropy (nats)", ylabel="test cross-entropy (nats)")
    return figure


STD, SHARE = ("std", "standard deviation of the initial weights"), ("corruption", "share of labels replaced during pretraining")
_CIFAR10, _CIFAR100 = ("cifar10", "CIFAR-10"), ("cifar100", "CIFAR-100")
PANELS = (
    Panel("S1-F2b", "Normalized test loss is the normalized training loss plus a constant", "Figure 2b", INITIALIZATION, *STD, random_labels=True,
          slope=1.0),
    Panel("S1-F9", "The line does not depend on the norm: L1", "Figure 9", PRETRAINING, *SHARE, suffix="_normalized_l1", slope=0.8358,
          intercept=0.3783, r2=0.9998),
    Panel("S1-F10", "The line with the Frobenius norm, whatever the training loss", "Figure 10", PRETRAINING, *SHARE, slope=0.836, intercept=0.377,
          r2=0.9998),
    Panel("S1-F11", "Batch-normalized networks after corrupted pretraining", "Figure 11", FIVE_LAYER["cifar10", "pretraining"], *SHARE),
    Panel("S1-F12", "Batch-normalized networks from wider initial weights", "Figure 12", FIVE_LAYER["cifar10", "initialization"], *STD,
          random_labels=True),
    Panel("S1-F15", "The line on MNIST", "Figure 15", MNIST, *STD, slope=1.0075, intercept=-0.0174, r2=1.0),
    Panel("S1-F16", "The line on MNIST with networks trained on random labels", "Figure 16", MNIST, *STD, random_labels=True, slope=1.0083,
          intercept=-0.0191, r2=1.0),
    Panel("S1-F17", "Corrupted pretraining on CIFAR-100", "Figure 17", FIVE_LAYER["cifar100", "pretraining"], *SHARE),
    Panel("S1-F18", "Wider initial weights on CIFAR-100", "Figure 18", FIVE_LAYER["cifar100", "initialization"], *STD, random_labels=True),
)  # fmt: skip
ERRATA = {
    "S1-F2b": (
        "The text calls the slope one; the paper's own fits of the same kind (Figures 9 and 10) give 0.836. The slope is the ratio of test to "
        "training margins, and is one only where the two agree.",
        "Equations 5 and 6 drop the constant c₁ of Equation 3; nothing measured here depends on it.",
        "The text refers to Equation 5 where it means 6, and to Figures 8 and 9 where it means 10 and 4.",
    ),
    "S1-F11": (
        "Biases that come from folded batch normalizations must be divided by the product of the norms of all layers up to theirs; else the "
        "normalized network is another function and its error changes (last check).",
        "Zero training error is assumed; networks with augmentation or batch normalization keep about 0.05%.",
    ),
    "S1-F16": (
        "The caption says CIFAR-10 and section L.1.1; section, epochs and fit belong to MNIST and L.1.2, which is what is run here. The printed RMSE "
        "9.1093e-5 has the digits of Figure 15's 9.1093e-4; one of the two is a copying error.",
    ),
    "S1-F9": ("The printed slope is 0.836, not one.",),
    "S1-F10": ("The printed slope is 0.836, not one.",),
}


def _experiment(panel: Panel) -> Experiment:
    claim = (
        "After dividing every layer by its norm, test loss against training loss is a line (of slope one in the text"
        + (f", {panel.slope:g} as printed" if panel.slope and panel.slope != 1.0 else "")
        + "): training predicts test loss tightly"
        + (", also for networks trained on random labels." if panel.random_labels else ".")
    )
    return Experiment(
        id=panel.id,
        source=f"Liao et al., {panel.where}",
        title=panel.title,
        claim=claim,
        families=(panel.family,),
        judge=partial(_judge_panel, panel),
        draw=partial(_draw_panel, panel),
        paper_figure="Scatter of test against training cross-entropy, one point per network, with a fitted line just off the diagonal.",
        caption=f"One point per network; numbers: {panel.words}. Crosses: the null control. Right: the same networks before normalization.",
        errata=ERRATA.get(panel.id, ()),
        cost="T2",
    )


EXPERIMENTS = (
    Experiment(
        id="S1-F2a",
        source="Liao et al., Figure 2a",
        title="Unnormalized test and training loss are unrelated",
        claim="There is no clear relation between training and test cross-entropy of networks that differ in their initial weights.",
        families=(INITIALIZATION,),
        judge=partial(_judge_raw, INITIALIZATION),
        draw=partial(_draw_raw, PANELS[0]),
        paper_figure="Scatter of test against training cross-entropy of networks from 25 initializations, without visible order.",
        caption="One point per network; numbers: standard deviation of the initial weights.",
        errata=(
            "Equations 9 and 10 print the softmax as exp(−f); it must be exp(+f), as the paper's own margins assume.",
            "Equations 10 and 11 lack the factor 1/N of a mean loss.",
        ),
        cost="T2",
    ),
    *(_experiment(panel) for panel in PANELS),
)
