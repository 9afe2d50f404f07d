"""One cell of the approximation experiment: an architecture at one width, fitted to the targets of all seeds side by side."""

from dataclasses import dataclass
from functools import lru_cache

import torch

from genscope.core.seeds import generator_for
from genscope.errors import UsageError
from genscope.training.tree_built import built_tree
from genscope.training.tree_fit import FitPlan, Points, errors_of, fit_stack
from genscope.training.tree_networks import ARCHITECTURES, Shape, StackedNetwork, matched_shape, shape_of
from genscope.training.tree_target import TreeTarget, tree_targets, uniform_inputs

BUILT = "tree_built"
TRAINED = ("tree", "tree_shared", "tree_built", "shallow", "deep")
_POOL, _TEST = 32768, 8192


@dataclass(frozen=True)
class CellTask:
    """What is fitted, and how.

    Args:
        architecture: one of :data:`TRAINED`.
        variables: n.
        width: units per node of the tree whose number of parameters the network is matched to.
        n_seeds: targets.
        restarts: initial weights per target; the network that fits its training points best is kept.
        smoothness, activation: of constituents and units.
        plan: the training.
        seed: of everything.
    """

    architecture: str
    variables: int
    width: int
    n_seeds: int
    restarts: int
    smoothness: float
    activation: str
    plan: FitPlan
    seed: int

    @property
    def key(self) -> str:
        """Such as ``tree-n8-w16``."""
        return f"{self.architecture}-n{self.variables}-w{self.width}"

    @property
    def shape(self) -> Shape:
        """Trees have ``width`` units per node; the others come closest to the number of parameters of the tree with free weights."""
        if self.architecture in ("tree", "tree_shared", BUILT):
            return shape_of("tree" if self.architecture == "tree" else "tree_shared", self.variables, self.width)
        if self.architecture not in ARCHITECTURES:
            raise UsageError(f"There is no architecture {self.architecture!r}; use some of {', '.join(TRAINED)}.")
        return matched_shape(self.architecture, self.variables, shape_of("tree", self.variables, self.width).n_parameters)


@dataclass(frozen=True)
class CellErrors:
    """Per seed: root-mean-square error over the target's standard deviation, and largest error over its largest magnitude."""

    task: CellTask
    errors: tuple[float, ...]
    largest_errors: tuple[float, ...]


def run_cell(task: CellTask) -> CellErrors:
    """Train the cell's networks, keep the best restart of every target, and measure those on fresh points.

    Cost: from 3 s (n = 2) to 30 s (n = 8) of one core for five seeds, two restarts and 2,000 steps.
    """
    threads = torch.get_num_threads()
    torch.set_num_threads(1)  # the matrices are small; two cells side by side use two cores better
    try:
        targets, pool, test = _problem(task.variables, task.n_seeds, task.restarts, task.smoothness, task.seed)
        names = (str(task.variables), task.architecture, str(task.width))
        members = [_generator(task.seed, *names, str(place)) for place in range(task.n_seeds * task.restarts)]
        order = _generator(task.seed, "order", str(task.variables))
        if task.architecture == BUILT:
            network = built_tree(targets, task.width, pool, task.plan, members, order, task.activation)
        else:
            network = StackedNetwork(task.shape, members, task.activation)
            fit_stack(network, pool, task.plan, order)
        best = errors_of(network, pool)[0].nan_to_num(nan=float("inf")).reshape(task.n_seeds, task.restarts).argmin(1)
        errors, largest = (found.reshape(task.n_seeds, task.restarts).gather(1, best[:, None])[:, 0] for found in errors_of(network, test))
    finally:
        torch.set_num_threads(threads)
    return CellErrors(task, tuple(errors.tolist()), tuple(largest.tolist()))


@lru_cache(maxsize=1)  # cells of one n follow each other
def _problem(variables: int, n_seeds: int, restarts: int, smoothness: float, seed: int) -> tuple[TreeTarget, Points, Points]:
    """The targets, each as often as it has restarts, and their values on the points for training and for testing."""
    drawn = [_generator(seed, "target", str(variables), str(place)) for place in range(n_seeds)]
    targets = tree_targets(variables, drawn, smoothness).repeated(restarts)
    points = _generator(seed, "points", str(variables))
    pool, test = (uniform_inputs(size, variables, points) for size in (_POOL, _TEST))
    return targets, Points(pool, targets(pool)), Points(test, targets(test))


def _generator(seed: int, *names: str) -> torch.Generator:
    return torch.Generator().manual_seed(int(generator_for(seed, "approximate", *names).integers(2**63)))
