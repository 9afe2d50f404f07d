"""Liao et al., Figures 2c and 2d: ResNet-56, from the authors' own training histories, beside a null from one of their networks."""

import json
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np

from genscope.experiments.papers.liao_fits import line_through, rank_correlation
from genscope.experiments.papers.liao_pictures import LossPlot, draw_losses
from genscope.experiments.values import Cell, Check, Experiment, Family, Judgement, Outcome, Size
from genscope.experiments.verdicts import check_above, check_below, check_true, check_within, judgement

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from genscope.experiments.context import Context
    from genscope.experiments.runs import Runs
    from genscope.figures.theme import Theme

DATA = "resnet56-init-scale"
# folders of the authors' repository: the 200-epoch runs that the figure shows, a later batch of 300 epochs, and wider ranges of the scale
BATCHES = {"fig2/8error": "200 epochs", "fig2/threegood2": "300 epochs", "fig2/threegood": "300 epochs, scales to 9", "fig2": "scales from 10"}
SHOWN, SECOND = "fig2/8error", "fig2/threegood2"
FIELDS = ("normalized_training_loss", "normalized_testing_loss", "training_loss", "testing_loss", "test_error", "train_error", "scale")
CHECKPOINT = "1.pt"


def _history_cells(_size: Size) -> list[Cell]:
    return [Cell(words, {"batch": batch}) for batch, words in BATCHES.items()]


def _read_history(cell: Cell, context: "Context") -> Outcome:
    """The last epoch of every run of one batch."""
    entries = json.loads((context.folder(DATA) / "histories.json").read_text(encoding="utf-8"))
    chosen = [entry for entry in entries if entry["source"].rpartition("/")[0] == cell.settings["batch"]]
    rows = {
        "normalized_training_loss": [entry["normalized_training_loss"] for entry in chosen],
        "normalized_testing_loss": [entry["normalized_testing_loss"] for entry in chosen],
        "training_loss": [entry["training_loss"][-1] for entry in chosen],
        "testing_loss": [entry["testing_loss"][-1] for entry in chosen],
        "test_error": [1 - entry["normalized_testing_accuracy"] for entry in chosen],
        "train_error": [1 - entry["normalized_training_accuracy"] for entry in chosen],
        "scale": [entry["scaling_factor"] for entry in chosen],
    }
    return Outcome({"n": len(chosen)}, {name: np.array(values, dtype=np.float64) for name, values in rows.items()})


def _null_cells(size: Size) -> list[Cell]:
    n = {"smoke": 40, "small": 1000, "full": 10_000}[size]
    data = "noise" if size == "smoke" else "cifar10"
    return [Cell(f"{CHECKPOINT}, {n} images", {"data": data, "n_train": n, "n_test": n, "image_size": 32, "checkpoint": CHECKPOINT})]


def _run_null(cell: Cell, context: "Context") -> Outcome:
    from genscope.experiments.papers.liao_resnet_null import null_of_checkpoint

    return null_of_checkpoint(cell, context, DATA)


HISTORIES = Family("liao-resnet56-histories", 1, _history_cells, _read_history, needs=(DATA,))
NULL = Family("liao-resnet56-null", 1, _null_cells, _run_null, needs=(DATA,))


def batch(runs: "Runs", name: str) -> dict[str, np.ndarray]:
    """The runs of one batch, an array per field."""
    cell = next(cell for cell in runs.cells(HISTORIES) if cell.settings["batch"] == name)
    return runs.arrays(cell, HISTORIES)


def judge_normalized(found: dict[str, np.ndarray], second: dict[str, np.ndarray], null: dict[str, np.ndarray] | None) -> Judgement:
    """The line through normalized losses, its null, and the order of the errors."""
    train, test, error = (found[name] for name in ("normalized_training_loss", "normalized_testing_loss", "test_error"))
    line = line_through(train, test)
    assert line is not None
    medians: dict[str, float | None] = {name: float(np.median(values)) for name, values in (null or {}).items()}
    rank, interval = rank_correlation(train, error)
    again, again_interval = rank_correlation(second["normalized_training_loss"], second["test_error"])
    n = len(train)
    checks = [
        check_within("slope of normalized test against training loss", line.slope, (0.8, 1.1), interval=line.slope_interval,
                     null=medians.get("slope"), paper=1.0, n_runs=n, note="null: one of the networks divided by unrelated norms"),
        check_above("R² of the line", line.r2, 0.95, interval=line.r2_interval, null=medians.get("r2"), n_runs=n),
        check_within("offset of the slope-one line (nats)", line.offset, (-0.1, 0.1), decides=False,
                     note="negative: the authors' training loss is taken on augmented images"),
        check_above("Spearman of normalized training loss and test error", rank, 0.0, interval=interval, null=medians.get("spearman"), n_runs=n,
                    decides=False),
        check_above("the same for the second batch (300 epochs)", again, 0.0, interval=again_interval, n_runs=len(second["scale"]), decides=False),
    ]  # fmt: skip
    slope = medians.get("slope")
    against = f" One of these networks divided by unrelated norms gives slope {slope:.3f} and R² {medians['r2']:.4f}." if slope is not None else ""
    meaning = (
        f"The authors' own {n} networks lie on a line of slope {line.slope:.4f} with R² {line.r2:.4f} and RMSE {line.rmse:.4f}.{against} The order "
        f"of the errors does not follow from it: the rank correlation of normalized training loss and test error is {rank:+.2f} "
        f"({interval[0]:+.2f} to {interval[1]:+.2f}), and {again:+.2f} in a second batch."
    )
    departures = ("The authors' recorded losses are judged; nothing is trained again.",)
    return judgement(checks, meaning, n_runs=n, departures=departures)


def judge_raw(found: dict[str, np.ndarray]) -> Judgement:
    """No relation before normalization."""
    line = line_through(found["training_loss"], found["testing_loss"])
    assert line is not None
    related = line_through(found["normalized_training_loss"], found["normalized_testing_loss"])
    error = found["test_error"]
    checks: list[Check] = [
        check_below("R² of test against training loss, as trained", line.r2, 0.5, interval=line.r2_interval, null=related.r2 if related else None,
                    n_runs=len(error), note="control: the same networks after normalization"),
        check_true("test errors lie between 7% and 9%", bool(error.min() >= 0.07 and error.max() <= 0.09), expected="as printed", decides=False),
    ]  # fmt: skip
    meaning = (
        f"In the authors' own {len(error)} networks the training loss explains {line.r2:.0%} of the spread of the test loss. The test errors differ "
        f"by less than one point ({error.min():.1%} to {error.max():.1%}), so there is little to explain."
    )
    return judgement(checks, meaning, n_runs=len(error), departures=("The authors' recorded losses are judged; nothing is trained again.",))


def _judge_normalized(runs: "Runs") -> Judgement:
    null = runs.arrays(runs.cells(NULL)[0], NULL) if runs.has(NULL) else None
    return judge_normalized(batch(runs, SHOWN), batch(runs, SECOND), null)


def _judge_raw(runs: "Runs") -> Judgement:
    return judge_raw(batch(runs, SHOWN))


def _draw(normalized: bool, runs: "Runs", theme: "Theme") -> "Figure":
    from genscope.figures.theme import new_figure

    figure, axes = new_figure(theme, 6.0, 4.4)
    found = batch(runs, SHOWN)
    prefix = "normalized_" if normalized else ""
    train, test = found[f"{prefix}training_loss"], found[f"{prefix}testing_loss"]
    line = line_through(train, test) if normalized else None
    plot = LossPlot(train, test, [f"{scale:g}" for scale in found["scale"]], line=None if line is None else (line.intercept, line.slope))
    draw_losses(axes, plot, theme, diagonal=normalized)
    axes.set(xlabel="training cross-entropy (nats)", ylabel="test cross-entropy (nats)")
    return figure


def _experiment(panel: str, title: str, claim: str, judge: Any, normalized: bool, errata: tuple[str, ...] = ()) -> Experiment:
    near = " after normalization, near the diagonal." if normalized else "."
    how = " Outputs divided by their norm on one image." if normalized else ""
    return Experiment(
        id=f"S1-F2{panel}",
        source=f"Liao et al., Figure 2{panel}",
        title=title,
        claim=claim,
        families=(HISTORIES, NULL) if normalized else (HISTORIES,),
        judge=judge,
        draw=partial(_draw, normalized),
        paper_figure="Scatter of test against training cross-entropy of ResNet-56 networks" + near,
        caption="The authors' own runs; numbers: factor on the initial weights." + how,
        errata=errata,
        cost="T3",
        partial=normalized,
    )


EXPERIMENTS = (
    _experiment(
        "c", "ResNet-56: unnormalized losses are unrelated", "Training and test loss of ResNet-56 networks show no clear relation.", _judge_raw, False
    ),
    _experiment(
        "d", "ResNet-56: normalized test loss follows training loss",
        "Divided by the output norm on one image, ResNet-56 networks with 7 to 9% test error lie on a line of slope one.", _judge_normalized, True,
        ("A positive offset is claimed; it is negative in the authors' data, where the training loss is measured on augmented images.",),
    ),
)  # fmt: skip
