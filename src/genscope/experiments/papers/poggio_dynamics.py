"""Poggio et al.: how norms grow and support vectors change along a flow, judged and drawn."""

from typing import TYPE_CHECKING

import numpy as np

from genscope.experiments.papers.poggio_flows import DEPARTURES, FLOWS, lemma_checks, lemma_table
from genscope.experiments.values import Judgement
from genscope.experiments.verdicts import check_above, check_below, check_within, judgement

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    from genscope.experiments.runs import Runs
    from genscope.figures.theme import Theme

LOG_TIMES = (10.0, 20.0, 40.0, 60.0)


def judge_growth(runs: "Runs") -> Judgement:
    """Measured smallest gaps against the law for balanced layers; the law itself against a numeric solution of its differential equation."""
    from genscope.dynamics.growth import grown_margin

    rows = lemma_table(runs, "growth of norms")
    deep = [row for _, numbers, row in rows if numbers["depth"] > 1]
    checks = lemma_checks(runs, "growth of norms")
    ratios = [grown_margin(log_time, 3) / log_time for log_time in LOG_TIMES]
    checks.append(check_below("γρ/ln t of the law for 3 layers: from ln t = 10 to 60 it changes by", ratios[-1] - ratios[0], 0.0, decides=False))
    off = max(abs(integrated(depth, 20.0) / grown_margin(20.0, depth) - 1.0) for depth in (1, 2, 3, 5))
    checks.append(check_below("law against the integrated equation at ln t = 20, largest relative difference", off, 0.02, decides=False))
    far = ", ".join(f"{grown_margin(60.0, depth):.2f} (K = {depth})" for depth in (1, 2, 3, 5))
    meaning = (
        "For one layer the smallest gap grows as ln t. For several, the product of norms gains only a term in ln ln t: at ln t = 60 the law gives "
        f"{far}. "
        "γρ/ln t falls back towards 1, so nothing diverges faster than logarithmically in the limit, although at any time that can be reached the "
        f"deeper network is ahead. {len(deep)} deep flows follow the law within its allowance."
    )
    return judgement(checks, meaning, n_runs=len(rows), departures=DEPARTURES)


def integrated(depth: int, log_time: float) -> float:
    """gρ from ρ̇ = K g ρ^{2−2/K} e^{−gρ} with g = 1, integrated in ln t from ρ = 1 at t = 1."""
    from scipy.integrate import solve_ivp

    def speed(tau: float, rho: np.ndarray) -> np.ndarray:
        return depth * rho ** (2.0 - 2.0 / depth) * np.exp(tau - rho)

    return float(solve_ivp(speed, (0.0, log_time), [1.0], method="LSODA", rtol=1e-8, atol=1e-10).y[0, -1])


def judge_support(runs: "Runs") -> Judgement:
    """Changes of the support vector, when they end, and whether the margin grows faster after them."""
    rows = [(numbers, settings) for settings, numbers in runs.table(FLOWS) if settings["system"] == "C" and settings["problem"] != "stuck"]
    changes = np.array([len(numbers["changes"]) for numbers, _ in rows], dtype=np.float64)
    late = [change["tau"] / settings["until"] for numbers, settings in rows for change in numbers["changes"][-1:]]
    faster = [change["speed_after"] > change["speed_before"] for numbers, _ in rows for change in numbers["changes"]]
    falls = [row["residual"] for *_, row in lemma_table(runs, "margin grows")]
    share = float(np.mean(faster)) if faster else None
    interval = None
    if faster:
        from scipy import stats

        found = stats.binomtest(int(sum(faster)), len(faster)).proportion_ci()
        interval = (float(found.low), float(found.high))
    checks = (
        check_below("largest fall of the smallest normalized margin after separation", max(falls), 1e-8, note="the margin is non-decreasing"),
        check_within("changes of the support vector per run, mean", float(changes.mean()), (0.5, np.inf), paper=3.0),
        check_below("time of the last change, as a share of ln t, mean", float(np.mean(late)) if late else None, 0.9, note="then it stabilizes"),
        check_above(
            "share of changes after which the margin grows faster", share, 0.5, interval=interval, n_runs=len(faster),
            note="by chance it would be half",
        ),
    )  # fmt: skip
    meaning = (
        f"The support vector changes {changes.mean():.1f} times per run on average and then stays. The margin grows faster right after "
        f"{share or 0:.0%} of the changes: when another example becomes the smallest, both pull together only for a while, and the smaller of two "
        "growing margins cannot speed up by the change itself."
    )
    return judgement(checks, meaning, n_runs=len(rows), departures=DEPARTURES)


def judge_svm(runs: "Runs") -> Judgement:
    """One linear layer: the angle to the exact hard margin, its rate in ln t, and the margin that is left to gain."""
    from genscope.numerics.few_seeds import mean_over_seeds

    cells = [cell for cell in runs.cells(FLOWS) if cell.settings["problem"] == "line"]
    rates, ends, grows, gains = [], [], [], []
    for cell in cells:
        arrays, end = runs.arrays(cell, FLOWS), cell.settings["until"]
        tau, angle = arrays["tau"], arrays["angle"]
        late = tau >= end / 2
        rates.append(-float(np.polyfit(np.log(tau[late]), np.log(angle[late]), 1)[0]))
        ends.append(float(angle[-1]))
        grows.append(float(angle[-1] * tau[-1] / np.max((angle * tau)[(tau >= 1) & ~late])))
        (margin,) = (numbers["max_margin"] for settings, numbers in runs.table(FLOWS) if settings == cell.settings)
        gains.append(1.0 - float(arrays["margin"][-1]) / margin)
    found = mean_over_seeds(np.array(rates), np.random.default_rng(0), n_resamples=1)
    interval = None if found is None or found.low is None or found.high is None else (found.low, found.high)
    checks = (
        check_below("largest angle to the hard margin at the end (rad)", max(ends), 0.1),
        check_below("angle times ln t at the end, over its largest value before half-time", max(grows), 1.0, note="bounded: the angle is O(1/ln t)"),
        check_within(
            "exponent of the angle's fall with ln t in the second half, mean", found.mean if found else None, (0.4, 2.0), interval=interval, null=0.0,
            n_runs=len(rates), paper=1.0, note="null: a direction that stays",
        ),
        check_below("largest share of the margin that is missing at the end", max(gains), 0.03),
    )  # fmt: skip
    meaning = (
        f"On {len(rates)} pairs of clouds the direction of one linear layer ends within {max(ends):.3f} rad of the quadratic program's solution and "
        f"has all but {max(gains):.1%} of its margin. The angle falls as (ln t)^−{np.mean(rates):.1f} on average; it can pass through small values "
        "and come back from the other side, so it need not fall at every step."
    )
    return judgement(checks, meaning, n_runs=len(rates), departures=DEPARTURES)


def _examples(runs: "Runs", system: str = "C") -> list[tuple[str, dict[str, np.ndarray]]]:
    """The first run of each problem."""
    found: dict[str, dict[str, np.ndarray]] = {}
    for cell in runs.cells(FLOWS):
        if cell.settings["system"] == system and cell.settings["problem"] not in found:
            found[cell.settings["problem"]] = runs.arrays(cell, FLOWS)
    return list(found.items())


def _one_panel(theme: "Theme", x: str, y: str) -> tuple["Figure", "Axes"]:
    from genscope.figures.theme import new_figure

    figure, axes = new_figure(theme, 6.0, 4.0)
    axes.set(xlabel=x, ylabel=y)
    return figure, axes


def draw_squares(runs: "Runs", theme: "Theme") -> "Figure":
    """ρ_k² by layer of a deep network: parallel lines."""
    from genscope.figures.theme import style_legend

    figure, axes = _one_panel(theme, "ln(1 + t)", "ρ_k²")
    name, arrays = next(item for item in _examples(runs) if len(item[1]["norms"]) > 1)
    for index, norms in enumerate(arrays["norms"]):
        axes.plot(arrays["tau"], norms**2, linestyle=("-", "--", "-.", ":")[index % 4], label=f"layer {index + 1}")
    axes.set_title(f"problem {name}")
    style_legend(axes, theme)
    return figure


def draw_loss(runs: "Runs", theme: "Theme") -> "Figure":
    """The loss over hundreds of decades, one flow per problem."""
    from genscope.figures.theme import style_legend

    figure, axes = _one_panel(theme, "ln(1 + t)", "log₁₀ of the loss")
    for index, (name, arrays) in enumerate(_examples(runs)):
        axes.plot(arrays["tau"], arrays["log10_loss"], linestyle=("-", "--", "-.", ":", "-")[index % 5], label=name)
    style_legend(axes, theme)
    return figure


def draw_angle(runs: "Runs", theme: "Theme") -> "Figure":
    """The angle to the hard margin of every flow on a linear network."""
    from genscope.figures.theme import style_legend

    figure, axes = _one_panel(theme, "ln(1 + t)", "angle to the hard margin (rad)")
    for index, problem in enumerate(("line", "deep-line")):
        for number, cell in enumerate(cell for cell in runs.cells(FLOWS) if cell.settings["problem"] == problem and cell.settings["system"] == "C"):
            arrays = runs.arrays(cell, FLOWS)
            shown = arrays["tau"] > 1
            label = problem if number == 0 else None
            axes.plot(arrays["tau"][shown], arrays["angle"][shown], color=theme.cycle[index], linestyle=("-", "--")[index], linewidth=1, label=label)
    x = np.linspace(2.0, axes.get_xlim()[1], 50)
    axes.plot(x, 0.5 / x, color=theme.muted, linewidth=0.9, linestyle=":", label="1/ln t")
    axes.set(xscale="log", yscale="log")
    style_legend(axes, theme)
    return figure


def draw_growth(runs: "Runs", theme: "Theme") -> "Figure":
    """The smallest gap minus ln t beside the law."""
    from genscope.figures.theme import MARKERS, style_legend

    figure, axes = _one_panel(theme, "ln t", "smallest gap γρ minus ln t")
    for index, (name, arrays) in enumerate(item for item in _examples(runs) if "law_tau" in item[1]):
        colour = theme.cycle[index]
        every = max(1, len(arrays["law_tau"]) // 12)
        axes.plot(
            arrays["law_tau"][::every], (arrays["law_gap"] - arrays["law_tau"])[::every], MARKERS[index], color=colour, markersize=5, label=name
        )
        axes.plot(arrays["law_tau"], arrays["law_law"] - arrays["law_tau"], color=colour, linewidth=1)
    axes.set_title("points: flows, lines: the law for balanced layers")
    style_legend(axes, theme)
    return figure


def draw_margin(runs: "Runs", theme: "Theme") -> "Figure":
    """Margins and smoothed margins over their last value."""
    from genscope.figures.theme import style_legend

    figure, axes = _one_panel(theme, "ln(1 + t)", "normalized margin over its last value")
    for index, (name, arrays) in enumerate(_examples(runs)):
        last = arrays["margin"][-1]
        colour = theme.cycle[index]
        axes.plot(arrays["tau"], arrays["margin"] / last, color=colour, label=name)
        axes.plot(arrays["tau"], arrays["smoothed"] / last, color=colour, linestyle=":", linewidth=1.2)
    axes.set_ylim(-0.1, 1.1)
    axes.set_title("dotted: smoothed margin of Lyu and Li")
    style_legend(axes, theme, loc="lower right")
    return figure


def draw_kkt(runs: "Runs", theme: "Theme") -> "Figure":
    """The KKT residual with the best multipliers."""
    from genscope.figures.theme import style_legend

    figure, axes = _one_panel(theme, "ln(1 + t)", "KKT residual ε with the best multipliers")
    for index, (name, arrays) in enumerate(_examples(runs)):
        axes.plot(arrays["tau"], np.maximum(arrays["best_epsilon"], 1e-12), linestyle=("-", "--", "-.", ":", "-")[index % 5], label=name)
    axes.set(yscale="log")
    style_legend(axes, theme)
    return figure


def draw_changes(runs: "Runs", theme: "Theme") -> "Figure":
    """The margin of the run with most changes of the support vector."""
    from genscope.figures.theme import style_legend

    cells = [cell for cell in runs.cells(FLOWS) if cell.settings["system"] == "C"]
    numbers = {cell.name: row for cell, (_, row) in zip(runs.cells(FLOWS), runs.table(FLOWS), strict=True)}
    cell = max(cells, key=lambda one: (one.settings["problem"] in ("rings", "three-classes"), len(numbers[one.name]["changes"])))
    arrays = runs.arrays(cell, FLOWS)
    figure, axes = _one_panel(theme, "ln(1 + t)", "smallest normalized margin")
    axes.plot(arrays["tau"], arrays["margin"], color=theme.cycle[0], label="margin")
    for number, change in enumerate(numbers[cell.name]["changes"]):
        axes.axvline(change["tau"], color=theme.cycle[1], linewidth=0.9, linestyle="--", label="support vector changes" if number == 0 else None)
    axes.set_title(cell.name)
    style_legend(axes, theme, loc="lower right")
    return figure
