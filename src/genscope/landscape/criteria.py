"""What may end a basin: the loss, its rise, the error rate, or the divergence from the outputs at the centre; all from one pass."""

from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from genscope.errors import UnsupportedInput, UsageError
from genscope.landscape.radius import Cutoff, Field
from genscope.landscape.rays import flattened, named

CRITERIA: Mapping[str, str] = {
    "loss": "mean training loss",
    "loss_increase": "rise of the mean training loss above its value at the weights",
    "error": "training error rate",
    "kl": "mean KL divergence of the predicted classes from those at the weights, in nats",
}
# Stacked points of more parameters than this leave the cache: sixteen of some thousand each are fastest, single ones of large networks.
_CACHED = 2**16
Score = Callable[[Tensor, Tensor], Tensor]
Logits = Callable[[Mapping[str, Tensor]], Tensor]


@dataclass(frozen=True)
class Edge:
    """A basin is the set where ``criterion`` is below ``cutoff``."""

    criterion: str
    cutoff: float

    def __post_init__(self) -> None:
        if self.criterion not in CRITERIA:
            raise UsageError(f"There is no criterion {self.criterion!r} for the edge of a basin; use one of {', '.join(CRITERIA)}.")
        if not 0 < self.cutoff < float("inf"):
            raise UsageError(f"The cutoff of a basin must be a positive number, not {self.cutoff:g}.")


class Criteria:
    """Criteria at points of parameter space, stacked ``[points, n_total]``, and along rays.

    Args:
        logits: stacked named parameters ``[points, ...]`` to outputs ``[points, examples, classes]`` (a landscape evaluator's back-end).
        params: the centre.
        labels: ``[examples]``.
        losses: ``(logits, labels) -> [..., examples]`` loss of each example.
        errors: the same for 0–1 errors.
        names: criteria to compute.
        chunk: points per call of ``logits``.
        workers: threads that evaluate chunks side by side.
    """

    def __init__(
        self, logits: Logits, params: Mapping[str, Tensor], labels: Tensor, losses: Score, errors: Score, names: Sequence[str],
        chunk: int = 64, workers: int = 1,
    ) -> None:  # fmt: skip
        self.logits, self.params, self.labels, self.losses, self.errors = logits, params, labels, losses, errors
        self.names, self.workers = tuple(dict.fromkeys(names)), workers
        self.flat = flattened(params)
        self.chunk = max(1, min(chunk, _CACHED // self.flat.numel()) if chunk > 1 else 1)
        with torch.no_grad():
            reference = logits(named(self.flat[None], params))
        self.reference = _log_probabilities(reference[0].double()) if "kl" in self.names else None
        self.loss = float(losses(reference, labels).double().mean())
        if not np.isfinite(self.loss):
            raise UnsupportedInput("The training loss at the weights is not finite, so there is no basin around them.")
        self.centre = self._values(reference)[0]

    def at(self, points: Tensor) -> np.ndarray:
        """``[points, criteria]`` in float64 at ``[points, n_total]``."""
        parts = points.split(self.chunk)
        if self.workers == 1 or len(parts) == 1:
            return np.concatenate([self._evaluated(part) for part in parts])
        with ThreadPoolExecutor(self.workers) as pool:
            return np.concatenate(list(pool.map(self._evaluated, parts)))

    def _evaluated(self, points: Tensor) -> np.ndarray:
        with torch.no_grad():
            return self._values(self.logits(named(points, self.params)))

    def along(self, directions: Tensor) -> Field:
        """The field of :func:`genscope.landscape.radius.first_crossings` on rays from the centre."""

        def field(rays: np.ndarray, radii: np.ndarray) -> np.ndarray:
            chosen = directions if len(rays) == len(directions) else directions[torch.from_numpy(rays).to(directions.device)]
            steps = torch.from_numpy(radii).to(directions)
            return self.at(torch.addcmul(self.flat, chosen, steps[:, None]))

        return field

    def gradients(self, points: Tensor) -> Tensor:
        """Gradient of the mean loss at each point, ``[points, n_total]``."""
        return self.losses_and_gradients(points)[1]

    def losses_and_gradients(self, points: Tensor) -> tuple[Tensor, Tensor]:
        """Mean loss ``[points]`` (float64) and its gradient ``[points, n_total]``."""
        values, gradients = [], []
        for part in points.split(self.chunk):
            leaf = part.detach().requires_grad_(True)
            each = self.losses(self.logits(named(leaf, self.params)), self.labels).mean(-1)
            gradients.append(torch.autograd.grad(each.sum(), leaf)[0])
            values.append(each.detach().double())
        return torch.cat(values), torch.cat(gradients)

    def cutoffs(self, edges: Sequence[Edge]) -> list[Cutoff]:
        """The edges as columns of the field.

        Raises:
            UnsupportedInput: the centre itself lies outside an edge.
        """
        found = []
        for edge in edges:
            column = self.names.index(edge.criterion)
            if not self.centre[column] < edge.cutoff:
                raise UnsupportedInput(
                    f"The {CRITERIA[edge.criterion]} at the weights is {self.centre[column]:.3g}, not below the cutoff {edge.cutoff:g}, so the "
                    "basin is empty; give a higher cutoff, or measure the rise of the loss instead (criterion loss_increase)."
                )
            found.append(Cutoff(column, edge.cutoff, steps=edge.criterion == "error"))
        return found

    def _values(self, logits: Tensor) -> np.ndarray:
        columns = []
        losses = self.losses(logits, self.labels).mean(-1, dtype=torch.float64) if {"loss", "loss_increase"} & set(self.names) else None
        for name in self.names:
            if name == "error":
                broken = torch.isnan(logits).flatten(1).any(1)
                columns.append(torch.where(broken, torch.nan, self.errors(logits, self.labels).mean(-1, dtype=torch.float64)))
            elif name == "kl":
                columns.append(self._divergence(logits))
            else:
                assert losses is not None
                columns.append(losses if name == "loss" else losses - self.loss)
        return torch.stack(columns, dim=1).cpu().numpy()

    def _divergence(self, logits: Tensor) -> Tensor:
        assert self.reference is not None
        difference = self.reference - _log_probabilities(logits.double())
        return (self.reference.exp() * difference).sum(-1).mean(-1)


def _log_probabilities(logits: Tensor) -> Tensor:
    if logits.shape[-1] == 1:
        logits = torch.cat([torch.zeros_like(logits), logits], dim=-1)
    return torch.log_softmax(logits, dim=-1)
