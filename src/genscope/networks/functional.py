"""A module becomes a function of its parameters; the module itself is never touched."""

import contextlib
import copy
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import torch
from torch import Tensor, nn

from genscope.core.text import display_name
from genscope.errors import UnsupportedInput

Params = Mapping[str, Tensor]


@dataclass(frozen=True)
class Network:
    """A network as a value: named parameters, buffers, and the function ``(params, x) -> logits``.

    Args:
        params: floating-point parameters by name; tied parameters appear once.
        buffers: everything else the function reads (running statistics, masks, integer parameters); never written.
        call: ``(params, buffers, x) -> logits``, pure.
        name: class name of the module, or what it was made from.
        aliases: for a tied parameter, its other names.
        notes: sentences for the user (what was switched off or unwrapped).
        module: a private copy of the structure, for tracing; ``None`` for a network that was built from a graph.
        graph: the traced graph of the same function with parameters of the same names, where there is one.
    """

    params: Params
    buffers: Mapping[str, Tensor]
    call: Callable[[Params, Mapping[str, Tensor], Any], Tensor]
    name: str = "network"
    aliases: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    notes: tuple[str, ...] = ()
    module: nn.Module | None = None
    graph: Any = None

    def forward(self, params: Params, x: Any) -> Tensor:
        """Logits at ``params``; ``x`` is a tensor, a tuple of positional inputs or a mapping of keyword inputs."""
        return self.call(params, self.buffers, x)

    def __call__(self, x: Any) -> Tensor:
        """Logits at the network's own parameters."""
        return self.call(self.params, self.buffers, x)

    @property
    def n_params(self) -> int:
        """Number of scalar parameters, tied ones once."""
        return sum(tensor.numel() for tensor in self.params.values())

    @property
    def dtype(self) -> torch.dtype:
        """Type of the first parameter (float32 for a network without parameters)."""
        return next((tensor.dtype for tensor in self.params.values()), torch.float32)

    @property
    def device(self) -> torch.device:
        """Where the first parameter lives."""
        return next((tensor.device for tensor in self.params.values()), torch.device("cpu"))

    def with_params(self, params: Params) -> "Network":
        """The same function at other parameters."""
        return replace(self, params=dict(params))

    def to(self, dtype: torch.dtype | None = None, device: torch.device | str | None = None) -> "Network":
        """A copy whose floating tensors have ``dtype`` and live on ``device``; the module it came from stays as it is."""
        params = {name: cast(tensor, dtype, device) for name, tensor in self.params.items()}
        buffers = {name: cast(tensor, dtype, device) for name, tensor in self.buffers.items()}
        return replace(self, params=params, buffers=buffers, graph=None)


def cast(value: Any, dtype: torch.dtype | None = None, device: torch.device | str | None = None) -> Any:
    """Tensors inside ``value`` with floats as ``dtype`` and everything on ``device``; integers keep their type."""
    if isinstance(value, Tensor):
        return value.to(device=device, dtype=dtype if value.is_floating_point() else None)
    if isinstance(value, Mapping):
        return {key: cast(item, dtype, device) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return tuple(cast(item, dtype, device) for item in value)
    return value


def wrap_module(model: nn.Module) -> Network:
    """A module as a :class:`Network` in evaluation mode, without changing the module by one bit.

    The structure is copied while tensors are shared, so nothing is written to ``model``: not its train/eval mode, not its
    buffers, gradients, hooks or ``requires_grad`` flags. Buffers are cloned, because some modules write them even in evaluation mode.

    Args:
        model: any module; ``DataParallel`` and compiled wrappers are opened.

    Returns:
        The network; ``forward(params, x)`` is differentiable in ``params`` and ``x``.

    Raises:
        UnsupportedInput: not a module, lazy (uninitialized) or meta parameters.

    Cost: one copy of the buffers.

    Example:
        >>> network = wrap_module(nn.Linear(2, 1, bias=False))
        >>> network.n_params
        2
    """
    if not isinstance(model, nn.Module):
        raise UnsupportedInput(f"A model must be a torch.nn.Module, not {type(model).__name__}; give a module or a factory that returns one.")
    model, notes = _unwrapped(model)
    _require_values(model)
    if any(module.training for module in model.modules()):
        notes = (*notes, "the model was in training mode; it is measured in evaluation mode")
    with torch.no_grad():
        params = {name: p.detach() for name, p in model.named_parameters() if p.is_floating_point()}
        buffers = {name: b.detach().clone() for name, b in model.named_buffers()}
        buffers |= {name: p.detach() for name, p in model.named_parameters() if not p.is_floating_point()}
    structure = shared_copy(model)
    return Network(params, buffers, _caller(structure), type(model).__name__, _aliases(model), notes, structure)


def logits_of(output: Any) -> Tensor:
    """The logits in whatever a model returns: a tensor, an object or mapping with ``logits``, or a tuple that starts with a tensor."""
    if isinstance(output, Tensor):
        return output
    for key in ("logits", "prediction_logits", "out"):
        if isinstance(output, Mapping) and isinstance(output.get(key), Tensor):
            return output[key]
        if isinstance(getattr(output, key, None), Tensor):
            return getattr(output, key)
    if isinstance(output, list | tuple) and output and isinstance(output[0], Tensor):
        return output[0]
    raise UnsupportedInput(f"The model returns {type(output).__name__}, in which no logits were found; return a tensor or an object with `.logits`.")


def call_module(module: nn.Module, x: Any) -> Tensor:
    """Logits of a module for a tensor, a tuple of positional inputs, or a mapping of keyword inputs."""
    if isinstance(x, Mapping):
        return logits_of(module(**x))
    return logits_of(module(*x) if isinstance(x, list | tuple) else module(x))


@contextlib.contextmanager
def evaluation_mode(model: nn.Module) -> Iterator[None]:
    """Every module of ``model`` in evaluation mode, each put back as it was."""
    modes = [(module, module.training) for module in model.modules()]
    for module, _ in modes:
        module.training = False
    try:
        yield
    finally:
        for module, mode in modes:
            module.training = mode


class _Functional(nn.Module):
    """Gives ``functional_call`` one argument whatever the inner module takes."""

    def __init__(self, inner: nn.Module) -> None:
        super().__init__()
        self.inner = inner

    def forward(self, x: Any) -> Tensor:
        return call_module(self.inner, x)


def _caller(structure: nn.Module) -> Callable[[Params, Mapping[str, Tensor], Any], Tensor]:
    outer = _Functional(structure)

    def call(params: Params, buffers: Mapping[str, Tensor], x: Any) -> Tensor:
        tensors = {f"inner.{name}": tensor for part in (params, buffers) for name, tensor in part.items()}
        # A structure that could not be copied is the user's own module: its mode is put back after each call.
        with evaluation_mode(structure) if structure.training else contextlib.nullcontext():
            return torch.func.functional_call(outer, tensors, (x,))

    return call


def _unwrapped(model: nn.Module) -> tuple[nn.Module, tuple[str, ...]]:
    notes: tuple[str, ...] = ()
    while True:
        inner = getattr(model, "_orig_mod", None)
        if inner is None and isinstance(model, nn.DataParallel | nn.parallel.DistributedDataParallel):
            inner = model.module
        if not isinstance(inner, nn.Module):
            return model, notes
        notes = (*notes, f"measured the module inside {type(model).__name__}")
        model = inner


def _require_values(model: nn.Module) -> None:
    for name, tensor in [*model.named_parameters(), *model.named_buffers()]:
        if nn.parameter.is_lazy(tensor):
            raise UnsupportedInput(f"{display_name(name)}: the layer is lazy and has no weights yet; run one batch through the model first.")
        if tensor.is_meta:
            raise UnsupportedInput(f"{display_name(name)}: the tensor is on the meta device and has no values; load the weights first.")


def shared_copy(model: nn.Module) -> nn.Module:
    """A copy of the modules that shares every tensor, in evaluation mode; the model itself where copying is impossible."""
    memo: dict[int, Any] = {}
    for module in model.modules():
        for tensor in [*module._parameters.values(), *module._buffers.values(), *vars(module).values()]:
            if isinstance(tensor, Tensor):
                memo[id(tensor)] = tensor
    try:
        structure = copy.deepcopy(model, memo)
    except Exception:  # locks, generators, open files: whatever a user's module may hold
        return model
    return structure.eval()


def _aliases(model: nn.Module) -> dict[str, tuple[str, ...]]:
    first: dict[int, str] = {}
    others: dict[str, tuple[str, ...]] = {}
    for name, parameter in model.named_parameters(remove_duplicate=False):
        if id(parameter) in first:
            others[first[id(parameter)]] = (*others.get(first[id(parameter)], ()), name)
        else:
            first[id(parameter)] = name
    return others
