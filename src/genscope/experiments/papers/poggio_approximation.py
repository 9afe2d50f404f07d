"""Poggio et al., Theorems 1 to 3: what deep networks on binary trees save, counted and fitted."""

from typing import TYPE_CHECKING, Any

import numpy as np

from genscope.experiments.values import Cell, Check, Experiment, Family, Judgement, Outcome, Size
from genscope.experiments.verdicts import check_above, check_below, check_true, check_within, judgement

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from genscope.experiments.context import Context
    from genscope.experiments.runs import Runs
    from genscope.figures.theme import Theme

VARIABLES = {"smoke": (2, 4), "small": (2, 4, 8), "full": (2, 4, 8, 16)}
PLANS: dict[str, dict[str, Any]] = {
    "smoke": {"units": [2, 4, 8], "seeds": 2, "restarts": 1, "steps": 60},
    "small": {"units": [2, 4, 8, 16], "seeds": 5, "restarts": 1, "steps": 1000},
    "full": {"units": [2, 4, 8, 16, 32, 64], "seeds": 10, "restarts": 4, "steps": 10_000},
}
ARCHITECTURES = ("tree", "tree_built", "shallow", "deep")
NAMES = {"tree": "binary tree, trained", "tree_built": "binary tree, built", "shallow": "shallow", "deep": "generic deep"}
DEPARTURES = (
    "The theorem is about the worst function of a class; here random functions of the class are fitted, and errors are what training reached.",
)
Exponents = dict[tuple[str, int], dict[str, Any]]


def _cells(size: Size) -> list[Cell]:
    return [Cell(f"{n} variables", {"variables": n, **PLANS[size]}) for n in VARIABLES[size]]


def _run(cell: Cell, context: "Context") -> Outcome:
    from genscope.verbs.approximate import approximate

    settings = cell.settings
    plan = {name: settings[name] for name in ("units", "seeds", "restarts", "steps")}
    result = approximate(variables=[settings["variables"]], architectures=ARCHITECTURES, seed=context.seed, **plan)
    kept = ("architecture", "exponent", "low", "high", "theorem", "seed_exponents")
    exponents = [{name: row[name] for name in kept} for row in result.tail["exponents"]]
    shown = ("architecture", "n_units", "n_parameters", "error", "error_low", "error_high")
    return Outcome({"exponents": exponents, "errors": [{name: row[name] for name in shown} for row in result.rows]})


FITS = Family("poggio-approximation", 1, _cells, _run)


def _count_cells(size: Size) -> list[Cell]:
    degrees = (2, 3) if size == "smoke" else (2, 3, 4)
    return [Cell(f"n = {n}, k = {k}", {"variables": n, "degree": k}) for n in (2, 4, 8) for k in degrees]


def _count_run(cell: Cell, context: "Context") -> Outcome:
    from genscope.numerics.polynomial_rank import monomial_rank, tree_polynomial_rank, unit_counts

    n, k = cell.settings["variables"], cell.settings["degree"]
    counts = unit_counts(n, k)
    rng = context.rng("poggio ranks", n, k)
    names = ("shallow", "tree", "shallow_printed", "tree_printed", "tree_dimension", "shallow_composed", "composed_degree")
    numbers: dict[str, Any] = {name: getattr(counts, name) for name in names}
    numbers["monomial_rank"] = monomial_rank(n, k, rng) if counts.shallow <= 200 else None
    numbers["tree_rank"] = tree_polynomial_rank(n, k, rng) if counts.tree <= 200 else None
    return Outcome(numbers)


COUNTS = Family("poggio-counts", 1, _count_cells, _count_run)


def _square_cells(_size: Size) -> list[Cell]:
    return [Cell(f"depth {depth}", {"depth": depth}) for depth in range(1, 9)]


def _square_run(cell: Cell, context: "Context") -> Outcome:  # noqa: ARG001
    from genscope.numerics.square_network import square_error, square_network

    depth = cell.settings["depth"]
    network, grid = square_network(depth), np.linspace(-1.0, 1.0, 2 ** (depth + 3) + 1)
    error = float(np.abs(network(grid) - np.maximum(grid, 0.0) ** 2).max())
    return Outcome({"error": error, "exact": square_error(depth), "n_units": network.n_units})


SQUARES = Family("poggio-square", 1, _square_cells, _square_run)


def _exponents(runs: "Runs") -> Exponents:
    return {
        (row["architecture"], settings["variables"]): {**row, "seeds": _floats(row["seed_exponents"])}
        for settings, numbers in runs.table(FITS)
        for row in numbers["exponents"]
        if row["exponent"] is not None
    }


def _floats(values: list[float | None]) -> np.ndarray:
    return np.array([np.nan if value is None else value for value in values], dtype=np.float64)


def _mean(values: np.ndarray) -> tuple[float | None, tuple[float, float] | None]:
    from genscope.numerics.few_seeds import mean_over_seeds

    found = mean_over_seeds(values, np.random.default_rng(0), n_resamples=1)
    if found is None:
        return None, None
    return found.mean, None if found.low is None or found.high is None else (found.low, found.high)


def _difference(exponents: Exponents, n: int, one: str = "tree_built", other: str = "shallow") -> tuple[float | None, tuple[float, float] | None]:
    if (one, n) not in exponents or (other, n) not in exponents:
        return None, None
    return _mean(exponents[one, n]["seeds"] - exponents[other, n]["seeds"])


def _judge_rates(runs: "Runs") -> Judgement:
    """Theorem 1: the tree's exponent is at least m/2 for every n; the shallow one falls behind as n grows."""
    exponents, largest = _exponents(runs), max(VARIABLES[runs.size])
    checks: list[Check] = []
    null, _ = _difference(exponents, 2)
    for n in VARIABLES[runs.size]:
        row = exponents.get(("tree_built", n))
        interval = None if row is None or row["low"] is None else (row["low"], row["high"])
        observed = None if row is None else row["exponent"]
        note = "an asymptotic rate, here over four widths" if n == largest else ""
        statistic = f"exponent of the tree at n = {n}"
        checks.append(check_above(statistic, observed, 0.8, interval=interval, paper=1.0, note=note, decides=False))
    checks.append(_independence(exponents, "tree_built", runs))
    mean, interval = _difference(exponents, largest)
    note = "null: n = 2, where tree and shallow network are the same architecture"
    statistic = f"exponent of the tree minus that of the shallow network at n = {largest}"
    checks.append(check_above(statistic, mean, 0.25, interval=interval, null=null, n_runs=PLANS[runs.size]["seeds"], note=note))
    told = "; ".join(f"{NAMES[name]}, n = {n}: {row['exponent']:.2f}" for (name, n), row in sorted(exponents.items()))
    meaning = (
        f"Error falls with units to the power −b. Fitted b: {told}. The tree keeps its rate as the number of variables grows, the shallow network of "
        "as many parameters does not. Trained trees fall behind built ones where optimization, not approximation, sets the error."
    )
    return judgement(checks, meaning, n_runs=PLANS[runs.size]["seeds"] * len(VARIABLES[runs.size]), departures=DEPARTURES)


def _independence(exponents: Exponents, name: str, runs: "Runs") -> Check:
    """How the exponent changes from the fewest to the most variables: not for the tree, downwards for the shallow network."""
    first, last = min(VARIABLES[runs.size]), max(VARIABLES[runs.size])
    mean, interval = None, None
    if (name, first) in exponents and (name, last) in exponents:
        mean, interval = _mean(exponents[name, last]["seeds"] - exponents[name, first]["seeds"])
    statistic, n_runs = f"{NAMES[name]}: exponent at n = {last} minus that at n = {first}", PLANS[runs.size]["seeds"]
    if name == "shallow":
        return check_below(statistic, mean, 0.0, interval=interval, n_runs=n_runs, note="the control: it depends on n")
    return check_within(statistic, mean, (-0.4, 0.4), interval=interval, n_runs=n_runs)


def _judge_experiment(runs: "Runs") -> Judgement:
    """The tree's slope does not depend on n."""
    exponents = _exponents(runs)
    checks = (_independence(exponents, "tree_built", runs), _independence(exponents, "shallow", runs))
    meaning = (
        "With as many parameters each, the tree's error falls at a rate that does not depend on the number of variables, the shallow network's at "
        "one that does. The paper states the theorem without such an experiment."
    )
    return judgement(checks, meaning, n_runs=PLANS[runs.size]["seeds"] * len(VARIABLES[runs.size]), departures=DEPARTURES)


def _judge_counts(runs: "Runs") -> Judgement:
    rows = runs.table(COUNTS)
    right = all(numbers["monomial_rank"] in (None, numbers["shallow"]) for _, numbers in rows)
    trees = all(numbers["tree_rank"] in (None, numbers["tree_dimension"]) for _, numbers in rows)
    small = next(numbers for settings, numbers in rows if settings["variables"] == 4 and settings["degree"] == 2)
    large = max(rows, key=lambda row: (row[0]["variables"], row[0]["degree"]))
    n, k = large[0]["variables"], large[0]["degree"]
    checks = (
        check_true("C(n + k, k) is the numeric rank of all monomials", right),
        check_true("the tree's polynomials have (n − 1) C(2 + k, 2) − 2(n − 2) dimensions", trees),
        check_below(f"units of the tree over those of the shallow network at n = {n}, k = {k}", large[1]["tree"] / large[1]["shallow"], 1.0),
        check_below(
            f"printed k^n over the exact number at n = {n}, k = {k}",
            large[1]["shallow_printed"] / large[1]["shallow"],
            2.0,
            note="the printed approximation drops 1/n!",
            decides=False,
        ),
    )
    meaning = (
        f"At n = {n} and k = {k} a shallow network needs {large[1]['shallow']:,} units where a tree has {large[1]['tree']:,}; the printed k^n says "
        f"{large[1]['shallow_printed']:,}. At n = 4, k = 2 the tree has more ({small['tree']} against {small['shallow']}). A tree of degree-k "
        f"constituents is a polynomial of degree k^(log₂ n), so like with like is {large[1]['shallow_composed']:,} against {large[1]['tree']:,}."
    )
    return judgement(checks, meaning)


def _judge_square(runs: "Runs") -> Judgement:
    rows = [numbers for _, numbers in runs.table(SQUARES)]
    off = max(abs(numbers["error"] / numbers["exact"] - 1.0) for numbers in rows)
    meaning = (
        f"The sawtooth network of depth L with {rows[-1]['n_units']} units at L = {len(rows)} misses x₊² by exactly 2^(−2L−2), "
        f"{rows[-1]['error']:.1e} here: depth buys accuracy exponentially."
    )
    return judgement([check_below("largest relative difference of the measured error from 2^(−2L−2)", off, 1e-9)], meaning)


def _draw_fits(runs: "Runs", theme: "Theme") -> "Figure":
    from genscope.figures.theme import MARKERS, new_figure, style_legend

    levels = VARIABLES[runs.size]
    figure, panels = new_figure(theme, 3.0 * len(levels), 3.8, cols=len(levels), sharey=True)
    for panel, n in zip(panels, levels, strict=True):
        errors = [row for settings, numbers in runs.table(FITS) if settings["variables"] == n for row in numbers["errors"]]
        for index, name in enumerate(ARCHITECTURES):
            chosen = [row for row in errors if row["architecture"] == name and row["error"] is not None]
            units, error = [row["n_units"] for row in chosen], [row["error"] for row in chosen]
            panel.plot(units, error, color=theme.cycle[index], marker=MARKERS[index], linewidth=1.3, label=NAMES[name])
        panel.set(xscale="log", yscale="log", xlabel="hidden units", title=f"n = {n}")
    panels[0].set_ylabel("root mean square error")
    style_legend(panels[0], theme)
    return figure


def _draw_counts(runs: "Runs", theme: "Theme") -> "Figure":
    from genscope.figures.theme import MARKERS, new_figure, style_legend

    figure, axes = new_figure(theme, 5.6, 4.0)
    for index, n in enumerate((2, 4, 8)):
        rows = [(settings["degree"], numbers) for settings, numbers in runs.table(COUNTS) if settings["variables"] == n]
        degrees = [degree for degree, _ in rows]
        for name, dash in (("shallow", "-"), ("tree", "--")):
            values = [numbers[name] for _, numbers in rows]
            axes.plot(degrees, values, dash, color=theme.cycle[index], marker=MARKERS[index], label=f"{name}, n = {n}")
    axes.set(yscale="log", xlabel="degree k", ylabel="units")
    axes.set_xticks(degrees)
    style_legend(axes, theme)
    return figure


def _draw_square(runs: "Runs", theme: "Theme") -> "Figure":
    from genscope.figures.theme import new_figure, style_legend

    figure, axes = new_figure(theme, 5.6, 4.0)
    depths = [settings["depth"] for settings, _ in runs.table(SQUARES)]
    axes.plot(depths, [numbers["error"] for _, numbers in runs.table(SQUARES)], "o", label="measured")
    axes.plot(depths, [numbers["exact"] for _, numbers in runs.table(SQUARES)], color=theme.muted, linewidth=1, label="2^(−2L−2)")
    axes.set(yscale="log", xlabel="depth L", ylabel="largest error of x₊² on [−1, 1]")
    style_legend(axes, theme)
    return figure


EXPERIMENTS = (
    Experiment(
        "S3-A1",
        "Poggio et al., Theorem 1",
        "Deep networks on trees escape the curse of dimension",
        "To reach error ε a shallow network needs O(ε^(−n/m)) units, a network on the binary tree of the function O((n − 1) ε^(−2/m)).",
        (FITS,),
        _judge_rates,
        _draw_fits,
        caption="Error of networks with as many parameters as the tree of the same width, geometric mean over seeds; m = 2.",
        errata=("The theorem is an upper bound for the worst function; a smooth function may be easy for a shallow network too.",),
        cost="T1",
    ),
    Experiment(
        "S3-A2",
        "Poggio et al., Theorems 2 and 3",
        "Units for polynomials, counted",
        "A shallow network needs C(n + k, k) units for polynomials of degree k in n variables, a tree (n − 1) C(2 + k, 2), which is fewer.",
        (COUNTS,),
        _judge_counts,
        _draw_counts,
        caption="Exact unit counts of both theorems against the degree, for 2, 4 and 8 variables.",
        errata=(
            "The approximations drop 1/n! and 1/2: for n = 8, k = 4 the text's k^n is 65,536 where the exact number is 495.",
            "For n = 4, k = 2 the tree needs more units than the shallow network (18 against 15).",
        ),
        cost="T0",
    ),
    Experiment(
        "S3-A3",
        "Poggio et al., Theorem 1 as an experiment",
        "The rate of the tree does not depend on the number of variables",
        "The error of a network on the tree falls with units at a rate that does not depend on n; that of a shallow network slows down with n.",
        (FITS,),
        _judge_experiment,
        _draw_fits,
        caption="Error against hidden units for 2, 4 and more variables, geometric mean over seeds.",
        cost="T1",
    ),
    Experiment(
        "S3-A4",
        "Poggio et al., below Theorem 1, after Yarotsky 2017",
        "The square by a deep ReLU network",
        "A ReLU network of depth L approximates the squared positive part with an error that falls as 4^(−L).",
        (SQUARES,),
        _judge_square,
        _draw_square,
        caption="Largest error on a grid that holds the worst points, against depth.",
        cost="T0",
    ),
)
