"""One pass over the data: logits, labels, losses and errors that all other measures share."""

from dataclasses import dataclass
from typing import Any

import numpy as np

from genscope.core.catalogue import ingredient
from genscope.core.status import FAILED, Undefined
from genscope.measures.ingredients.losses import example_errors, example_losses, margins_of
from genscope.measures.ingredients.types import Batches, Forward, Params


@dataclass(frozen=True)
class Outputs:
    """What the network says about each example, in float64.

    Args:
        logits: ``[examples, classes]``.
        labels: ``[examples]``.
        losses: ``[examples]`` in nats.
        errors: ``[examples]``, 0 or 1.
    """

    logits: np.ndarray
    labels: np.ndarray
    losses: np.ndarray
    errors: np.ndarray


@dataclass(frozen=True)
class TestOutputs(Outputs):
    """The same on held-out examples."""

    __test__ = False


@ingredient
def outputs(forward: Forward, params: Params, batches: Batches, loss: str) -> Outputs:
    """Logits, labels, losses and errors of every training example."""
    return _collect(forward, params, batches, loss, Outputs)


@ingredient
def test_outputs(forward: Forward, params: Params, test_batches: Batches, loss: str) -> TestOutputs:
    """Logits, labels, losses and errors of every test example."""
    return _collect(forward, params, test_batches, loss, TestOutputs)


test_outputs.__test__ = False  # type: ignore[attr-defined]


@ingredient
def margins(outputs: Outputs) -> np.ndarray:
    """The margin of every training example, ``f[y] − max_{j≠y} f[j]``."""
    return margins_of(outputs.logits, outputs.labels)


@ingredient
def positive_margin(margins: np.ndarray, *, quantile: float = 0.05) -> float | Undefined:
    """The margin quantile where it is positive; otherwise undefined, never its absolute value."""
    from genscope.measures.margins import order_statistic

    value = order_statistic(margins, quantile)
    if value > 0:
        return value
    error = float(np.mean(margins <= 0))
    return Undefined(
        f"the {quantile:.3g} quantile of the margins is {value:.3g} ({error:.1%} of the examples are wrong), so nothing can be divided by it"
    )


def _collect(forward: Forward, params: Params, batches: Batches, loss: str, kind: type) -> Any:
    import torch

    parts: list[tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]] = []
    with torch.no_grad():
        for x, y in batches:
            logits = forward(params, x).double()
            parts.append(tuple(value.cpu().numpy() for value in (logits, y, example_losses(loss, logits, y), example_errors(logits, y))))
    collected = kind(*(np.concatenate(column) for column in zip(*parts, strict=True)))
    bad = int(np.sum(~np.isfinite(collected.logits).all(axis=1)))
    if bad:
        return Undefined(f"the network's output is not finite on {bad} of {len(collected.labels)} examples", FAILED)
    return collected
