"""Training on unit spheres: every layer keeps its norm, a fixed factor ρ scales the output, and the multipliers are read off."""

from collections.abc import Callable, Iterable
from typing import Any

import torch
from torch import Tensor, nn

from genscope.errors import UsageError


class UnitNorm:
    r"""An optimizer whose matrices stay at Frobenius norm one: Lagrange multipliers in every step.

    .. math:: \min L(\rho f_V)\ \text{s.t.}\ \|V_k\| = 1: \qquad
        \nabla_{V_k} L + 2\lambda_k V_k = 0, \quad \lambda_k = -\tfrac12\langle V_k, \nabla_{V_k} L\rangle

    Before a step, the gradient is projected to the sphere's tangent space, (I − V Vᵀ)∇L, which is the gradient of the Lagrangian with its
    multiplier; afterwards V is divided by its norm. For plain gradient descent the error against the flow of Poggio et al. with fixed ρ is of second
    order in the step. An optimizer with momentum or per-weight scales steps off the sphere by more; the division still keeps the constraint
    exactly.

    Args:
        optimizer: any torch optimizer over the model's parameters; schedules attach to it.
        matrices: the tensors to constrain, scaled to norm one at once. See :func:`unit_layers`.

    Raises:
        UsageError: a zero tensor, which has no direction.

    Source: Poggio, Banburski & Liao, eqs. 2 and 3.

    Example:
        >>> v = torch.tensor([3.0, 4.0], requires_grad=True)
        >>> optimizer = UnitNorm(torch.optim.SGD([v], lr=0.1), [v])
        >>> (v @ torch.tensor([1.0, 0.0])).backward()
        >>> optimizer.step()
        >>> [round(float(one), 3) for one in optimizer.multipliers], round(float(v.detach().norm()), 6)
        ([-0.3], 1.0)
    """

    def __init__(self, optimizer: torch.optim.Optimizer, matrices: Iterable[Tensor]) -> None:
        self.optimizer = optimizer
        self.matrices = list(matrices)
        self.multipliers: list[Tensor] = []
        for value in self.matrices:
            _to_sphere(value)

    def zero_grad(self, set_to_none: bool = True) -> None:
        """As of the optimizer inside."""
        self.optimizer.zero_grad(set_to_none=set_to_none)

    @torch.no_grad()
    def step(self, closure: Callable[[], Any] | None = None) -> Any:
        """One step on the spheres; ``multipliers`` holds the λ_k of the gradient it used. A closure is evaluated once, here."""
        loss = None
        if closure is not None:
            with torch.enable_grad():
                loss = closure()
        self.multipliers = []
        for value in self.matrices:
            if value.grad is None:
                self.multipliers.append(value.new_zeros(()))
                continue
            along = (value * value.grad).sum()
            self.multipliers.append(-along / 2)
            value.grad.sub_(along * value)
        self.optimizer.step()
        for value in self.matrices:
            _to_sphere(value)
        return loss


def unit_layers(model: nn.Module) -> tuple[list[Tensor], float]:
    """The weight tensors of two or more dimensions, and ρ, the product of their Frobenius norms.

    For a network that is homogeneous in each of them (ReLU, no biases, no normalization), ρ times the output after :class:`UnitNorm` has scaled
    them is the output before.

    Example:
        >>> model = nn.Sequential(nn.Linear(2, 2, bias=False), nn.ReLU(), nn.Linear(2, 1, bias=False))
        >>> len(unit_layers(model)[0])
        2
    """
    found: list[Tensor] = [value for value in model.parameters() if value.ndim >= 2]
    if not found:
        raise UsageError("The model has no weight matrix to constrain.")
    rho = 1.0
    for value in found:
        rho *= float(value.detach().norm())
    return found, rho


@torch.no_grad()
def _to_sphere(value: Tensor) -> None:
    length = value.norm()
    if not float(length) > 0:
        raise UsageError("A weight tensor is zero or not finite: it has no direction to train.")
    value.div_(length)
