"""What an experiment is: cells to run, families of runs that several experiments share, checks, and the judgement."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from genscope.errors import UsageError

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from genscope.experiments.context import Context
    from genscope.experiments.runs import Runs
    from genscope.figures.theme import Theme

Size = Literal["smoke", "small", "full"]
SIZES: tuple[Size, ...] = ("smoke", "small", "full")


def size_of(text: str) -> Size:
    """``text`` as a size.

    Raises:
        UsageError: there is no such size.
    """
    for size in SIZES:
        if text == size:
            return size
    raise UsageError(f"There is no size {text!r}; use one of {', '.join(SIZES)}.")


Verdict = Literal["HOLDS", "HOLDS-BUT-NULL-TOO", "FAILS", "UNTESTABLE-AS-STATED", "INCONCLUSIVE"]
VERDICTS: tuple[Verdict, ...] = ("HOLDS", "HOLDS-BUT-NULL-TOO", "FAILS", "UNTESTABLE-AS-STATED", "INCONCLUSIVE")
COSTS = {
    "T0": "seconds on a CPU, no data",
    "T1": "minutes on a CPU, synthetic or bundled data",
    "T2": "trains on MNIST, CIFAR or SVHN; a GPU helps",
    "T3": "needs a published zoo or table",
}


@dataclass(frozen=True)
class Cell:
    """One run: the smallest piece that is computed and stored at once.

    Args:
        name: what people read, such as ``width 128, seed 3``.
        settings: all that the numbers depend on, as JSON values; two cells of a family never share settings.
    """

    name: str
    settings: Mapping[str, Any]


@dataclass(frozen=True)
class Outcome:
    """What a run found.

    Args:
        numbers: JSON values by name (NaN and infinities are stored as ``None``).
        arrays: curves, images, point sets by name, stored exactly in a safetensors file.
    """

    numbers: Mapping[str, Any]
    arrays: Mapping[str, np.ndarray] = field(default_factory=dict)


@dataclass(frozen=True)
class Family:
    """Runs that several experiments share; a finished cell is found again by (family, version, settings, seed).

    Args:
        name: unique over all families; letters, digits, ``-`` and ``_``.
        version: raised whenever ``run`` computes something else, so that cells of the old version are computed again.
        cells: the cells of a size.
        run: one cell to its outcome; must depend on the cell's settings and the context's seed alone.
        run_many: many cells at once (networks trained as one stack), yielding each as it is finished; then ``run`` serves single cells.
        needs: data folders without which no cell can run, such as ``("cifar10",)``.
        at_most: cells given to one call of ``run_many``.
    """

    name: str
    version: int
    cells: Callable[[Size], Sequence[Cell]]
    run: Callable[[Cell, "Context"], Outcome]
    run_many: "Callable[[Sequence[Cell], Context], Iterator[tuple[Cell, Outcome]]] | None" = None
    needs: tuple[str, ...] = ()
    at_most: int = 32


@dataclass(frozen=True)
class Check:
    """One statistic against what is expected of it; made by the functions of :mod:`genscope.experiments.verdicts`.

    Args:
        statistic: what is measured, in words.
        expected: the rule, in words.
        observed: its value.
        low, high: its 95% interval, where it has one.
        null: the same statistic of the null control.
        passed: ``True``, ``False``, or ``None`` where the interval straddles the threshold.
        null_passed: whether the null control would pass the same rule.
        paper: the paper's number.
        note: a sentence.
        decides: whether the verdict depends on it (``False``: shown only).
        runs_needed: for an undecided check, how many runs would settle it.
    """

    statistic: str
    expected: str
    observed: float | None
    low: float | None = None
    high: float | None = None
    null: float | None = None
    passed: bool | None = None
    null_passed: bool | None = None
    paper: float | None = None
    note: str = ""
    decides: bool = True
    runs_needed: int | None = None


@dataclass(frozen=True)
class Judgement:
    """The verdict on a claim.

    Args:
        verdict: one of :data:`VERDICTS`.
        checks: what it rests on.
        meaning: one paragraph for a reader: what was seen and what follows.
        n_runs: runs it rests on; 0 stands for all finished cells.
        departures: how this size departs from the paper's protocol, a sentence each.
        runs_needed: for INCONCLUSIVE, how many runs would settle it.
    """

    verdict: Verdict
    checks: tuple[Check, ...]
    meaning: str
    n_runs: int = 0
    departures: tuple[str, ...] = ()
    runs_needed: int | None = None


@dataclass(frozen=True)
class Experiment:
    """A figure, claim or theorem of a paper as something that can be run.

    Args:
        id: its row, such as ``S1-F2b``.
        source: ``Liao et al., Figure 2b``.
        title: short heading.
        claim: what the paper says, in one or two sentences.
        families: the runs it rests on.
        judge: finished runs to a verdict; reads nothing but the store.
        draw: finished runs to the figure as the paper drew it, in a theme; reads nothing but the store.
        paper_figure: description of the paper's figure.
        caption: how to read our figure: axes, units, normalization, number of runs.
        errata: what is wrong in the paper's text or formulas, the right version, and the difference it makes.
        cost: ``T0`` to ``T3``, see :data:`COSTS`.
        vector: draw as SVG; ``False`` for dense images.
        partial: the judge copes with families whose data are not here (``runs.has(family)``).
    """

    id: str
    source: str
    title: str
    claim: str
    families: tuple[Family, ...]
    judge: "Callable[[Runs], Judgement]"
    draw: "Callable[[Runs, Theme], Figure] | None" = None
    paper_figure: str = ""
    caption: str = ""
    errata: tuple[str, ...] = ()
    cost: Literal["T0", "T1", "T2", "T3"] = "T1"
    vector: bool = True
    partial: bool = False
