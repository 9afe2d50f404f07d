"""Trajectories: checkpoints in a plane, beside the plane of a random walk."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from genscope.figures.theme import MARKERS, Picture, Theme, new_figure, style_legend

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure


@dataclass(frozen=True)
class Run:
    """One run's checkpoints in a plane, in order of time.

    Args:
        name: for the legend.
        points: ``[checkpoints, 2]``.
        path: draw a line from checkpoint to checkpoint.
    """

    name: str
    points: np.ndarray
    path: bool = True


def principal_picture(runs: Sequence[Run], shares: tuple[float, float], walk: tuple[np.ndarray, tuple[float, float]] | None, caption: str) -> Picture:
    """Principal components of the runs and, beside them, of a random walk with steps of the same lengths.

    Args:
        runs: their coordinates, in units of the parameters.
        shares: of the variance, per component.
        walk: coordinates of one random walk and its shares.
        caption: how to read it.
    """

    def draw(theme: Theme) -> "Figure":
        figure, grid = new_figure(theme, 6.4, 7.2 if walk else 4.0, 2 if walk else 1, 1, squeeze=False)
        _draw_runs(grid[0, 0], runs, theme)
        _label(grid[0, 0], shares)
        grid[0, 0].set_title("the trajectory")
        if walk is not None:
            _draw_runs(grid[1, 0], [Run("random walk", walk[0])], theme, ink=theme.muted)
            _label(grid[1, 0], walk[1])
            grid[1, 0].set_title("a random walk with the same steps")
        return figure

    n = sum(len(run.points) for run in runs)
    alt = f"{n} checkpoints in the plane of their first two principal components, which hold {sum(shares):.0%} of the variance."
    return Picture("Principal components", alt, caption, draw)


def embedding_picture(runs: Sequence[Run], caption: str) -> Picture:
    """A t-SNE embedding."""

    def draw(theme: Theme) -> "Figure":
        figure, axes = new_figure(theme, 6.4, 4.8)
        _draw_runs(axes, runs, theme)
        axes.set_xlabel("t-SNE 1 (no unit)")
        axes.set_ylabel("t-SNE 2 (no unit)")
        return figure

    alt = f"{sum(len(run.points) for run in runs)} checkpoints embedded by t-SNE: {', '.join(run.name for run in runs)}."
    return Picture("t-SNE", alt, caption, draw)


def off_plane_picture(groups: Mapping[str, tuple[np.ndarray, np.ndarray]], caption: str) -> Picture:
    """How much of each checkpoint's distance from the mean lies off the plane: (index, share) per run."""

    def draw(theme: Theme) -> "Figure":
        figure, axes = new_figure(theme, 6.4, 3.0)
        for k, (name, (index, share)) in enumerate(groups.items()):
            colour = theme.cycle[k % len(theme.cycle)]
            axes.plot(index, share, marker=MARKERS[k % len(MARKERS)], markersize=3, linewidth=1, color=colour, label=name)
        axes.set_ylim(0, 1.02)
        axes.set_xlabel("checkpoint")
        axes.set_ylabel("share off the plane")
        if len(groups) > 1:
            style_legend(axes, theme)
        return figure

    return Picture("Off the plane", "Share of each checkpoint's distance from the mean that the plane does not show.", caption, draw)


def _draw_runs(axes: "Axes", runs: Sequence[Run], theme: Theme, ink: str | None = None) -> None:
    from matplotlib.colors import to_rgb

    for k, run in enumerate(runs):
        colour = ink or theme.cycle[k % len(theme.cycle)]
        x, y = run.points[:, 0], run.points[:, 1]
        if run.path:
            axes.plot(x, y, color=colour, linewidth=0.9, alpha=0.6, zorder=1)
        # later checkpoints are more opaque, as in the paper's picture
        alpha = np.linspace(0.25, 1.0, len(x)) if run.path else np.full(len(x), 0.8)
        rgba = [(*to_rgb(colour), one) for one in alpha]
        axes.scatter(x, y, s=16, color=rgba, marker=MARKERS[k % len(MARKERS)], linewidths=0, zorder=2)
        axes.scatter([], [], s=24, color=colour, marker=MARKERS[k % len(MARKERS)], label=run.name)
        if run.path:
            axes.scatter(x[:1], y[:1], s=52, marker="o", facecolors="none", edgecolors=colour, linewidths=1.4, zorder=3)
            axes.scatter(x[-1:], y[-1:], s=110, marker="*", color=colour, edgecolors=theme.ink, linewidths=0.6, zorder=4)
    if len(runs) > 1:
        style_legend(axes, theme)


def _label(axes: "Axes", shares: tuple[float, float]) -> None:
    axes.set_xlabel(f"component 1 ({shares[0]:.1%} of variance)")
    axes.set_ylabel(f"component 2 ({shares[1]:.1%})")
    axes.set_aspect("equal", adjustable="datalim")
