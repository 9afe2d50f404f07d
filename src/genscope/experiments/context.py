"""What a run may use: where data lie, seeded generators, a device, and networks that were trained before."""

import functools
import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from genscope.core.seeds import generator_for
from genscope.errors import GenscopeError
from genscope.experiments.values import Size

if TYPE_CHECKING:
    import torch

    from genscope.training.datasets.labelled import Split


class MissingData(GenscopeError):
    """Data that a run needs are not on this machine; the sentence names them and the option that tells where they are."""


@dataclass(frozen=True)
class Context:
    """The surroundings of a run; the numbers of a cell depend on its settings and ``seed``, never on the rest.

    Args:
        size: ``smoke``, ``small`` or ``full``; for messages, not for numbers (what a size changes belongs into the settings).
        device: a torch device.
        data: folders by name (``{"cifar10": …}``); the empty name is a root that holds them all.
        seed: base seed of the whole store.
        trained_folder: where trained networks are kept; ``None`` trains anew each time.
    """

    size: Size = "smoke"
    device: str = "cpu"
    data: Mapping[str, str] = field(default_factory=dict)
    seed: int = 0
    trained_folder: Path | None = None

    def folder(self, name: str) -> Path:
        """The folder of the data called ``name`` (``cifar10``, ``tables``, ``tables/ww-trends-2020``).

        Raises:
            MissingData: it is not here.
        """
        head, _, rest = name.partition("/")
        candidates = [Path(self.data[name])] if name in self.data else []
        candidates += [Path(self.data[head]) / rest] if rest and head in self.data else []
        candidates += [Path(self.data[""]) / name] if "" in self.data else []
        found = next((path for path in candidates if path.is_dir()), None)
        if found is None:
            raise MissingData(f"The data {name!r} are not here; give their folder with --data-dir {head}=FOLDER.")
        return found

    def dataset(self, name: str) -> "Split":
        """``digits``, or the official files of ``mnist``, ``fashion-mnist``, ``cifar10``, ``cifar100`` or ``svhn`` in their data folder.

        Read once per process.

        Raises:
            MissingData: the folder is not here.
            GenscopeError: files are missing or damaged.
        """
        return _read_dataset("digits" if name == "digits" else f"{name}:{os.path.abspath(self.folder(name))}")

    def rng(self, *names: Any) -> np.random.Generator:
        """A NumPy generator for ``names`` (say what is drawn, and the cell's own seed), the same whatever else runs."""
        return generator_for(self.seed, "experiments", *(str(name) for name in names))

    def generator(self, *names: Any) -> "torch.Generator":
        """A torch generator on the CPU for ``names``; draw there and move, so that numbers do not depend on the device."""
        import torch

        return torch.Generator().manual_seed(int(self.rng(*names).integers(2**63 - 1)))

    def trained(self, key_settings: Mapping[str, Any], train: "Callable[[], Mapping[str, torch.Tensor]]") -> "dict[str, torch.Tensor]":
        """The tensors that ``train()`` returns, computed once for ``key_settings`` and shared by all families.

        Args:
            key_settings: all that the tensors depend on (architecture, data, recipe, seed …) as JSON values.
            train: trains and returns named tensors (a ``state_dict``); called only when the store does not hold them. While it runs, other
                processes that need the same network wait for it.

        Returns:
            Tensors on the CPU, exactly as trained (bfloat16 is widened to float32).
        """
        return self.trained_many([key_settings], lambda _missing: [train()])[0]

    def trained_many(
        self,
        key_settings: Sequence[Mapping[str, Any]],
        train: "Callable[[Sequence[int]], Sequence[Mapping[str, torch.Tensor]]]",
    ) -> "list[dict[str, torch.Tensor]]":
        """:meth:`trained` for several networks: ``train(missing)`` is called once, with the places of those that the store does not hold.

        Args:
            key_settings: one description per network.
            train: places of networks to their tensors, in the same order (as one stack, see :mod:`genscope.training.stacked`).
        """
        from genscope.experiments.networks import trained_tensors

        return trained_tensors(self.trained_folder, [{**settings, "base_seed": self.seed} for settings in key_settings], train)


@functools.lru_cache(maxsize=4)
def _read_dataset(text: str) -> "Split":
    from genscope.training.datasets.open import open_dataset

    return open_dataset(text)
