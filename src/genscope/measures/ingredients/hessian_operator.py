"""The Hessian of the mean training loss as an operator: graphs of the gradient built once, then one backward pass per product."""

from collections.abc import Callable
from typing import Any

import numpy as np

from genscope.core.catalogue import ingredient
from genscope.core.status import Undefined
from genscope.measures.ingredients.losses import example_losses
from genscope.measures.ingredients.points import twice_differentiable
from genscope.measures.ingredients.subset import Subset
from genscope.measures.ingredients.types import Forward, Params

# Below this size a network's backward pass is all overhead, and several columns cost little more than one.
_SMALL = 50_000


class HessianOperator:
    """``V -> H V`` for blocks ``[n, k]`` in float64 outside, in the network's own type inside.

    The double-backward graph of each micro-batch is kept, so a product costs about two forwards instead of six; memory grows with the number of
    examples given, which the caller bounds.
    """

    def __init__(self, params: Params, gradients: Callable[[], list[tuple[Any, ...]]], leaves: tuple[Any, ...]) -> None:
        self.n = sum(leaf.numel() for leaf in leaves)
        self.names = tuple(params)
        self._leaves = leaves
        self._gradients = gradients()

    def __call__(self, block: np.ndarray) -> np.ndarray:
        """The product with each column."""
        import torch

        columns = torch.from_numpy(np.ascontiguousarray(block.T)).to(self._leaves[0])
        if self.n <= _SMALL and len(columns) > 1:
            result = torch.cat([self._product(part, batched=True) for part in columns.split(8)])
        else:
            result = torch.stack([self._product(column, batched=False) for column in columns])
        return result.double().cpu().numpy().T

    def _product(self, vectors: Any, *, batched: bool) -> Any:
        import torch

        pieces = self._split(vectors)
        total = torch.zeros_like(vectors)
        for gradient in self._gradients:
            used = [i for i, part in enumerate(gradient) if part is not None and part.requires_grad]
            if not used:
                continue
            parts = torch.autograd.grad(
                [gradient[i] for i in used],
                self._leaves,
                [pieces[i] for i in used],
                retain_graph=True,
                allow_unused=True,
                is_grads_batched=batched,
            )
            flat = [
                (torch.zeros_like(piece) if part is None else part).reshape(*vectors.shape[:-1], -1)
                for part, piece in zip(parts, pieces, strict=True)
            ]
            total += torch.cat(flat, dim=-1)
        return total

    def _split(self, vectors: Any) -> list[Any]:
        shapes = [leaf.shape for leaf in self._leaves]
        parts = vectors.split([leaf.numel() for leaf in self._leaves], dim=-1)
        return [part.reshape(*vectors.shape[:-1], *shape) for part, shape in zip(parts, shapes, strict=True)]


def hessian_of(params: Params, forward: Forward, loss: str, batches: tuple[tuple[Any, Any], ...]) -> HessianOperator:
    """The Hessian of the mean loss over ``batches``."""
    import torch

    n = sum(len(y) for _, y in batches)
    leaves = {name: value.detach().requires_grad_(True) for name, value in params.items()}

    def gradients() -> list[tuple[Any, ...]]:
        found = []
        with twice_differentiable():
            for x, y in batches:
                value = example_losses(loss, forward(leaves, x), y).sum() / n
                found.append(torch.autograd.grad(value, tuple(leaves.values()), create_graph=True, allow_unused=True))
        return found

    return HessianOperator(params, gradients, tuple(leaves.values()))


@ingredient
def hessian_operator(params: Params, forward: Forward, loss: str, subset: Subset, *, hessian_examples: int = 256) -> HessianOperator | Undefined:
    """The Hessian on the first ``hessian_examples`` examples of the subset."""
    if not params:
        return Undefined("the network has no parameters, so there is no curvature")
    return hessian_of(params, forward, loss, subset.head(hessian_examples))
