"""Fitting a stack of small networks to a stack of known functions, and how far from them they end."""

import math
from dataclasses import dataclass

import torch
from torch import Tensor

from genscope.training.tree_networks import StackedNetwork


@dataclass(frozen=True)
class FitPlan:
    """How a stack is trained: Adam with a cosine schedule on batches of a large pool, then least squares for the last layer.

    Args:
        steps: gradient steps.
        batch: examples per step.
        learning_rate: the largest, reached after a twentieth of the steps.
    """

    steps: int = 2000
    batch: int = 256
    learning_rate: float = 3e-2


@dataclass(frozen=True)
class Points:
    """Inputs [examples, variables], or [stack, examples, variables] where every target has its own, and the values on them [stack, examples]."""

    inputs: Tensor
    values: Tensor


def fit_stack(network: StackedNetwork, pool: Points, plan: FitPlan, order: torch.Generator, ridge: float = 1e-10) -> None:
    """Train ``network`` in place on squared error.

    Every network of the stack has its own gradient: the sum over the stack has independent parts, and Adam works entry by entry. The last layer is
    then solved for exactly (it is a least-squares problem), so that what remains of optimization error lies in the inner weights.

    Cost: ``steps`` forward and backward passes of the stack.
    """
    parameters = list(network.parameters())
    optimizer = torch.optim.Adam(parameters, lr=plan.learning_rate, betas=(0.9, 0.99))
    warm = max(1, plan.steps // 20)
    for step in range(plan.steps):
        share = min(1.0, (step + 1) / warm) * 0.5 * (1 + math.cos(math.pi * step / plan.steps))
        for group in optimizer.param_groups:
            group["lr"] = plan.learning_rate * share
        picks = torch.randint(pool.values.shape[1], (plan.batch,), generator=order)
        loss = (network(pool.inputs[..., picks, :]) - pool.values[:, picks]).square().mean(1).sum()
        optimizer.zero_grad(set_to_none=True)
        loss.backward()
        optimizer.step()
    solve_last_layer(network, pool, ridge=ridge)


@torch.no_grad()
def solve_last_layer(network: StackedNetwork, pool: Points, examples: int = 8192, ridge: float = 1e-10) -> None:
    """Set the last layer to the least-squares solution on the first ``examples`` points where that lowers the error there."""
    inputs, values = pool.inputs[..., :examples, :], pool.values[:, :examples].double()
    features = network.features(inputs).squeeze(1).double()
    features = torch.cat((features, torch.ones_like(features[..., :1])), dim=-1)
    gram = features.transpose(1, 2) @ features / values.shape[1]
    scale = gram.diagonal(dim1=1, dim2=2).clamp_min(1e-30).sqrt()
    gram = gram / (scale.unsqueeze(1) * scale.unsqueeze(2))
    gram = gram + ridge * torch.eye(gram.shape[1], dtype=gram.dtype)
    right = (features.transpose(1, 2) @ values.unsqueeze(-1)).squeeze(-1) / values.shape[1] / scale
    solution = torch.linalg.solve(gram, right) / scale
    old = (network(inputs).double() - values).square().mean(1)
    new = ((features @ solution.unsqueeze(-1)).squeeze(-1) - values).square().mean(1)
    better = (new < old) & new.isfinite()
    weight, bias = network.weights[-1], network.biases[-1]
    weight[better] = solution[better, :-1].float().reshape(-1, *weight.shape[1:])
    bias[better] = solution[better, -1].float().reshape(-1, *bias.shape[1:])


@torch.no_grad()
def errors_of(network: StackedNetwork, test: Points) -> tuple[Tensor, Tensor]:
    """Root-mean-square error over the target's standard deviation, and largest error over its largest magnitude, [stack] each."""
    difference = network(test.inputs).double() - test.values.double()
    values = test.values.double()
    return difference.square().mean(1).sqrt() / values.std(1), difference.abs().amax(1) / values.abs().amax(1)
