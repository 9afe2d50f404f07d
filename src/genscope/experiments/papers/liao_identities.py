"""What Liao et al. use without proof, checked exactly: homogeneity, a loss that falls with the norm, and folded batch normalization."""

import math
from dataclasses import asdict
from typing import TYPE_CHECKING

import numpy as np

from genscope.experiments.papers.liao_protocols import Schedule
from genscope.experiments.papers.liao_series import SMOKE_DATA
from genscope.experiments.values import Cell, Experiment, Family, Judgement, Outcome, Size
from genscope.experiments.verdicts import check_above, check_below, check_within, judgement

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from genscope.experiments.context import Context
    from genscope.experiments.runs import Runs
    from genscope.figures.theme import Theme

NORMS = (1.0, 2.0, 3.0, math.inf)
KINDS = ("three-layer-24", "five-layer-16", "five-layer-bn")
SEEDS = {"smoke": 1, "small": 3, "full": 10}
RHOS = np.logspace(-2, 3, 101)


def _cells(size: Size) -> list[Cell]:
    base = {**SMOKE_DATA, "schedule": asdict(Schedule(epochs=40, learning_rate=0.03, batch_size=10, stop_at_loss=0.02)), "kernel": 3}
    widths = {"three-layer-24": [8, 8], "five-layer-16": [12], "five-layer-bn": [6, 8, 8, 12]}
    return [
        Cell(f"{kind}, seed {seed}", {**base, "network": kind, "widths": widths[kind], "seed": seed}) for kind in KINDS for seed in range(SEEDS[size])
    ]


def _run(cell: Cell, context: "Context") -> Outcome:
    from genscope.experiments.papers.liao_identity_runs import measure_identities

    return measure_identities(cell, context, NORMS, RHOS)


IDENTITIES = Family("liao-identities", 1, _cells, _run)


def judge_homogeneity(rows: list[dict[str, float]]) -> Judgement:
    """f = ρ f̃ and the same answers for every norm."""
    worst = max(row[f"identity_error_{p:g}"] for row in rows for p in NORMS)
    changed = max(row[f"argmax_changed_{p:g}"] for row in rows for p in NORMS)
    checks = [
        check_below("largest relative difference of f and ρ f̃, L1, L2, L3 and L∞", worst, 1e-12, null=max(row["identity_error_tanh"] for row in rows),
                    note="control: a tanh network, which is not homogeneous"),
        check_below("largest share of answers that change", changed, 1e-12, null=max(row["argmax_changed_tanh"] for row in rows)),
    ]  # fmt: skip
    meaning = (
        f"In {len(rows)} trained networks (convolutions with a first bias, with biases everywhere, and with folded batch normalization) f equals ρ f̃ "
        f"to {worst:.1e} for four norms and no answer changes. A tanh network treated alike is off by {checks[0].null:.2f}."
    )
    return judgement(checks, meaning, n_runs=len(rows))


def judge_monotone(rows: list[dict[str, float]]) -> Judgement:
    """On separated data the loss falls with every larger ρ."""
    rise = max(row["largest_rise"] for row in rows)
    control = max(row["largest_rise_control"] for row in rows)
    logistic = math.log(2.0)
    checks = [
        check_below("largest rise of the loss between neighbouring ρ from 0.01 to 1,000", rise, 1e-15, null=control,
                    note="control: the same with one example on the wrong side"),
        check_above("logistic loss at f = 0, which should be at least the error 1", logistic / math.log(2.0), 1.0 - 1e-12, decides=False,
                    note=f"in bits; in nats it is {logistic:.3f} and bounds nothing there"),
    ]  # fmt: skip
    meaning = (
        "On the correctly classified examples of every network the cross-entropy falls monotonically when all outputs are multiplied by a growing "
        f"number; with a single example on the wrong side it rises by up to {control:.2g} between neighbouring factors."
    )
    return judgement(checks, meaning, n_runs=len(rows))


def judge_folding(rows: list[dict[str, float]]) -> Judgement:
    """Absorbed batch normalization is the same function."""
    found = [row for row in rows if row.get("folding_error") is not None]
    worst = max(row["folding_error"] for row in found)
    change = float(np.mean([row["error_biases_left"] - row["error_folded"] for row in found]))
    checks = [
        check_below("largest relative difference of folded and unfolded outputs (float32)", worst, 1e-5,
                    null=min(row["folding_error_control"] for row in found), note="control: running means forgotten"),
        check_within("change of the test error when later biases are not divided by the running product of norms", change, (-1e-12, 1e-12),
                     decides=False),
    ]  # fmt: skip
    meaning = (
        f"Folding reproduces the network to {worst:.1e}. The folded biases then need care: left as they are while weights are divided by their "
        f"norms, they change the test error by {change:+.2f}."
    )
    return judgement(checks, meaning, n_runs=len(found))


def _rows(runs: "Runs") -> list[dict[str, float]]:
    return [dict(numbers) for _, numbers in runs.table(IDENTITIES)]


def _draw_monotone(runs: "Runs", theme: "Theme") -> "Figure":
    from genscope.figures.theme import new_figure, style_legend

    figure, axes = new_figure(theme, 5.8, 3.9)
    for index, cell in enumerate(runs.cells(IDENTITIES)):
        arrays = runs.arrays(cell, IDENTITIES)
        for name, color, label in (("loss", 0, "separated"), ("loss_control", 1, "one example on the wrong side (control)")):
            axes.plot(RHOS, np.maximum(arrays[name], 1e-16), color=theme.cycle[color], linewidth=1.0, label=label if index == 0 else None)
    axes.set(xscale="log", yscale="log", ylim=(1e-8, 100), xlabel="ρ, in units of the largest output", ylabel="cross-entropy (nats)")
    style_legend(axes, theme)
    return figure


def _draw_identity(runs: "Runs", theme: "Theme") -> "Figure":
    from genscope.figures.theme import MARKERS, new_figure, style_legend

    figure, axes = new_figure(theme, 5.8, 3.6)
    names = [f"{p:g}" for p in NORMS]
    for index, kind in enumerate(KINDS):
        values = [max(numbers[f"identity_error_{p}"] for settings, numbers in runs.table(IDENTITIES) if settings["network"] == kind) for p in names]
        axes.plot(range(len(names)), np.maximum(values, 1e-17), marker=MARKERS[index], color=theme.cycle[index], label=kind)
    axes.axhline(max(row["identity_error_tanh"] for row in _rows(runs)), color=theme.muted, linestyle="--", label="tanh network (control)")
    axes.set_xticks(range(len(names)), [f"L{name}".replace("inf", "∞") for name in names])
    axes.set(yscale="log", ylim=(1e-17, 10), xlabel="norm", ylabel="relative difference of f and ρ f̃")
    style_legend(axes, theme, loc="center right")
    return figure


EXPERIMENTS = (
    Experiment(
        id="S1-T1", source="Liao et al., Equation 1", title="Layer normalization divides a ReLU network by the product of its norms",
        claim="f(W₁…W_K; x) = ρ₁⋯ρ_K f̃(x) for layerwise normalization under any norm; classification does not change.",
        families=(IDENTITIES,), judge=lambda runs: judge_homogeneity(_rows(runs)), draw=_draw_identity, cost="T0",
        caption="Largest relative difference over the test images, worst of the networks of a kind.",
        errata=("With biases beyond the first layer (folded batch normalization) each bias must be divided by the product of the norms up to it.",),
    ),
    Experiment(
        id="S1-T2", source="Liao et al., appendix A", title="On separable data the loss falls with the norm",
        claim="For separable data the cross-entropy decreases monotonically with ρ.",
        families=(IDENTITIES,), judge=lambda runs: judge_monotone(_rows(runs)), draw=_draw_monotone, cost="T0",
        caption="Cross-entropy of the correctly classified training images when all outputs are multiplied by ρ.",
        errata=("'The logistic loss is an upper bound for the classification error' holds in bits, not in nats: ln 2 < 1 at f = 0.",
                "Equation 11 is a sum and lacks the factor 1/N of a mean."),
    ),
    Experiment(
        id="S1-T3", source="Liao et al., Figure 5", title="Batch normalization can be absorbed into weights and biases",
        claim="After training, batch normalization is absorbed into weights and biases without changing the network.",
        families=(IDENTITIES,), judge=lambda runs: judge_folding(_rows(runs)), cost="T0",
        errata=("The absorbed biases break f = ρ f̃ unless b_k is divided by the product of the norms of layers 1 to k.",),
    ),
)  # fmt: skip
