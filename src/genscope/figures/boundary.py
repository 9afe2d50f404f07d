"""Decision boundaries: the map, the distances of the data from it, and the boundary in motion."""

import io
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from genscope.errors import UnsupportedInput
from genscope.figures.theme import MARKERS, Picture, Theme, new_figure, style_legend

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

MILLISECONDS, FRAME_DPI = 90, 80
MOST_CLASSES = 8


@dataclass(frozen=True)
class Map:
    """What a map shows.

    Args:
        left, right, bottom, top: the window.
        classes: ``[rows, columns]`` whole numbers, the first row at the bottom.
        lead: ``[rows, columns]`` logits by which the class leads, or ``None``.
        points: ``[n, 2]`` examples, and their ``labels``.
        axes: labels of the axes.
    """

    left: float
    right: float
    bottom: float
    top: float
    classes: np.ndarray
    lead: np.ndarray | None
    points: np.ndarray
    labels: np.ndarray
    axes: tuple[str, str]

    @property
    def extent(self) -> tuple[float, float, float, float]:
        """The window as matplotlib wants it, grid points at the centres of their cells."""
        half_x = (self.right - self.left) / (2 * max(1, self.classes.shape[1] - 1))
        half_y = (self.top - self.bottom) / (2 * max(1, self.classes.shape[0] - 1))
        return self.left - half_x, self.right + half_x, self.bottom - half_y, self.top + half_y


def map_picture(shown: Map, title: str, caption: str) -> Picture:
    """One map: classes as colours, paler where the lead is small, with the boundary and the examples."""

    def draw(theme: Theme) -> "Figure":
        figure, axes = new_figure(theme, 6.4, 5.6)
        draw_map(axes, shown, theme)
        return figure

    classes = len(np.unique(shown.classes))
    alt = f"A map of {classes} predicted classes over a window of inputs with {len(shown.points)} examples marked by their labels."
    return Picture(title, alt, caption, draw, vector=False)


def maps_picture(maps: Sequence[tuple[str, Map]], title: str, caption: str) -> Picture:
    """Several maps side by side, each under its own title."""

    def draw(theme: Theme) -> "Figure":
        cols = min(3, len(maps))
        rows = -(-len(maps) // cols)
        figure, grid = new_figure(theme, 3.6 * cols, 3.6 * rows, rows, cols, squeeze=False)
        for index, axes in enumerate(grid.flat):
            if index >= len(maps):
                axes.set_axis_off()
                continue
            name, shown = maps[index]
            draw_map(axes, shown, theme, legend=False, size=9.0)
            axes.set_title(name)
        handles, labels = grid.flat[0].get_legend_handles_labels()
        figure.legend(handles, labels, loc="outside lower center", ncols=6, frameon=False, labelcolor=theme.ink, fontsize=9)
        return figure

    alt = f"{len(maps)} maps of predicted classes side by side: {', '.join(name for name, _ in maps)}."
    return Picture(title, alt, caption, draw, vector=False)


def draw_map(axes: "Axes", shown: Map, theme: Theme, *, legend: bool = True, size: float = 16.0) -> None:
    """Draw a map into axes."""
    axes.imshow(colours(shown, theme), extent=shown.extent, origin="lower", interpolation="nearest", aspect="equal", zorder=0)
    _edges(axes, shown, theme)
    for k, label in enumerate(np.unique(shown.labels)):
        mine = shown.labels == label
        axes.scatter(
            shown.points[mine, 0],
            shown.points[mine, 1],
            s=size,
            marker=MARKERS[k % len(MARKERS)],
            color=theme.cycle[int(label) % len(theme.cycle)],
            edgecolors=theme.ink,
            linewidths=0.5,
            label=f"class {label}",
            zorder=3,
        )
    axes.set_xlim(shown.extent[0], shown.extent[1])
    axes.set_ylim(shown.extent[2], shown.extent[3])
    axes.set_xlabel(shown.axes[0])
    axes.set_ylabel(shown.axes[1])
    axes.grid(visible=False)
    if legend and len(shown.points):
        # outside the window: every place inside it may hold examples
        style_legend(axes, theme, loc="lower right", bbox_to_anchor=(1.0, 1.0), ncols=4, borderaxespad=0.2, handletextpad=0.2)


def colours(shown: Map, theme: Theme) -> np.ndarray:
    """``[rows, columns, 3]``: the class's colour, mixed with the paper where the lead is small."""
    from matplotlib.colors import to_rgb

    palette = np.array([to_rgb(colour) for colour in theme.cycle])
    paper = np.array(to_rgb(theme.paper))
    strength = np.full(shown.classes.shape, 0.42)
    if shown.lead is not None and np.isfinite(shown.lead).any():
        typical = float(np.nanmedian(shown.lead)) or 1.0
        strength = 0.18 + 0.37 * np.clip(np.nan_to_num(shown.lead, posinf=typical) / typical, 0.0, 1.0)
    return paper + strength[..., None] * (palette[shown.classes % len(palette)] - paper)


def _edges(axes: "Axes", shown: Map, theme: Theme) -> None:
    """A line between cells of different classes."""
    x = np.linspace(shown.left, shown.right, shown.classes.shape[1])
    y = np.linspace(shown.bottom, shown.top, shown.classes.shape[0])
    for label in np.unique(shown.classes)[:-1] if len(np.unique(shown.classes)) <= MOST_CLASSES else ():
        axes.contour(x, y, (shown.classes <= label).astype(float), levels=[0.5], colors=[theme.ink], linewidths=0.8, zorder=2)


def margins_picture(groups: Mapping[str, np.ndarray], title: str, caption: str, unit: str) -> Picture:
    """Cumulative shares of distances to the boundary, one line per group."""

    def draw(theme: Theme) -> "Figure":
        figure, axes = new_figure(theme, 6.4, 3.6)
        for k, (name, values) in enumerate(groups.items()):
            ordered = np.sort(values[values > 0])
            share = np.arange(1, len(ordered) + 1) / max(1, len(values))
            axes.step(ordered, share, where="post", label=f"{name} (n = {len(values)})", color=theme.cycle[k % len(theme.cycle)])
        axes.set_xscale("log")
        _plain_ticks(axes)
        axes.set_ylim(0, 1.02)
        axes.set_xlabel(f"distance to the decision boundary [{unit}]")
        axes.set_ylabel("share of examples nearer than this")
        style_legend(axes, theme, loc="upper left")
        return figure

    alt = f"Cumulative distribution of distances to the decision boundary for {', '.join(groups)}."
    return Picture(title, alt, caption, draw)


def _plain_ticks(axes: "Axes") -> None:
    """At most five numbers without powers of ten on a logarithmic axis of few decades."""
    from matplotlib.ticker import LogLocator, NullFormatter, StrMethodFormatter

    low, high = axes.get_xlim()
    if high / low < 1e3:
        axes.xaxis.set_major_locator(LogLocator(base=10, subs=(1.0, 2.0, 5.0), numticks=8))
        axes.xaxis.set_major_formatter(StrMethodFormatter("{x:g}"))
        axes.xaxis.set_minor_formatter(NullFormatter())


def animation_picture(frames: np.ndarray, steps: Sequence[float], shown: Map, title: str, caption: str) -> Picture:
    """The map while the weights move: a GIF, with its first frame as the still.

    Args:
        frames: ``[frames, rows, columns]`` classes.
        steps: step along the direction of each frame.
        shown: window and examples; its ``classes`` are not used.
        title, caption: words.
    """

    def at(index: int) -> Map:
        return Map(shown.left, shown.right, shown.bottom, shown.top, frames[index], None, shown.points, shown.labels, shown.axes)

    def draw(theme: Theme) -> "Figure":
        figure, axes = new_figure(theme, 5.2, 5.0)
        draw_map(axes, at(0), theme, legend=False)
        axes.set_title(f"step {steps[0]:+.3f}")
        return figure

    def move(theme: Theme) -> bytes:
        return gif_of([_frame(at(index), steps[index], theme) for index in range(len(frames))])

    alt = f"An animation of {len(frames)} maps: the decision boundary while the weights move along one direction and back."
    return Picture(title, alt, caption, draw, vector=False, animation=move)


def _frame(shown: Map, step: float, theme: Theme) -> "Figure":
    figure, axes = new_figure(theme, 5.2, 5.0)
    draw_map(axes, shown, theme, legend=False)
    axes.set_title(f"step {step:+.3f}")
    return figure


def gif_of(figures: Sequence["Figure"], milliseconds: int = MILLISECONDS, dpi: int = FRAME_DPI) -> bytes:
    """Figures as a looping GIF with one palette.

    Raises:
        UnsupportedInput: Pillow is not installed.
    """
    try:
        from PIL import Image
    except ImportError:
        raise UnsupportedInput("Animations need Pillow; install genscope[figures].") from None
    pictures: list[Any] = []
    for figure in figures:
        stream = io.BytesIO()
        figure.savefig(stream, format="png", dpi=dpi, facecolor=figure.get_facecolor(), metadata={"Software": None})
        pictures.append(Image.open(io.BytesIO(stream.getvalue())).convert("RGB"))
    palette = pictures[0].quantize(colors=128, method=Image.Quantize.MEDIANCUT)
    frames = [picture.quantize(palette=palette, dither=Image.Dither.NONE) for picture in pictures]
    stream = io.BytesIO()
    frames[0].save(stream, format="GIF", save_all=True, append_images=frames[1:], duration=milliseconds, loop=0, optimize=False)
    return stream.getvalue()
