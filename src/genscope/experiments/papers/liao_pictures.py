"""The two kinds of pictures in Liao et al.: loss against loss, and one quantity against another over a series of networks."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from matplotlib.axes import Axes

    from genscope.figures.theme import Theme


@dataclass(frozen=True)
class LossPlot:
    """Test against training loss of several networks, ready to draw.

    Args:
        train, test: of the networks.
        labels: short text per network ("" for none).
        random_train, random_test: of networks trained on random labels.
        null: one repetition of the null control, (train, test).
        line: (intercept, slope) of the fit.
    """

    train: np.ndarray
    test: np.ndarray
    labels: Sequence[str] = ()
    random_train: np.ndarray = field(default_factory=lambda: np.empty(0))
    random_test: np.ndarray = field(default_factory=lambda: np.empty(0))
    null: tuple[np.ndarray, np.ndarray] | None = None
    line: tuple[float, float] | None = None


def draw_losses(axes: "Axes", plot: LossPlot, theme: "Theme", *, diagonal: bool = True) -> None:
    """Networks, fit, diagonal, random labels and null control, as the paper draws them."""
    from genscope.figures.theme import style_legend

    if plot.null is not None:
        axes.scatter(*plot.null, s=26, marker="x", color=theme.muted, linewidth=1.0, label="same logits, unrelated scales (null)", zorder=2)
    axes.scatter(plot.train, plot.test, s=30, color=theme.cycle[0], label="trained on natural labels", zorder=3)
    if len(plot.random_train):
        axes.scatter(plot.random_train, plot.random_test, s=44, marker="s", color=theme.cycle[1], label="trained on random labels", zorder=4)
    every = np.concatenate([plot.train, plot.random_train, *([plot.null[0]] if plot.null is not None else [])])
    ends = np.array([every.min(), every.max()])
    if plot.line is not None:
        intercept, slope = plot.line
        axes.plot(ends, intercept + slope * ends, color=theme.cycle[0], linewidth=1.2, label=f"fit, slope {slope:.3f}")
    if diagonal:
        axes.plot(ends, ends, color=theme.muted, linewidth=1.0, linestyle="--", label="test = training")
    for x, y, text in zip(plot.train, plot.test, plot.labels, strict=False):
        axes.annotate(text, (x, y), xytext=(4, -9), textcoords="offset points", fontsize=7, color=theme.muted)
    axes.ticklabel_format(useOffset=False, style="plain")
    axes.locator_params(axis="x", nbins=4)
    style_legend(axes, theme, loc="best")


def draw_series(axes: "Axes", x: np.ndarray, y: np.ndarray, theme: "Theme", *, color: int = 0, label: str = "", line: bool = False) -> None:
    """Points of one series, joined in the order of x when ``line``."""
    from genscope.figures.theme import MARKERS

    order = np.argsort(x, kind="stable")
    style = "-" if line else ""
    axes.plot(x[order], y[order], linestyle=style, marker=MARKERS[color], markersize=5, color=theme.cycle[color], linewidth=1.2, label=label or None)
