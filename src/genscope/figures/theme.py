"""The look that all pictures share: two themes with the report's own colours, and how a figure becomes bytes."""

import io
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from genscope.errors import UnsupportedInput

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure


@dataclass(frozen=True)
class Theme:
    """Colours of one look.

    Args:
        name: ``light`` or ``dark``.
        paper: background of the figure.
        ink: text and main lines.
        muted: secondary text, axes.
        grid: hairlines.
        cycle: categorical colours that colour-blind readers can tell apart (Okabe and Ito, lightened on dark paper); pair them with markers.
        sequential: matplotlib's name of the map for amounts.
        diverging: matplotlib's name of the map for signed amounts.
    """

    name: str
    paper: str
    ink: str
    muted: str
    grid: str
    cycle: tuple[str, ...]
    sequential: str = "viridis"
    diverging: str = "RdBu_r"


LIGHT = Theme(
    "light",
    "#ffffff",
    "#1a1f26",
    "#565f6b",
    "#e2e4e3",
    ("#0072b2", "#d55e00", "#008a65", "#b85c91", "#d58a00", "#3f9bd1", "#5c6570", "#8a7a00"),
)
DARK = Theme(
    "dark",
    "#1a1e23",
    "#e9ecef",
    "#a5afba",
    "#30363d",
    ("#56b4e9", "#f57f2b", "#22c598", "#e09cc3", "#f0ad1f", "#a5d8f5", "#c3cad1", "#f0e442"),
)
THEMES = {"light": LIGHT, "dark": DARK}
MARKERS = ("o", "s", "^", "D", "v", "P", "X", "*")


@dataclass(frozen=True)
class Picture:
    """A figure that can be drawn in any theme, with the words that belong to it.

    Args:
        title: short heading.
        alt: what a reader who cannot see it is told.
        caption: how to read it: axes, units, normalization, seed, number of runs.
        draw: ``draw(theme) -> matplotlib.figure.Figure``.
        vector: SVG rather than PNG; choose PNG for dense images and surfaces.
        animation: ``draw_animation(theme) -> GIF bytes`` to show instead of the still figure, where there is one.
    """

    title: str
    alt: str
    caption: str
    draw: Callable[[Theme], "Figure"]
    vector: bool = True
    animation: Callable[[Theme], bytes] | None = None


def new_figure(theme: Theme, width: float = 6.4, height: float = 4.0, rows: int = 1, cols: int = 1, **subplots: Any) -> tuple["Figure", Any]:
    """An empty styled figure and its axes (one, or an array of ``rows`` by ``cols`` without unit dimensions); sizes in inches.

    Raises:
        UnsupportedInput: matplotlib is not installed.
    """
    try:
        from matplotlib.figure import Figure
    except ImportError:
        raise UnsupportedInput("Pictures need matplotlib; install genscope[figures].") from None
    figure = Figure(figsize=(width, height), dpi=110, layout="constrained", facecolor=theme.paper)
    axes = figure.subplots(rows, cols, **subplots)
    for one in figure.axes:
        style_axes(one, theme)
    return figure, axes


def style_axes(axes: "Axes", theme: Theme) -> None:
    """Colours, hairlines and the colour cycle of ``theme`` on axes that were made without :func:`new_figure` (3-D, insets, colour bars)."""
    axes.set_facecolor(theme.paper)
    axes.set_prop_cycle(color=theme.cycle)
    axes.tick_params(colors=theme.muted, which="both", labelsize=9)
    axes.xaxis.label.set_color(theme.ink)
    axes.yaxis.label.set_color(theme.ink)
    axes.title.set_color(theme.ink)
    axes.title.set_fontsize(10.5)
    for offset in (axes.xaxis.get_offset_text(), axes.yaxis.get_offset_text()):
        offset.set_color(theme.muted)
    for side, spine in axes.spines.items():
        spine.set_color(theme.muted if side in ("left", "bottom") else theme.grid)
        spine.set_linewidth(0.8)
    axes.grid(color=theme.grid, linewidth=0.7)
    axes.set_axisbelow(True)


def style_legend(axes: "Axes", theme: Theme, **where: Any) -> None:
    """A frameless legend in the theme's ink."""
    axes.legend(frameon=False, labelcolor=theme.ink, fontsize=9, **where)


def png_of(figure: "Figure", dpi: int = 144) -> bytes:
    """The figure as PNG, the same bytes for the same figure."""
    stream = io.BytesIO()
    figure.savefig(stream, format="png", dpi=dpi, facecolor=figure.get_facecolor(), metadata={"Software": None})
    return stream.getvalue()


def svg_of(figure: "Figure") -> bytes:
    """The figure as SVG with its text as outlines, the same bytes for the same figure."""
    import matplotlib

    stream = io.BytesIO()
    with matplotlib.rc_context({"svg.hashsalt": "genscope", "svg.fonttype": "path"}):
        figure.savefig(stream, format="svg", facecolor=figure.get_facecolor(), metadata={"Date": None, "Creator": None})
    return stream.getvalue()
