"""Many networks of one architecture as one function of stacked parameters."""

import copy
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, fx, nn
from torch.nn import functional as F

from genscope.errors import UnsupportedInput, UsageError

Tensors = Mapping[str, Tensor]
# (params, buffers, x, shared) -> logits; see Architecture
StackedCall = Callable[[Tensors, Tensors, Tensor, bool], Tensor]

METHODS = ("products", "vmap", "loop")
_ELEMENTWISE_MODULES = (nn.ReLU, nn.LeakyReLU, nn.Tanh, nn.GELU, nn.SiLU, nn.Sigmoid, nn.ELU, nn.Softplus, nn.Identity)
_ELEMENTWISE = (torch.relu, F.relu, F.leaky_relu, torch.tanh, F.tanh, F.gelu, F.silu, torch.sigmoid, F.sigmoid, F.elu, F.softplus)
_ELEMENTWISE_METHODS = ("relu", "tanh", "sigmoid")
_CONVOLUTIONS = (nn.Conv1d, nn.Conv2d, nn.Conv3d, nn.ConvTranspose1d, nn.ConvTranspose2d, nn.ConvTranspose3d)
_DROPOUTS = (nn.Dropout, nn.Dropout1d, nn.Dropout2d, nn.Dropout3d, nn.AlphaDropout, nn.FeatureAlphaDropout)


@dataclass(frozen=True)
class Layout:
    """Where each parameter stands in a row of a flat matrix ``[networks, params]``."""

    names: tuple[str, ...]
    shapes: tuple[torch.Size, ...]

    @property
    def sizes(self) -> list[int]:
        """Number of scalars of each parameter."""
        return [shape.numel() for shape in self.shapes]

    def views(self, flat: Tensor) -> dict[str, Tensor]:
        """Every parameter as ``[networks, *shape]``, sharing memory (and gradients) with ``flat``."""
        parts = flat.split(self.sizes, dim=1)  # one split: its gradient is one concatenation
        return {name: part.view(len(flat), *shape) for name, shape, part in zip(self.names, self.shapes, parts, strict=True)}

    def row(self, tensors: Tensors) -> Tensor:
        """The parameters of one network as a row ``[params]``."""
        return torch.cat([tensors[name].detach().reshape(-1) for name in self.names])


@dataclass(frozen=True)
class Architecture:
    """One architecture, called for many sets of parameters at once.

    Args:
        layout: order and shapes of the parameters.
        call: ``(params, buffers, x, shared) -> logits [networks, examples, classes]``. Parameters and buffers carry the networks as their
            first dimension; so does ``x``, unless it is ``shared`` by all networks.
        method: ``products`` (batched matrix products), ``vmap`` or ``loop``.
        template: a private copy of the module.
    """

    layout: Layout
    call: StackedCall
    method: str
    template: nn.Module

    def logits(self, flat: Tensor, buffers: Tensors, x: Tensor, shared: bool = True) -> Tensor:
        """Logits ``[networks, examples, classes]`` at the rows of ``flat [networks, params]``."""
        return self.call(self.layout.views(flat), buffers, x, shared)


def architecture_of(module: nn.Module, method: str | None = None) -> Architecture:
    """How to run many copies of ``module`` with different parameters at once.

    Chains of linear layers and elementwise activations become batched matrix products. Convolutions run one network after another on a CPU,
    because stacking them does not pay there (a grouped or vmapped convolution is 0.8 to 1.0 times as fast as a loop); everything else, and
    convolutions on a GPU, goes through ``torch.func.vmap``.

    Args:
        module: any module without dropout in use; it is copied.
        method: ``products``, ``vmap`` or ``loop`` instead of the choice above.

    Raises:
        UnsupportedInput: dropout in training mode, or tensors that are no floating-point parameters.
        UsageError: ``products`` for a module that is no such chain, or an unknown method.

    Cost: one symbolic trace.

    Example:
        >>> net = architecture_of(nn.Sequential(nn.Linear(2, 3), nn.Tanh(), nn.Linear(3, 2)))
        >>> net.method, tuple(net.logits(torch.zeros(5, 17), {}, torch.zeros(7, 2)).shape)
        ('products', (5, 7, 2))
    """
    if method is not None and method not in METHODS:
        raise UsageError(f"There is no method {method!r} for stacked networks; choose one of {', '.join(METHODS)}.")
    template = copy.deepcopy(module)
    _require_plain(template)
    layout = Layout(*zip(*((name, p.shape) for name, p in template.named_parameters()), strict=True))
    steps = chain_of(template) if method in (None, "products") else None
    if method == "products" and steps is None:
        raise UsageError(f"{type(module).__name__}: it is no chain of linear layers and activations; let genscope choose the method.")
    if steps is not None:
        return Architecture(layout, _products(steps), "products", template)
    stateful = any(isinstance(part, nn.modules.batchnorm._BatchNorm) for part in template.modules())
    on_cpu = all(p.device.type == "cpu" for p in template.parameters())
    if method is None:
        method = "loop" if stateful or (on_cpu and any(isinstance(part, _CONVOLUTIONS) for part in template.modules())) else "vmap"
    return Architecture(layout, _loop(template) if method == "loop" else _vmap(template), method, template)


def _require_plain(module: nn.Module) -> None:
    for name, part in module.named_modules():
        if isinstance(part, _DROPOUTS) and part.training and part.p > 0:
            raise UnsupportedInput(f"{name}: dropout draws from the global random state; call .eval() or remove it before training a stack.")
        if getattr(part, "inplace", False):
            part.inplace = False  # the copy's first layer must not write into shared inputs
    for name, parameter in module.named_parameters():
        if not parameter.is_floating_point():
            raise UnsupportedInput(f"{name}: only floating-point parameters can be stacked; it is {parameter.dtype}.")
    if not any(True for _ in module.parameters()):
        raise UnsupportedInput(f"{type(module).__name__}: it has no parameters to stack.")


@dataclass(frozen=True)
class LinearStep:
    """A linear layer by the names of its parameters."""

    weight: str
    bias: str | None


Step = LinearStep | Callable[[Tensor], Tensor] | str


def chain_of(module: nn.Module) -> list[Step] | None:
    """The steps of a plain chain of linear layers, elementwise functions and flattening, or ``None`` for any other module."""
    if type(module) is nn.Linear:  # tracing would look inside it
        return [LinearStep("weight", None if module.bias is None else "bias")]
    try:
        graph = fx.symbolic_trace(module).graph
    except Exception:  # a user's forward may raise anything when it is traced
        return None
    aliases = {id(p): name for name, p in module.named_parameters()}
    steps: list[Step] = []
    last: fx.Node | None = None
    for node in graph.nodes:
        if node.op == "placeholder":
            if last is not None:
                return None
        elif node.op == "get_attr" or not node.args or node.args[0] is not last:
            return None
        elif node.op != "output":
            step = _step(module, node, aliases)
            if step is None:
                return None
            steps.append(step)
        last = node
    return steps if any(isinstance(step, LinearStep) for step in steps) else None


def _step(module: nn.Module, node: fx.Node, aliases: Mapping[int, str]) -> Step | None:
    if node.op == "call_module":
        part = module.get_submodule(str(node.target))
        if type(part) is nn.Linear:
            return LinearStep(aliases[id(part.weight)], None if part.bias is None else aliases[id(part.bias)])
        if type(part) is nn.Flatten:
            return "flatten" if (part.start_dim, part.end_dim) == (1, -1) else None
        return part if type(part) in _ELEMENTWISE_MODULES else None
    if any(isinstance(value, fx.Node) for value in (*node.args[1:], *node.kwargs.values())):
        return None
    if node.target is torch.flatten or node.target == "flatten":
        return "flatten" if (*node.args[1:], *node.kwargs.values()) in ((1,), (1, -1)) else None
    if node.op == "call_function" and node.target in _ELEMENTWISE:
        return ElementwiseStep(node.target, node.args[1:], {**node.kwargs, **({"inplace": False} if "inplace" in node.kwargs else {})})
    if node.op == "call_method" and node.target in _ELEMENTWISE_METHODS:
        return ElementwiseStep(getattr(torch, str(node.target)), node.args[1:], node.kwargs)
    return None


@dataclass(frozen=True)
class ElementwiseStep:
    """An elementwise function with its further arguments."""

    function: Callable[..., Tensor]
    args: tuple[Any, ...]
    kwargs: Mapping[str, Any]

    def __call__(self, x: Tensor) -> Tensor:
        """The function at ``x``."""
        return self.function(x, *self.args, **self.kwargs)


def _products(steps: Sequence[Step]) -> StackedCall:
    def call(params: Tensors, buffers: Tensors, x: Tensor, shared: bool) -> Tensor:  # noqa: ARG001
        for step in steps:
            if isinstance(step, LinearStep):
                x = _stacked_linear(x, params[step.weight], None if step.bias is None else params[step.bias], shared)
                shared = False
            elif isinstance(step, str):
                x = x.flatten(1 if shared else 2)
            else:
                x = step(x)
        return x

    return call


def _stacked_linear(x: Tensor, weight: Tensor, bias: Tensor | None, shared: bool) -> Tensor:
    networks, fan_out, fan_in = weight.shape
    if shared:  # one matrix product for all networks
        x = F.linear(x, weight.reshape(networks * fan_out, fan_in)).view(*x.shape[:-1], networks, fan_out).transpose(0, 1)
        return x if bias is None else x + bias[:, None]
    return torch.bmm(x, weight.transpose(1, 2)) if bias is None else torch.baddbmm(bias[:, None], x, weight.transpose(1, 2))


def _vmap(template: nn.Module) -> StackedCall:
    def one(params: Tensors, buffers: Tensors, x: Tensor) -> Tensor:
        return torch.func.functional_call(template, {**params, **buffers}, (x,))

    def call(params: Tensors, buffers: Tensors, x: Tensor, shared: bool) -> Tensor:
        return torch.func.vmap(one, in_dims=(0, 0, None if shared else 0))(dict(params), dict(buffers), x)

    return call


def _loop(template: nn.Module) -> StackedCall:
    def call(params: Tensors, buffers: Tensors, x: Tensor, shared: bool) -> Tensor:
        rows = {name: tensor.unbind(0) for name, tensor in params.items()}
        outputs = []
        for index in range(len(next(iter(rows.values())))):
            # running statistics are views of the stack, so a training-mode BatchNorm updates its own network's rows
            own = {name: row[index] for name, row in rows.items()} | {name: tensor[index] for name, tensor in buffers.items()}
            outputs.append(torch.func.functional_call(template, own, (x if shared else x[index],)))
        return torch.stack(outputs)

    return call
