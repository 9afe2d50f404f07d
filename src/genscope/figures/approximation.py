"""Errors against units with the fitted and the theorem's slopes, exponents against n, and exact unit counts."""

from collections.abc import Mapping, Sequence
from functools import partial
from typing import TYPE_CHECKING, Any

from genscope.figures.theme import MARKERS, Picture, Theme, new_figure, style_legend

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

Row = Mapping[str, Any]
NAMES = {
    "tree_shared": "tree, shared weights",
    "tree": "tree, free weights",
    "tree_built": "tree, built node by node",
    "shallow": "shallow",
    "deep": "generic deep",
}


def error_picture(rows: Sequence[Row], lines: Sequence[Row], guides: Sequence[Row]) -> Picture:
    """Error against units, one panel per n.

    Args:
        rows: ``architecture variables n_units error error_low error_high`` each.
        lines: fitted lines, ``architecture variables x y`` each.
        guides: the theorem's slopes, ``label variables x y`` each.
    """
    panels = sorted({row["variables"] for row in rows})
    return Picture(
        "Error against units",
        f"Log-log plots of error against number of units for n = {', '.join(map(str, panels))}, one line per architecture.",
        "Root-mean-square error over the target's standard deviation on fresh points; geometric mean over seeds, bars 95 % (Student's t over seeds). "
        "Lines are least-squares fits; grey lines have the theorem's slopes −m/2 (dashed, trees) and −m/n (dotted, shallow) and only their slope "
        "means anything. Shallow, deep and free trees at one place of the sweep have nearly equal numbers of parameters.",
        partial(_draw_errors, rows, lines, guides, panels),
    )


def _draw_errors(rows: Sequence[Row], lines: Sequence[Row], guides: Sequence[Row], panels: Sequence[int], theme: Theme) -> "Figure":
    from matplotlib.ticker import FuncFormatter, LogLocator, NullFormatter

    figure, axes = new_figure(theme, 3.5 * len(panels) + 0.9, 4.4, 1, len(panels), sharey=True, squeeze=False)
    for place, n in enumerate(panels):
        one = axes[0, place]
        for guide in (guide for guide in guides if guide["variables"] == n):
            one.plot(guide["x"], guide["y"], color=theme.muted, linewidth=1.0, linestyle=guide["style"], zorder=1)
            one.annotate(
                guide["label"], (guide["x"][-1], guide["y"][-1]), (2, 0), textcoords="offset points", color=theme.muted, fontsize=8, va="center"
            )
        for index, name in enumerate(NAMES):
            _draw_series(one, [row for row in rows if (row["architecture"], row["variables"]) == (name, n)], index, theme)
            for line in (line for line in lines if (line["architecture"], line["variables"]) == (name, n)):
                one.plot(line["x"], line["y"], color=theme.cycle[index], linewidth=1.2, zorder=2)
        one.set(xscale="log", yscale="log", title=f"n = {n}", xlabel="units")
        one.margins(x=0.12)
        for axis in (one.xaxis, one.yaxis):
            axis.set_major_locator(LogLocator(10, subs=(1.0, 2.0, 5.0)))
            axis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
            axis.set_minor_formatter(NullFormatter())
    axes[0, 0].set_ylabel("relative error")
    handles, labels = next(((one.get_legend_handles_labels()) for one in axes[0] if one.get_legend_handles_labels()[0]), ([], []))
    figure.legend(
        handles, labels, loc="outside lower center", ncols=min(5, max(2, 2 * len(panels) - 1)), frameon=False, labelcolor=theme.ink, fontsize=9
    )
    return figure


def _draw_series(axes: "Axes", rows: Sequence[Row], index: int, theme: Theme) -> None:
    known = [row for row in rows if row["error"] is not None]
    if not known:
        return
    low = [row["error"] - (row["error"] if row["error_low"] is None else row["error_low"]) for row in known]
    high = [(row["error"] if row["error_high"] is None else row["error_high"]) - row["error"] for row in known]
    axes.errorbar(
        [row["n_units"] for row in known],
        [row["error"] for row in known],
        yerr=[low, high],
        color=theme.cycle[index],
        marker=MARKERS[index],
        markersize=5,
        linestyle="none",
        elinewidth=0.8,
        alpha=0.95,
        label=NAMES[rows[0]["architecture"]],
        zorder=3,
    )


def exponent_picture(exponents: Sequence[Row]) -> Picture:
    """Fitted exponents against n, beside those of the theorem."""
    return Picture(
        "Does the exponent depend on n?",
        "Exponent of the error against n for each architecture with intervals, and the theorem's exponents for trees and shallow networks.",
        "Exponent b of error ≈ c·N^(−b); larger is better. Bars: 95 % (Student's t over seeds). Grey: the theorem's m/2 for trees (dashed) and "
        "m/n for shallow networks (dotted).",
        partial(_draw_exponents, exponents),
    )


def _draw_exponents(exponents: Sequence[Row], theme: Theme) -> "Figure":
    figure, axes = new_figure(theme, 8.6, 3.6)
    panels = sorted({row["variables"] for row in exponents})
    for index, name in enumerate(NAMES):
        known = [row for row in exponents if row["architecture"] == name and row["exponent"] is not None]
        if not known:
            continue
        middle = [row["exponent"] for row in known]
        low = [row["exponent"] - (row["exponent"] if row["low"] is None else row["low"]) for row in known]
        high = [(row["exponent"] if row["high"] is None else row["high"]) - row["exponent"] for row in known]
        places = [panels.index(row["variables"]) + 0.1 * (index - 2) for row in known]
        axes.errorbar(
            places,
            middle,
            yerr=[low, high],
            color=theme.cycle[index],
            marker=MARKERS[index],
            markersize=5,
            linewidth=1.0,
            label=NAMES[name],
            zorder=3,
        )
    for name, style, label in (("tree", "--", "theorem, trees"), ("shallow", ":", "theorem, shallow")):
        theory = {row["variables"]: row["theorem"] for row in exponents if row["architecture"].startswith(name) and row["theorem"] is not None}
        axes.plot([panels.index(n) for n in theory], list(theory.values()), color=theme.muted, linestyle=style, linewidth=1.2, label=label, zorder=1)
    axes.set_xticks(range(len(panels)), [str(n) for n in panels])
    axes.set(xlabel="variables n", ylabel="exponent b")
    axes.axhline(0, color=theme.muted, linewidth=0.6)
    axes.set_xlim(-0.4, len(panels) - 0.6)
    axes.legend(frameon=False, labelcolor=theme.ink, fontsize=9, loc="upper left", bbox_to_anchor=(1.0, 1.0))
    return figure


def count_picture(counts: Sequence[Row]) -> Picture:
    """Units that polynomials need, shallow against trees."""
    return Picture(
        "Units for polynomials of degree k",
        "Exact numbers of units for shallow networks and trees against the degree, one panel per n.",
        "Shallow: C(n+k, k). Tree: (n−1)·C(2+k, 2), for constituents of degree k. Such a tree as a whole has degree k^(log₂ n); the upper curve is "
        "what a shallow network needs for all polynomials of that degree.",
        partial(_draw_counts, counts),
    )


def _draw_counts(counts: Sequence[Row], theme: Theme) -> "Figure":
    panels = sorted({row["variables"] for row in counts})
    figure, axes = new_figure(theme, 2.9 * len(panels) + 0.9, 3.6, 1, len(panels), sharey=True, squeeze=False)
    series = (("tree", "tree"), ("shallow", "shallow, degree k"), ("shallow_composed", "shallow, degree k^(log₂ n)"))
    for place, n in enumerate(panels):
        one, own = axes[0, place], [row for row in counts if row["variables"] == n]
        for index, (key, label) in enumerate(series):
            one.plot(
                [row["degree"] for row in own], [row[key] for row in own], color=theme.cycle[index], marker=MARKERS[index], markersize=5, label=label
            )
        one.set(yscale="log", title=f"n = {n}", xlabel="degree k")
        one.set_xticks([row["degree"] for row in own])
    axes[0, 0].set_ylabel("units")
    style_legend(axes[0, 0], theme, loc="upper left")
    return figure
