"""Neyshabur et al.: what the figures of several experiments have in common."""

from typing import TYPE_CHECKING

import numpy as np

from genscope.experiments.papers.neyshabur_statistics import grid
from genscope.experiments.values import Family

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    from genscope.experiments.runs import Runs
    from genscope.figures.theme import Theme


def draw_errors(runs: "Runs", family: Family, theme: "Theme", key: str) -> "tuple[Figure, Axes, np.ndarray]":
    """Training and test error over the values of ``key``, mean and range over seeds; the figure, its axes and the values."""
    from genscope.figures.theme import MARKERS, new_figure, style_legend

    figure, axes = new_figure(theme, 5.6, 4.0)
    for index, (name, word) in enumerate((("train_error", "training"), ("test_error", "test"))):
        levels, _, table = grid(runs, family, name, key)
        middle = table.mean(axis=1)
        axes.errorbar(levels, middle, [middle - table.min(axis=1), table.max(axis=1) - middle], marker=MARKERS[index], capsize=3, label=word)
    axes.set(ylabel="error rate", ylim=(-0.02, None))
    style_legend(axes, theme)
    return figure, axes, levels


def draw_pac_bayes(runs: "Runs", family: Family, theme: "Theme", key: str, label: str) -> "Figure":
    """One panel of expected sharpness against KL divergence."""
    from genscope.figures.theme import new_figure

    figure, axes = new_figure(theme, 5.8, 4.0)
    draw_bi_criteria(axes, runs, family, theme, key, label)
    axes.set(xlabel="KL divergence (nats)", ylabel="expected sharpness (nats)")
    return figure


def draw_bi_criteria(panel: "Axes", runs: "Runs", family: Family, theme: "Theme", key: str, label: str, **where: object) -> None:
    """Expected sharpness against KL divergence, one curve per value of ``key`` (geometric mean over seeds), with the level 0.05."""
    from matplotlib import colormaps

    cells = [cell for cell in runs.cells(family) if all(cell.settings.get(name) == value for name, value in where.items())]
    levels = sorted({cell.settings[key] for cell in cells})
    colours = colormaps[theme.sequential](np.linspace(0.15, 0.85, len(levels)))
    for level, colour in zip(levels, colours, strict=True):
        curves = [runs.arrays(cell, family) for cell in cells if cell.settings[key] == level]
        kl = np.exp(np.mean([np.log(curve["kl"]) for curve in curves], axis=0))
        sharpness = np.mean([curve["sharpness"] for curve in curves], axis=0)
        shown = sharpness > 1e-4
        panel.plot(kl[shown], sharpness[shown], color=colour, marker="o", markersize=3, linewidth=1.3, label=label.format(level))
    panel.axhline(0.05, color=theme.muted, linewidth=0.8, linestyle="--")
    panel.set_xscale("log")
    panel.set_ylim(-0.01, 0.3)
    panel.legend(frameon=False, labelcolor=theme.ink, fontsize=8)
