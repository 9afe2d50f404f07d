"""The Fisher–Rao norm: how much the loss changes when all weights grow together."""

import numpy as np

from genscope.core.catalogue import measure
from genscope.measures.ingredients.layers import LayerNorms
from genscope.measures.ingredients.losses import example_losses
from genscope.measures.ingredients.outputs import Outputs
from genscope.measures.ingredients.points import twice_differentiable
from genscope.measures.ingredients.subset import Subset
from genscope.measures.ingredients.types import Forward, Params


@measure(
    symbol=r"\theta^\top I(\theta)\theta",
    unit="nats^2",
    expects="larger gap",
    source="Liang et al. 2019, definition 2",
    invariant_to=("node_rescaling", "permutation"),
    cost="one forward and one forward-mode derivative of the subset",
)
def fisher_rao_norm(params: Params, forward: Forward, loss: str, subset: Subset) -> float:
    """The Fisher–Rao norm by its definition, right for every network.

    Formula:
        θᵀ I(θ) θ = E⟨θ, ∇_θ ℓ⟩² with the empirical Fisher matrix, by one derivative along θ.
    Reading:
        How much the losses change when all weights grow together.
    Args:
        params: parameters, name to tensor.
        forward: forward(params, x) -> logits [examples, classes].
        loss: name of the loss.
        subset: the random examples that costly measures share.
    Returns:
        A number; unit nats^2.
    Raises:
        Nothing; a non-finite result becomes a status.
    Invariances:
        Rescaling units (incoming times c, outgoing over c), permuting hidden units.
    Cost:
        One forward and one forward-mode derivative of the subset.
    Source:
        Liang et al. 2019, definition 2.
    Example:
        >>> from genscope.measures.ingredients.worked_example import value_of
        >>> value_of("fisher_rao_norm")
        0.124
    """
    import torch

    total = 0.0
    for x, y in subset.batches:

        def losses(point: Params, x=x, y=y):  # type: ignore[no-untyped-def]
            return example_losses(loss, forward(point, x), y)

        with twice_differentiable():
            slopes = torch.func.jvp(losses, (dict(params),), (dict(params),))[1]
        total += float(slopes.double().square().sum())
    return total / subset.n


@measure(
    symbol=r"K^2E\langle\nabla_f\ell,f\rangle^2",
    unit="nats^2",
    expects="larger gap",
    source="Liang et al. 2019, theorem 1; Jiang et al. 2020, fisher-rao",
    invariant_to=("node_rescaling", "permutation"),
    cost="one pass",
)
def fisher_rao_homogeneous(outputs: Outputs, layer_norms: tuple[LayerNorms, ...], loss: str) -> float:
    """The Fisher–Rao norm by its closed form for homogeneous networks.

    Formula:
        K² E⟨∇_f ℓ, f⟩² with K weight matrices.
    Reading:
        Equals fisher_rao_norm on a bias-free feed-forward ReLU network.
    Args:
        outputs: logits, labels, losses and errors of the training data.
        layer_norms: norms of every weight matrix, in order.
        loss: name of the loss.
    Returns:
        A number; unit nats^2.
    Raises:
        Nothing; undefined for a network without weight matrices.
    Invariances:
        Rescaling units (incoming times c, outgoing over c), permuting hidden units.
    Cost:
        One pass.
    Source:
        Liang et al. 2019, theorem 1; Jiang et al. 2020, fisher-rao.
    Example:
        >>> from genscope.measures.ingredients.worked_example import value_of
        >>> value_of("fisher_rao_homogeneous")
        0.124
    """
    import torch

    logits = torch.from_numpy(outputs.logits).requires_grad_(True)
    (gradient,) = torch.autograd.grad(example_losses(loss, logits, torch.from_numpy(outputs.labels)).sum(), logits)
    inner = np.einsum("nc,nc->n", gradient.numpy(), outputs.logits)
    return len(layer_norms) ** 2 * float(np.mean(inner**2))
