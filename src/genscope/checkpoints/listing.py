"""What every reader of this folder's niche formats shares: a finished list of specs and skips, looked up by name."""

import os
from collections.abc import Mapping, Sequence
from typing import Any

from genscope.checkpoints.limits import Limits
from genscope.core.tensors import Skip, TensorSpec
from genscope.core.text import display_name
from genscope.errors import CorruptInput, LimitExceeded, UsageError


class ListedCheckpoint:
    """Base of a checkpoint whose tensors are all known when it is opened; see :class:`genscope.core.tensors.Checkpoint`."""

    def __init__(self, source: str, format_name: str, limits: Limits) -> None:
        self.source = source
        self.format = format_name
        self.limits = limits
        self.specs: Sequence[TensorSpec] = ()
        self.skips: Sequence[Skip] = ()
        self.notes: Sequence[str] = ()
        self.metadata: Mapping[str, Any] = {}
        self._by_name: dict[str, TensorSpec] = {}
        self._closed = False

    @property
    def label(self) -> str:
        """The source's base name, fit for a sentence."""
        return display_name(os.path.basename(self.source.rstrip("/")) or self.source)

    def set_specs(self, specs: Sequence[TensorSpec], skips: Sequence[Skip]) -> None:
        """Publish the list; two tensors of one name are refused, for two readers would see different ones, and empty ones are skipped."""
        self._by_name = {}
        for spec in specs:
            if spec.name in self._by_name:
                raise CorruptInput(f"{self.label}: two tensors are called {display_name(spec.name)!r}; the file is damaged or made by hand.")
            self._by_name[spec.name] = spec
        # An empty tensor may claim any size on its other axes, which NumPy cannot even express.
        empty = [name for name, spec in self._by_name.items() if 0 in spec.shape]
        for name in empty:
            del self._by_name[name]
        self.specs = tuple(self._by_name.values())
        self.skips = (*skips, *(Skip(name, "empty: it has no elements") for name in empty))

    def spec_of(self, name: str, bytes_per_element: int = 8) -> TensorSpec:
        """The spec of a readable tensor that fits the memory budget.

        Raises:
            UsageError: no such tensor, or the checkpoint is closed.
            LimitExceeded: it does not fit ``limits.memory_bytes``.
        """
        if self._closed:
            raise UsageError(f"{self.label}: the checkpoint was closed; open it again to read from it.")
        spec = self._by_name.get(name)
        if spec is None:
            raise UsageError(f"{self.label} holds no readable tensor {display_name(name)!r}; `genscope describe` lists them.")
        needed = spec.n_elements * bytes_per_element
        if needed > self.limits.memory_bytes:
            budget = f"{self.limits.memory_bytes / 1e9:.3g} GB"
            shown = display_name(name)
            raise LimitExceeded(f"{self.label}: tensor {shown!r} needs {needed / 1e9:.3g} GB and the memory budget is {budget}; raise --max-memory.")
        return spec

    def close(self) -> None:
        """Forget the file."""
        self._closed = True
