"""Liao et al., Figures 4, 13 and 14: product norm, normalized loss and test error of the same networks."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING

import numpy as np

from genscope.core.seeds import generator_for
from genscope.experiments.papers.liao_fits import (
    Net,
    column,
    converged,
    networks,
    random_scale_null,
    rank_correlation,
    shuffled_rank_correlation,
    undecided_when_few,
)
from genscope.experiments.papers.liao_pictures import draw_series
from genscope.experiments.papers.liao_protocols import CLASSES
from genscope.experiments.papers.liao_same_loss import matched
from genscope.experiments.papers.liao_series import INITIALIZATION, PRETRAINING, departures_of
from genscope.experiments.values import Check, Experiment, Family, Judgement, Size
from genscope.experiments.verdicts import check_above, check_below, check_within, judgement
from genscope.numerics.rank_correlation import spearman_rho

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from genscope.experiments.runs import Runs
    from genscope.figures.theme import Theme


@dataclass(frozen=True)
class Relation:
    """One panel: ``y`` should rise with ``x`` over the networks of a family.

    Args:
        id, where, title, claim: of the experiment.
        family: its networks.
        x, y: numbers of a network, with their words.
        threshold: Spearman's correlation must exceed it ("roughly monotone" is taken as 0.5, "monotone" as 0.8).
        null: ``scales`` where dividing by unrelated scales is the control, ``order`` where a random order is.
    """

    id: str
    where: str
    title: str
    claim: str
    family: Family
    x: str
    y: str
    x_words: str
    y_words: str
    threshold: float
    null: str
    at_reference: bool = False
    errata: tuple[str, ...] = ()

    def kept(self, nets: list[Net]) -> list[Net]:
        """The networks that count: fitted, and where asked at the reference loss."""
        return matched(nets) if self.at_reference else converged([net for net in nets if not net["random_labels"]])


def judge_relation(relation: Relation, nets: list[Net], size: Size) -> Judgement:
    """Does y rise with x, beyond what the control shows?"""
    kept = relation.kept(nets)
    n = len(kept)
    if n < 3:
        few = Check("networks that can be compared", "at least 6", float(n), runs_needed=6)
        return judgement(
            [few], f"Only {n} networks can be compared; at least six are needed for an order.", n_runs=len(nets), departures=departures_of(size)
        )
    x, y = column(kept, relation.x), column(kept, relation.y)
    rank, interval = rank_correlation(x, y)
    if relation.null == "scales":
        null, words = _scale_null(relation, kept), "the same networks, each divided by an unrelated scale"
    else:
        null, words = shuffled_rank_correlation(n), f"97.5% point of {n} networks in random order"
    checks = [
        check_above(f"Spearman of {relation.x_words} and {relation.y_words}", rank, relation.threshold, interval=interval, null=null, n_runs=n,
                    note=f"null: {words}"),
        *_shown(relation, kept, size),
    ]  # fmt: skip
    meaning = (
        f"Over {n} networks the rank correlation of {relation.x_words} and {relation.y_words} is {rank:+.2f} ({interval[0]:+.2f} to "
        f"{interval[1]:+.2f}); the control ({words}) reaches {null:+.2f}. " + _comparison(checks[1:])
    )
    return judgement(undecided_when_few(checks, n), meaning.strip(), n_runs=len(nets), departures=departures_of(size))


def _scale_null(relation: Relation, kept: list[Net]) -> float:
    """The same rank correlation when norms are replaced by unrelated ones."""
    if relation.x == "log_rho":  # normalized loss against a scale that the loss itself was divided by
        n_classes = CLASSES[str(kept[0]["data"])]
        ratio = column(kept, "train_margin")
        rng = generator_for(0, "liao", "unrelated norms")
        scales = column(kept, "log_rho")
        found = []
        for _ in range(200):
            drawn = rng.uniform(scales.min(), scales.max(), len(kept))
            found.append(spearman_rho(drawn, np.log(n_classes) - ratio * np.exp(-drawn)) or 0.0)
        return float(np.median(found))
    return random_scale_null(kept, CLASSES[str(kept[0]["data"])]).rank


def _shown(relation: Relation, kept: list[Net], size: Size) -> list[Check]:
    """Later literature beside the paper's quantity: normalized margins (Bartlett et al. 2017; Jiang et al. 2019)."""
    if relation.y.endswith("test_loss_normalized"):
        return []
    prefix = "matched_" if relation.at_reference else ""
    error = column(kept, relation.y)
    checks = []
    for name, words in (("normalized_margin_50", "median normalized margin"), ("train_loss_normalized", "normalized training loss")):
        if f"{prefix}{name}" == relation.x:
            continue
        rank, interval = rank_correlation(column(kept, f"{prefix}{name}"), error)
        checks.append(check_within(f"Spearman of {words} and {relation.y_words}", rank, (-1.0, 1.0), interval=interval, decides=False))
    if relation.at_reference:
        losses = column(kept, "matched_train_loss")
        limit = 0.023 if size == "full" else 0.333
        checks.append(check_below("largest relative distance of a training loss from the reference",
                                  float(np.max(np.abs(losses / kept[0]["reference_loss"] - 1))), limit, decides=False))  # fmt: skip
    return checks


def _comparison(checks: Sequence[Check]) -> str:
    margin = next((check for check in checks if "normalized margin" in check.statistic), None)
    return f"The median normalized margin, which later work uses, has {margin.observed:+.2f}." if margin and margin.observed is not None else ""


def _judge(relation: Relation, runs: "Runs") -> Judgement:
    return judge_relation(relation, networks(runs, relation.family), runs.size)


def _draw(relation: Relation, runs: "Runs", theme: "Theme") -> "Figure":
    from genscope.figures.theme import new_figure

    figure, axes = new_figure(theme, 5.8, 4.0)
    kept = relation.kept(networks(runs, relation.family)) or networks(runs, relation.family)
    x, y = column(kept, relation.x), column(kept, relation.y)
    good = np.isfinite(x) & np.isfinite(y)
    draw_series(axes, x[good], y[good], theme)
    varied = "std" if relation.family is INITIALIZATION else "corruption"
    for net, a, b in zip(kept, x, y, strict=True):
        if np.isfinite(a) and np.isfinite(b):
            axes.annotate(f"{net[varied]:g}", (a, b), xytext=(4, -9), textcoords="offset points", fontsize=7, color=theme.muted)
    axes.set(xlabel=relation.x_words, ylabel=relation.y_words)
    return figure


NORM, ERROR = ("product norm, ln ρ", "test error")
RELATIONS = (
    Relation("S1-F4a", "Figure 4a", "Normalized test loss rises with the product norm",
             "The normalized test loss rises with the product of the Frobenius norms of the unnormalized layers.",
             INITIALIZATION, "log_rho", "test_loss_normalized", NORM, "normalized test loss (nats)", 0.8, "scales"),
    Relation("S1-F4b", "Figure 4b", "Test error rises with the normalized test loss",
             "Test classification error is a roughly monotone function of the normalized test loss.",
             INITIALIZATION, "test_loss_normalized", "test_error", "normalized test loss (nats)", ERROR, 0.5, "scales",
             errata=("'The logistic loss is an upper bound for the classification error' is false in nats (ln 2 < 1 at f = 0); divided by ln 2 it "
                     "holds.",)),
    Relation("S1-F4c", "Figure 4c", "Test error rises with the product norm",
             "Test classification error is monotone in the product of the Frobenius norms of the layers.",
             INITIALIZATION, "log_rho", "test_error", NORM, ERROR, 0.8, "order"),
    Relation("S1-F13", "Figure 13", "At equal training loss, error rises with the product norm",
             "Among networks with the same training loss, the test error rises with the product of the Frobenius norms.",
             PRETRAINING, "matched_log_rho", "matched_test_error", NORM, ERROR, 0.8, "order", at_reference=True,
             errata=("The axis is called the product of norms; the authors' code plots its logarithm, as here.",)),
    Relation("S1-F14", "Figure 14", "Test error rises with the normalized training loss",
             "The normalized training loss orders networks by their test error.",
             PRETRAINING, "train_loss_normalized", "test_error", "normalized training loss (nats)", ERROR, 0.5, "scales",
             errata=("The excess-risk bound ψ⁻¹(L − L*) is quoted with ψ of the exponential loss; for the logistic loss in nats ψ(x) = "
                     "½[(1+x)ln(1+x) + (1−x)ln(1−x)]. Near ln C either bound exceeds 1 and says nothing.",)),
)  # fmt: skip
EXPERIMENTS = tuple(
    Experiment(
        id=relation.id,
        source=f"Liao et al., {relation.where}",
        title=relation.title,
        claim=relation.claim,
        families=(relation.family,),
        judge=partial(_judge, relation),
        draw=partial(_draw, relation),
        paper_figure=f"Scatter of {relation.y_words} against {relation.x_words}, rising.",
        caption="One point per network; numbers: " + ("standard deviation of the initial weights." if relation.family is INITIALIZATION else
                                                        "share of labels replaced during pretraining."),
        errata=relation.errata,
        cost="T2",
    )
    for relation in RELATIONS
)  # fmt: skip
