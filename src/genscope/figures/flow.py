"""Pictures of a gradient flow: loss, norms, margins, angles, conditions of the limit, residuals, and descent beside it."""

from collections.abc import Mapping, Sequence
from functools import partial
from typing import TYPE_CHECKING, Any

from genscope.figures.flow_boundary import boundary_picture
from genscope.figures.theme import MARKERS, Picture, Theme, new_figure, style_legend

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

_TIME = "ln(1 + t)"
_SHOWN = {
    "euler": "⟨W, ∂f/∂W⟩ = f",
    "growth": "equal growth of ρ_k²",
    "drift_layers": "balance of layers",
    "drift_neurons": "balance of units",
    "drift_products": "balance of products",
}


def flow_pictures(curves: Mapping[str, Any], tail: Mapping[str, Any] | None = None) -> list[Picture]:
    """Every picture that the curves of a ``flow`` result allow; parts that are missing or damaged are left out.

    Args:
        curves: as :func:`genscope.verbs.flow.flow` returns them, or read back from disk.
        tail: the result's tail, for the changes of support vectors.
    """
    trace = curves.get("trace")
    if not isinstance(trace, Mapping) or not _numbers(trace.get("tau")):
        return []
    tau = list(trace["tau"])
    changes = [change for change in (tail or {}).get("support_changes") or () if isinstance(change, Mapping)]
    found = [boundary_picture(curves.get("boundary")), _margins(curves, tau, changes), _loss(curves, tau), _norms(curves, tau)]
    found += [_angle(curves, tau), _law(curves), _conditions(trace, tau), _residuals(curves), _descent(curves)]
    return [picture for picture in found if picture is not None]


def _numbers(values: Any) -> bool:
    return isinstance(values, list | tuple) and len(values) > 1 and all(value is None or isinstance(value, int | float) for value in values)


def _line(axes: "Axes", x: Sequence[Any], y: Sequence[Any], **style: Any) -> None:
    """A line with gaps where there is no number."""
    nan = float("nan")
    axes.plot([nan if value is None else value for value in x], [nan if value is None else value for value in y], **style)


def _margins(curves: Mapping[str, Any], tau: list[float], changes: list[Mapping[str, Any]]) -> Picture | None:
    trace = curves["trace"]
    if not _numbers(trace.get("margin")):
        return None
    return Picture(
        "The margin grows, and the support vector changes",
        f"Normalized margin over logarithmic time, {len(changes)} changes of the support vector marked; it ends at {trace['margin'][-1]:.3g}.",
        "Thick: the smallest gap γ = min y f(V; x) of the network with layers of unit norm. Dashed: the smoothed margin log(1/NL)/ρ, which can never "
        "fall once L < 1/N. Thin: single examples. Circles: the example with the smallest gap changes; the number is the new one.",
        partial(_draw_margins, curves, tau, changes),
    )


def _draw_margins(curves: Mapping[str, Any], tau: list[float], changes: list[Mapping[str, Any]], theme: Theme) -> "Figure":
    figure, axes = new_figure(theme, 7.2, 4.2)
    trace, gaps = curves["trace"], curves.get("gaps")
    for values in gaps.get("values", ()) if isinstance(gaps, Mapping) else ():
        if _numbers(values) and len(values) == len(tau):
            _line(axes, tau, values, color=theme.muted, linewidth=0.7, alpha=0.6)
    _line(axes, tau, trace["margin"], color=theme.cycle[0], linewidth=2.4, label="smallest gap γ")
    if _numbers(trace.get("smoothed")):
        _line(axes, tau, trace["smoothed"], color=theme.cycle[1], linewidth=1.6, linestyle="--", label="smoothed margin")
    truth = curves.get("max_margin")
    if isinstance(truth, int | float):
        axes.axhline(truth, color=theme.cycle[2], linewidth=1.2, linestyle=":", label="hard margin (SVM)")
    for change in changes[:12]:
        axes.plot(change["tau"], change["margin"], "o", markersize=10, markerfacecolor="none", markeredgecolor=theme.cycle[1], markeredgewidth=1.6)
        axes.annotate(str(change["example"]), (change["tau"], change["margin"]), (4, 9), textcoords="offset points", color=theme.ink, fontsize=8.5)
    low, high = min(trace["margin"]), max(trace["margin"])
    top = max(high, truth) if isinstance(truth, int | float) else high
    axes.set_ylim(max(low, -0.35 * top), top * 1.25)
    axes.axhline(0, color=theme.muted, linewidth=0.8)
    # early times hold the events, late ones the slow turn
    axes.set_xscale("symlog", linthresh=1.0)
    _plain_ticks(axes, tau[-1])
    axes.set(xlabel=_TIME, ylabel="gap / Π ρ_k", title="Margin of the normalized network")
    style_legend(axes, theme, loc="lower right")
    return figure


def _plain_ticks(axes: "Axes", last: float) -> None:
    marks = [mark for mark in (0, 1, 3, 10, 30, 100, 300, 1000, 3000, 10000) if mark <= last]
    axes.set_xticks(marks, [f"{mark:g}" for mark in marks])
    axes.minorticks_off()


def _loss(curves: Mapping[str, Any], tau: list[float]) -> Picture | None:
    trace = curves["trace"]
    if not _numbers(trace.get("log10_loss")):
        return None
    return Picture(
        "Loss, decade after decade",
        f"Logarithm of the loss over logarithmic time, a nearly straight line down to 1e{trace['log10_loss'][-1]:.4g}.",
        "log₁₀ of the training loss. Floating-point numbers end at 1e-308; the run goes on because only logarithms of losses are kept. "
        "Dots: gradient descent whose step grows like 1/loss, with steps that raise the loss undone.",
        partial(_draw_loss, curves, tau),
    )


def _draw_loss(curves: Mapping[str, Any], tau: list[float], theme: Theme) -> "Figure":
    figure, axes = new_figure(theme, 6.4, 3.8)
    _line(axes, tau, curves["trace"]["log10_loss"], color=theme.cycle[0], linewidth=2.2, label="flow")
    framed = curves.get("framed")
    if isinstance(framed, Mapping) and _numbers(framed.get("tau")) and _numbers(framed.get("log10_loss")):
        pairs = [(x, y) for x, y in zip(framed["tau"], framed["log10_loss"], strict=False) if x <= tau[-1]]
        if pairs:
            step = max(1, len(pairs) // 40)
            axes.plot(*zip(*pairs[::step], strict=True), "o", color=theme.cycle[1], markersize=3.5, label="descent, step ∝ 1/loss")
    axes.set(xlabel=_TIME, ylabel="log₁₀ loss", title="Loss")
    style_legend(axes, theme)
    return figure


def _norms(curves: Mapping[str, Any], tau: list[float]) -> Picture | None:
    norms = curves.get("norms")
    if not isinstance(norms, Mapping) or not isinstance(norms.get("values"), list | tuple) or not all(_numbers(v) for v in norms["values"]):
        return None
    return Picture(
        "Norms by layer",
        "Norms of the layers on the left, their squares on the right; the squares are parallel curves.",
        "Left: ρ_k = ‖W_k‖. Right: ρ_k². Lemma 1 says that all squares grow at the same rate, so the curves on the right keep their distance.",
        partial(_draw_norms, norms, tau),
    )


def _draw_norms(norms: Mapping[str, Any], tau: list[float], theme: Theme) -> "Figure":
    figure, (left, right) = new_figure(theme, 8.4, 3.6, 1, 2)
    names = norms.get("layers") or ()
    for k, values in enumerate(norms["values"][:16]):
        look = {"color": theme.cycle[k % len(theme.cycle)], "linewidth": 1.8, "label": str(names[k])[:24] if k < len(names) else f"layer {k + 1}"}
        look |= {"marker": MARKERS[k % len(MARKERS)], "markevery": max(1, len(tau) // 9), "markersize": 4}
        _line(left, tau, values, **look)
        _line(right, tau, [value**2 for value in values], **look)
    left.set(xlabel=_TIME, ylabel="ρ_k", title="Norms")
    right.set(xlabel=_TIME, ylabel="ρ_k²", title="Squares: the same growth")
    style_legend(left, theme)
    return figure


def _angle(curves: Mapping[str, Any], tau: list[float]) -> Picture | None:
    values = curves["trace"].get("angle")
    if not _numbers(values) or all(value is None for value in values):
        return None
    return Picture(
        "Angle to the hard-margin direction",
        f"Angle between the linear network and the support vector machine over time, falling to {values[-1]:.2g} rad.",
        "Angle between the network's linear map and the exact hard-margin solution, both axes logarithmic; a slope of -1 is the rate 1/log t.",
        partial(_draw_angle, values, tau),
    )


def _draw_angle(values: Sequence[Any], tau: list[float], theme: Theme) -> "Figure":
    figure, axes = new_figure(theme, 6.0, 3.6)
    known = [(t, v) for t, v in zip(tau, values, strict=False) if v is not None and v > 0 and t > 0.2]
    if known:
        axes.loglog(*zip(*known, strict=True), color=theme.cycle[0], linewidth=2.2, label="flow")
        last_t, last_v = known[-1]
        begin = max(known[0][0], last_t / 20)
        axes.loglog([begin, last_t], [last_v * last_t / begin, last_v], color=theme.muted, linestyle=":", linewidth=1.4, label="∝ 1/ln t")
    marks = [mark for mark in (0.3, 1, 3, 10, 30, 100, 300, 1000, 3000) if mark <= tau[-1]]
    axes.set_xticks(marks, [f"{mark:g}" for mark in marks])
    axes.minorticks_off()
    axes.set(xlabel=_TIME, ylabel="angle [rad]", title="Angle to the maximum-margin direction")
    style_legend(axes, theme)
    return figure


def _law(curves: Mapping[str, Any]) -> Picture | None:
    law = curves.get("law")
    if not isinstance(law, Mapping) or not all(_numbers(law.get(key)) for key in ("tau", "gap", "law")):
        return None
    return Picture(
        "How fast the norms grow",
        "Smallest gap of the network against logarithmic time, beside the growth law and the line of slope one.",
        "γρ, the smallest gap in logits. Dashed: γρ = ln t + (2 - 2/K) ln ρ + ln(K γ²) with the margin of the moment. Dotted: γρ = ln t.",
        partial(_draw_law, law),
    )


def _draw_law(law: Mapping[str, Any], theme: Theme) -> "Figure":
    figure, axes = new_figure(theme, 6.0, 3.6)
    _line(axes, law["tau"], law["gap"], color=theme.cycle[0], linewidth=2.2, label="flow")
    _line(axes, law["tau"], law["law"], color=theme.cycle[1], linewidth=1.6, linestyle="--", label="growth law")
    _line(axes, law["tau"], law["tau"], color=theme.muted, linewidth=1.2, linestyle=":", label="ln t")
    axes.set(xlabel=_TIME, ylabel="γ ρ [logits]", title="Growth of the product of norms")
    style_legend(axes, theme)
    return figure


def _conditions(trace: Mapping[str, Any], tau: list[float]) -> Picture | None:
    names = {"epsilon": "ε, multipliers of the loss", "best_epsilon": "ε, best multipliers", "delta": "δ, slackness"}
    shown = {label: trace[key] for key, label in names.items() if _numbers(trace.get(key)) and sum(v is not None and v > 0 for v in trace[key]) > 1}
    if not shown:
        return None
    return Picture(
        "On the way to a KKT point",
        "Residuals of the Karush-Kuhn-Tucker conditions over time.",
        "Stationarity ε = ‖W - Σ λ_n ∇q_n‖/‖W‖ with the multipliers that the loss gives and with the best ones, and slackness δ (Lyu & Li "
        "2020). At a kink of the ReLU a single gradient tells little, so ε may stay above zero there; the table judges by sampled subdifferentials.",
        partial(_draw_logs, shown, tau, ("residual", "Conditions of the limit")),
    )


def _residuals(curves: Mapping[str, Any]) -> Picture | None:
    held = curves.get("residuals")
    if not isinstance(held, Mapping) or not _numbers(held.get("tau")):
        return None
    shown = {label: [max(v, 1e-17) if v is not None else None for v in held[key]] for key, label in _SHOWN.items() if _numbers(held.get(key))}
    if not shown:
        return None
    return Picture(
        "What should be zero",
        "Residuals of the identities and conservation laws over time, near rounding for the identities.",
        "Relative residuals on a logarithmic axis; 1e-17 stands for zero. Identities stay there; what is conserved drifts by the integrator's error.",
        partial(_draw_logs, shown, list(held["tau"]), ("relative residual", "Identities and invariants")),
    )


def _draw_logs(shown: Mapping[str, Sequence[Any]], x: list[float], words: tuple[str, str], theme: Theme) -> "Figure":
    figure, axes = new_figure(theme, 6.4, 3.8)
    for k, (label, values) in enumerate(shown.items()):
        y = [value if value is not None and value > 0 else None for value in values]
        _line(axes, x, y, color=theme.cycle[k % len(theme.cycle)], linewidth=1.5, label=label)
    axes.set_yscale("log")
    axes.set(xlabel=_TIME, ylabel=words[0], title=words[1])
    style_legend(axes, theme)
    return figure


def _descent(curves: Mapping[str, Any]) -> Picture | None:
    paths = curves.get("descent")
    if not isinstance(paths, list | tuple):
        return None
    good = [path for path in paths if isinstance(path, Mapping) and _numbers(path.get("tau")) and _numbers(path.get("gap"))]
    if not good:
        return None
    batch = good[0].get("batch")
    return Picture(
        "Descent beside the flow",
        "Relative distance between gradient descent and the flow at equal times, for a step and for half of it.",
        f"‖W_descent - W_flow‖ / ‖W_flow‖ at equal t{f', batches of {batch}' if batch else ''}. Half the step halves the distance: plain descent is "
        "Euler's method.",
        partial(_draw_descent, good),
    )


def _draw_descent(paths: Sequence[Mapping[str, Any]], theme: Theme) -> "Figure":
    figure, axes = new_figure(theme, 6.0, 3.6)
    for k, path in enumerate(paths[:4]):
        known = [(t, g) for t, g in zip(path["tau"], path["gap"], strict=False) if g is not None and g > 0]
        if known:
            axes.semilogy(*zip(*known, strict=True), color=theme.cycle[k], marker=MARKERS[k], markersize=4, label=f"step {path.get('step')}")
    axes.set(xlabel=_TIME, ylabel="relative distance", title="Gradient descent against the flow")
    style_legend(axes, theme)
    return figure
