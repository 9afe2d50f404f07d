"""Huang et al., Figures 3 and 6: margins, areas of the wrong class and sharpness of good and bad networks on the swiss roll."""

from typing import TYPE_CHECKING, Any

import numpy as np

from genscope.experiments.papers.huang_networks import SWISS_ROLL
from genscope.experiments.papers.huang_pairs import DEPARTURES, good_and_bad, order_check, poisoned_rows, ratio_check, values
from genscope.experiments.values import Experiment, Judgement
from genscope.experiments.verdicts import check_above, judgement

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from genscope.experiments.runs import Runs
    from genscope.figures.theme import Theme


def _departures(runs: "Runs") -> tuple[str, ...]:
    return () if runs.size == "full" else (DEPARTURES[0], DEPARTURES[2])


def _judge_good_and_bad(runs: "Runs") -> Judgement:
    rows = poisoned_rows(runs, SWISS_ROLL)
    checks = (
        ratio_check("5% margin of good over bad networks", rows, "margin_q05", 1.2, good_over_bad=True),
        ratio_check("area of the wrong class of bad over good networks", rows, "wrong_area", 2.0, good_over_bad=False),
        ratio_check("loss of bad over good networks, a quarter of the filters' norms away", rows, "slice_0.25", 1.0, good_over_bad=False),
        ratio_check("radius of good over bad networks at loss 0.1", rows, "effective_radius_0.1", 1.2, good_over_bad=True),
    )
    good, bad = good_and_bad(rows, "test_accuracy")
    shown = [check.observed or 0.0 for check in checks]
    meaning = (
        f"Networks without poison (test accuracy {good.mean():.2f}) keep the boundary {shown[0]:.1f} times as far from their closest training "
        f"points as the most poisoned ones ({bad.mean():.2f}), which give {shown[1]:.1f} times as much of the plane to the wrong class. Their "
        f"basins at loss 0.1 reach {shown[3]:.1f} times as far; a quarter of the filters' norms away the loss of the bad ones is "
        f"{shown[2]:.2f} times that of the good ones"
        + {True: ": the bad minima are sharper.", False: ", which does not settle by itself that they are sharper."}[checks[2].passed is True]
    )
    return judgement(checks, meaning, departures=_departures(runs))


def _judge_gaps(runs: "Runs") -> Judgement:
    rows = poisoned_rows(runs, SWISS_ROLL)
    fitted = float(np.nanmin(values(rows, "train_accuracy")))
    checks = (
        check_above("least training accuracy", fitted, 0.995),
        order_check("Spearman of the generalization gap and the area of the wrong class", rows, "gap", "wrong_area"),
        order_check("Spearman of the generalization gap and minus the 5% margin", rows, "gap", "margin_q05", -1.0),
        order_check("Spearman of the generalization gap and minus the smallest margin", rows, "gap", "margin_min", -1.0, decides=False),
    )
    meaning = (
        f"The {len(rows)} networks have training accuracies of at least {fitted:.3f}. The rank correlation of their generalization gaps with "
        f"the area of the wrong class is {checks[1].observed or 0:+.2f}, with the 5% margin {-(checks[2].observed or 0):+.2f} and with the "
        f"smallest margin, a single point, {-(checks[3].observed or 0):+.2f}. The area follows from the gap almost by definition, since test "
        "points fill the plane; the margin does not."
    )
    return judgement(checks, meaning, departures=_departures(runs))


def _draw_good_and_bad(runs: "Runs", theme: "Theme") -> "Figure":
    from genscope.figures.theme import new_figure, style_legend

    figure, axes = new_figure(theme, 9.6, 3.5, cols=3)
    rows = poisoned_rows(runs, SWISS_ROLL)
    good, bad = good_and_bad(rows, "beta")
    for panel, beta, colour in ((axes[0], good[0], theme.cycle[0]), (axes[1], bad[0], theme.cycle[1])):
        cell = next(one for one in runs.cells(SWISS_ROLL) if one.settings["beta"] == beta and one.settings["kind"] == "poison")
        _map(panel, runs, cell, theme)
        panel.set_title(f"β = {beta:g}, test accuracy {runs.column(SWISS_ROLL, 'test_accuracy', **cell.settings)[0]:.2f}")
        for one in runs.cells(SWISS_ROLL):
            if one.settings["beta"] == beta and one.settings["kind"] == "poison":
                found = runs.arrays(one, SWISS_ROLL)
                axes[2].plot(found["slice_t"], found["slice"].mean(axis=0), color=colour, linewidth=1.2, label=_once(axes[2], f"β = {beta:g}"))
    axes[2].set(yscale="log", xlabel="step (1 = each filter's own norm)", ylabel="training loss (nats)", title="filter-normalized slices")
    style_legend(axes[2], theme, loc="lower right")
    return figure


def _once(panel: Any, label: str) -> str:
    """The label where no line has it yet."""
    return "_" if label in panel.get_legend_handles_labels()[1] else label


def _map(panel: Any, runs: "Runs", cell: Any, theme: "Theme") -> None:
    """Class map and training points of one network."""
    from matplotlib.colors import ListedColormap

    from genscope.training.problems import swiss_roll

    reach = float(runs.column(SWISS_ROLL, "reach", **cell.settings)[0])
    colours = ListedColormap([theme.cycle[0], theme.cycle[1]])
    image = runs.arrays(cell, SWISS_ROLL)["map"]
    panel.imshow(image, origin="lower", extent=(-reach, reach, -reach, reach), cmap=colours, vmin=0, vmax=1, alpha=0.45, interpolation="nearest")
    train = swiss_roll(0, n=cell.settings["n_train"]).split.train
    for label in (0, 1):
        here = train.x[train.y == label] / 15.0
        panel.scatter(*here.T, s=11, color=theme.cycle[label], edgecolor=theme.ink, linewidth=0.3)
    panel.set(xlabel="x / 15", ylabel="y / 15")
    panel.grid(False)


def _draw_gaps(runs: "Runs", theme: "Theme") -> "Figure":
    from genscope.figures.theme import new_figure, style_axes

    cells = [cell for cell in runs.cells(SWISS_ROLL) if cell.settings["kind"] == "poison"]
    first = [cell for cell in cells if cell.settings["seed"] == cells[0].settings["seed"]]
    gaps = [float(runs.column(SWISS_ROLL, "gap", **cell.settings)[0]) for cell in first]
    picks = sorted({int(np.argmin(np.abs(np.array(gaps) - goal))) for goal in np.linspace(min(gaps), max(gaps), 4)}, key=lambda k: gaps[k])
    n = max(len(picks), 2)
    figure, axes = new_figure(theme, 2.6 * n, 5.6, rows=2, cols=n)
    for panel, k in zip(axes[0], picks, strict=False):
        _map(panel, runs, first[k], theme)
        panel.set_title(f"gap {gaps[k]:.2f}")
    grid = axes[1, 0].get_gridspec()
    for panel in axes[1]:
        panel.remove()
    rows = poisoned_rows(runs, SWISS_ROLL)
    gap = values(rows, "gap")
    lower = ((grid[1, : n // 2], "wrong_area", "wrong-class area (share)"), (grid[1, n // 2 :], "margin_q05", "5% margin (input units)"))
    for index, (place, name, words) in enumerate(lower):
        panel = figure.add_subplot(place)
        style_axes(panel, theme)
        panel.scatter(gap, values(rows, name), color=theme.cycle[1 - index], s=22)
        panel.set(xlabel="generalization gap", ylabel=words)
    return figure


EXPERIMENTS = (
    Experiment(
        "S2-F3", "Huang et al., Figure 3", "Boundaries and slices of a good and a bad network on the swiss roll",
        "The good network leaves a wide margin around its points; the bad one puts them on islands, and its minimum is much sharper.",
        (SWISS_ROLL,), _judge_good_and_bad, _draw_good_and_bad,
        "Decision boundaries of a good and a bad network, the bad one broken up around the training points, beside one- and two-dimensional "
        "slices of the loss.",
        "Left and middle: predicted class and training points of the first seed. Right: training loss (log scale) along filter-normalized "
        "directions, mean of four, one line per seed.",
        vector=False,
    ),
    Experiment(
        "S2-F6", "Huang et al., Figure 6", "Margins shrink as the generalization gap grows",
        "Among networks that all fit the training set, the regions of the wrong class grow and the margin shrinks with the generalization gap.",
        (SWISS_ROLL,), _judge_gaps, _draw_gaps,
        "Boundaries at several gaps, all with training accuracy above 99.5 %; the wrong class eats into the arms of the spiral as the gap grows.",
        "Top: predicted class and training points at four gaps, first seed. Bottom: one point per network; the margin is the distance of "
        "correctly classified training points from the boundary (5 % quantile).",
        vector=False,
    ),
)  # fmt: skip
