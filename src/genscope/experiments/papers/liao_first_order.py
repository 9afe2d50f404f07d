"""The first-order law behind Liao et al.'s lines, and what unrelated scales alone produce."""

import math
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

from genscope.experiments.values import Cell, Experiment, Family, Judgement, Outcome, Size
from genscope.experiments.verdicts import check_above, check_below, check_within, judgement
from genscope.measures.first_order_law import mean_centred_margin
from genscope.numerics.rank_correlation import spearman_rho
from genscope.numerics.regression import fit_line

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from genscope.experiments.context import Context
    from genscope.experiments.runs import Runs
    from genscope.figures.theme import Theme

CLASSES = 10
# (figure, slope, intercept, R², RMSE) as printed by Liao et al.
PUBLISHED = (
    ("9", 0.8358, 0.3783, 0.9998, 5.6567e-5),
    ("10", 0.836, 0.377, 0.9998, 4.7651e-5),
    ("15", 1.0075, -0.0174, 1.0, 9.1093e-4),
    ("16", 1.0083, -0.0191, 1.0, 9.1093e-5),
)
SPREADS = {"equal": (0.07, 0.09), "unequal": (0.07, 0.35)}
SCALES = (1e3, 5e3)
N_NETWORKS = 24
REPEATS = {"smoke": 5, "small": 40, "full": 200}
EXAMPLES = {"smoke": 1000, "small": 4000, "full": 10_000}


def _cells(size: Size) -> list[Cell]:
    cells = [
        Cell(f"{name} errors, figure {repeat}", {"errors": list(bounds), "n": EXAMPLES[size], "repeat": repeat, "scales": list(SCALES)})
        for name, bounds in SPREADS.items()
        for repeat in range(REPEATS[size])
    ]
    far = {"errors": list(SPREADS["equal"]), "n": EXAMPLES[size], "repeat": 0, "scales": [1.0, 5.0]}
    return [*cells, Cell("outputs of order one", far)]


def simulated_logits(n: int, error: float, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """Logits [n, 10] of one distribution that fits its labels, and labels of which a share ``error`` is then the runner-up's."""
    labels = rng.integers(0, CLASSES, n)
    logits = rng.standard_normal((n, CLASSES))
    rows = np.arange(n)
    others = logits.copy()
    others[rows, labels] = -np.inf
    logits[rows, labels] += 7.0
    wrong = rng.random(n) < error
    return 2.5 * logits, np.where(wrong, others.argmax(axis=1), labels)


def simulate_figure(settings: Mapping[str, Any], rng: np.random.Generator) -> dict[str, np.ndarray]:
    """24 networks of one logit distribution, each divided by a scale that has nothing to do with it."""
    low, high = settings["errors"]
    rows = []
    for _ in range(N_NETWORKS):
        error, scale = rng.uniform(low, high), rng.uniform(*settings["scales"])
        found = []
        for share in (0.0, error):
            logits, labels = simulated_logits(settings["n"], share, rng)
            found += [cross_entropy(logits / scale, labels), mean_centred_margin(logits, labels)]
        rows.append((found[0], found[2], found[1], found[3], error))
    return dict(zip(("train", "test", "train_margin", "test_margin", "error"), np.array(rows).T, strict=True))


def cross_entropy(logits: np.ndarray, labels: np.ndarray) -> float:
    """Mean cross-entropy in nats."""
    from scipy.special import logsumexp

    return float(np.mean(logsumexp(logits, axis=1) - logits[np.arange(len(labels)), labels]))


def _run(cell: Cell, context: "Context") -> Outcome:
    found = simulate_figure(cell.settings, context.rng("first order law", cell.name))
    fit = fit_line(found["train"], found["test"])
    assert fit is not None
    log_c = math.log(CLASSES)
    measured = (found["test"] - log_c) / (found["train"] - log_c)
    predicted = found["test_margin"] / found["train_margin"]
    numbers = {
        "slope": fit.slope, "intercept": fit.intercept, "r2": fit.r2, "rmse": fit.rmse, "fixed_point": fit.intercept / (1 - fit.slope),
        "spearman": spearman_rho(found["train"], found["error"]), "law_deviation": float(np.max(np.abs(measured / predicted - 1))),
        "margin_ratio": float(np.median(predicted)),
    }  # fmt: skip
    return Outcome(numbers, {name: found[name] for name in ("train", "test")} if cell.settings["repeat"] == 0 else {})


FIGURES = Family("liao-simulated-figures", 1, _cells, _run)


def _select(runs: "Runs", errors: str, name: str, far: bool = False) -> np.ndarray:
    scales = [1.0, 5.0] if far else list(SCALES)
    return runs.column(FIGURES, name, errors=list(SPREADS[errors]), scales=scales)


def judge_law(fixed: np.ndarray, deviations: np.ndarray, far_deviation: float, far_fixed: float) -> Judgement:
    """T4: every line, simulated or published, meets the diagonal at ln C, and every point lies where its margins put it."""
    log_c = math.log(CLASSES)
    printed = [intercept / (1 - slope) for _, slope, intercept, _, _ in PUBLISHED]
    checks = [
        check_below("largest |intercept/(1 − slope) − ln 10| of the four published lines", max(abs(value - log_c) for value in printed), 0.03,
                    null=abs(far_fixed - log_c), note="control: simulated networks whose outputs are of order one"),
        check_below("median |intercept/(1 − slope) − ln 10| of simulated lines", float(np.median(np.abs(fixed - log_c))), 0.03,
                    null=abs(far_fixed - log_c)),
        check_below("largest relative deviation of (L_test − ln C)/(L_train − ln C) from m_test/m_train", float(deviations.max()), 0.01,
                    null=far_deviation),
    ]  # fmt: skip
    meaning = (
        "The four published lines meet the diagonal at "
        + ", ".join(f"{value:.4f} (Figure {figure})" for value, (figure, *_) in zip(printed, PUBLISHED, strict=True))
        + f"; ln 10 is {log_c:.4f}. In simulated networks each point is put there by its two margins to {deviations.max():.2%}. For outputs of order "
        f"one the law fails ({far_deviation:.0%}): it is the expansion of the loss around equal probabilities, and knows nothing of generalization."
    )
    return judgement(checks, meaning, n_runs=len(fixed))


def judge_null(equal: dict[str, np.ndarray], unequal: dict[str, np.ndarray]) -> Judgement:
    """T5: unrelated scales match the published fits."""
    printed_r2, printed_rmse = PUBLISHED[1][3], PUBLISHED[1][4]
    middle = {name: float(np.median(values)) for name, values in equal.items()}
    ends = {name: (float(np.quantile(values, 0.025)), float(np.quantile(values, 0.975))) for name, values in equal.items()}
    other = float(np.median(unequal["r2"]))
    checks = [
        check_above("R² of 24 networks with errors of 7 to 9%, each divided by an unrelated scale", middle["r2"], 0.999, interval=ends["r2"],
                    paper=printed_r2, n_runs=len(equal["r2"])),
        check_within("slope of that line", middle["slope"], (0.8, 1.1), interval=ends["slope"], paper=PUBLISHED[1][1], n_runs=len(equal["r2"])),
        check_below("RMSE of that line (nats)", middle["rmse"], 1e-4, interval=ends["rmse"], paper=printed_rmse, n_runs=len(equal["r2"])),
        check_within("Spearman of normalized training loss and test error, unrelated scales", middle["spearman"], (-0.6, 0.6),
                     interval=ends["spearman"]),
        check_within("R² with errors of 7 to 35%", other, (0.0, 1.0), decides=False, note="a wider range of errors loosens the line"),
    ]  # fmt: skip
    meaning = (
        f"Networks that share one distribution of outputs and are divided by unrelated numbers between 1,000 and 5,000 give R² {middle['r2']:.4f}, "
        f"slope {middle['slope']:.3f} and RMSE {middle['rmse']:.1e}: the published R² {printed_r2} and RMSE {printed_rmse:.1e} are what noise gives. "
        f"With errors from 7 to 35% R² is {other:.2f}. Evidence would be a rank correlation with the test error, which unrelated scales do not have "
        f"(median {middle['spearman']:+.2f})."
    )
    return judgement(checks, meaning, null_passed=False, n_runs=len(equal["r2"]))


def _judge_law(runs: "Runs") -> Judgement:
    deviations = np.concatenate([_select(runs, name, "law_deviation") for name in SPREADS])
    far = _select(runs, "equal", "law_deviation", far=True)[0], _select(runs, "equal", "fixed_point", far=True)[0]
    return judge_law(_select(runs, "equal", "fixed_point"), deviations, float(far[0]), float(far[1]))


def _judge_null(runs: "Runs") -> Judgement:
    names = ("slope", "r2", "rmse", "spearman")
    return judge_null(*({name: _select(runs, errors, name) for name in names} for errors in SPREADS))


def _draw(runs: "Runs", theme: "Theme") -> "Figure":
    from genscope.figures.theme import new_figure, style_legend

    figure, panels = new_figure(theme, 9.4, 4.0, cols=2)
    for axes, bounds in zip(panels, SPREADS.values(), strict=True):
        cell = next(cell for cell in runs.cells(FIGURES) if cell.settings["errors"] == list(bounds) and cell.settings["repeat"] == 0)
        arrays, numbers = runs.arrays(cell, FIGURES), dict(runs.table(FIGURES)[runs.cells(FIGURES).index(cell)][1])
        ends = np.array([arrays["train"].min(), math.log(CLASSES)])
        axes.plot(ends, numbers["intercept"] + numbers["slope"] * ends, color=theme.cycle[0], label=f"fit, slope {numbers['slope']:.3f}")
        axes.plot(ends, ends, color=theme.muted, linestyle="--", linewidth=1.0, label="test = training")
        axes.scatter(arrays["train"], arrays["test"], s=24, color=theme.cycle[0], zorder=3)
        axes.scatter([math.log(CLASSES)], [math.log(CLASSES)], marker="*", s=110, color=theme.cycle[1], zorder=4, label="(ln 10, ln 10)")
        axes.set(title=f"test errors {bounds[0]:.0%} to {bounds[1]:.0%}", xlabel="training loss (nats)", ylabel="test loss (nats)")
        axes.ticklabel_format(useOffset=False)
        style_legend(axes, theme)
    return figure


EXPERIMENTS = (
    Experiment(
        id="S1-T4", source="Liao et al., Figures 9, 10, 15 and 16", title="All lines pass through (ln C, ln C)",
        claim="For large norms L(f/ρ) = ln C − m/ρ, so that test and training losses lie on a line through (ln C, ln C) of slope m_test/m_train.",
        families=(FIGURES,), judge=_judge_law, draw=_draw, cost="T0",
        caption="Simulated networks divided by unrelated scales; one figure of each kind.",
        errata=("'A line of slope one' is measured as 0.836 on CIFAR-10; the slope is a ratio of margins.",),
    ),
    Experiment(
        id="S1-T5", source="Liao et al., Figures 9, 10, 15 and 16", title="Unrelated scales reproduce the published fits",
        claim="Null control: networks with the same outputs, divided by unrelated numbers, lie on a line as tight as published.",
        families=(FIGURES,), judge=_judge_null, draw=_draw, cost="T0",
        caption="24 simulated networks per figure, divided by scales drawn between 1,000 and 5,000.",
    ),
)  # fmt: skip
