"""Layers of a network in training: norms and how they grow, alignment with the gradient, spectra a few at a time."""

import math
import time
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from genscope.checkpoints.open import open_checkpoint
from genscope.core.catalogue import default_catalogue
from genscope.core.matrices import MatrixSpec
from genscope.core.resolver import Plan, execute, plan
from genscope.core.status import Undefined
from genscope.errors import GenscopeError
from genscope.layers.matricize import build_matrix, plan_matrices
from genscope.measures.load import load_matrix_measures
from genscope.numerics.singular_values import predicted_seconds
from genscope.training.monitor_budget import Account
from genscope.training.monitor_scale import layer_label

SPECTRAL = ("alpha", "alpha_stderr", "n_tail", "log_spectral_norm", "log_frobenius_norm", "stable_rank")
_FIT_SECONDS = 1e-3


@torch.no_grad()
def log_norms(params: Mapping[str, Tensor], groups: Mapping[str, Sequence[str]]) -> dict[str, float]:
    """``ln ρ_k`` of every layer in one fused call: ``ρ_k² = Σ ‖W‖_F²`` over the layer's parameters (``-inf`` for zeros)."""
    names = [name for members in groups.values() for name in members]
    if not names:
        return {}
    squares = dict(zip(names, _squared_norms([params[name] for name in names]), strict=True))
    return {layer: 0.5 * _log(sum(squares[name] for name in members)) for layer, members in groups.items()}


@torch.no_grad()
def alignments(params: Mapping[str, nn.Parameter], groups: Mapping[str, Sequence[str]]) -> tuple[dict[str, float], float | None, float | None]:
    """Per layer and in total the cosine between the weights and the direction of descent, and the gradient's norm.

    ``cos_k = −⟨∇_k L, W_k⟩ / (‖∇_k L‖ ‖W_k‖)``: positive where a small step against the gradient makes the layer's norm grow.

    Returns:
        Cosines by layer, the cosine over all parameters, and ``‖∇L‖`` over all parameters; empty and ``None`` without gradients.
    """
    held = {name: p for name, p in params.items() if p.grad is not None and p.grad.layout == torch.strided}
    if not held:
        return {}, None, None
    weights = [p.detach() for p in held.values()]
    gradients = [p.grad for p in held.values() if p.grad is not None]
    own = dict(zip(held, _squared_norms(weights), strict=True))
    pull = dict(zip(held, _squared_norms(gradients), strict=True))
    products = [torch.dot(w.reshape(-1).float(), g.reshape(-1).float()) for w, g in zip(weights, gradients, strict=True)]
    inner = dict(zip(held, _numbers(products), strict=True))
    by_layer = {}
    for layer, members in groups.items():
        known = [name for name in members if name in held]
        cosine = _cosine(sum(inner[n] for n in known), sum(own[n] for n in known), sum(pull[n] for n in known))
        if cosine is not None:
            by_layer[layer] = cosine
    total = _cosine(sum(inner.values()), sum(own.values()), sum(pull.values()))
    return by_layer, total, math.sqrt(sum(pull.values()))


class Spectra:
    """Looks at the layers' spectra in turn, as many at a time as the account allows.

    Args:
        model: the plain module.
        every: steps between two looks at one layer; 0 for never.
        account: what may be spent.
    """

    def __init__(self, model: nn.Module, every: int, account: Account) -> None:
        self._model, self._every, self._account = model, every, account
        self._queue: list[MatrixSpec] = []
        self._due = 0
        self._plan: Plan | None = None
        self.seconds = 0.0

    @torch.no_grad()
    def look(self, step: int) -> tuple[dict[str, dict[str, float]], dict[str, str]]:
        """Values by layer of the matrices looked at now, and reasons by ``layer: measure``."""
        if not self._every:
            return {}, {}
        if not self._queue and step >= self._due:
            checkpoint = open_checkpoint(self._model)
            self._queue = list(plan_matrices(checkpoint.specs).matrices)
            self._due = step + self._every
        values: dict[str, dict[str, float]] = {}
        reasons: dict[str, str] = {}
        while self._queue and self._account.allows(_predicted(self._queue[0])):
            spec = self._queue.pop(0)
            began = time.perf_counter()
            with self._account.charge():
                found, undefined = self._measured(spec)
            self.seconds += time.perf_counter() - began
            values[spectrum_label(spec)] = found
            reasons |= undefined
        return values, reasons

    def state_dict(self) -> dict[str, Any]:
        """When the next look is due."""
        return {"due": 0 if self._queue else self._due}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Go on from :meth:`state_dict`."""
        self._queue, self._due = [], int(state["due"])

    def _measured(self, spec: MatrixSpec) -> tuple[dict[str, float], dict[str, str]]:
        label = spectrum_label(spec)
        if self._plan is None:
            load_matrix_measures()
            self._plan = plan(SPECTRAL, ["matrix"], default_catalogue)
        try:
            checkpoint = open_checkpoint(self._model)
            matrix = build_matrix(spec, {name: checkpoint.read(name) for name in spec.tensors})
        except GenscopeError as error:
            return {}, {f"{label}: spectrum": str(error)}
        found = execute(self._plan, {"matrix": matrix}, subject=spec.key)
        undefined = {f"{label}: {name}": found[name].reason for name in SPECTRAL if isinstance(found[name], Undefined)}
        return {name: float(found[name]) for name in SPECTRAL if not isinstance(found[name], Undefined)}, undefined


def spectrum_label(spec: MatrixSpec) -> str:
    """The layer, with the view where it is not the whole weight."""
    layer = layer_label(spec.layer)
    return layer if spec.view in ("weight", "slices") else f"{layer} [{spec.view}]"


def _predicted(spec: MatrixSpec) -> float:
    return 2.0 * predicted_seconds(spec.rows, spec.cols, spec.n_matrices) + _FIT_SECONDS


def _squared_norms(tensors: Sequence[Tensor]) -> list[float]:
    """Half precision is widened first, so that its squares do not overflow; zeros for empty tensors."""
    wide = [tensor.detach() if tensor.dtype in (torch.float32, torch.float64) else tensor.detach().float() for tensor in tensors]
    return [value**2 for value in _numbers(torch._foreach_norm(wide))]


def _numbers(scalars: Sequence[Tensor]) -> list[float]:
    """One transfer for all where they are alike: an accelerator would wait for each."""
    alike = len({(scalar.device, scalar.dtype) for scalar in scalars}) == 1
    return torch.stack(tuple(scalars)).tolist() if alike else [float(scalar) for scalar in scalars]


def _cosine(inner: float, own: float, pull: float) -> float | None:
    size = math.sqrt(own * pull) if np.isfinite(own * pull) else 0.0
    return max(-1.0, min(1.0, -inner / size)) if size > 0 else None


def _log(square: float) -> float:
    return math.log(square) if square > 0 else -math.inf
