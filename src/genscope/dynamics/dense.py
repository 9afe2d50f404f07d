"""Value and gradient of fully connected networks in NumPy: a flow asks for millions of tiny gradients, where autograd is all overhead."""

import math
from collections.abc import Callable, Sequence
from itertools import pairwise

import numpy as np

Array = np.ndarray
ValueAndGradient = Callable[[Array, str], tuple[float, Array]]
_FAR = -30.0


def dense_gradient(widths: Sequence[int], activation: str, x: Array, y: Array) -> ValueAndGradient:
    """``(weights, loss) -> (log L, ∇ log L)`` of a network without biases, the same numbers as autograd to rounding.

    Args:
        widths: inputs, hidden layers, outputs.
        activation: ``relu`` or ``linear``.
        x: ``[examples, widths[0]]``.
        y: ±1 for one output, class numbers for several.

    Returns:
        The function; flat weights are layer by layer, each ``[outputs, inputs]`` row-major.

    Example:
        >>> value, slope = dense_gradient((1, 1), "relu", np.ones((2, 1)), np.array([1.0, 1.0]))(np.array([3.0]), "exponential")
        >>> value, slope.tolist()
        (-3.0, [-1.0])
    """
    shapes = [(rows, cols) for cols, rows in pairwise(widths)]
    rectified = activation == "relu"

    def value_and_gradient(weights: Array, loss: str) -> tuple[float, Array]:
        matrices, start = [], 0
        for rows, cols in shapes:
            matrices.append(weights[start : start + rows * cols].reshape(rows, cols))
            start += rows * cols
        inputs, z = [x], x @ matrices[0].T
        for matrix in matrices[1:]:
            inputs.append(np.maximum(z, 0.0) if rectified else z)
            z = inputs[-1] @ matrix.T
        value, back = _loss_gradient(z, y, loss)
        gradient = np.empty_like(weights)
        for k in range(len(shapes) - 1, -1, -1):
            rows, cols = shapes[k]
            gradient[start - rows * cols : start] = (back.T @ inputs[k]).reshape(-1)
            start -= rows * cols
            if k:
                back = back @ matrices[k]
                back = back * (inputs[k] > 0) if rectified else back
        return value, gradient

    return value_and_gradient


def _loss_gradient(logits: Array, y: Array, loss: str) -> tuple[float, Array]:
    """``log L`` and its derivative in the outputs ``[examples, outputs]``."""
    if logits.shape[1] == 1:
        excess, turn = -y * logits[:, 0], -y[:, None]
    else:
        rows = np.arange(len(y))
        others = logits - logits[rows, y][:, None]
        others[rows, y] = -math.inf
        top = others.max(1)
        turn = np.exp(others - top[:, None])
        total = turn.sum(1)
        excess = top + np.log(total)
        turn = turn / total[:, None]
        turn[rows, y] = -1.0
    logs, slope = excess, np.ones(len(y))
    if loss != "exponential":
        near = np.maximum(excess, _FAR)
        soft = np.logaddexp(0.0, near)
        far = excess < _FAR
        logs = np.where(far, excess - np.exp(np.minimum(excess, _FAR)) / 2, np.log(soft))
        slope = np.where(far, 1.0, np.exp(near - np.logaddexp(0.0, near)) / soft)
    top_log = logs.max()
    shares = np.exp(logs - top_log)
    total_share = shares.sum()
    return float(top_log + math.log(total_share / len(y))), (shares / total_share * slope)[:, None] * turn
