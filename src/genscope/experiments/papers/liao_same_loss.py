"""Liao et al., Figures 5 to 8: equal training loss, unequal generalization."""

from functools import partial
from typing import TYPE_CHECKING

import numpy as np

from genscope.experiments.papers.liao_fits import Net, column, networks, rank_correlation, shuffled_rank_correlation, undecided_when_few
from genscope.experiments.papers.liao_pictures import draw_series
from genscope.experiments.papers.liao_series import FIVE_LAYER, departures_of
from genscope.experiments.values import Check, Experiment, Family, Judgement, Size
from genscope.experiments.verdicts import check_above, check_below, judgement

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from genscope.experiments.runs import Runs
    from genscope.figures.theme import Theme


def matched(nets: list[Net]) -> list[Net]:
    """Networks on natural labels whose snapshot came within a third of the reference loss."""
    found = []
    for net in nets:
        loss = net.get("matched_train_loss")
        if not net["random_labels"] and loss is not None and abs(np.log(loss / net["reference_loss"])) < np.log(4 / 3):
            found.append(net)
    return found


def judge_same_loss(nets: list[Net], varied: str, words: str, size: Size) -> Judgement:
    """At equal training loss, does the test error rise with what was varied?"""
    kept = matched(nets)
    n = len(kept)
    if n < 3:
        missing = Check("networks at the reference training loss", "at least 6", float(n), runs_needed=6)
        return judgement(
            [missing],
            f"Only {n} networks reached the reference training loss; at least six are needed.",
            n_runs=len(nets),
            departures=departures_of(size),
        )
    x, error, loss = column(kept, varied), column(kept, "matched_test_error"), column(kept, "matched_test_loss")
    chance = shuffled_rank_correlation(n)
    checks = []
    for name, values in (("test error", error), ("test loss", loss)):
        rank, interval = rank_correlation(x, values)
        note = f"null: 97.5% point of {n} networks in random order"
        checks.append(check_above(f"Spearman of {words} and {name}", rank, 0.8, interval=interval, null=chance, n_runs=n, note=note))
    reached = column(kept, "matched_train_loss")
    spread = float(reached.max() / reached.min() - 1.0)
    checks.append(check_below("spread of the training losses of the snapshots, (max − min)/min", spread, 0.78, decides=False))
    checks.append(check_below("largest training error of the snapshots", float(column(kept, "matched_train_error").max()), 0.001, decides=False))
    meaning = (
        f"{n} networks are compared at a training loss of {float(np.median(reached)):.4f}. Their test errors run from {error.min():.3f} to "
        f"{error.max():.3f}; the rank correlation with the {words} is {checks[0].observed:+.2f} for the error and {checks[1].observed:+.2f} for "
        f"the loss. Networks in random order reach {chance:+.2f} one time in forty."
    )
    return judgement(undecided_when_few(checks, n), meaning, n_runs=len(nets), departures=departures_of(size))


def _judge(family: Family, varied: str, words: str, runs: "Runs") -> Judgement:
    return judge_same_loss(networks(runs, family), varied, words, runs.size)


def _draw(family: Family, varied: str, words: str, runs: "Runs", theme: "Theme") -> "Figure":
    from genscope.figures.theme import new_figure, style_legend

    figure, (left, right) = new_figure(theme, 9.2, 3.9, cols=2)
    nets = networks(runs, family)
    kept = matched(nets) or [net for net in nets if not net["random_labels"]]
    prefix = "matched_" if matched(nets) else ""
    x = column(kept, varied)
    for axes, name, unit in ((left, "loss", "cross-entropy (nats)"), (right, "error", "classification error")):
        for color, part in enumerate(("train", "test")):
            draw_series(axes, x, column(kept, f"{prefix}{part}_{name}"), theme, color=color, label=part, line=True)
        axes.set(xlabel=words, ylabel=unit)
        if varied == "std":
            axes.set_xscale("log")
        style_legend(axes, theme)
    return figure


def _experiment(figure: int, data: str, title: str, kind: str, varied: str, words: str) -> Experiment:
    family = FIVE_LAYER[data, kind]
    title_of_data = {"cifar10": "CIFAR-10", "cifar100": "CIFAR-100"}[data]
    return Experiment(
        id=f"S1-F{figure}",
        source=f"Liao et al., Figure {figure}",
        title=f"{title}, {title_of_data}",
        claim=f"At the same training loss and zero training error, networks generalize the worse, the larger the {words}.",
        families=(family,),
        judge=partial(_judge, family, varied, words),
        draw=partial(_draw, family, varied, words),
        paper_figure="Training and test loss (left) and error (right) against what was varied: flat in training, rising in test.",
        caption="Snapshots closest to the reference training loss, one network per point.",
        errata=(
            "The labels are said to be swapped with each other; the authors' code replaces each by a uniformly random class with probability p, so "
            "only p·(1 − 1/C) of them change.",
        )
        if varied == "corruption"
        else (),
        cost="T2",
    )


PRETRAINED = ("pretraining", "corruption", "share of labels replaced during pretraining")
INITIALIZED = ("initialization", "std", "standard deviation of the initial weights")
EXPERIMENTS = (
    _experiment(5, "cifar10", "Pretraining on corrupted labels", *PRETRAINED),
    _experiment(6, "cifar10", "Wider initial weights", *INITIALIZED),
    _experiment(7, "cifar100", "Pretraining on corrupted labels", *PRETRAINED),
    _experiment(8, "cifar100", "Wider initial weights", *INITIALIZED),
)
