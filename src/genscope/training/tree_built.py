"""A tree of networks built as the proof builds it: every node fitted to its own constituent, then put together."""

from collections.abc import Sequence

import torch

from genscope.training.tree_fit import FitPlan, Points, errors_of, fit_stack
from genscope.training.tree_networks import StackedNetwork, shape_of
from genscope.training.tree_target import TreeTarget

# nodes feed nodes: large weights that cancel on the exact inner values would not cancel on approximate ones
_RIDGE = 1e-5


def built_tree(
    target: TreeTarget,
    width: int,
    pool: Points,
    plan: FitPlan,
    generators: Sequence[torch.Generator],
    order: torch.Generator,
    activation: str = "tanh",
) -> StackedNetwork:
    """Trees with shared weights whose nodes were fitted one by one with the target's inner values in sight, then trained together for a while.

    No training from outer values alone sees those. The error is that of networks which exist: an upper bound for the best error of their
    architecture, with and without shared weights. Where a tree trained from random weights ends above it, the difference is optimization
    error, not approximation error.

    Args:
        target: the functions.
        width: units per node.
        pool: training points.
        plan: of each node and of the last training, which starts at a tenth of the rate.
        generators: seeded, one per target; they draw the first weights.
        order: seeded; picks the batches.
        activation: of the units.

    Returns:
        The trained stack, of shape ``tree_shared``.

    Cost: log₂ n fits of two variables and one of the whole.
    """
    tree = StackedNetwork(shape_of("tree_shared", target.variables, width), generators, activation)
    values = pool.inputs.double().expand(len(generators), *pool.inputs.shape)
    for level in range(len(target.scales)):
        above = target.level(level, values)
        node = StackedNetwork(shape_of("shallow", 2, width), generators, activation)
        # the first pair of a level stands for all: its nodes see inputs of the same distribution
        fit_stack(node, Points(values[:, :, :2].float(), above[:, :, 0].float()), plan, order, _RIDGE)
        with torch.no_grad():
            for place in (0, 1):
                tree.weights[2 * level + place].copy_(node.weights[place])
                tree.biases[2 * level + place].copy_(node.biases[place])
        values = above
    composed, reached = [value.detach().clone() for value in tree.parameters()], errors_of(tree, pool)[0]
    fit_stack(tree, pool, FitPlan(plan.steps, plan.batch, plan.learning_rate / 10), order)
    with torch.no_grad():
        worse = ~(errors_of(tree, pool)[0] <= reached)
        for value, before in zip(tree.parameters(), composed, strict=True):
            value[worse] = before[worse]
    return tree
