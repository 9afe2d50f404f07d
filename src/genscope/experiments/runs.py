"""Finished cells of one experiment at one size: all that a judge or a drawing may read."""

from collections.abc import Mapping
from typing import Any

import numpy as np

from genscope.errors import StoreError
from genscope.experiments.store import Finished, RunStore
from genscope.experiments.values import Cell, Experiment, Family, Size


class Runs:
    """The finished runs of ``experiment`` at ``size``.

    Args:
        experiment: whose families are read.
        size: which cells belong to it.
        store: where they are.
    """

    def __init__(self, experiment: Experiment, size: Size, store: RunStore) -> None:
        self.experiment = experiment
        self.size = size
        self._found: dict[str, list[Finished]] = {}
        self._missing: dict[str, list[Cell]] = {}
        for family in experiment.families:
            cells = list(family.cells(size))
            read = [store.read(family, cell) for cell in cells]
            self._found[family.name] = [finished for finished in read if finished is not None]
            self._missing[family.name] = [cell for cell, finished in zip(cells, read, strict=True) if finished is None]

    @property
    def n(self) -> int:
        """Number of finished cells."""
        return sum(len(found) for found in self._found.values())

    @property
    def n_missing(self) -> int:
        """Number of cells that are not finished."""
        return sum(len(missing) for missing in self._missing.values())

    def has(self, family: Family | str) -> bool:
        """Whether all cells of the family are finished."""
        return not self._missing[_name(family)]

    def cells(self, family: Family | str) -> list[Cell]:
        """The finished cells in the family's order."""
        return [finished.cell for finished in self._found[_name(family)]]

    def table(self, family: Family | str) -> list[tuple[Mapping[str, Any], Mapping[str, Any]]]:
        """(settings, numbers) of every finished cell, in the family's order."""
        return [(finished.cell.settings, finished.numbers) for finished in self._found[_name(family)]]

    def column(self, family: Family | str, name: str, **where: Any) -> np.ndarray:
        """One number or setting of every finished cell whose settings agree with ``where``, as floats (``None`` becomes NaN)."""
        rows = [(settings, numbers) for settings, numbers in self.table(family) if all(settings.get(key) == value for key, value in where.items())]
        found = [numbers[name] if name in numbers else settings[name] for settings, numbers in rows]
        return np.array([np.nan if value is None else value for value in found], dtype=np.float64)

    def arrays(self, cell: Cell, family: Family | str | None = None) -> dict[str, np.ndarray]:
        """The arrays of a finished cell (of ``family``, or of the first family that holds such a cell).

        Raises:
            StoreError: no such cell is finished.
        """
        for name in self._found if family is None else (_name(family),):
            for finished in self._found[name]:
                if finished.cell.settings == cell.settings:
                    return finished.arrays()
        raise StoreError(f"{self.experiment.id}: the cell {cell.name!r} is not in the store.")


def _name(family: Family | str) -> str:
    return family if isinstance(family, str) else family.name
