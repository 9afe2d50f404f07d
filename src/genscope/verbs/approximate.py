"""``approximate``: how the error of trees, shallow and deep networks falls with their units on compositional functions."""

import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np

from genscope.core.results import Result
from genscope.core.seeds import generator_for
from genscope.core.status import OK
from genscope.errors import UsageError
from genscope.numerics.polynomial_rank import monomial_rank, tree_polynomial_rank, unit_counts
from genscope.numerics.square_network import square_error, square_network
from genscope.sources.cells import Cell, CellStore
from genscope.sources.fan_out import run_tasks
from genscope.sources.reproducibility import reproducibility_block
from genscope.training.tree_cells import TRAINED, CellErrors, CellTask, run_cell
from genscope.training.tree_fit import FitPlan
from genscope.training.tree_target import levels_of
from genscope.verbs.approximation_exponents import error_rows, exponent_rows, optimization_rows, slope_curves
from genscope.verbs.approximation_verdict import approximation_summary

DEGREES = (2, 3, 4)
_LARGEST_RANK = 200  # monomials; beyond it the rank is not computed again, it takes seconds and says the same


@dataclass(frozen=True)
class Size:
    """What a named size stands for."""

    variables: tuple[int, ...]
    units: tuple[int, ...]
    seeds: int
    restarts: int
    steps: int


SIZES = {
    "smoke": Size((2, 4), (2, 4, 8), 3, 1, 200),
    "small": Size((2, 4, 8), (2, 4, 8, 16, 32), 5, 2, 2000),
    "full": Size((2, 4, 8, 16), (2, 4, 8, 16, 32, 64), 10, 4, 10000),
}


def approximate(
    *,
    variables: Sequence[int] | None = None,
    units: Sequence[int] | None = None,
    seeds: int | None = None,
    size: str = "small",
    architectures: Sequence[str] = TRAINED,
    jobs: int = 1,
    out: str | Path | None = None,
    fresh: bool = False,
    progress: Callable[[int, int, str, float], None] | None = None,
    **training: Any,
) -> Result:
    r"""Fit trees, shallow and generic deep networks to functions on binary trees, and measure how the error falls with units.

    .. math:: \epsilon \approx c\,N^{-b}, \qquad b_{tree} = m/2, \quad b_{shallow} = m/n \ \text{(worst case)}

    A larger exponent b is better. The networks at one place of the sweep have the same number of parameters as the tree with free weights,
    as nearly as whole units allow. Errors are what training reached: upper bounds of approximation errors, and the verdict says what they may hide.

    Args:
        variables: values of n, powers of two from 2 to 64.
        units: units per node of the trees.
        seeds: number of seeds; each draws its own target and initial weights.
        size: ``smoke`` (seconds), ``small`` (minutes) or ``full`` (hours); sets what is not given.
        architectures: some of ``tree``, ``tree_shared``, ``tree_built``, ``shallow``, ``deep``.
        jobs: cells at once, each in a process of its own.
        out: folder that keeps every finished cell and the result; the same call resumes.
        fresh: start over in ``out``.
        progress: called with (done, total, name, share done).
        training: ``restarts`` (the best fit of the training points is kept), ``steps``, ``learning_rate``, ``batch``, ``smoothness`` (m,
            default 2), ``activation`` (``tanh``, ``relu``, ``relu_squared``), ``seed``.

    Returns:
        A Result: rows are errors per architecture, n and width; ``exponents``, ``optimization``, ``unit_counts`` and ``square`` follow them.

    Raises:
        UsageError: an unknown size, architecture or activation; no power of two.
        StoreError: ``out`` holds another run.

    Cost: ``small`` takes up to half an hour on one busy core, about half of that with ``jobs=2``.

    Source: Poggio, Banburski & Liao, theorems 1 to 3; Yarotsky 2017 for the square.

    Example:
        >>> result = approximate(variables=[2], units=[2, 4], seeds=2, architectures=["shallow"], steps=5)
        >>> [(row["n_units"], row["n_parameters"]) for row in result.rows]
        [(2, 9), (4, 17)]
    """
    began = time.perf_counter()
    options = _options(variables, units, seeds, size, architectures, training)
    tasks = _tasks(options)
    store = None
    if out is not None:
        store = CellStore(Path(out), {"verb": "approximate", "options": options}, fresh=fresh)
    cells = _run(tasks, store, jobs, progress)
    rows = error_rows(cells, options["seed"])
    exponents = exponent_rows(rows, options["smoothness"], options["seed"])
    optimization = optimization_rows(rows, options["seed"])
    summary = approximation_summary(rows, exponents, optimization, options["seed"])
    tail = {
        "exponents": exponents,
        "optimization": optimization,
        "unit_counts": count_rows(options["variables"], options["seed"]),
        "square": square_rows(),
        "notes": _notes(options),
    }
    reproducibility = reproducibility_block(seed=options["seed"], packages=("numpy", "scipy", "torch"))
    timing = {"seconds": time.perf_counter() - began, "jobs": jobs}
    result = Result(
        "approximate",
        {"source": "functions on binary trees", "options": options, "summary": summary},
        rows,
        tail,
        slope_curves(rows, exponents),
        reproducibility,
        timing,
    )
    if out is not None:
        result.save(out)
    return result


def count_rows(variables: Sequence[int], seed: int = 0) -> list[dict[str, Any]]:
    """Units of theorems 2 and 3 for every n and degree, with the ranks that confirm them where the matrices are small."""
    told = []
    for n in variables:
        for degree in DEGREES:
            counts = unit_counts(n, degree)
            row: dict[str, Any] = {**asdict(counts), "monomial_rank": None, "tree_rank": None}
            rng = generator_for(seed, "ranks", str(n), str(degree))
            if counts.shallow <= _LARGEST_RANK:
                row["monomial_rank"] = monomial_rank(n, degree, rng)
            if counts.tree <= _LARGEST_RANK:
                row["tree_rank"] = tree_polynomial_rank(n, degree, rng)
            told.append(row)
    return told


def square_rows(depths: Sequence[int] = (1, 2, 3, 4, 5, 6, 7, 8)) -> list[dict[str, Any]]:
    """Depth, units and largest error of Yarotsky's network for x_+² on [-1, 1], measured on a grid that holds the worst points, and as proven."""
    told = []
    for depth in depths:
        network, grid = square_network(depth), np.linspace(-1.0, 1.0, 2 ** (depth + 3) + 1)
        measured = float(np.abs(network(grid) - np.maximum(grid, 0.0) ** 2).max())
        told.append({"depth": depth, "n_units": network.n_units, "error": measured, "exact_error": square_error(depth)})
    return told


def _options(
    variables: Sequence[int] | None, units: Sequence[int] | None, seeds: int | None, size: str, architectures: Sequence[str], training: dict[str, Any]
) -> dict[str, Any]:
    if size not in SIZES:
        raise UsageError(f"There is no size {size!r}; use one of {', '.join(SIZES)}.")
    known: dict[str, Any] = {
        "restarts": SIZES[size].restarts,
        "steps": SIZES[size].steps,
        "batch": FitPlan.batch,
        "learning_rate": FitPlan.learning_rate,
    }
    known |= {"smoothness": 2.0, "activation": "tanh", "seed": 0}
    unknown = sorted(set(training) - set(known))
    if unknown:
        raise UsageError(f"approximate has no option {unknown[0]!r}; training takes {', '.join(known)}.")
    options: dict[str, Any] = {
        "size": size,
        "variables": sorted(set(SIZES[size].variables if variables is None else map(int, variables))),
        "units": sorted(set(SIZES[size].units if units is None else map(int, units))),
        "seeds": SIZES[size].seeds if seeds is None else int(seeds),
        "architectures": list(dict.fromkeys(architectures)),
        **known,
        **{name: value for name, value in training.items() if value is not None},
    }
    for n in options["variables"]:
        levels_of(n)
    for name in ("units", "variables", "architectures"):
        if not options[name]:
            raise UsageError(f"approximate: {name} is empty.")
    if min(*options["units"], *(options[name] for name in ("seeds", "restarts", "steps", "batch"))) < 1:
        raise UsageError("approximate: units, seeds, restarts, steps and batch have to be 1 or more.")
    return options


def _tasks(options: dict[str, Any]) -> list[CellTask]:
    from genscope.training.tree_networks import ACTIVATIONS

    if options["activation"] not in ACTIVATIONS:
        raise UsageError(f"There is no activation {options['activation']!r}; use one of {', '.join(ACTIVATIONS)}.")
    plan = FitPlan(options["steps"], options["batch"], options["learning_rate"])
    shared = (options["seeds"], options["restarts"], float(options["smoothness"]), options["activation"], plan, options["seed"])
    tasks = [CellTask(name, n, width, *shared) for n in options["variables"] for name in options["architectures"] for width in options["units"]]
    for task in tasks:
        task.shape  # noqa: B018 - refuses an unknown architecture before anything is trained
    return tasks


def _run(tasks: Sequence[CellTask], store: CellStore | None, jobs: int, progress: Callable[[int, int, str, float], None] | None) -> list[CellErrors]:
    held = store.load() if store else {}
    found = {
        task.key: CellErrors(task, _numbers(held[task.key].row["errors"]), _numbers(held[task.key].row["largest_errors"]))
        for task in tasks
        if task.key in held
    }
    pending = sorted((task for task in tasks if task.key not in found), key=lambda task: (task.variables, task.width), reverse=True)
    engine = "threads" if jobs <= 1 else "processes"
    for done, cell in enumerate(run_tasks(run_cell, pending, jobs=jobs, engine=engine), start=1):
        found[cell.task.key] = cell
        if store:
            row = {"layer": cell.task.key, "view": cell.task.architecture, "status": OK}
            store.save(Cell(cell.task.key, {**row, "errors": list(cell.errors), "largest_errors": list(cell.largest_errors)}, {}, {}))
        if progress:
            progress(done, len(pending), cell.task.key, done / len(pending))
    return [found[task.key] for task in tasks]


def _numbers(stored: Sequence[float | None]) -> tuple[float, ...]:
    return tuple(float("nan") if value is None else float(value) for value in stored)


def _notes(options: dict[str, Any]) -> list[str]:
    return [
        "Targets have the same constituent at all nodes of a level, so that trees with shared and with free weights can both represent their graph.",
        "Built trees saw the inner values of their targets; their errors are upper bounds of what their architecture can reach, not results of "
        "learning from examples.",
        f"The theorem's exponents are m/2 and m/n with m = {options['smoothness']:g}, the smoothness of the constituents over four octaves; below "
        "those scales the targets are analytic, and the bound for shallow networks is a worst case over all functions of n variables.",
    ]
