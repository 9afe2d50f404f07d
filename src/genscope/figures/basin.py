"""Pictures of a basin: its radii per cutoff, the loss along its rays, single layers, and the estimators of its volume side by side."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from genscope.figures.theme import MARKERS, Picture, Theme, new_figure, style_legend

if TYPE_CHECKING:
    from matplotlib.figure import Figure

LINES = ("-", "--", "-.", ":")


@dataclass(frozen=True)
class Measured:
    """Words that every picture of one basin shares.

    Args:
        unit: of a radius, for the axis.
        n: dimensions.
        edge: the primary cutoff in words.
        about: number of rays, seed, batch normalization: the end of each caption.
    """

    unit: str
    n: int
    edge: str
    about: str


def radius_histograms(histograms: Mapping[str, tuple[np.ndarray, np.ndarray]], told: Measured) -> Picture:
    """Density of ``ln r`` over the rays, one line per cutoff; ``edges`` and ``density`` of each."""

    def draw(theme: Theme) -> "Figure":
        figure, axes = new_figure(theme, 6.4, 3.6)
        for index, (name, (edges, density)) in enumerate(histograms.items()):
            colour = theme.cycle[index % len(theme.cycle)]
            axes.stairs(density, np.exp(edges), fill=True, color=colour, alpha=0.16)
            axes.stairs(density, np.exp(edges), color=colour, linewidth=1.6, linestyle=LINES[index % 4], label=name)
        axes.set_xscale("log")
        axes.set_xlabel(f"radius of the basin along a random direction ({told.unit})")
        axes.set_ylabel("density of ln r")
        _plain_log_ticks(axes.xaxis)
        style_legend(axes, theme, title=None)
        return figure

    caption = f"First crossing of each cutoff along random directions in {told.n:,} dimensions. {told.about}"
    return Picture("Radii", f"Histograms of basin radii for {', '.join(histograms)}.", caption, draw)


def ray_profile_picture(profile: Mapping[str, Any], cutoff: float, criterion: str, told: Measured) -> Picture:
    """The criterion along rays: some single ones, the median, and the middle 80 %."""

    def draw(theme: Theme) -> "Figure":
        figure, axes = new_figure(theme, 6.4, 3.6)
        radius = profile["radius"]
        for index, line in enumerate(profile["lines"]):
            axes.plot(radius, line, color=theme.muted, linewidth=0.6, alpha=0.7, label="single directions" if index == 0 else None)
        axes.fill_between(radius, profile["low"], profile["high"], color=theme.cycle[0], alpha=0.2, linewidth=0, label="middle 80 %")
        axes.plot(radius, profile["median"], color=theme.cycle[0], linewidth=2.0, label="median")
        axes.axhline(cutoff, color=theme.cycle[1], linewidth=1.3, linestyle="--", label=f"cutoff {cutoff:g}")
        axes.set_xscale("log")
        if np.nanmin(profile["low"]) > 0:
            axes.set_yscale("log")
        axes.set_xlabel(f"distance from the weights ({told.unit})")
        axes.set_ylabel(criterion)
        _plain_log_ticks(axes.xaxis)
        style_legend(axes, theme)
        return figure

    several = int(np.sum(np.asarray(profile["crossings"]) > 1))
    caption = (
        f"{criterion[:1].upper()}{criterion[1:]} along {profile['n_rays']} of the directions; {several} of them cross the cutoff more than once "
    )
    caption += f"here. {told.about}"
    return Picture("Along the rays", f"{criterion} against distance along random directions, with the cutoff {cutoff:g}.", caption, draw)


def layer_picture(layers: Mapping[str, np.ndarray], whole: float | None, told: Measured) -> Picture:
    """Radii of directions that move one layer alone: median, middle half and middle 95 %; ``layers`` holds ln r."""

    def draw(theme: Theme) -> "Figure":
        figure, axes = new_figure(theme, 6.4, 1.4 + 0.28 * len(layers))
        for place, logs in enumerate(layers.values()):
            low, first, middle, last, high = np.exp(np.quantile(logs, (0.025, 0.25, 0.5, 0.75, 0.975)))
            axes.plot([low, high], [place, place], color=theme.cycle[0], linewidth=1.2)
            axes.plot([first, last], [place, place], color=theme.cycle[0], linewidth=4.5, solid_capstyle="butt")
            axes.plot(middle, place, MARKERS[0], color=theme.paper, markeredgecolor=theme.cycle[0], markersize=6)
        if whole is not None:
            axes.axvline(whole, color=theme.cycle[1], linestyle="--", linewidth=1.3, label="all layers together")
            style_legend(axes, theme, loc="lower center", bbox_to_anchor=(0.5, 1.0))
        axes.set_yticks(range(len(layers)), list(layers))
        axes.set_ylim(len(layers) - 0.4, -0.6)
        axes.set_xscale("log")
        axes.set_xlabel(f"radius, only this layer moved ({told.unit})")
        _plain_log_ticks(axes.xaxis)
        return figure

    caption = f"First crossing of {told.edge} along random directions that move one layer alone: median, middle half, middle 95 %. {told.about}"
    return Picture("Layer by layer", "Basin radius per layer.", caption, draw)


def estimator_picture(rows: Sequence[Mapping[str, Any]], geometric: float | None, told: Measured) -> Picture:
    """Effective radius by each estimator with its interval and effective sample size; refused ones hollow."""
    shown = [row for row in rows if row.get("effective_radius") or row.get("refused_effective_radius")]

    def draw(theme: Theme) -> "Figure":
        figure, axes = new_figure(theme, 6.4, 1.7 + 0.42 * len(shown))
        for place, row in enumerate(shown):
            value = row.get("effective_radius")
            colour = theme.cycle[place % len(theme.cycle)]
            if value:
                low, high = (_radius_at(row, row.get(end), value) for end in ("log_volume_low", "log_volume_high"))
                axes.plot([low, high], [place, place], color=colour, linewidth=2.2)
                axes.plot(value, place, MARKERS[place % len(MARKERS)], color=colour, markersize=8)
            else:
                axes.plot(row["refused_effective_radius"], place, MARKERS[place % len(MARKERS)], color=colour, markerfacecolor="none", markersize=8)
            ess = f"ESS {row['ess']:.3g} of {row['n_rays'] or 0:g}" if row.get("ess") else "no rays"
            words = f"{ess}{'' if value else ', refused'}"
            axes.annotate(words, (0.99, place), xycoords=("axes fraction", "data"), ha="right", va="center", fontsize=8.5, color=theme.muted)
        if geometric:
            axes.axvline(geometric, color=theme.muted, linestyle="--", linewidth=1.2, label="geometric mean radius (lower bound)")
            style_legend(axes, theme, loc="lower center", bbox_to_anchor=(0.5, 1.0))
        axes.set_yticks(range(len(shown)), [str(row["estimator"]).replace("_", "-") for row in shown])
        axes.set_ylim(len(shown) - 0.4, -0.6)
        axes.margins(x=0.12)
        left, right = axes.get_xlim()
        axes.set_xlim(left, right + 0.45 * (right - left))
        axes.set_xlabel(f"effective radius of the basin ({told.unit})")
        return figure

    caption = (
        f"Radius of the ball of the same volume in n = {told.n:,} dimensions, 95 % bootstrap interval, effective sample size (ESS). Hollow: refused, "
        f"only a lower bound. A ratio of radii of 1.01 is a ratio of volumes of {told.n * 0.00432137:,.3g} orders of magnitude here. {told.about}"
    )
    return Picture("Volume by each estimator", "Effective radius by each estimator of the volume.", caption, draw)


def _radius_at(row: Mapping[str, Any], log_volume: float | None, value: float) -> float:
    """Radius of a volume given next to the pair (``log_volume``, ``effective_radius``) of the row."""
    centre = row.get("log_volume")
    if log_volume is None or centre is None:
        return value
    return float(value * np.exp((log_volume - centre) / row["n_params"]))


def _plain_log_ticks(axis: Any) -> None:
    """Plain numbers on a logarithmic axis, also where it spans less than a decade."""
    from matplotlib.ticker import LogLocator, NullFormatter, StrMethodFormatter

    low, high = axis.get_view_interval()
    decades = np.log10(high / low) if low > 0 else 3
    if decades < 2.2:
        axis.set_major_locator(LogLocator(subs=(1.0, 2.0, 5.0)))
        axis.set_major_formatter(StrMethodFormatter("{x:g}"))
    axis.set_minor_formatter(NullFormatter())
