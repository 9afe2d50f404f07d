"""A stack: many networks of one architecture, held as the rows of one matrix."""

import copy
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace

import torch
from torch import Tensor, nn

from genscope.errors import UsageError
from genscope.networks.stacked import Architecture, architecture_of
from genscope.training.loop import initialize


@dataclass(frozen=True)
class Stack:
    """Networks of one architecture.

    Args:
        architecture: how they are run.
        flat: ``[networks, params]``, one network per row.
        buffers: running statistics and other buffers, ``[networks, …]`` each.
    """

    architecture: Architecture
    flat: Tensor
    buffers: Mapping[str, Tensor]

    def __len__(self) -> int:
        return len(self.flat)

    def rows(self, picks: Tensor) -> "Stack":
        """A copy of some of the networks."""
        return replace(self, flat=self.flat[picks], buffers={name: tensor[picks] for name, tensor in self.buffers.items()})

    def logits(self, x: Tensor, shared: bool = True) -> Tensor:
        """``[networks, examples, classes]`` without gradients, at inputs ``x`` that all share or, not ``shared``, one set per network."""
        with torch.no_grad():
            return self.architecture.logits(self.flat, self.buffers, x, shared)

    def state_dict(self, index: int) -> dict[str, Tensor]:
        """Copies of the parameters and buffers of one network by name."""
        views = self.architecture.layout.views(self.flat.detach())
        return {name: tensor[index].clone() for part in (views, self.buffers) for name, tensor in part.items()}

    def module(self, index: int) -> nn.Module:
        """One network as a module of its own, in evaluation mode."""
        module = copy.deepcopy(self.architecture.template)
        module.load_state_dict(self.state_dict(index), strict=False)
        return module.eval()


def stack_of(modules: Sequence[nn.Module], method: str | None = None) -> Stack:
    """Modules of one architecture as a stack; they are copied.

    Args:
        modules: at least one; all with the same names and shapes.
        method: as in :func:`genscope.networks.stacked.architecture_of`.

    Raises:
        UsageError: no modules, or different shapes.
        UnsupportedInput: what cannot be stacked.

    Example:
        >>> stack = stack_of([nn.Linear(2, 1), nn.Linear(2, 1)])
        >>> tuple(stack.flat.shape)
        (2, 3)
    """
    if not modules:
        raise UsageError("A stack needs at least one network.")
    architecture = architecture_of(modules[0], method)
    expected = {name: tensor.shape for name, tensor in modules[0].state_dict().items()}
    for index, module in enumerate(modules):
        if {name: tensor.shape for name, tensor in module.state_dict().items()} != expected:
            raise UsageError(f"Network {index} of the stack differs from the first in names or shapes; stack networks of one architecture.")
    flat = torch.stack([architecture.layout.row(dict(module.named_parameters())) for module in modules])
    every = [dict(module.named_buffers()) for module in modules]
    return Stack(architecture, flat, {name: torch.stack([own[name].detach() for own in every]) for name in every[0]})


def stack_from_seeds(
    build: Callable[[], nn.Module],
    seeds: Sequence[int],
    initializer: Callable[[nn.Module, torch.Generator], nn.Module] = initialize,
    device: str | torch.device = "cpu",
    method: str | None = None,
) -> Stack:
    """One freshly initialized network per seed.

    Args:
        build: returns an untrained module.
        seeds: one per network; a network depends on its own seed alone.
        initializer: draws the weights from a generator; He-normal with zero biases by default.
        device: where the stack lives.
        method: as in :func:`genscope.networks.stacked.architecture_of`.
    """
    modules = [initializer(build(), torch.Generator().manual_seed(seed)).to(device) for seed in seeds]
    return stack_of(modules, method)
