"""Poggio et al.: controls break the lemmas, the growth law is what its equation integrates to, and judges decide by the rows they are given."""

from typing import Any

import numpy as np
import pytest

from genscope.dynamics.growth import grown_margin
from genscope.experiments.context import Context
from genscope.experiments.papers.poggio_approximation import COUNTS, FITS, SQUARES
from genscope.experiments.papers.poggio_approximation import EXPERIMENTS as APPROXIMATION
from genscope.experiments.papers.poggio_dynamics import integrated
from genscope.experiments.papers.poggio_flows import CONTROLS, FLOWS, lemma_judge
from genscope.experiments.values import Cell, Family


class Table:
    """Runs that are made up."""

    size = "small"

    def __init__(self, rows: dict[str, list[tuple[dict[str, Any], dict[str, Any]]]]) -> None:
        self._rows = rows

    def table(self, family: Family) -> list[tuple[dict[str, Any], dict[str, Any]]]:
        return self._rows[family.name]


def row(verdict: str, corrected: str = "", residual: float = 0.0) -> dict[str, Any]:
    return {"residual": residual, "tolerance": 1e-8, "verdict": verdict, "corrected_verdict": corrected, "reason": ""}


@pytest.mark.parametrize(
    ("rows", "verdict"),
    [
        ([row("HOLDS"), row("HOLDS")], "HOLDS"),
        ([row("HOLDS"), row("FAILS", "HOLDS")], "FAILS"),
        ([row("NOT TESTED")], "INCONCLUSIVE"),
        ([row("HOLDS"), row("NOT TESTED")], "HOLDS"),
    ],
)
def test_a_lemma_holds_where_every_run_that_tests_it_holds(rows: list[dict[str, Any]], verdict: str) -> None:
    table = Table({FLOWS.name: [({"problem": "line", "system": "C", "seed": i}, {"lemmas": {"x": one}}) for i, one in enumerate(rows)]})
    assert lemma_judge(("x",), "It is told.")(table).verdict == verdict  # type: ignore[arg-type]


def test_networks_that_are_not_homogeneous_break_the_lemmas() -> None:
    found = CONTROLS.run(Cell("control", {"seed": 0}), Context()).numbers
    assert min(found["euler_tanh"], found["euler_biases"], found["growth_tanh"], found["growth_biases"]) > 0.05


@pytest.mark.parametrize("depth", [1, 2, 5])
def test_the_growth_law_is_what_its_equation_integrates_to(depth: int) -> None:
    assert integrated(depth, 20.0) == pytest.approx(grown_margin(20.0, depth), rel=0.01)


@pytest.mark.parametrize(("slow", "verdict"), [(0.25, "HOLDS"), (1.3, "FAILS")])
def test_the_rate_of_trees_and_shallow_networks(slow: float, verdict: str) -> None:
    rng = np.random.default_rng(0)

    def exponents(n: int) -> list[dict[str, Any]]:
        found = []
        for name, rate in (("tree_built", 1.0), ("shallow", 1.0 if n == 2 else slow)):
            seeds = (rate + 0.02 * rng.standard_normal(5)).tolist()
            found.append({"architecture": name, "exponent": float(np.mean(seeds)), "low": min(seeds), "high": max(seeds), "seed_exponents": seeds})
        return found

    table = Table({FITS.name: [({"variables": n}, {"exponents": exponents(n)}) for n in (2, 4, 8)]})
    judges = {experiment.id: experiment.judge for experiment in APPROXIMATION}
    assert judges["S3-A1"](table).verdict == verdict  # type: ignore[arg-type]
    assert judges["S3-A3"](table).verdict == verdict  # type: ignore[arg-type]


def test_counts_and_squares_are_exact() -> None:
    judges = {experiment.id: experiment.judge for experiment in APPROXIMATION}
    for name, family in (("S3-A2", COUNTS), ("S3-A4", SQUARES)):
        rows = [(dict(cell.settings), dict(family.run(cell, Context()).numbers)) for cell in family.cells("small")]
        assert judges[name](Table({family.name: rows})).verdict == "HOLDS"  # type: ignore[arg-type]
        if name == "S3-A2":
            counted = {(settings["variables"], settings["degree"]): (numbers["shallow"], numbers["tree"]) for settings, numbers in rows}
            assert counted[8, 2] == (45, 42) and counted[8, 3] == (165, 70) and counted[8, 4] == (495, 105) and counted[4, 2] == (15, 18)
