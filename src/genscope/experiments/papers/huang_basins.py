"""Huang et al., Figures 4, 5 and 7 and the claim of 10,000 orders of magnitude: radii and volumes of basins against test accuracy."""

import math
from typing import TYPE_CHECKING

import numpy as np

from genscope.experiments.papers.huang_networks import DIGIT_NETWORKS, SWISS_ROLL
from genscope.experiments.papers.huang_pairs import DEPARTURES, Rows, good_and_bad, order_check, poisoned_rows, ratio_check, values
from genscope.experiments.papers.huang_statistics import spearman_with_interval
from genscope.experiments.papers.neyshabur_statistics import mean_with_interval
from genscope.experiments.values import Check, Experiment, Family, Judgement
from genscope.experiments.verdicts import check_above, judgement

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    from genscope.experiments.runs import Runs
    from genscope.figures.theme import Theme

CUTOFFS = ("0.1", "0.5", "1")
NAMES = {SWISS_ROLL.name: "swiss roll", DIGIT_NETWORKS.name: "digits"}
SVHN_WEIGHTS, ORDERS = 269_722, 10_000
RATIO = 10 ** (ORDERS / SVHN_WEIGHTS)


def _departures(runs: "Runs") -> tuple[str, ...]:
    return () if runs.size == "full" else DEPARTURES


def _judge_volumes(runs: "Runs") -> Judgement:
    checks: list[Check] = []
    refused: list[float] = []
    for family in (SWISS_ROLL, DIGIT_NETWORKS):
        rows = poisoned_rows(runs, family)
        for name, words in (("log_volume", "naive ln V"), ("log_radius", "mean ln r")):
            for cutoff in CUTOFFS:
                statistic = f"{NAMES[family.name]}: Spearman of test accuracy and {words}, loss {cutoff}"
                checks.append(order_check(statistic, rows, "test_accuracy", f"{name}_{cutoff}"))
        refused += [float(value) for cutoff in CUTOFFS for value in values(rows, f"refused_{cutoff}") if np.isfinite(value)]
    sizes = [(dict(settings), dict(numbers)) for settings, numbers in runs.table(SWISS_ROLL) if settings["beta"] == 0]
    rho, interval = spearman_with_interval(values(sizes, "test_accuracy"), values(sizes, "log_radius_0.5"))
    further = check_above(
        "swiss roll without poison, other sizes of the training set: Spearman of test accuracy and mean ln r, loss 0.5", rho, 0.0, interval=interval,
        decides=False, note="later work: minima from more data generalize better and have smaller volumes (Fan, Sandlund & Ko 2025)",
    )  # fmt: skip
    passed = sum(check.passed is True for check in checks)
    lowest = min(check.observed for check in checks if check.observed is not None)
    meaning = (
        f"Over networks poisoned to different degrees, {passed} of {len(checks)} rank correlations between test accuracy and the size of the "
        f"basin lie above 0.8 with their whole interval (the lowest is {lowest:+.2f}). The volumes themselves are refused in "
        f"{np.mean(refused):.0%} of all cases, because a single ray carries their mean; the mean of ln r can always be compared. {_told(rho)}"
    )
    return judgement([*checks, further], meaning, departures=_departures(runs))


def _told(rho: float | None) -> str:
    if rho is None:
        return ""
    start = f"Among networks without poison that saw more or fewer examples the correlation of accuracy and radius is {rho:+.2f}: "
    if rho > 0.5:
        return start + "there too the wider basin is the better one."
    if rho < -0.5:
        return start + "where the data differ, the wider basin is the worse one, as later work found."
    return start + "where the data differ, the radius tells little of the accuracy; later work finds the order reversed."


def _judge_orders(runs: "Runs") -> Judgement:
    rows = poisoned_rows(runs, DIGIT_NETWORKS)
    checks: list[Check] = []
    orders = []
    n = float(np.nanmax(values(rows, "n_params")))
    for cutoff in CUTOFFS:
        checks.append(
            ratio_check(
                f"effective radius of good over bad, loss {cutoff}", rows, f"effective_radius_{cutoff}", RATIO, good_over_bad=True, paper=RATIO
            )
        )
        good, bad = good_and_bad(rows, f"log_volume_{cutoff}")
        known = (good - bad)[np.isfinite(good - bad)]
        orders.append(float(known.mean()) / math.log(10) if len(known) else math.nan)
        checks.append(
            check_above(f"orders of magnitude between the naive volumes at n = {n:,.0f}, loss {cutoff}", orders[-1], 0.0, paper=ORDERS, decides=False)
        )
    middle = checks[2]  # at loss 0.5, which every network lies below
    ratio = middle.observed or 1.0
    meaning = (
        f"10^{ORDERS:,} in {SVHN_WEIGHTS:,} dimensions is a ratio of effective radii of {RATIO:.4f}. Here, in {n:,.0f} dimensions, good "
        f"basins reach {ratio:.2f} times as far as the most poisoned ones at loss 0.5, which makes {orders[1]:,.0f} orders of magnitude; the "
        f"same ratio would make {SVHN_WEIGHTS * math.log10(ratio):,.0f} in the paper's network. Two good networks of different seeds already "
        f"differ by a factor of {middle.null or math.nan:.2f} in radius: orders of magnitude count dimensions rather than tell how different "
        "two minima are."
    )
    return judgement(checks, meaning, departures=_departures(runs))


def _judge_slices(runs: "Runs") -> Judgement:
    rows = poisoned_rows(runs, DIGIT_NETWORKS)
    checks = [
        ratio_check(f"loss of bad over good networks, {reach} of the filters' norms away", rows, f"slice_{reach}", 1.5, good_over_bad=False)
        for reach in ("0.25", "0.5")
    ]
    meaning = (
        f"A quarter of the filters' own norms away from the weights the loss of the most poisoned networks is {checks[0].observed or 0:.2f} "
        f"times that of the good ones, and {checks[1].observed or 0:.2f} times half of them away (geometric means over seeds); between good "
        "networks of different seeds "
        f"the factor is {checks[0].null or 0:.2f}. The bad minima are " + _sharper(checks)
    )
    return judgement(checks, meaning, departures=_departures(runs))


def _sharper(checks: list[Check]) -> str:
    observed = checks[0].observed or 0.0
    return "visibly sharper." if observed > 1.5 else "somewhat sharper." if observed > 1.1 else "not visibly sharper."


def _judge_directions(runs: "Runs") -> Judgement:
    rows = poisoned_rows(runs, DIGIT_NETWORKS)
    good, bad = good_and_bad(rows, "log_radius_0.5")
    spread = float(np.nanmean(values(rows, "log_radius_sem_0.5") * np.sqrt(values(rows, "n_directions"))))
    mean, interval = mean_with_interval((good - bad) / spread)
    apart = mean or 0.0
    words = "Spearman of test accuracy and minus the loss {} of the filters' norms away"
    order = [order_check(words.format(reach), rows, "test_accuracy", f"slice_{reach}", -1.0, decides=False) for reach in ("0.25", "0.5", "1")]
    checks = [
        ratio_check("radius of good over bad networks, loss 0.5", rows, "log_radius_0.5", 1.2, good_over_bad=True, log=True),
        check_above(
            "difference of good and bad in ln r at loss 0.5, over its standard deviation between directions", mean, 1.0, interval=interval,
            n_runs=len(good),
        ),
        *order,
    ]  # fmt: skip
    meaning = (
        "Rank correlations of test accuracy with minus the loss along filter-normalized random directions are "
        f"{', '.join(f'{check.observed or 0:+.2f}' for check in order)} at a quarter, half and the whole of the "
        "filters' norms. Far from the minimum the loss is that of a random network of the same norms, and the order need not last. The "
        f"standard deviation of ln r between directions is {spread:.2f}; good and bad networks differ by {apart:.1f} times that."
    )
    return judgement(checks, meaning, departures=_departures(runs))


def _draw_volumes(runs: "Runs", theme: "Theme") -> "Figure":
    from genscope.figures.theme import new_figure

    figure, axes = new_figure(theme, 9.6, 6.2, rows=2, cols=3)
    for line, family in zip(axes, (SWISS_ROLL, DIGIT_NETWORKS), strict=True):
        rows = poisoned_rows(runs, family)
        accuracy = values(rows, "test_accuracy")
        for panel, cutoff in zip(line, CUTOFFS, strict=True):
            sem = values(rows, f"log_radius_sem_{cutoff}")
            panel.errorbar(
                accuracy, values(rows, f"log_radius_{cutoff}"), sem, fmt="o", markersize=5, color=theme.cycle[0], label="mean ln r ± standard error"
            )
            panel.scatter(
                accuracy,
                np.log(values(rows, f"effective_radius_{cutoff}")),
                marker="^",
                s=24,
                color=theme.cycle[1],
                label="ln of the effective radius",
            )
            panel.set_title(f"{NAMES[family.name]}, edge at loss {cutoff}")
            panel.set_xlabel("test accuracy")
        if family is SWISS_ROLL:
            _draw_sizes(runs, line[1], theme)
        line[0].set_ylabel("ln radius (filters' norms)")
    handles, labels = axes[0, 1].get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside lower center", ncols=3, frameon=False, labelcolor=theme.ink, fontsize=9)
    return figure


def _draw_sizes(runs: "Runs", panel: "Axes", theme: "Theme") -> None:
    rows: Rows = [(dict(settings), dict(numbers)) for settings, numbers in runs.table(SWISS_ROLL) if settings["kind"] == "size"]
    panel.scatter(
        values(rows, "test_accuracy"), values(rows, "log_radius_0.5"), marker="D", s=24, facecolors="none", edgecolors=theme.cycle[2],
        label="mean ln r, no poison, other data sizes",
    )  # fmt: skip


def _draw_orders(runs: "Runs", theme: "Theme") -> "Figure":
    from matplotlib.ticker import LogLocator, NullFormatter, ScalarFormatter

    from genscope.figures.theme import new_figure, style_legend

    figure, axes = new_figure(theme, 6.4, 4.0)
    shown: dict[float, list[np.ndarray]] = {}
    for cell in runs.cells(DIGIT_NETWORKS):
        radii = runs.arrays(cell, DIGIT_NETWORKS).get("radii_0.5", np.empty(0))
        shown.setdefault(cell.settings["beta"], []).append(radii[np.isfinite(radii)])
    low, high = min(shown), max(shown)
    both = {beta: np.concatenate(shown[beta]) for beta in (low, high)}
    every = np.concatenate([np.ones(1), *both.values()])[1 if any(len(one) for one in both.values()) else 0 :]
    edges = np.geomspace(every.min() / 1.15, every.max() * 1.15, 60).tolist()
    for colour, beta in zip(theme.cycle, both, strict=False):
        axes.hist(both[beta], bins=edges, color=colour, alpha=0.55, label=f"β = {beta:g}" if beta else "no poison")
    axes.set(xscale="log", xlabel="radius at loss 0.5 (filters' norms)", ylabel="rays")
    axes.xaxis.set_major_locator(LogLocator(subs=(1, 2, 5)))
    axes.xaxis.set_major_formatter(ScalarFormatter())
    axes.xaxis.set_minor_formatter(NullFormatter())
    style_legend(axes, theme, loc="upper center")
    return figure


def _draw_slices(runs: "Runs", theme: "Theme") -> "Figure":
    return _profiles(runs, theme, only_ends=True)


def _draw_directions(runs: "Runs", theme: "Theme") -> "Figure":
    return _profiles(runs, theme, only_ends=False)


def _profiles(runs: "Runs", theme: "Theme", *, only_ends: bool) -> "Figure":
    from matplotlib import colormaps

    from genscope.figures.theme import new_figure

    figure, axes = new_figure(theme, 6.4, 4.2)
    cells = runs.cells(DIGIT_NETWORKS)
    betas = sorted({cell.settings["beta"] for cell in cells})
    shown = [betas[0], betas[-1]] if only_ends else betas
    colours = (theme.cycle[0], theme.cycle[1]) if only_ends else colormaps[theme.sequential](np.linspace(0.3, 0.9, len(shown)))
    for beta, colour in zip(shown, colours, strict=True):
        mine = [cell for cell in cells if cell.settings["beta"] == beta]
        accuracy = runs.column(DIGIT_NETWORKS, "test_accuracy", beta=beta)
        found = [runs.arrays(cell, DIGIT_NETWORKS) for cell in mine]
        if only_ends:
            for one in found:
                axes.plot(one["slice_t"], one["slice"].T, color=colour, linewidth=0.7, alpha=0.5)
        label = f"β = {beta:g}, test accuracy {accuracy.mean():.2f}"
        axes.plot(found[0]["slice_t"], np.mean([one["slice"].mean(axis=0) for one in found], axis=0), color=colour, linewidth=2.0, label=label)
    axes.set(yscale="log", xlabel="step along a filter-normalized direction (1 = each filter's own norm)", ylabel="training loss (nats)")
    figure.legend(loc="outside lower center", ncols=2, frameon=False, labelcolor=theme.ink, fontsize=9)
    return figure


_S = "Huang et al."
_COORDINATES = (
    "The released directions have unit length per filter, so they live on a product of spheres and have length √(number of filters); they "
    "are not uniform on the unit sphere that the formula needs. Here z is uniform on the sphere of all normalized weights, n counts the "
    "weights that move, and the Jacobian Σ d_f ln‖w_f‖ back to plain weights is stored."
)
_CROSSING = (
    "The text says a loss of 0.1; the released script for the swiss roll uses 1, and takes as crossing the point of a coarse grid whose loss "
    "is nearest, which need not be the first. Here the first crossing is found to a relative precision of 10⁻³ at three cutoffs."
)


def _experiment(name: str, figure: str, title: str, claim: str, families: tuple[Family, ...], **rest: object) -> Experiment:
    return Experiment(name, f"{_S}, {figure}", title, claim, families, cost="T1", **rest)  # type: ignore[arg-type]


EXPERIMENTS = (
    _experiment(
        "S2-F4", "Figure 4", "Loss around a good and a bad minimum of an image classifier",
        "A bad minimum of the SVHN network is much sharper than a good one along filter-normalized directions.",
        (DIGIT_NETWORKS,), judge=_judge_slices,
        draw=_draw_slices,
        paper_figure="One-dimensional slices through a good minimum (97 % test accuracy) and a bad one (28 %), the bad one far narrower.",
        caption="Training loss (log scale) along filter-normalized random directions; thin: each direction of each seed, thick: their mean.",
        errata=(_COORDINATES,),
    ),
    _experiment(
        "S2-F5", "Figure 5", "Radius and volume of the basin against test accuracy",
        "The radius and the volume of a basin grow monotonically with test accuracy, at several cutoffs, on the swiss roll and on SVHN.",
        (SWISS_ROLL, DIGIT_NETWORKS), judge=_judge_volumes, draw=_draw_volumes,
        paper_figure="Mean radius (band: smallest to largest) and log volume against test accuracy, ten runs on the swiss roll and four on "
        "SVHN; all rise.",
        caption="One point per network and cutoff. Circles: mean ln r over rays. Triangles: ln of the radius of a ball of the naive volume, a "
        "lower bound carried by the longest ray. Open diamonds: networks without poison on other numbers of examples.",
        errata=(_CROSSING, _COORDINATES),
    ),
    _experiment(
        "S2-C1", "Section 5", "Ten thousand orders of magnitude between good and bad basins",
        "On SVHN the volume of a good basin exceeds that of a bad one by at least 10,000 orders of magnitude.",
        (DIGIT_NETWORKS,), judge=_judge_orders,
        draw=_draw_orders, paper_figure="No figure; the number follows from the volumes in Figure 5.",
        caption="Radii of all rays of good and of the most poisoned networks at loss 0.5, in units of the filters' norms (log scale).",
        errata=(f"In {SVHN_WEIGHTS:,} dimensions 10^{ORDERS:,} is a ratio of radii of {RATIO:.4f}; with the 3,457 weights of the swiss roll it is "
                f"{10 ** (ORDERS / 3457):,.0f}. The claim is judged by the ratio of effective radii.", _COORDINATES),
    ),
    _experiment(
        "S2-F7", "Figure 7", "Loss along random directions for several test accuracies",
        "Along random directions the training loss of a bad minimum rises above the cutoff earlier, and the width varies little between "
        "directions.", (DIGIT_NETWORKS,), judge=_judge_directions,
        draw=_draw_directions,
        paper_figure="SVHN loss along random directions, and the basin below the cutoff; the width varies little from direction to direction.",
        caption="Training loss (log scale), mean over filter-normalized random directions and seeds, one curve per β.", errata=(_COORDINATES,),
    ),
)  # fmt: skip
