"""Huang et al.: the volume of unit balls, what naive sampling finds of an ellipsoid, and the pointwise optimum of Equation 2."""

from typing import TYPE_CHECKING

import numpy as np

from genscope.experiments.papers.huang_identities import GOLDEN_BALLS, ellipsoid_volumes, poisoned_optimum, unit_ball
from genscope.experiments.papers.neyshabur_statistics import share_with_interval
from genscope.experiments.values import Cell, Experiment, Family, Judgement, Outcome, Size
from genscope.experiments.verdicts import check_above, check_below, judgement

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from genscope.experiments.context import Context
    from genscope.experiments.runs import Runs
    from genscope.figures.theme import Theme

# (dimensions, decades of the half-axes, rays)
SHAPES = {
    "smoke": ((100, 1.0, 3000), (400, 1.0, 1000)),
    "small": ((100, 1.0, 3000), (1000, 1.0, 3000), (1000, 2.0, 3000), (10_000, 1.0, 1000)),
    "full": ((100, 1.0, 3000), (1000, 1.0, 3000), (1000, 2.0, 3000), (10_000, 1.0, 1000), (10_000, 1.0, 3000), (10_000, 2.0, 3000)),
}
SHAPE_SEEDS = {"smoke": 2, "small": 6, "full": 20}


def _ball_cells(_size: Size) -> list[Cell]:
    return [Cell(f"n = {n:,}", {"n": n}) for n in GOLDEN_BALLS]


def _run_ball(cell: Cell, _context: "Context") -> Outcome:
    return Outcome(unit_ball(cell.settings["n"]))


def _ellipsoid_cells(size: Size) -> list[Cell]:
    return [
        Cell(
            f"n = {n:,}, {decades:g} decades, {rays} rays, seed {seed}", {"n": n, "decades": decades, "rays": rays, "shape_rays": 4096, "seed": seed}
        )
        for n, decades, rays in SHAPES[size]
        for seed in range(SHAPE_SEEDS[size] if n < 10_000 else SHAPE_SEEDS[size] // 3 or 1)
    ]


def _run_ellipsoid(cell: Cell, context: "Context") -> Outcome:
    s = cell.settings
    return Outcome(ellipsoid_volumes(s["n"], s["decades"], s["rays"], s["shape_rays"], context.rng("huang ellipsoid", *s.values())))


def _optimum_cells(_size: Size) -> list[Cell]:
    return [
        Cell(f"{classes} classes, β = {beta:g}", {"beta": beta, "classes": classes})
        for classes in (2, 10)
        for beta in (0.05, 0.1, 0.3, 0.35, 0.444, 0.5, 0.7, 0.9)
    ]


def _run_optimum(cell: Cell, context: "Context") -> Outcome:
    beta, classes = cell.settings["beta"], cell.settings["classes"]
    return Outcome(poisoned_optimum(beta, classes, context.rng("huang optimum", beta, classes).standard_normal(classes)))


BALLS = Family("huang-T1", 1, _ball_cells, _run_ball)
ELLIPSOIDS = Family("huang-T2", 1, _ellipsoid_cells, _run_ellipsoid)
OPTIMA = Family("huang-T3", 1, _optimum_cells, _run_optimum)


def _judge_balls(runs: "Runs") -> Judgement:
    n = runs.column(BALLS, "n")
    found, golden = runs.column(BALLS, "log_volume"), np.array([GOLDEN_BALLS[int(one)] for one in n])
    recurrence, wrong = runs.column(BALLS, "recurrence"), runs.column(BALLS, "wrong_gamma")
    relative = float((np.abs(found - golden) / np.abs(golden)).max())
    checks = (
        check_below(
            "largest relative difference from the tabled ln ω_n", relative, 1e-6,
            null=float((np.abs(wrong - golden) / np.abs(golden)).max()),
        ),
        check_below(
            "largest difference from the recurrence ω_n = 2π/n · ω_{n−2} (nats)", float(np.abs(found - recurrence).max()), 1e-5,
            null=float(np.abs(wrong - recurrence).min()), note="null: Γ(n/2) in place of Γ(1 + n/2)",
        ),
    )  # fmt: skip
    last = int(np.argmax(n))
    meaning = (
        f"ln ω_n = (n/2) ln π − ln Γ(1 + n/2) agrees with the recurrence and the tabled values from n = 10 to {int(n[last]):,}, where it is "
        f"{found[last]:,.3f}. Volumes in that many dimensions have absurd logarithms, so they are read as effective radii: a factor of "
        f"10^10,000 between two basins is a ratio of radii of only {10 ** (1e4 / n[last]):.4f}."
    )
    return judgement(checks, meaning)


def _judge_ellipsoids(runs: "Runs") -> Judgement:
    table = [numbers for _, numbers in runs.table(ELLIPSOIDS)]
    n, decades = runs.column(ELLIPSOIDS, "n"), runs.column(ELLIPSOIDS, "decades")
    covers = [share_with_interval(sum(bool(row[f"{name}_covers"]) for row in table), len(table)) for name in ("preconditioned", "naive")]
    refused = min(bool(row["naive_refused"]) for row in table)
    least = min(float(row["preconditioned_ess"]) for row in table)
    largest_naive = float(runs.column(ELLIPSOIDS, "naive_error").max())
    worst = float(np.abs(runs.column(ELLIPSOIDS, "preconditioned_error")).max())
    checks = (
        check_below("largest (best) error of the naive log volume (nats)", largest_naive, -3.0, null=worst, note="null: largest error with a shape"),
        check_above("share of naive estimates refused for their effective sample size", float(refused), 0.5),
        check_above(
            "share of 95% intervals with the learned shape that hold the exact volume", covers[0][0], 0.6, interval=covers[0][1], null=covers[1][0],
            n_runs=len(table), note="null: intervals of the naive estimate",
        ),
        check_above("least effective sample size with the learned shape", least, 30.0),
    )  # fmt: skip
    told = []
    for size, spread in dict.fromkeys(zip(n.tolist(), decades.tolist(), strict=True)):
        errors = runs.column(ELLIPSOIDS, "naive_error", n=int(size), decades=spread)
        told.append(f"{errors.mean():,.0f} nats (10^{errors.mean() / np.log(10):,.0f}) at n = {size:,.0f} with axes over {spread:g} decades")
    meaning = (
        f"Averaging rⁿ over random directions misses the exact volume by {'; '.join(told)}: the mean is carried by the longest ray drawn. Its "
        "effective sample size tells, and the number is refused. With a shape learned from gradients at the edge the error is at most "
        f"{worst:.2g} nats."
    )
    return judgement(checks, meaning)


def _draw_ellipsoids(runs: "Runs", theme: "Theme") -> "Figure":
    from genscope.figures.theme import MARKERS, new_figure, style_legend

    figure, axes = new_figure(theme, 8.4, 3.8, cols=2)
    names = (("naive", "random directions"), ("preconditioned", "directions with the learned shape"))
    for index, (name, word) in enumerate(names):
        n = runs.column(ELLIPSOIDS, "n") * (0.94, 1.06)[index]
        look = {"marker": MARKERS[index], "color": theme.cycle[index], "s": 26, "label": word}
        axes[0].scatter(n, -runs.column(ELLIPSOIDS, f"{name}_error"), **look)
        axes[1].scatter(n, runs.column(ELLIPSOIDS, f"{name}_ess"), **look)
    axes[0].axhline(0.0, color=theme.muted, linewidth=0.8)
    axes[0].set_yscale("symlog", linthresh=1.0)
    axes[0].set_ylim(-2.0, 2e4)
    axes[0].set(xscale="log", xlabel="dimensions n", ylabel="exact minus estimated ln V (nats)")
    axes[1].axhline(30.0, color=theme.muted, linewidth=0.8, linestyle="--")
    axes[1].set(xscale="log", yscale="log", xlabel="dimensions n", ylabel="effective sample size (rays)")
    style_legend(axes[1], theme, loc="center left")
    return figure


def _judge_optima(runs: "Runs") -> Judgement:
    distance, excess = runs.column(OPTIMA, "distance"), runs.column(OPTIMA, "excess")
    beta = runs.column(OPTIMA, "beta")
    checks = (
        check_below(
            "largest |p* − (1 − β)| found by minimization",
            float(distance.max()),
            1e-6,
            null=float(beta.min()),
            note="null: the optimum p = 1 without poison",
        ),
        check_below("largest difference of the least loss from the entropy of β (nats)", float(excess.max()), 1e-8),
        check_below("error of −log(1 − p) at a logit of 800 (nats)", float(runs.column(OPTIMA, "stable_error").max()), 1e-3),
    )
    lost = int((runs.column(OPTIMA, "literal_finite") == 0).sum())
    meaning = (
        f"Where training and poison points coincide, the anti-generalization loss is least at p = 1 − β (to {distance.max():.1g}) and cannot "
        "fall below the entropy of β; for β < 1/2 the training label still wins. Written literally, −log(1 − p) is infinite in float32 at a "
        f"confident network in {lost} of {len(beta)} cases; through the other logits it is finite and exact."
    )
    return judgement(checks, meaning)


EXPERIMENTS = (
    Experiment(
        "S2-T1", "Huang et al., Section 5", "The volume of the unit ball", "The volume of a basin is ω_n E[rⁿ] with ω_n = π^{n/2}/Γ(1 + n/2).",
        (BALLS,), _judge_balls, cost="T0",
    ),
    Experiment(
        "S2-T2", "Huang et al., Section 5", "Random directions and the volume of an ellipsoid",
        "The volume of a basin can be found by Monte Carlo over random directions; held here against ellipsoids, whose volume ω_n ∏ a_i is "
        "exact. Later work (Scherlis & Belrose 2025) says that it falls short by orders of magnitude unless directions know the shape.",
        (ELLIPSOIDS,), _judge_ellipsoids, _draw_ellipsoids, "None; the paper gives the estimator without a test on a known volume.",
        "Left: nats by which the estimate misses the exact log volume (linear below 1). Right: effective sample size; dashed, the level of "
        "30 below which a volume is refused. One point per ellipsoid and seed, shifted sideways a little.",
        ("The estimator's mean is dominated by its largest radius; the paper reports no effective sample size. Differences between two naive "
         "log volumes are differences of the longest rays.",),
        cost="T0",
    ),
    Experiment(
        "S2-T3", "Huang et al., Equation 2", "The pointwise optimum of the anti-generalization loss",
        "Where both sets overlap, the loss (1 − β)(−log p) + β(−log(1 − p)) is least at p = 1 − β.", (OPTIMA,), _judge_optima,
        errata=("−log(1 − p) is unbounded and infinite in floating point when p rounds to 1; it is computed from the other logits.",
                "The released SVHN code feeds 1 − p through a routine that normalizes over the C − 1 other classes, which adds the constant ln 9 and "
                "moves no optimum."),
        cost="T0",
    ),
)  # fmt: skip
