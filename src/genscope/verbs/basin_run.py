"""One basin from its first ray to its last: which stages there are, and what they found."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch

from genscope.landscape.basin import BasinRays, crossing_counts, ray_profiles
from genscope.landscape.coordinates import Coordinates
from genscope.landscape.criteria import Edge
from genscope.landscape.rays import Rays
from genscope.landscape.volume import Volume
from genscope.measures.ingredients.hessian_operator import hessian_of
from genscope.measures.ingredients.subset import take
from genscope.verbs.basin_stages import Stages
from genscope.verbs.basin_volumes import Multiply, VolumePlan, diagonal_volume, laplace_volume, low_rank_volume, naive_volume, refused
from genscope.verbs.landscape_subject import Subject

_PROFILE_POINTS, _PROFILE_SPAN = 33, 4.0


@dataclass(frozen=True)
class Basin:
    """What was found.

    Args:
        places: the coordinates.
        edges: the cutoffs, the primary one first; those that the weights themselves lie outside of are left out.
        isotropic: rays of all edges.
        volumes: one per estimator.
        layers: per layer, rays that move it alone.
        profile_radii: radii of the profiles, in coordinates.
        profiles: ``[rays, radii, criteria]`` along some isotropic rays.
        crossings: how often each profile changes sides of the primary cutoff.
        centre: criteria at the weights, by name.
        notes: sentences for the user.
    """

    places: Coordinates
    edges: tuple[Edge, ...]
    isotropic: BasinRays
    volumes: tuple[Volume, ...]
    layers: Mapping[str, BasinRays]
    profile_radii: np.ndarray
    profiles: np.ndarray
    crossings: np.ndarray
    centre: Mapping[str, float]
    notes: tuple[str, ...]


def run_stages(stages: Stages, subject: Subject, places: Coordinates, edges: Sequence[Edge], given: Mapping[str, Any]) -> Basin:
    """All stages in order; the primary edge must hold the weights, further edges that do not are left out with a note."""
    criteria = stages.criteria
    cutoffs = criteria.cutoffs(edges[:1])
    kept, notes = [edges[0]], []
    for edge in edges[1:]:
        if criteria.centre[criteria.names.index(edge.criterion)] < edge.cutoff:
            kept.append(edge)
            cutoffs += criteria.cutoffs([edge])
        else:
            notes.append(f"the weights lie outside the further cutoff {edge.criterion} {edge.cutoff:g}, which is left out")
    plan = VolumePlan(
        places, cutoffs[0], given["directions"], given["n_gradients"], given["rank"], given["floor"], given["least_ess"], given["rtol"]
    )  # fmt: skip
    groups = _layer_places(subject, places) if given["layer_directions"] else {}
    stages.total = given["directions"] * (1 + len({"diagonal", "low_rank"} & set(given["estimators"]))) + len(groups) * given["layer_directions"]
    stages.total += given["n_gradients"] if "diagonal" in given["estimators"] else 0
    isotropic = stages.run("isotropic", Rays(places, stages.seeds("isotropic", given["directions"])), cutoffs)
    volumes = _volumes(stages, subject, plan, isotropic, edges[0], given)
    layers = {name: stages.run(f"layer {name}", Rays(part, stages.seeds(f"layer {name}", given["layer_directions"])), cutoffs[:1])
              for name, part in groups.items()}  # fmt: skip
    radii, profiles = _profiles(stages, places, isotropic, given)
    crossings = crossing_counts(profiles[:, :, cutoffs[0].column], cutoffs[0].value) if profiles.size else np.zeros(0, dtype=int)
    centre = {name: float(value) for name, value in zip(criteria.names, criteria.centre, strict=True)}
    return Basin(places, tuple(kept), isotropic, volumes, layers, radii, profiles, crossings, centre, tuple(notes))


def _volumes(stages: Stages, subject: Subject, plan: VolumePlan, isotropic: BasinRays, edge: Edge, given: Mapping[str, Any]) -> tuple[Volume, ...]:
    found = [naive_volume(isotropic, plan, stages.seed)]
    if "diagonal" in given["estimators"]:
        found.append(diagonal_volume(stages, plan))
    wants = [name for name in ("low_rank", "laplace") if name in given["estimators"]]
    if not wants:
        return tuple(found)
    if subject.evaluator.bn_policy not in ("none", "frozen"):
        why = f"no Hessian where batch normalization is evaluated as {subject.evaluator.bn_policy}; use frozen statistics for it"
        return (*found, *(refused(name, plan, why) for name in wants))
    multiply, n_hessian = _hessian(subject, given)
    if "low_rank" in wants:
        found.append(low_rank_volume(stages, plan, multiply))
    if "laplace" in wants and edge.criterion not in ("loss", "loss_increase"):
        found.append(refused("laplace", plan, f"the Hessian is that of the loss, not of the criterion {edge.criterion}"))
    elif "laplace" in wants:
        rise = edge.cutoff - (stages.criteria.loss if edge.criterion == "loss" else 0.0)
        volume = laplace_volume(stages, plan, multiply, rise, isotropic)
        if n_hessian < subject.evaluator.n_examples and volume.log_volume is not None:
            volume = replace(volume, reason=f"{volume.reason}; Hessian of the first {n_hessian} examples".removeprefix("; "))
        found.append(volume)
    return tuple(found)


def _hessian(subject: Subject, given: Mapping[str, Any]) -> tuple[Multiply, int]:
    """Products with the Hessian of the mean loss, and the number of examples behind it."""
    batches, n = [], 0
    for x, y in subject.batches:
        rest = given["hessian_examples"] - n
        if rest <= 0:
            break
        batches.append((take(x, slice(0, rest)), y[:rest]))
        n += len(batches[-1][1])
    network = subject.network
    return hessian_of(dict(network.params), network.forward, given["loss"], tuple(batches)), n


def _layer_places(subject: Subject, places: Coordinates) -> dict[str, Coordinates]:
    """For each module with parameters that move, the coordinates in which it moves alone."""
    moves = torch.zeros(len(places.scale), dtype=torch.bool)
    moves[places.varied.cpu()] = True
    groups: dict[str, list[torch.Tensor]] = {}
    start = 0
    for name, value in subject.network.params.items():
        inside = torch.arange(start, start + value.numel())
        start += value.numel()
        groups.setdefault(name.rpartition(".")[0] or name, []).append(inside[moves[inside]])
    found = {}
    for name, parts in groups.items():
        varied = torch.cat(parts).to(places.varied.device)
        if len(varied):
            found[name] = replace(places, varied=varied)
    return found if len(found) > 1 else {}


def _profiles(stages: Stages, places: Coordinates, isotropic: BasinRays, given: Mapping[str, Any]) -> tuple[np.ndarray, np.ndarray]:
    """Criteria at geometric radii around the median crossing."""
    crossed = isotropic.radii[:, 0][np.isfinite(isotropic.radii[:, 0])]
    count = min(given["n_profiles"], len(isotropic))
    if not len(crossed) or not count:
        return np.zeros(0), np.zeros((0, 0, len(stages.criteria.names)))
    radii = float(np.median(crossed)) * np.geomspace(1 / _PROFILE_SPAN, _PROFILE_SPAN, _PROFILE_POINTS)
    rays = Rays(places, stages.seeds("isotropic", count))
    return radii, ray_profiles(stages.criteria, rays, radii, count)
