"""Mode connection: a quadratic Bézier curve between two minima, its middle point trained so that the loss stays low on the way."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor

from genscope.landscape.batch_norm import has_batch_norm, private_calls
from genscope.landscape.points import Params
from genscope.networks.functional import Network


@dataclass(frozen=True)
class Curve:
    """A trained curve.

    Args:
        middle: parameters of the control point B.
        losses: mean training loss over each tenth of the steps.
        steps: gradient steps taken.
    """

    middle: Params
    losses: tuple[float, ...]
    steps: int


def bezier_weights(t: np.ndarray) -> np.ndarray:
    """Coordinates ``[points, 2]`` of γ(t) = A + 2t(1−t)·(B−A) + t²·(C−A).

    Example:
        >>> bezier_weights(np.array([0.0, 0.5, 1.0])).tolist()
        [[0.0, 0.0], [0.5, 0.25], [0.0, 1.0]]
    """
    return np.stack([2 * t * (1 - t), t * t], axis=1)


def train_bezier(
    network: Network,
    start: Params,
    end: Params,
    batches: Sequence[tuple[Any, Tensor]],
    loss: Callable[[Tensor, Tensor], Tensor],
    *,
    steps: int = 300,
    learning_rate: float = 0.01,
    batch_size: int = 128,
    rng: np.random.Generator,
    progress: Callable[[int, int, str, float], None] | None = None,
) -> Curve:
    """Minimize ``E_t L(γ(t))`` over the control point B of γ(t) = (1−t)²A + 2t(1−t)B + t²C, t uniform on [0, 1].

    B starts in the middle of A and C, so that the curve starts as the straight line. Adam, the learning rate falling to zero on a half cosine.
    Batch normalization uses each batch's statistics, as in training.

    Args:
        network: the architecture; its own parameters are not used.
        start: A. end: C.
        batches: the training data.
        loss: ``(logits, labels) -> losses [examples]``.
        steps: gradient steps, one t and one minibatch each.
        learning_rate: of Adam.
        batch_size: examples per step.
        rng: draws t and the minibatches.
        progress: called with (done, total, what, share).

    Returns:
        The curve.

    Source:
        Garipov et al. 2018, section 3 (equations 2 and 4).
    """
    call = private_calls(network)[1 if has_batch_norm(network) else 0]
    middle = {name: ((start[name] + end[name]) / 2).detach().clone().requires_grad_(True) for name in start}
    optimizer = torch.optim.Adam(list(middle.values()), lr=learning_rate)
    seen: list[float] = []
    for step, (x, y) in zip(range(steps), _minibatches(batches, batch_size, rng), strict=False):
        t = float(rng.uniform())
        for group in optimizer.param_groups:
            group["lr"] = learning_rate * 0.5 * (1 + np.cos(np.pi * step / steps))
        point = {name: (1 - t) ** 2 * start[name] + 2 * t * (1 - t) * middle[name] + t * t * end[name] for name in start}
        value = loss(call(point, _fresh(network.buffers), x), y).mean()
        optimizer.zero_grad()
        value.backward()
        optimizer.step()
        seen.append(float(value.detach()))
        if progress is not None and (step + 1) % 10 == 0:
            progress(step + 1, steps, "training the curve", (step + 1) / steps)
    tenths = np.array_split(np.array(seen), min(10, len(seen)))
    return Curve({name: tensor.detach() for name, tensor in middle.items()}, tuple(float(part.mean()) for part in tenths), len(seen))


def _fresh(buffers: Mapping[str, Tensor]) -> dict[str, Tensor]:
    return {name: tensor.clone() for name, tensor in buffers.items()}


def _minibatches(batches: Sequence[tuple[Any, Tensor]], size: int, rng: np.random.Generator) -> Iterator[tuple[Any, Tensor]]:
    """Endless minibatches: the given batches in random order, each cut into random parts."""
    while True:
        for index in rng.permutation(len(batches)):
            x, y = batches[index]
            order = torch.from_numpy(rng.permutation(len(y))).to(y.device)
            for start in range(0, len(y), size):
                chosen = order[start : start + size]
                if len(chosen) > 1 or len(y) == 1:  # one example alone has no batch statistics
                    yield chosen_rows(x, chosen), y[chosen]


def chosen_rows(x: Any, index: Tensor) -> Any:
    """The examples at ``index`` of whatever a model takes."""
    if isinstance(x, Tensor):
        return x[index]
    if isinstance(x, Mapping):
        return {key: chosen_rows(value, index) for key, value in x.items()}
    return tuple(chosen_rows(value, index) for value in x)
