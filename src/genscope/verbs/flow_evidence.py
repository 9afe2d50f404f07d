"""What the lemmas of a flow are judged by, and the row that each becomes."""

import math
from dataclasses import dataclass
from typing import Any

import numpy as np

from genscope.core.seeds import generator_for
from genscope.core.status import OK, SKIPPED, Undefined
from genscope.dynamics.limits import clarke_residual
from genscope.dynamics.max_margin import MaxMargin
from genscope.dynamics.systems import Flow
from genscope.verbs.flow_run import FlowRun

HOLDS, FAILS, UNTESTED = "HOLDS", "FAILS", "NOT TESTED"
EXACT = 1e-10
KKT_TOLERANCE = 0.05
PAPER = "Poggio, Banburski & Liao 2020"
SAMPLES = 12
Row = dict[str, Any]


@dataclass
class Evidence:
    """What the lemmas look at."""

    flow: Flow
    run: FlowRun
    truth: MaxMargin | Undefined
    seed: int
    _clarke: list[tuple[float, int] | None] | None = None

    @property
    def separated(self) -> list[Row]:
        """Rows from the first time on at which every example is right for good."""
        rows = self.run.rows
        last_wrong = max((i for i, row in enumerate(rows) if row["margin"] <= 0), default=-1)
        return rows[last_wrong + 1 :]

    @property
    def below(self) -> list[Row]:
        """Rows after the loss fell below 1/N for good."""
        rows = self.run.rows
        last = max((i for i, row in enumerate(rows) if row["smoothed"] is None), default=-1)
        return rows[last + 1 :]

    def samples(self) -> list[np.ndarray]:
        """A dozen weight vectors spread over the run."""
        chosen = np.unique(np.linspace(0, len(self.run.states) - 1, SAMPLES).astype(int))
        return [self.flow.weights(self.run.states[i]) for i in chosen]

    def clarke(self) -> list[tuple[float, int] | None]:
        """KKT residuals at three points of the run after separation: its begin, its middle, its end."""
        if self._clarke is None:
            first = len(self.run.rows) - len(self.separated)
            chosen = [] if not self.separated else [first, (first + len(self.run.rows)) // 2, len(self.run.rows) - 1]
            rng = generator_for(self.seed, "flow", "clarke")
            problem = self.flow.problem
            self._clarke = [clarke_residual(problem, self.flow.weights(self.run.states[i]), rng) for i in chosen]
        return self._clarke

    def final(self) -> np.ndarray:
        """The weights at the end."""
        return self.flow.weights(self.run.states[-1])


def lemma_row(
    lemma: str,
    place: str,
    printed: str,
    value: float | None,
    tolerance: float | None,
    verdict: str,
    *,
    corrected: str = "",
    reason: str = "",
    **more: Any,
) -> Row:
    """One row: the statement as printed, its residual and verdict, and what replaced it.

    Args:
        lemma: short name.
        place: where in the paper.
        printed: the statement.
        value: residual, 0 where the statement is exact.
        tolerance: up to which it holds.
        verdict: of the printed statement.
        corrected: what later work or an erratum says instead.
        reason: the evidence in words.
        more: ``corrected_verdict``, ``status``.
    """
    finite = value is None or math.isfinite(value)
    return {
        "lemma": lemma,
        "source": f"{PAPER}, {place}",
        "statement": printed,
        "residual": value if finite else None,
        "tolerance": tolerance,
        "verdict": verdict if finite else UNTESTED,
        "corrected": corrected,
        "corrected_verdict": more.get("corrected_verdict", ""),
        "status": more.get("status", OK if verdict != UNTESTED and finite else SKIPPED),
        "reason": reason,
    }


def untested(lemma: str, place: str, printed: str, reason: str, corrected: str = "") -> list[Row]:
    """The one row of a lemma that this run cannot test."""
    return [lemma_row(lemma, place, printed, None, None, UNTESTED, corrected=corrected, reason=reason)]


def judge(value: float, tolerance: float) -> str:
    """HOLDS up to the tolerance, else FAILS (a NaN fails)."""
    return HOLDS if value <= tolerance else FAILS
