"""The Hessian of the mean training loss as an operator: graphs of the gradient built once, then one backward pass per product."""

from collections.abc import Callable
from typing import Any

import numpy as np

from genscope.core.catalogue import ingredient
from genscope.core.status import Undefined
from genscope.measures.ingredients.losses import example_losses
from genscope.measures.ingredients.points import twice_differentiable
from genscope.measures.ingredients.subset import Subset, take
from genscope.measures.ingredients.types import Forward, Params
from genscope.numerics.lanczos import TopEigenvalue, top_eigenvalue

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

    def gradient(self) -> np.ndarray:
        """The gradient of the mean loss, ``[n]``; it is known already."""
        import torch

        total = torch.zeros(self.n, dtype=torch.float64)
        for parts in self._gradients:
            flat = [torch.zeros_like(leaf) if part is None else part.detach() for part, leaf in zip(parts, self._leaves, strict=True)]
            total += torch.cat([part.reshape(-1) for part in flat]).double().cpu()
        return total.numpy()

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


class QuadraticForms:
    """``V -> diag(Vᵀ H V)`` for blocks ``[n, k]``: second derivatives of the mean loss along directions, forward only where the graph allows it.

    A form costs four forwards instead of the six or more of a Hessian product, and nothing is kept between calls.
    """

    def __init__(self, operator: HessianOperator, network: Any, params: Params, loss: str, batches: tuple[tuple[Any, Any], ...]) -> None:
        from genscope.networks.second_order import expandable

        self.operator, self.params, self.loss, self.batches = operator, params, loss, batches
        graph: Any = getattr(network, "graph", None)
        whole = graph is not None and graph.batch is None and set(graph.params) == set(params)
        self.graph: Any = graph if whole and expandable(graph) else None

    def __call__(self, block: np.ndarray) -> np.ndarray:
        """The form of each column."""
        if self.graph is None:
            return np.einsum("ik,ik->k", block, self.operator(block))
        import torch

        from genscope.networks.second_order import expansion

        leaf = next(iter(self.params.values()))
        columns = [self._named(torch.from_numpy(np.ascontiguousarray(column)).to(leaf)) for column in block.T]
        n, found = sum(len(y) for _, y in self.batches), np.zeros(len(columns))
        for x, y in _smaller(self.batches):
            along = expansion(self.graph, self.params, x)
            found += [_second_derivative(self.loss, y, *along(column)) / n for column in columns]
        return found

    def _named(self, column: Any) -> Params:
        parts = column.split([value.numel() for value in self.params.values()])
        return {name: part.reshape(value.shape) for (name, value), part in zip(self.params.items(), parts, strict=True)}


def _smaller(batches: tuple[tuple[Any, Any], ...], size: int = 32) -> Any:
    """Micro-batches whose values and two derivatives stay in cache."""
    for x, y in batches:
        for start in range(0, len(y), size):
            yield take(x, slice(start, start + size)), y[start : start + size]


def _second_derivative(loss: str, y: Any, logits: Any, first: Any, second: Any) -> float:
    """``Σ ∇ℓ·f₂ + f₁ᵀ∇²ℓ f₁`` over the examples."""
    import torch

    def total(z: Any) -> Any:
        return example_losses(loss, z, y).sum()

    slope, bend = torch.func.jvp(torch.func.grad(total), (logits,), (first,))[:2]
    return float((slope * second).sum() + (bend * first).sum())


@ingredient
def hessian_krylov(hessian_operator: HessianOperator, rng: np.random.Generator, *, eigenvalue_tolerance: float = 1e-3) -> TopEigenvalue:
    """The top eigenvalue and the Krylov space that found it; the gradient, which lies near the top eigenvectors, is where it starts."""
    return top_eigenvalue(hessian_operator, hessian_operator.n, rng, tolerance=eigenvalue_tolerance, start=hessian_operator.gradient())


@ingredient
def hessian_forms(
    hessian_operator: HessianOperator, network: Any, params: Params, loss: str, subset: Subset, *, hessian_examples: int = 256
) -> QuadraticForms:
    """Quadratic forms of the same Hessian."""
    return QuadraticForms(hessian_operator, network, params, loss, subset.head(hessian_examples))
