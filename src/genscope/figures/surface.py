"""Pictures of loss surfaces: rays, paths, contours and 3-D views; values that are not finite are left out, never replaced."""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from genscope.figures.theme import Picture, Theme, new_figure, style_axes, style_legend

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

UNITS = {"loss": "loss", "error": "error rate", "margin": "margin (5 % quantile, logits)"}
_LOG_RANGE = 20.0  # a loss that spans more than this is drawn on a logarithmic scale
_FEW = 8


def rays_picture(t: np.ndarray, losses: np.ndarray, errors: np.ndarray, *, xlabel: str, caption: str) -> Picture:
    """Loss and error along several directions.

    Args:
        t: positions ``[points]``.
        losses: ``[directions, points]``.
        errors: ``[directions, points]``.
        xlabel: what t is measured in.
        caption: how to read it.
    """

    def draw(theme: Theme) -> "Figure":
        figure, (top, bottom) = new_figure(theme, 6.4, 5.0, rows=2, sharex=True, height_ratios=(2, 1))
        for axes, values in ((top, losses), (bottom, 100 * errors)):
            many = len(values) > _FEW
            for k, line in enumerate(values):
                colour = theme.cycle[0] if many else theme.cycle[k % len(theme.cycle)]
                axes.plot(t, _finite(line), color=colour, linewidth=0.9 if many else 1.6, alpha=0.35 if many else 1.0, label=f"direction {k + 1}")
            if many:
                axes.plot(t, np.nanmedian(_finite(values), axis=0), color=theme.cycle[1], linewidth=2.2, label="median")
            axes.axvline(0.0, color=theme.muted, linewidth=0.9, linestyle=":")
        _loss_scale(top, losses)
        top.set_ylabel("loss")
        bottom.set_ylabel("error (%)")
        bottom.set_xlabel(xlabel)
        if 1 < len(losses) <= _FEW:
            style_legend(top, theme, ncols=2)
        return figure

    alt = f"Loss and error rate along {len(losses)} directions; the trained weights are at 0."
    return Picture("Loss along directions", alt, caption, draw)


def path_picture(t: np.ndarray, losses: np.ndarray, errors: np.ndarray, *, ends: tuple[str, str], caption: str) -> Picture:
    """Loss and error on a path, with the straight line between its ends above which a barrier stands.

    Args:
        t: positions ``[points]``, 0 and 1 at the two networks.
        losses: ``[points]``.
        errors: ``[points]``.
        ends: names of the two networks.
        caption: how to read it.
    """

    def draw(theme: Theme) -> "Figure":
        figure, (top, bottom) = new_figure(theme, 6.4, 5.0, rows=2, sharex=True, height_ratios=(2, 1))
        for axes, values, colour in ((top, losses, theme.cycle[0]), (bottom, 100 * errors, theme.cycle[1])):
            axes.plot(t, _finite(values), color=colour, marker="o", markersize=3.5, linewidth=1.6)
            first, last = _at(t, values, 0.0), _at(t, values, 1.0)
            axes.plot([0.0, 1.0], [first, last], color=theme.muted, linestyle="--", linewidth=1.1, label="between the ends")
            for end in (0.0, 1.0):
                axes.axvline(end, color=theme.grid, linewidth=1.2)
        top.set_ylabel("loss")
        bottom.set_ylabel("error (%)")
        bottom.set_xlabel(f"position t on the path (0: {ends[0]}, 1: {ends[1]})")
        style_legend(top, theme)
        return figure

    return Picture("Loss along the path", "Loss and error rate on the path between the two networks.", caption, draw)


def contour_picture(
    x: np.ndarray, y: np.ndarray, values: np.ndarray, marks: Sequence[Mapping[str, Any]], *, reading: str, labels: tuple[str, str], caption: str
) -> Picture:
    """Filled contours on a plane with the models that lie on it.

    Args:
        x: ``[n_x]``. y: ``[n_y]``.
        values: ``[n_x, n_y]``, value [i, j] at (x_i, y_j).
        marks: mappings with ``x``, ``y``, ``label``.
        reading: ``loss``, ``error`` or ``margin``.
        labels: of the two axes.
        caption: how to read it.
    """

    def draw(theme: Theme) -> "Figure":
        figure, axes = new_figure(theme, 6.2, 5.2)
        axes.grid(visible=False)
        shown = np.ma.masked_invalid(values.T)  # matplotlib wants [rows = y, columns = x]
        levels, norm = _levels(values, reading)
        if levels is None:
            axes.pcolormesh(x, y, shown, cmap=theme.sequential, shading="nearest")
        else:
            filled = axes.contourf(x, y, shown, levels=levels, norm=norm, cmap=theme.sequential)
            axes.contour(x, y, shown, levels=levels[::2], norm=norm, colors=theme.ink, linewidths=0.4, alpha=0.5)
            bar = figure.colorbar(filled, ax=axes, pad=0.02, format="%.3g")
            bar.set_label(UNITS[reading], color=theme.ink)
            bar.ax.tick_params(colors=theme.muted, labelsize=8.5)
            bar.ax.minorticks_off()
        if np.ma.is_masked(shown):
            axes.set_facecolor(theme.grid)
        _draw_marks(axes, marks)
        axes.set_xlabel(labels[0])
        axes.set_ylabel(labels[1])
        axes.set_xlim(x[0], x[-1])
        axes.set_ylim(y[0], y[-1])
        axes.set_aspect("equal" if 0.4 < (x[-1] - x[0]) / (y[-1] - y[0]) < 2.5 else "auto")
        return figure

    alt = f"Contour map of the {UNITS[reading]} over two directions of parameter space, {len(x)} by {len(y)} points."
    return Picture(f"{reading.capitalize()} on the plane", alt, caption, draw, vector=False)


def surface_picture(x: np.ndarray, y: np.ndarray, losses: np.ndarray, *, labels: tuple[str, str], caption: str) -> Picture:
    """The loss as a surface over the plane.

    Args:
        x: ``[n_x]``. y: ``[n_y]``.
        losses: ``[n_x, n_y]``.
        labels: of the two axes.
        caption: how to read it.
    """

    def draw(theme: Theme) -> "Figure":
        figure, flat = new_figure(theme, 6.2, 5.2)
        flat.remove()
        axes: Any = figure.add_subplot(projection="3d", computed_zorder=False)
        style_axes(axes, theme)
        log = _spans_decades(losses)
        height = np.log10(np.where(losses > 0, losses, np.nan)) if log else losses
        grid_x, grid_y = np.meshgrid(x, y, indexing="ij")
        finite = height[np.isfinite(height)]
        low, high = (float(finite.min()), float(finite.max())) if finite.size else (0.0, 1.0)
        masked = np.where(np.isfinite(height), height, np.nan)
        axes.plot_surface(
            grid_x,
            grid_y,
            masked,
            cmap=theme.sequential,
            vmin=low,
            vmax=high,
            rcount=100,
            ccount=100,
            linewidth=0.15,
            edgecolor=theme.paper,
            alpha=0.96,
        )
        for axis, words in ((axes.xaxis, labels[0]), (axes.yaxis, labels[1]), (axes.zaxis, "log₁₀ loss" if log else "loss")):
            axis.set_label_text(words, color=theme.ink, fontsize=9)
            axis.set_pane_color(theme.paper)
            axis._axinfo["grid"].update(color=theme.grid)
            axis.line.set_color(theme.muted)
            axis.set_tick_params(colors=theme.muted, labelsize=8)
        axes.view_init(elev=32, azim=-58)
        axes.set_box_aspect((1, 1, 0.72), zoom=0.92)
        return figure

    return Picture("The loss as a surface", "The loss as a surface over two directions of parameter space.", caption, draw, vector=False)


def _draw_marks(axes: "Axes", marks: Sequence[Mapping[str, Any]]) -> None:
    """Models as points; a trajectory as a line with its last checkpoint named."""
    if len(marks) > 4:
        axes.plot([one["x"] for one in marks], [one["y"] for one in marks], color="#ffffff", linewidth=2.6)
        axes.plot([one["x"] for one in marks], [one["y"] for one in marks], color="#111418", linewidth=1.2, marker="o", markersize=3)
        marks = [marks[0], marks[-1]]
    for one in marks:
        axes.plot([one["x"]], [one["y"]], marker="o", markersize=7, color="#ffffff", markeredgecolor="#111418", markeredgewidth=1.4, linestyle="none")
        note = axes.annotate(
            str(one["label"]), (one["x"], one["y"]), xytext=(7, 6), textcoords="offset points", fontsize=9, color="#111418", annotation_clip=True
        )
        note.set_bbox({"facecolor": "#ffffff", "alpha": 0.82, "edgecolor": "none", "boxstyle": "round,pad=0.18"})


def _levels(values: np.ndarray, reading: str) -> tuple[np.ndarray | None, Any]:
    """Levels and a norm: logarithmic for a loss over decades; none when there is nothing to divide."""
    from matplotlib.colors import LogNorm, Normalize

    finite = values[np.isfinite(values)]
    if finite.size == 0 or finite.min() == finite.max():
        return None, None
    if reading == "loss" and _spans_decades(values):
        low, high = float(finite[finite > 0].min()), float(finite.max())
        return np.geomspace(low, high, 17), LogNorm(low, high)
    low, high = float(finite.min()), float(finite.max())
    return np.linspace(low, high, 17), Normalize(low, high)


def _spans_decades(values: np.ndarray) -> bool:
    positive = values[np.isfinite(values) & (values > 0)]
    smallest = np.nanmin(np.where(np.isfinite(values), values, np.nan)) if positive.size else -1.0
    return bool(smallest > 0 and positive.max() > _LOG_RANGE * positive.min())


def _loss_scale(axes: "Axes", losses: np.ndarray) -> None:
    if _spans_decades(losses):
        axes.set_yscale("log")


def _finite(values: np.ndarray) -> np.ndarray:
    return np.where(np.isfinite(values), values, np.nan)


def _at(t: np.ndarray, values: np.ndarray, where: float) -> float:
    return float(values[np.abs(t - where).argmin()])
