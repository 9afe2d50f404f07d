"""``landscape basin``: how far the basin around a trained network reaches, and what can honestly be said of its volume."""

from collections.abc import Sequence
from dataclasses import asdict
from typing import Any, Unpack

import numpy as np
import torch

from genscope.core.results import Result
from genscope.errors import UsageError
from genscope.landscape.coordinates import Coordinates, coordinates_of
from genscope.landscape.criteria import Criteria, Edge
from genscope.landscape.evaluator import Evaluator
from genscope.landscape.radius import SearchSettings
from genscope.measures.ingredients.losses import example_errors, example_losses
from genscope.verbs.basin_options import BasinOptions
from genscope.verbs.basin_result import basin_result
from genscope.verbs.basin_run import run_stages
from genscope.verbs.basin_stages import RayStore, Stages, request_key
from genscope.verbs.basin_volumes import ESTIMATORS
from genscope.verbs.landscape_subject import How, intra_op_threads, open_subject

CUTOFFS = ("loss:0.1", "loss:0.5", "loss:1")


def landscape_basin(
    model: Any, data: Any, *, cutoffs: Sequence[str | float] = CUTOFFS, directions: int = 3000, coordinates: str = "filter_normalized",
    estimators: Sequence[str] = ESTIMATORS, options: BasinOptions | None = None, **how: Unpack[How],
) -> Result:  # fmt: skip
    r"""How far the basin around a trained network reaches in random directions, and its volume where that can be estimated.

    Formula:
        r(u) = the smallest r at which the criterion reaches the cutoff along w + r·S·u, u uniform on the sphere of the coordinates (S: 1, or the
        norm of each weight's filter); V = ω_n E[rⁿ] (Huang et al. 2020), or |det P| ω_n E[ρⁿ] along P·u (Scherlis & Belrose 2025).
    Reading:
        The mean of ln r, with its standard error, is what can always be compared. A volume is given only where its effective sample size allows.
        Compare networks of the same n, coordinates and cutoff only.
    Args:
        model: an ``nn.Module``; it is not changed.
        data: its training data: a DataLoader, a Dataset, or ``(X, y)``.
        cutoffs: edges such as ``"loss:0.1"``, ``"loss_increase:0.1"``, ``"error:0.05"``, ``"kl:0.1"``; a bare number is a loss. The first is
            the primary one, which volumes are of.
        directions: rays of each estimator.
        coordinates: ``filter_normalized`` or ``raw``.
        estimators: of the volume: ``naive``, ``diagonal``, ``low_rank``, ``laplace``.
        options: see :class:`BasinOptions`.
        how: the options that all landscape verbs share, see :class:`genscope.verbs.landscape_subject.How`; with ``out`` the rays are kept as they
            are found, and the same call resumes.
    Returns:
        A :class:`genscope.Result`: one row per cutoff; ``radii``, ``log_volume`` with interval, ``effective_radius``, ``ess`` in its JSON.
    Raises:
        GenscopeError: the data do not fit, the weights lie outside the primary edge, or nothing can move; one sentence.
    Cost:
        About 5 to 6 evaluations of the data per ray and 3 more per further cutoff; multilayer perceptrons are evaluated in batched products.
    Source:
        Huang et al. 2020, section 5, with the first crossing instead of the nearest grid point and with the Jacobian of the coordinates.

    Example:
        >>> x = torch.randn(64, 3, generator=torch.Generator().manual_seed(0))
        >>> net = torch.nn.Linear(3, 2, bias=False)
        >>> with torch.no_grad(): _ = net.weight.copy_(torch.tensor([[-9.0, 0, 0], [9.0, 0, 0]]))
        >>> found = landscape_basin(net, (x, (x[:, 0] > 0).long()), cutoffs=["loss:0.5"], directions=200, coordinates="raw", estimators=["naive"])
        >>> found.to_dict()["n_params"], found.to_dict()["estimator"]
        (6, 'naive')
    """
    options = options or BasinOptions()
    edges = parsed_edges(cutoffs)
    _check(directions, estimators)
    subject = open_subject(model, data, how)
    criteria = criteria_of(subject.evaluator, how.get("loss", "cross_entropy"), edges, how.get("jobs", 1))
    places = coordinates_of(subject.network.params, coordinates)
    given = {
        "cutoffs": [f"{edge.criterion}:{edge.cutoff:g}" for edge in edges], "directions": directions, "coordinates": coordinates,
        "estimators": list(estimators), "bn_policy": subject.evaluator.bn_policy, "loss": how.get("loss", "cross_entropy"), "seed": subject.seed,
        **asdict(options),
    }  # fmt: skip
    store = RayStore(subject.out, request_key({**given, **subject.digests}))
    stages = Stages(criteria, _settings(criteria, places, options), store, subject.seed, how.get("progress"))
    try:
        with intra_op_threads(1 if how.get("jobs", 1) > 1 else None):
            found = run_stages(stages, subject, places, edges, given)
    finally:
        store.flush()
    return basin_result(subject, found, given)


def parsed_edges(cutoffs: Sequence[str | float]) -> list[Edge]:
    """Edges from ``criterion:value`` or bare values.

    Example:
        >>> parsed_edges(["error:0.05", 0.1])
        [Edge(criterion='error', cutoff=0.05), Edge(criterion='loss', cutoff=0.1)]
    """
    found = []
    for text in cutoffs:
        criterion, colon, value = str(text).rpartition(":")
        try:
            found.append(Edge(criterion if colon else "loss", float(value)))
        except ValueError:
            raise UsageError(f"The cutoff {text!r} is not of the form criterion:number, such as loss:0.1 or kl:0.05.") from None
    if not found:
        raise UsageError("At least one cutoff is needed, such as loss:0.1.")
    return list(dict.fromkeys(found))


def criteria_of(evaluator: Evaluator, loss: str, edges: Sequence[Edge], workers: int = 1) -> Criteria:
    """The criteria that the edges need, from the evaluator's own outputs."""
    return Criteria(
        evaluator.backend.logits, evaluator.network.params, evaluator.data.labels, lambda logits, y: example_losses(loss, logits, y), example_errors,
        [edge.criterion for edge in edges], evaluator.chunk, workers,
    )  # fmt: skip


def _settings(criteria: Criteria, places: Coordinates, options: BasinOptions) -> SearchSettings:
    """Search between a billionth and ``largest`` times the length of the weights in coordinates."""
    length = np.sqrt(places.n_filters) if places.n_filters else float(torch.linalg.vector_norm(criteria.flat.double()))
    length = length if length > 0 else 1.0
    return SearchSettings(options.rtol, options.scan, 1e-3 * length, 1e-9 * length, options.largest * length, options.n_check)


def _check(directions: int, estimators: Sequence[str]) -> None:
    if directions < 2:
        raise UsageError(f"At least 2 directions are needed for a standard error, not {directions}.")
    unknown = [name for name in estimators if name not in ESTIMATORS]
    if unknown:
        raise UsageError(f"There is no volume estimator {unknown[0]!r}; use {', '.join(ESTIMATORS)}.")
