"""Optimizers as values: ``init`` gives the state, ``step`` moves rows of ``[networks, params]`` in place."""

import math
from dataclasses import dataclass
from typing import Protocol

import torch
from torch import Tensor

State = dict[str, Tensor]


class Optimizer(Protocol):
    """What the stacked loop asks of an optimizer; rows are independent networks."""

    def init(self, flat: Tensor) -> State:
        """The state before the first step; the first dimension of each tensor is the network."""
        ...

    def step(self, flat: Tensor, gradient: Tensor, state: State, rate: Tensor) -> None:
        """Move ``flat`` and ``state`` in place; ``rate [networks, 1]`` is the learning rate of each row."""
        ...


@dataclass(frozen=True)
class SGD:
    """Gradient descent with momentum: ``m ← μ m + g``, ``θ ← θ − η m`` (the convention of ``torch.optim.SGD``).

    Args:
        momentum: μ in [0, 1).
    """

    momentum: float = 0.9

    def init(self, flat: Tensor) -> State:
        """Zero momentum."""
        return {"momentum": torch.zeros_like(flat)} if self.momentum else {}

    def step(self, flat: Tensor, gradient: Tensor, state: State, rate: Tensor) -> None:
        """One step in place."""
        move = state["momentum"].mul_(self.momentum).add_(gradient) if self.momentum else gradient
        flat.addcmul_(move, rate, value=-1.0)


@dataclass(frozen=True)
class Adam:
    """Adam with bias correction (the convention of ``torch.optim.Adam``: ε outside the corrected root).

    Args:
        beta1, beta2: decay of the first and second moments.
        eps: added to the root.
    """

    beta1: float = 0.9
    beta2: float = 0.999
    eps: float = 1e-8

    def init(self, flat: Tensor) -> State:
        """Zero moments and a count of steps per network."""
        count = torch.zeros(len(flat), 1, dtype=torch.float64, device=flat.device)
        return {"first": torch.zeros_like(flat), "second": torch.zeros_like(flat), "count": count}

    def step(self, flat: Tensor, gradient: Tensor, state: State, rate: Tensor) -> None:
        """One step in place."""
        state["count"] += 1.0
        first = state["first"].lerp_(gradient, 1.0 - self.beta1)
        second = state["second"].mul_(self.beta2).addcmul_(gradient, gradient, value=1.0 - self.beta2)
        size = rate.double() / -torch.expm1(state["count"] * math.log(self.beta1))
        root = torch.sqrt(-torch.expm1(state["count"] * math.log(self.beta2)))
        # θ −= (η/c₁) m / (√v/√c₂ + ε), with the numbers per network pulled out of the long rows
        below = second.sqrt().add_((self.eps * root).to(flat.dtype))
        flat.addcmul_(first.div(below), (size * root).to(flat.dtype), value=-1.0)


@dataclass(frozen=True)
class RMSprop:
    """RMSprop without centring (the convention of ``torch.optim.RMSprop``: ``θ ← θ − η g/(√v + ε)``).

    Args:
        alpha: decay of the second moment; Keras' default is 0.9.
        eps: added to the root; Keras' default is 1e-7.
    """

    alpha: float = 0.99
    eps: float = 1e-8

    def init(self, flat: Tensor) -> State:
        """A zero second moment."""
        return {"second": torch.zeros_like(flat)}

    def step(self, flat: Tensor, gradient: Tensor, state: State, rate: Tensor) -> None:
        """One step in place."""
        second = state["second"].mul_(self.alpha).addcmul_(gradient, gradient, value=1.0 - self.alpha)
        flat.addcmul_(gradient / second.sqrt().add_(self.eps), rate, value=-1.0)
