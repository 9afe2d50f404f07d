"""What ``landscape basin`` says of what it found: the contract's fields, a row per cutoff, the estimators side by side, and a verdict in words."""

from collections.abc import Mapping
from typing import Any

import numpy as np

from genscope.core.results import Result
from genscope.landscape.volume import Volume, log_radius_statistics
from genscope.verbs.basin_run import Basin
from genscope.verbs.basin_volumes import chosen, volume_row
from genscope.verbs.landscape_subject import Subject

VERB = "landscape basin"
_BINS = 40


def basin_result(subject: Subject, found: Basin, given: Mapping[str, Any]) -> Result:
    """The result, saved in the folder where there is one."""
    rows = [_row(found, index) for index in range(len(found.edges))]
    volume, places = chosen(list(found.volumes)), found.places
    believed = volume.believed
    radius, bound = _effective_radius(volume, rows[0])
    data = {"n_examples": subject.evaluator.n_examples, "n_classes": subject.n_classes, "loss": given["loss"]}
    head: dict[str, Any] = {
        "model": subject.network.name, "data": data, "n_params": places.n, "n_params_total": subject.network.n_params,
        "coordinates": places.name, "coordinates_meaning": places.meaning, "log_jacobian": places.log_jacobian,
        "criterion": found.edges[0].criterion, "cutoff": found.edges[0].cutoff, "radii": _numbers(found.isotropic.distances[:, 0]),
        "mean_log_radius": rows[0]["mean_log_radius"], "mean_log_radius_sem": rows[0]["mean_log_radius_sem"],
        "log_volume": volume.log_volume if believed else None, "log_volume_low": volume.low if believed else None,
        "log_volume_high": volume.high if believed else None, "log_volume_raw": _shifted(volume, places.log_jacobian),
        "effective_radius": radius, "effective_radius_is": bound, "ess": volume.ess, "largest_weight_share": volume.largest_share,
        "estimator": volume.estimator, "volume_status": volume.status, "volume_reason": volume.reason, "n_directions": len(found.isotropic),
        "n_never_crossed": rows[0]["n_never_crossed"], "n_not_star_shaped": rows[0]["n_not_star_shaped"],
        "evaluations_per_ray": round(float(found.isotropic.n_evaluations.mean()), 2), "centre": dict(found.centre),
        "evaluation": dict(subject.evaluator.facts), "options": dict(given),
    }  # fmt: skip
    head["summary"] = _summary(head, rows)
    further = {f"{edge.criterion}:{edge.cutoff:g}": _numbers(found.isotropic.distances[:, t]) for t, edge in enumerate(found.edges) if t}
    tail = {
        "estimators": [volume_row(one, places.log_jacobian) for one in found.volumes],
        "layers": [_layer_row(name, rays) for name, rays in found.layers.items()],
        "further_radii": further,
    }
    result = subject.result(VERB, head, rows, _curves(found), found.notes)
    # the sentences come last, so that what was measured stands first
    return _saved(subject, result, {**tail, **result.tail})


def _saved(subject: Subject, result: Result, tail: Mapping[str, Any]) -> Result:
    from dataclasses import replace

    result = replace(result, tail=tail)
    if subject.out is not None:
        result.save(subject.out)
    return result


def _row(found: Basin, index: int) -> dict[str, Any]:
    """One cutoff: radii in coordinates, and what speaks against a star shape."""
    edge, rays = found.edges[index], found.isotropic
    statistics = log_radius_statistics(rays.distances[:, index])
    row: dict[str, Any] = {"criterion": edge.criterion, "cutoff": edge.cutoff, "n_directions": len(rays)}
    names = ("radius_q025", "radius_q25", "radius_median", "radius_q75", "radius_q975")
    if statistics is None:
        reason = f"no ray reaches {edge.criterion} {edge.cutoff:g} within the search"
        empty = dict.fromkeys(("mean_log_radius", "mean_log_radius_sem", "std_log_radius", "geometric_mean_radius", *names))
        return {**row, **empty, "n_never_crossed": len(rays), "n_not_star_shaped": 0, "status": "skipped", "reason": reason}
    quantiles = {name: float(np.exp(value)) for name, value in zip(names, statistics.quantiles, strict=True)}
    crooked = int((rays.earlier[:, index] | rays.returns[:, index]).sum())
    lost = statistics.n_never_crossed
    reason = f"{lost} of {len(rays)} rays never reach it; the mean is over the others" if lost else ""
    return {
        **row, "mean_log_radius": statistics.mean, "mean_log_radius_sem": statistics.sem, "std_log_radius": statistics.std,
        "geometric_mean_radius": float(np.exp(statistics.mean)), **quantiles, "n_never_crossed": lost, "n_not_star_shaped": crooked,
        "status": "doubtful" if lost else "ok", "reason": reason,
    }  # fmt: skip


def _layer_row(name: str, rays: Any) -> dict[str, Any]:
    statistics = log_radius_statistics(rays.distances[:, 0])
    row: dict[str, Any] = {"layer": name, "mean_log_radius": None, "mean_log_radius_sem": None, "geometric_mean_radius": None}
    row |= {"n_directions": len(rays), "n_never_crossed": len(rays)}
    if statistics is not None:
        row |= {"mean_log_radius": statistics.mean, "mean_log_radius_sem": statistics.sem, "geometric_mean_radius": float(np.exp(statistics.mean))}
        row["n_never_crossed"] = statistics.n_never_crossed
    return row


def _shifted(volume: Volume, log_jacobian: float) -> float | None:
    """The volume in parameters instead of coordinates."""
    return volume.log_volume + log_jacobian if volume.believed and volume.log_volume is not None else None


def _effective_radius(volume: Volume, row: Mapping[str, Any]) -> tuple[float | None, str]:
    """From the volume where it is believed, else its lower bound by Jensen's inequality."""
    if volume.believed and volume.log_volume is not None:
        return volume.effective_radius, "the radius of the ball of the same volume"
    return row["geometric_mean_radius"], "a lower bound, the geometric mean radius, because the volume is refused"


def _summary(head: Mapping[str, Any], rows: list[dict[str, Any]]) -> dict[str, Any]:
    names = ("n_params", "mean_log_radius", "mean_log_radius_sem", "effective_radius", "log_volume", "ess", "n_never_crossed", "n_directions")
    return {**{name: head[name] for name in names}, "verdict": _verdict(head, rows[0])}


def _verdict(head: Mapping[str, Any], row: Mapping[str, Any]) -> str:
    unit = "in units of the filters' norms" if head["coordinates"] == "filter_normalized" else "in raw parameters"
    edge = f"{head['criterion'].replace('_', ' ')} {head['cutoff']:g}"
    if row["mean_log_radius"] is None:
        return f"None of {head['n_directions']} random directions leaves the basin ({edge}) within the search."
    words = (
        f"In {head['n_params']:,} dimensions ({unit}) the {edge} is reached at a geometric mean radius of {row['geometric_mean_radius']:.4g} "
        f"(mean ln r {row['mean_log_radius']:.3f} ± {row['mean_log_radius_sem']:.3f})."
    )
    if head["log_volume"] is None:
        return f"{words} Its volume is refused: {head['volume_reason']}."
    doubt = f" This is doubtful: {head['volume_reason']}." if head["volume_status"] == "doubtful" else ""
    return (
        f"{words} Its log volume is {head['log_volume']:,.2f} nats ({head['log_volume_low']:,.2f} to {head['log_volume_high']:,.2f}, "
        f"{head['estimator']} estimator), that of a ball of radius {head['effective_radius']:.4g}.{doubt}"
    )


def _numbers(values: np.ndarray) -> list[float | None]:
    return [float(f"{value:.7g}") if np.isfinite(value) else None for value in values]


def _curves(found: Basin) -> dict[str, Any]:
    """Histograms of ln r per cutoff, profiles, and layers, small enough to be kept."""
    logs = np.log(np.where(found.isotropic.distances > 0, found.isotropic.distances, np.nan))
    curves: dict[str, Any] = {"histograms": {}}
    for index, edge in enumerate(found.edges):
        one = logs[np.isfinite(logs[:, index]), index]
        if len(one) > 1:
            density, edges = np.histogram(one, bins=_BINS if np.ptp(one) > 1e-9 else 1, density=True)
            curves["histograms"][f"{edge.criterion.replace('_', ' ')} {edge.cutoff:g}"] = {"edges": edges.tolist(), "density": density.tolist()}
    if found.profiles.size:
        column = [*found.centre].index(found.edges[0].criterion)
        values = found.profiles[:, :, column]
        with np.errstate(all="ignore"):
            quantiles = np.nanquantile(np.where(np.isfinite(values), values, np.nan), (0.1, 0.5, 0.9), axis=0)
        curves["profiles"] = {
            "radius": found.profile_radii.tolist(), "lines": values[:12].tolist(), "low": quantiles[0].tolist(), "median": quantiles[1].tolist(),
            "high": quantiles[2].tolist(), "crossings": found.crossings.tolist(), "n_rays": len(values),
        }  # fmt: skip
    curves["layers"] = {name: np.log(rays.distances[:, 0][np.isfinite(rays.distances[:, 0])]).tolist() for name, rays in found.layers.items()}
    return curves
