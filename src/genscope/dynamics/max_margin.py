"""The hard-margin support vector machine without intercept, exactly: the limit that linear flows have to reach."""

from dataclasses import dataclass

import numpy as np
import torch
from scipy.optimize import nnls

from genscope.core.status import Undefined
from genscope.dynamics.homogeneous import Array, HomogeneousProblem

_SEPARABLE = 1e-9


@dataclass(frozen=True, eq=False)
class MaxMargin:
    """The unit-norm linear map with the largest smallest gap.

    Args:
        direction: flat, Frobenius norm 1.
        margin: its smallest gap.
        multipliers: ≥ 0, one per constraint, positive on support vectors.
    """

    direction: Array
    margin: float
    multipliers: Array


def hard_margin(rows: Array) -> MaxMargin | Undefined:
    """``max_{‖w‖=1} min_i a_i · w``, or a reason where no w makes all positive.

    The equivalent ``min ‖w‖²/2`` subject to ``a_i · w ≥ 1`` is a least-distance problem, which ``scipy.optimize.nnls`` solves exactly
    (Lawson & Hanson 1974, chapter 23).

    Args:
        rows: ``a_i`` as rows, for binary labels ``y_i x_i``; ``[constraints, weights]``.

    Returns:
        The solution, unique.

    Example:
        >>> found = hard_margin(np.array([[1.0, 0.0], [0.0, 1.0]]))
        >>> found.direction.round(6).tolist(), round(found.margin, 6)
        ([0.707107, 0.707107], 0.707107)
    """
    scale = float(np.abs(rows).max()) or 1.0
    stacked = np.vstack([(rows / scale).T, np.ones(len(rows))])
    target = np.zeros(len(stacked))
    target[-1] = 1.0
    multipliers, distance = nnls(stacked, target)
    residual = target - stacked @ multipliers
    # residual[-1] = distance² > 0 exactly when the constraints can be met
    if distance < _SEPARABLE or residual[-1] <= 0:
        return Undefined("the data are not linearly separable through the origin, so there is no hard margin")
    weights = -residual[:-1] / residual[-1]
    direction = -weights / np.linalg.norm(weights) if (rows @ weights).min() < 0 else weights / np.linalg.norm(weights)
    return MaxMargin(direction, float((rows @ direction).min()), multipliers)


def linear_max_margin(problem: HomogeneousProblem) -> MaxMargin | Undefined:
    """The hard margin that a linear network's map must reach: any depth for one output, one layer for several.

    Deep linear networks with several outputs prefer low rank, so their limit is another one.
    """
    if not problem.linear:
        return Undefined("the network is not linear, so its limit is not a support vector machine")
    if not problem.binary and problem.depth > 1:
        return Undefined("a deep linear network with several outputs prefers low rank; its limit is not the support vector machine's")
    x = problem.x.reshape(problem.n_examples, -1).numpy()
    if problem.binary:
        return hard_margin(problem.y.numpy()[:, None] * x)
    n_classes, y = int(problem.logits(torch.from_numpy(problem.initial)).shape[1]), problem.y.numpy()
    rows = []
    for n, label in enumerate(y):
        for other in range(n_classes):
            if other != label:
                row = np.zeros((n_classes, x.shape[1]))
                row[label], row[other] = x[n], -x[n]
                rows.append(row.reshape(-1))
    return hard_margin(np.array(rows))


def linear_map(problem: HomogeneousProblem, weights: Array) -> Array:
    """The map of a linear network as one flat vector (outputs × inputs), not normalized."""
    n = int(np.prod(problem.x.shape[1:]))
    with torch.no_grad():
        outputs = problem.logits(torch.from_numpy(weights), torch.eye(n, dtype=torch.float64).reshape(n, *problem.x.shape[1:]))
    return outputs.numpy() if outputs.ndim == 1 else outputs.numpy().T.reshape(-1)


def angle(one: Array, two: Array) -> float:
    """Angle between two vectors in radians, exact for small ones too.

    Example:
        >>> angle(np.array([1.0, 0.0]), np.array([1.0, 1e-12])) == 1e-12
        True
    """
    one, two = one / np.linalg.norm(one), two / np.linalg.norm(two)
    return float(2 * np.arctan2(np.linalg.norm(one - two), np.linalg.norm(one + two)))
