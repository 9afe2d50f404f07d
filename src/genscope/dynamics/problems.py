"""Small problems with a name, each chosen because one statement of the theory can be seen in it."""

import math
from collections.abc import Callable, Mapping, Sequence
from itertools import pairwise

import numpy as np
import torch
from torch import Tensor

from genscope.core.seeds import generator_for
from genscope.dynamics.dense import dense_gradient
from genscope.dynamics.homogeneous import Array, Forward, HomogeneousProblem
from genscope.errors import UsageError


def dense_problem(
    name: str,
    widths: Sequence[int],
    x: Array,
    y: Array,
    *,
    initial: Array,
    activation: str = "relu",
    constant: tuple[float, ...] | None = None,
    story: str = "",
) -> HomogeneousProblem:
    """A fully connected network without biases on given data.

    Args:
        name: what to call it.
        widths: inputs, hidden layers, outputs; layers are called ``W1 W2 …``.
        x: ``[examples, widths[0]]``.
        y: ±1 when ``widths[-1] == 1``, else class numbers.
        initial: flat weights, layer by layer, each row-major.
        activation: ``relu`` or ``linear``.
        constant: see :class:`HomogeneousProblem`.
        story: one sentence.
    """
    layers = {f"W{k}": ((f"W{k}", (rows, cols)),) for k, (cols, rows) in enumerate(pairwise(widths), start=1)}
    x, y = x.astype(float), y.astype(float if widths[-1] == 1 else np.int64)
    forward = _dense(list(layers), activation, widths[-1] == 1)
    linear = activation == "linear" or len(layers) == 1
    fast = dense_gradient(widths, activation, x, y)
    return HomogeneousProblem(name, forward, layers, torch.from_numpy(x), torch.from_numpy(y), initial, linear, constant, story, fast)


def gaussian_weights(rng: np.random.Generator, widths: Sequence[int], scale: float = 1.0) -> Array:
    """Weights with variance ``scale² · 2 / inputs``, layer by layer."""
    return np.concatenate([scale * math.sqrt(2 / cols) * rng.standard_normal(rows * cols) for cols, rows in pairwise(widths)])


def _dense(names: Sequence[str], activation: str, one: bool) -> Forward:
    def forward(params: Mapping[str, Tensor], x: Tensor) -> Tensor:
        for name in names[:-1]:
            x = x @ params[name].T
            x = torch.relu(x) if activation == "relu" else x
        x = x @ params[names[-1]].T
        return x[:, 0] if one else x

    return forward


def _line(seed: int) -> HomogeneousProblem:
    x, y = _two_clouds(generator_for(seed, "flow", "line"))
    story = "One linear layer on two clouds: the flow turns to the hard-margin SVM at the rate 1/log t."
    return dense_problem("line", (2, 1), x, y, initial=np.array([0.4, 0.3]), constant=(), story=story)


def _deep_line(seed: int) -> HomogeneousProblem:
    rng = generator_for(seed, "flow", "deep-line")
    x, y = _two_clouds(generator_for(seed, "flow", "line"))
    widths = (2, 4, 4, 1)
    story = "Three linear layers on the same clouds: the product of the layers has the same limit, each layer grows more slowly."
    weights = gaussian_weights(rng, widths, 0.5)
    return dense_problem("deep-line", widths, x, y, initial=weights, activation="linear", constant=(), story=story)


def _rings(seed: int) -> HomogeneousProblem:
    rng = generator_for(seed, "flow", "rings")
    angle = rng.uniform(0, 2 * math.pi, 24)
    radius = np.where(np.arange(24) < 10, 0.45, 1.25) + 0.08 * rng.standard_normal(24)
    plane = np.stack([radius * np.cos(angle), radius * np.sin(angle)], 1)
    x = np.concatenate([plane, np.ones((24, 1))], 1)
    y = np.where(np.arange(24) < 10, 1.0, -1.0)
    widths = (3, 16, 1)
    story = "Two ReLU layers around an inner ring; a constant input plays the bias, as in the paper."
    return dense_problem("rings", widths, x, y, initial=gaussian_weights(rng, widths, 0.6), constant=(1.0,), story=story)


def _three(seed: int) -> HomogeneousProblem:
    rng = generator_for(seed, "flow", "three")
    centres = 1.2 * np.array([[math.cos(a), math.sin(a)] for a in (0.3, 2.4, 4.5)])
    y = np.repeat(np.arange(3), 8)
    plane = centres[y] + 0.28 * rng.standard_normal((24, 2))
    widths = (3, 8, 3)
    story = "Two ReLU layers on three classes: cross-entropy in its own loss frame, and a KKT point of several classes."
    x = np.concatenate([plane, np.ones((24, 1))], 1)
    return dense_problem("three-classes", widths, x, y, initial=gaussian_weights(rng, widths, 0.5), constant=(1.0,), story=story)


def _stuck(_seed: int) -> HomogeneousProblem:
    # Both points are positive. One ReLU unit along (0, 1) serves them with margin a = 0.3; two units, one per point, would reach
    # sqrt(1 + a²)/2 = 0.52. The second unit is dead on both points, receives no gradient, and vanishes next to the first one.
    # The third point only makes two classes of it; the constant input -1 is its own.
    x = np.array([[1.0, 0.3, 0.0], [-1.0, 0.3, 0.0], [0.0, 0.0, 1.0]])
    y = np.array([1.0, 1.0, -1.0])
    first = np.array([[0.05, 0.8, 0.0], [0.0, -0.4, -0.1], [0.0, 0.0, 0.8]])
    weights = np.concatenate([first.reshape(-1), [0.8, 0.4, -0.8]])
    story = "A KKT point that is no local maximum of the margin: a ReLU unit that the flow left behind could raise it at once."
    return dense_problem("stuck", (3, 3, 1), x, y, initial=weights, story=story)


def _two_clouds(rng: np.random.Generator) -> tuple[Array, Array]:
    """Linearly separable clouds whose boundary passes through the origin; their mean is not the maximum-margin direction."""
    y = np.where(np.arange(20) < 10, 1.0, -1.0)
    along = rng.uniform(-1.6, 1.6, 20)
    across = 0.35 + rng.gamma(1.5, 0.35, 20)
    turn = np.array([[math.cos(0.6), -math.sin(0.6)], [math.sin(0.6), math.cos(0.6)]])
    return np.stack([along + 0.5 * y, y * across], 1) @ turn.T, y


PROBLEMS: Mapping[str, Callable[[int], HomogeneousProblem]] = {
    "line": _line,
    "deep-line": _deep_line,
    "rings": _rings,
    "three-classes": _three,
    "stuck": _stuck,
}


def named_problem(name: str, seed: int = 0) -> HomogeneousProblem:
    """A built-in problem.

    Args:
        name: ``line``, ``deep-line``, ``rings``, ``three-classes`` or ``stuck``.
        seed: of its data and weights.

    Raises:
        UsageError: no problem has this name.

    Example:
        >>> named_problem("deep-line").depth
        3
    """
    if name not in PROBLEMS:
        raise UsageError(f"There is no built-in problem {name!r}; choose one of {', '.join(PROBLEMS)}, or give a model and data of your own.")
    return PROBLEMS[name](seed)
