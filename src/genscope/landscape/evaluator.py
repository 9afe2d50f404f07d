"""Loss, error and margin at many points of parameter space: the one thing that surfaces, rays, radii and paths all ask for."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor

from genscope.errors import LimitExceeded, UsageError
from genscope.landscape.backends import Backend, Compiled, Loop, Products, Vectorized
from genscope.landscape.batch_norm import CALIBRATION, check_policy
from genscope.landscape.batches import HeldData
from genscope.landscape.chains import chain_of
from genscope.landscape.points import Params
from genscope.landscape.readings import Readings, Score, joined, readings_of
from genscope.networks.functional import Network

BACKENDS = ("loop", "compiled", "vmap", "products")
MEMORY = 2**30
_IMAGES, _COMPILED, _OTHERS = 64, 128, 512  # examples per micro-batch


class Evaluator:
    """Evaluates a network's loss at points of its parameter space, all readings from one forward pass, without touching the user's module.

    Args:
        network: from ``wrap_module`` (batch normalization not folded).
        batches: ``(x, y)`` pairs; read once and held in memory.
        score: ``(logits, labels) -> losses, errors, margins`` per example (``measures.ingredients.losses.scores_of(loss)``).
        bn_policy: ``recalibrate`` (default), ``frozen`` or ``batch``; see :func:`genscope.landscape.batch_norm.check_policy`.
        backend: ``loop``, ``compiled``, ``vmap`` or ``products`` (see :mod:`genscope.landscape.backends`); ``None`` takes ``products`` for a
            multilayer perceptron and ``loop`` for anything else. :func:`genscope.landscape.choice.fastest` measures which one is fastest here.
        micro_batch: examples per forward pass; default 64 for images, else 512.
        chunk: points evaluated together; default what fits ``memory``.
        memory: bytes that stacked points, their activations and outputs may take together.

    Raises:
        LimitExceeded: one point alone does not fit into ``memory``.
        UsageError: unknown policy or back-end.

    Example:
        >>> from genscope.networks.functional import wrap_module
        >>> net = torch.nn.Linear(2, 2, bias=False)
        >>> score = lambda logits, y: (logits[..., 0], (logits.argmax(-1) != y).float(), logits[..., 0])
        >>> evaluator = Evaluator(wrap_module(net), [(torch.ones(3, 2), torch.zeros(3, dtype=torch.long))], score)
        >>> evaluator.at({"weight": torch.tensor([[[1.0, 1.0], [0.0, 0.0]], [[0.0, 0.0], [1.0, 1.0]]])}).loss.tolist()
        [2.0, 0.0]
    """

    def __init__(
        self, network: Network, batches: Iterable[tuple[Any, Tensor]], score: Score, *, bn_policy: str = "recalibrate",
        backend: str | None = None, micro_batch: int | None = None, chunk: int | None = None, memory: int = MEMORY,
    ) -> None:  # fmt: skip
        self.network, self.score, self.memory = network, score, memory
        self.bn_policy = check_policy(network, bn_policy)
        self.timings: Mapping[str, float] = {}
        self.data = HeldData(batches, micro_batch or _OTHERS)
        if micro_batch is None and self._images():
            self.data.micro_batch = _IMAGES
        self.backend = self._backend(backend)
        self.chunk = chunk or self._chunk()

    def at(self, points: Params) -> Readings:
        """Readings at stacked parameters ``[points, ...]`` (every parameter of the network by name), in the order given."""
        n = len(next(iter(points.values())))
        parts = [{name: tensor[start : start + self.chunk] for name, tensor in points.items()} for start in range(0, n, self.chunk)]
        return joined(self._read(self.backend.logits(part)) for part in self._guarded(parts))

    def along(self, origin: Params, directions: Sequence[Params], coordinates: np.ndarray) -> Readings:
        """Readings at ``origin + Σ_k coordinates[:, k] · directions[k]``, the points made chunk by chunk.

        Args:
            origin: every parameter of the network.
            directions: K mappings; a parameter that is absent does not move.
            coordinates: ``[points, K]``.
        """
        parts = [coordinates[start : start + self.chunk] for start in range(0, len(coordinates), self.chunk)]
        return joined(self._read(self.backend.logits_along(origin, directions, part)) for part in self._guarded(parts))

    def centre(self) -> Readings:
        """Readings at the network's own parameters."""
        return self.along(self.network.params, [], np.zeros((1, 0)))

    @property
    def n_examples(self) -> int:
        """Number of examples behind each reading."""
        return self.data.n_examples

    @property
    def facts(self) -> Mapping[str, Any]:
        """How the numbers come about: policy, calibration, back-end, examples, precision."""
        calibration = min(CALIBRATION, self.n_examples) if self.bn_policy == "recalibrate" else None
        batch = self.data.micro_batch if self.bn_policy == "batch" else None
        return {
            "bn_policy": self.bn_policy,
            "bn_examples": calibration or batch,
            "backend": self.backend.name,
            "micro_batch": min(self.data.micro_batch, self.n_examples),
            "points_per_chunk": self.chunk,
            "n_examples": self.n_examples,
            "dtype": str(self.network.dtype).removeprefix("torch."),
            "device": self.network.device.type,
        }

    def frozen(self) -> "Evaluator":
        """The same evaluator with the batch statistics of the trained weights, which is how the network is used."""
        found = object.__new__(Evaluator)
        found.__dict__.update(self.__dict__)
        found.bn_policy = "none" if self.bn_policy == "none" else "frozen"
        found.backend = found._backend(self.backend.name)
        return found

    def with_backend(self, name: str) -> "Evaluator":
        """The same evaluator in another way.

        Raises:
            UsageError: unknown, or not possible for this network.
        """
        found = object.__new__(Evaluator)
        found.__dict__.update(self.__dict__)
        found.backend = found._backend(name)
        found.chunk = found._chunk()
        return found

    def _read(self, logits: Tensor) -> Readings:
        return readings_of(logits, self.data.labels, self.score)

    def _guarded(self, parts: Iterable[Any]) -> Iterator[Any]:
        for part in parts:
            with torch.no_grad():
                yield part

    def _images(self) -> bool:
        first = self.data.first(1)
        return isinstance(first, Tensor) and first.ndim >= 4

    def _backend(self, name: str | None) -> Backend:
        if name is not None and name not in BACKENDS:
            raise UsageError(f"There is no back-end {name!r}; use one of {', '.join(BACKENDS)}.")
        if name in (None, "products"):
            chain = chain_of(self.network, self.data.first(2))
            if chain is not None:
                return Products(chain, self.data)
            if name == "products":
                raise UsageError(f"{self.network.name} is no chain of linear layers, so the back-end products cannot evaluate it; use loop.")
        if name == "compiled" and self.data.micro_batch == _IMAGES and self.bn_policy != "batch":
            self.data = self.data.in_batches_of(_COMPILED)  # fused kernels pass over memory less often, so that larger batches pay
        kinds = {"compiled": Compiled, "vmap": Vectorized}
        return kinds.get(name or "loop", Loop)(self.network, self.data, self.bn_policy)

    def _chunk(self) -> int:
        """Points at once: few enough for the memory, and for batched products few enough for the cache."""
        size = sum(tensor.numel() * tensor.element_size() for tensor in self.network.params.values())
        with torch.no_grad():
            small = self.network(self.data.first(2))
        outputs = self.n_examples * small.shape[-1] * small.element_size()
        one = 2 * size + 6 * outputs
        if one > self.memory:
            raise LimitExceeded(
                f"One point of {self.network.name} takes {one / 2**20:,.0f} MiB and {self.memory / 2**20:,.0f} MiB are allowed; "
                "allow more memory or evaluate on fewer examples (--limit)."
            )
        if isinstance(self.backend, Loop):
            return 1
        return int(max(1, min(64, self.memory // (4 * one))))
