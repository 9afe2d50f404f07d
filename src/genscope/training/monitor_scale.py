"""By which norm a network in training is divided: the product of its layers' norms where that is exact, else one output norm."""

import math
from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor, nn

from genscope.errors import GenscopeError
from genscope.networks.functional import Network, wrap_module
from genscope.networks.normalize import log_entry_norm, normalize_layers
from genscope.networks.trace import trace

# Layers through which no exact layer normalization leads while the network trains: tracing them would only cost time.
_STATISTICS = ("norm", "softmax", "attention", "lstm", "gru")
_AGREES = 1e-5


class Scale:
    """``ln ρ`` of a network in training, cheap enough to be asked for at every measurement.

    The module is never changed: its tensors are read where they are, and the one example runs through a private copy of its structure
    in evaluation mode.

    Args:
        model: the module that trains.
        method: ``auto``, ``layers`` or ``output``.
    """

    def __init__(self, model: nn.Module, method: str) -> None:
        self._model = plain_module(model)
        self._asked = method
        self._network: Network | None = None
        self.example: Any = None
        self._groups: dict[str, tuple[str, ...]] | None = None
        self.method: str | None = None
        self.sentence = "no example of the training data was seen yet"

    @property
    def ready(self) -> bool:
        """Whether a norm is known."""
        return self.method is not None

    def groups(self) -> dict[str, tuple[str, ...]]:
        """Layer names to the parameters whose norm is the layer's ρ."""
        if self._groups is not None:
            return self._groups
        matrices = {name: p for name, p in self._model.named_parameters() if p.ndim >= 2 and p.is_floating_point()}
        return {layer_label(name): (name,) for name in matrices}

    def learn(self, example: Any) -> None:
        """Find out how to normalize, from one batch of inputs (its first example is kept).

        A network that can be traced and has no normalization layers is divided by the product of its layers' norms (Liao et al. 2018, eq. 2);
        any other by the norm of its output on the first example, as they do for residual networks.
        """
        self.example = first_example(example)
        self._network = wrap_module(self._model)
        reason = "it was asked for"
        if self._asked != "output":
            try:
                self._groups, self.method = self._exact_groups(), "layers"
                self.sentence = "logits divided by the product of the layers' Frobenius norms, exactly the normalized network"
                return
            except GenscopeError as error:
                reason = str(error).rstrip(".")
            except _NotExact as error:
                reason = str(error)
        self.method = "output"
        self.sentence = f"logits divided by the output norm on one training example, because {reason}"

    @torch.no_grad()
    def log_rho(self, log_norms: Mapping[str, float]) -> float | None:
        """``ln ρ`` now.

        Args:
            log_norms: natural logarithm of the norm of each of :meth:`groups`.
        """
        if self.method == "layers":
            return math.fsum(log_norms.values())
        if self._network is None:
            return None
        # fresh tensors each time: a loop may load, move or replace them
        held = {name: p.detach() for name, p in self._model.named_parameters() if p.is_floating_point()}
        buffers = {name: b.detach().clone() for name, b in self._model.named_buffers()}
        buffers |= {name: p.detach() for name, p in self._model.named_parameters() if not p.is_floating_point()}
        device = next(iter(held.values())).device if held else None
        logits = self._network.call(held, buffers, _on(self.example, device))
        found = log_entry_norm((logits[:1],), 2.0)
        return found if math.isfinite(found) else None

    def _exact_groups(self) -> dict[str, tuple[str, ...]]:
        assert self._network is not None
        kind = next((type(m).__name__ for m in self._model.modules() if any(word in type(m).__name__.lower() for word in _STATISTICS)), None)
        if kind is not None:
            raise _NotExact(f"it has a {kind} layer, across which no exact layer normalization is kept while it trains")
        graph = trace(self._network, self.example)
        found = normalize_layers(graph)
        params = dict(self._model.named_parameters())
        groups: dict[str, tuple[str, ...]] = {}
        for node in graph.nodes:
            if node.weight is None or node.title not in found.log_norms:
                continue
            candidates = [(node.weight.name,), *([(node.weight.name, node.bias.name)] if node.bias is not None else [])]
            held = [names for names in candidates if all(name in params for name in names)]
            exact = [n for n in held if abs(log_entry_norm(tuple(params[p] for p in n), 2.0) - found.log_norms[node.title]) < _AGREES]
            if exact:
                groups[node.title] = exact[0]
        total = math.fsum(log_entry_norm(tuple(params[p] for p in names), 2.0) for names in groups.values())
        if not groups or abs(total - found.log_product) > _AGREES * max(1.0, abs(found.log_product)):
            raise _NotExact("its layers share weights or are rewritten, so that the product of their norms is not the network's")
        return groups


class _NotExact(Exception):
    """The product of the weights' norms is not ρ; the text says why."""


def plain_module(model: nn.Module) -> nn.Module:
    """The user's module inside ``torch.compile``, ``DataParallel`` and ``DistributedDataParallel``."""
    while True:
        inner = getattr(model, "_orig_mod", None)
        if inner is None and isinstance(model, nn.DataParallel | nn.parallel.DistributedDataParallel):
            inner = model.module
        if not isinstance(inner, nn.Module):
            return model
        model = inner


def layer_label(name: str) -> str:
    """``layer1.0.conv1.weight`` as ``layer1.0.conv1``."""
    return name.removesuffix(".weight") or name


def first_example(x: Any) -> Any:
    """The first example of a batch, on its own storage: tensors, tuples of positional and mappings of keyword inputs."""
    if isinstance(x, Tensor):
        return x.detach()[:1].clone() if x.ndim else x.detach().clone()
    if isinstance(x, Mapping):
        return {key: first_example(value) for key, value in x.items()}
    if isinstance(x, list | tuple):
        return tuple(first_example(value) for value in x)
    return x


def _on(x: Any, device: torch.device | None) -> Any:
    if isinstance(x, Tensor):
        return x.to(device)
    if isinstance(x, Mapping):
        return {key: _on(value, device) for key, value in x.items()}
    return tuple(_on(value, device) for value in x) if isinstance(x, tuple) else x
