"""``landscape path``: the loss on the way from one trained network to another."""

from collections.abc import Mapping, Sequence
from typing import Any, Unpack

import numpy as np
from torch import Tensor

from genscope.core.results import Result
from genscope.core.seeds import generator_for
from genscope.errors import UsageError
from genscope.landscape.bezier import Curve, bezier_weights, train_bezier
from genscope.landscape.directions import difference_direction
from genscope.landscape.points import difference, length
from genscope.landscape.readings import NAMES
from genscope.landscape.surface import Partial, tiles_of
from genscope.verbs.landscape_models import params_of
from genscope.verbs.landscape_subject import How, Subject, open_subject, point_rows

POINTS, TILE = 25, 5
CURVES = ("linear", "bezier")


def landscape_path(
    model: Any,
    end: Any,
    data: Any,
    *,
    curve: str = "linear",
    points: int = POINTS,
    beyond: float = 0.0,
    steps: int = 300,
    learning_rate: float = 0.01,
    **how: Unpack[How],
) -> Result:
    """Loss, error and margin on a path between two networks, and the barrier that stands on it.

    Formula:
        γ(t) = (1−t)·A + t·C (``linear``), or (1−t)²A + 2t(1−t)B + t²C with B trained to keep the loss low (``bezier``);
        barrier = max over t in [0, 1] of L(γ(t)) − [(1−t)·L(A) + t·L(C)].
    Reading:
        A barrier near zero along the straight line: the two share a basin. High along the line and low along the curve: two minima that a valley
        connects. With batch normalization the statistics in between must be recalibrated (the default), or the barrier is that of wrong statistics.
    Args:
        model: the network A, an ``nn.Module``; it is not changed.
        end: the network C: a module, a state dict or a checkpoint file of the same architecture.
        data: a DataLoader, a Dataset, or a pair ``(X, y)``, without augmentation.
        curve: ``linear`` or ``bezier``.
        points: along the path, both ends included.
        beyond: how far to go on past both ends, as a share of the way (``linear`` only).
        steps: gradient steps that train the Bézier curve.
        learning_rate: of Adam, for the Bézier curve.
        how: the options that all landscape verbs share, see :class:`genscope.verbs.landscape_subject.How`.
    Returns:
        A :class:`genscope.Result` with a row per point: ``t arc loss error margin status reason`` (``arc``: length along the path so far).
    Raises:
        GenscopeError: the models do not fit each other, or an option cannot be used.
    Cost:
        ``points`` forward passes over the data; ``steps`` gradients of minibatches for the curve.
    Source:
        Goodfellow et al. 2015 (lines); Garipov et al. 2018 (curves); Frankle et al. 2020 (the barrier).

    Example:
        >>> import torch
        >>> x = torch.linspace(-1, 1, 20)[:, None]
        >>> a, b = torch.nn.Linear(1, 2), torch.nn.Linear(1, 2)
        >>> [row["t"] for row in landscape_path(a, b, (x, (x[:, 0] > 0).long()), points=3).rows]
        [0.0, 0.5, 1.0]
    """
    _check(curve, points, beyond, steps)
    subject = open_subject(model, data, how)
    start, other = dict(subject.network.params), params_of(end, subject.network, "The second model")
    chord = difference_direction(other, start, "between the models")
    t = np.linspace(-beyond, 1 + beyond, points)
    if curve == "linear":
        trained, directions, coordinates = None, [chord.tensors], t[:, None]
    else:
        trained = _trained(subject, start, other, steps, learning_rate)
        directions, coordinates = [difference(trained.middle, start), chord.tensors], bezier_weights(t)
    subject = subject.tuned(directions, points)
    identity = {"verb": "path", "curve": curve, "t": t.tolist(), "chord": chord.as_dict(), "steps": steps, "learning_rate": learning_rate}
    tiles = tiles_of(directions, coordinates, TILE)
    facts = {"curve": curve, "chord": length(chord.tensors), **_curve_facts(trained, steps, learning_rate)}
    arc = _arc(directions, coordinates)

    def finish(kept: Partial) -> Result:
        return _result(subject, facts, t, arc, kept)

    return finish(subject.evaluate(tiles, identity, finish=finish))


def barrier(t: np.ndarray, losses: np.ndarray) -> tuple[float | None, float | None]:
    """How far the loss rises above the line between its ends, and where; ``None`` where a loss on the way is not finite.

    Example:
        >>> barrier(np.array([0.0, 0.5, 1.0]), np.array([1.0, 4.0, 3.0]))
        (2.0, 0.5)
    """
    inside = (t >= -1e-12) & (t <= 1 + 1e-12)
    t, losses = t[inside], losses[inside]
    if not np.isfinite(losses).all() or len(t) < 2:
        return None, None
    above = losses - ((1 - t) * losses[0] + t * losses[-1])
    highest = int(above.argmax())
    return float(above[highest]), float(t[highest])


def _trained(subject: Subject, start: Mapping[str, Tensor], end: Mapping[str, Tensor], steps: int, learning_rate: float) -> Curve:
    return train_bezier(
        subject.network,
        start,
        end,
        subject.batches,
        lambda logits, labels: subject.evaluator.score(logits, labels)[0],
        steps=steps,
        learning_rate=learning_rate,
        rng=generator_for(subject.seed, "bezier"),
        progress=subject.how.get("progress"),
    )


def _curve_facts(trained: Curve | None, steps: int, learning_rate: float) -> dict[str, Any]:
    if trained is None:
        return {}
    return {"training": {"steps": steps, "learning_rate": learning_rate, "mean_losses": list(trained.losses)}}


def _arc(directions: Sequence[Mapping[str, Tensor]], coordinates: np.ndarray) -> np.ndarray:
    """Length along the path up to each point, by its chords, from the Gram matrix of the directions."""
    from genscope.landscape.points import inner

    gram = np.array([[inner(one, other) for other in directions] for one in directions])
    moves = np.diff(coordinates, axis=0)
    return np.concatenate([[0.0], np.cumsum(np.sqrt(np.clip(np.einsum("pi,ij,pj->p", moves, gram, moves), 0.0, None)))])


def _result(subject: Subject, facts: Mapping[str, Any], t: np.ndarray, arc: np.ndarray, partial: Partial) -> Result:
    rows = point_rows([{"t": float(at), "arc": float(far)} for at, far in zip(t, arc, strict=True)], partial)
    height, where = barrier(t, partial.values[:, 0])
    errors, _ = barrier(t, partial.values[:, 1])
    head = {**subject.head(), **facts, "path_length": float(arc[-1]), "barrier": height, "barrier_at": where, "error_barrier": errors}
    named = "straight line" if facts["curve"] == "linear" else "Bézier curve"
    if height is None:
        words = f"Along the {named} the loss is not finite everywhere, so that no barrier can be given."
    else:
        words = f"Along the {named} the loss rises by {height:.3g} above the line between its ends (at t = {where:.2g})"
        words += f"; the error rises by {errors:.1%}." if errors is not None else "."
    failed = sum(row["status"] == "failed" for row in rows)
    head["summary"] = {
        "loss": head["centre"]["loss"],
        "barrier": height,
        "error_barrier": errors,
        "n_points": len(rows),
        "n_failed": failed,
        "verdict": words,
    }
    curves = {name: partial.values[:, i].tolist() for i, name in enumerate(NAMES)}
    return subject.result("landscape path", head, rows, {"t": t.tolist(), "arc": arc.tolist(), **curves})


def _check(curve: str, points: int, beyond: float, steps: int) -> None:
    if curve not in CURVES:
        raise UsageError(f"There is no curve {curve!r}; use one of {', '.join(CURVES)}.")
    if points < 3:
        raise UsageError("A path needs at least 3 points.")
    if beyond < 0 or (beyond and curve != "linear"):
        raise UsageError("Only a straight line goes on past its ends, by a share that is not negative.")
    if steps < 1:
        raise UsageError("A Bézier curve needs at least one training step.")
