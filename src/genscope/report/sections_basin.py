"""The page of ``landscape basin``: the headline, pictures, a row per cutoff, the estimators of the volume, layers."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from genscope.core.results import Result
from genscope.figures.basin import Measured, estimator_picture, layer_picture, radius_histograms, ray_profile_picture
from genscope.figures.theme import Picture
from genscope.report import sections as parts
from genscope.report.intake import is_number
from genscope.report.payload import table_of
from genscope.report.pictures import pictures_section
from genscope.report.sections import Section
from genscope.report.wording import number_of, text_of

Row = Mapping[str, Any]
_VISIBLE = (
    "cutoff", "criterion", "status", "mean_log_radius", "mean_log_radius_sem", "std_log_radius", "geometric_mean_radius",
    "radius_q025", "radius_q975", "n_never_crossed", "n_not_star_shaped",
)  # fmt: skip
_KEYS = {
    "mean_log_radius": "Mean ln r",
    "mean_log_radius_sem": "Standard error",
    "effective_radius": "Effective radius",
    "n_params": "Dimensions n",
    "log_volume": "Log volume (nats)",
    "ess": "Effective sample size",
    "n_never_crossed": "Rays that never cross",
}
_CRITERIA = {
    "loss": "training loss",
    "loss_increase": "rise of the training loss",
    "error": "training error",
    "kl": "KL divergence from the weights' outputs",
}
_MOST_LAYERS = 60
_STATUS = {"ok": "ok", "doubtful": "doubtful", "skipped": "refused", "failed": "failed"}


def basin_sections(result: Result) -> list[Section]:
    """What the page shows; fields that are missing or of the wrong kind leave their part out."""
    head = result.head
    lead = (
        "How far the basin reaches along random directions. The mean of ln r can always be compared between networks of the same n, coordinates and "
        "cutoff; a volume is carried by the longest rays and is shown only where its effective sample size allows."
    )
    bound = text_of(head.get("effective_radius_is") or "", 120)
    return parts.present(
        parts.key_numbers(result.summary, list(_KEYS), _KEYS, {"effective_radius": bound}),
        pictures_section(_pictures(result), "pictures", "The basin", lead),
        *_estimators(result.tail.get("estimators")),
        parts.table_section(table_of(result.rows, _VISIBLE, "cutoff"), "Cutoffs", "", ("status",), "No cutoff was measured."),
        _layers(result.tail.get("layers")),
        parts.notes(result.tail.get("notes")),
        parts.glossary("landscape basin"),
        parts.reproducibility(result),
    )


def basin_verdict(result: Result) -> str:
    """How many cutoffs have a mean radius."""
    done = sum(is_number(row.get("mean_log_radius")) for row in result.rows)
    return f"{done} of {len(result.rows)} cutoffs have a mean radius." if result.rows else "No cutoff was measured."


def _pictures(result: Result) -> list[Picture]:
    """The pictures whose data are there and have the right form."""
    head, curves = result.head, result.curves
    told = _measured(result)
    geometric = _number(result.rows[0].get("geometric_mean_radius")) if result.rows else None
    criterion = _CRITERIA.get(str(head.get("criterion")), "criterion")
    makers: Sequence[Callable[[], Picture | None]] = (
        lambda: _histograms(curves.get("histograms"), told),
        lambda: _profile(curves.get("profiles"), _number(head.get("cutoff")), criterion, told),
        lambda: _layer_picture(curves.get("layers"), geometric, told),
        lambda: _estimator_picture(result.tail.get("estimators"), geometric, told),
    )
    found = []
    for make in makers:
        try:
            picture = make()
        except (TypeError, ValueError, KeyError, AttributeError, IndexError, OverflowError):
            continue  # a folder of results may come from anybody
        if picture is not None:
            found.append(picture)
    return found


def _measured(result: Result) -> Measured:
    head = result.head
    filters = head.get("coordinates") == "filter_normalized"
    n = _number(head.get("n_params")) or 0
    facts = head.get("evaluation")
    policy = text_of((facts.get("bn_policy") if isinstance(facts, Mapping) else None) or "none", 20)
    about = f"{number_of(head.get('n_directions'))} directions, {'filter-normalized' if filters else 'raw'} coordinates"
    about += f", seed {number_of(result.reproducibility.get('seed'))}" + ("." if policy == "none" else f", batch normalization: {policy}.")
    edge = f"{str(head.get('criterion')).replace('_', ' ')} {number_of(head.get('cutoff'))}"
    return Measured("relative to the filters' norms" if filters else "parameters", int(n), text_of(edge, 60), about)


def _histograms(given: Any, told: Measured) -> Picture | None:
    held = {text_of(name, 40): (_array(item["edges"]), _array(item["density"])) for name, item in list((given or {}).items())[:8]}
    held = {name: pair for name, pair in held.items() if len(pair[0]) == len(pair[1]) + 1}
    return radius_histograms(held, told) if held else None


def _profile(given: Any, cutoff: float | None, criterion: str, told: Measured) -> Picture | None:
    if not given or cutoff is None:
        return None
    profile: dict[str, Any] = {name: _array(given[name]) for name in ("radius", "low", "median", "high", "crossings")}
    profile |= {"lines": [_array(line) for line in given["lines"][:20]], "n_rays": int(given["n_rays"])}
    if any(len(line) != len(profile["radius"]) for line in (profile["low"], profile["median"], profile["high"], *profile["lines"])):
        return None
    return ray_profile_picture(profile, cutoff, criterion, told)


def _layer_picture(given: Any, geometric: float | None, told: Measured) -> Picture | None:
    held = {text_of(name, 40): _array(logs) for name, logs in list((given or {}).items())[:_MOST_LAYERS]}
    held = {name: logs for name, logs in held.items() if len(logs)}
    return layer_picture(held, geometric, told) if held else None


def _estimator_picture(given: Any, geometric: float | None, told: Measured) -> Picture | None:
    numeric = ("log_volume", "log_volume_low", "log_volume_high", "effective_radius", "refused_effective_radius", "ess", "n_rays", "n_params")
    rows = [{"estimator": text_of(row["estimator"], 30), **{name: _number(row.get(name)) for name in numeric}} for row in given or ()]
    rows = [row for row in rows if (row["effective_radius"] or row["refused_effective_radius"]) and row["n_params"]]
    return estimator_picture(rows, geometric, told) if rows else None


def _estimators(given: Any) -> list[Section]:
    """Estimators down: effective radius, volume and quality across; then why some are refused or doubtful."""
    if not isinstance(given, list) or not all(isinstance(row, Mapping) for row in given) or not given:
        return []
    heads = ["effective radius", "log volume (nats)", "95 % low", "95 % high", "effective sample size", "largest share", "status"]
    fields = ("effective_radius", "log_volume", "log_volume_low", "log_volume_high", "ess", "largest_weight_share")
    lines = [
        {"label": _name(row), "values": [*(number_of(_number(row.get(name)), 5) for name in fields), _STATUS.get(str(row.get("status")), "–")]}
        for row in given
    ]
    n = number_of(_count(given[0].get("n_params")))
    lead = f"All in n = {n} dimensions. A refused volume would only be a lower bound, far below the truth in many dimensions."
    why = [{"layer": _name(row), "reason": row["reason"]} for row in given if row.get("reason")]
    table = Section("glance", "estimators", "Estimators of the volume", lead, data={"head": "Estimator", "models": heads, "lines": lines})
    return parts.present(table, parts.skipped(why, "Why volumes are refused or doubtful", "refused", ""))


def _name(row: Row) -> str:
    return text_of(row.get("estimator"), 30).replace("_", "-")


def _layers(given: Any) -> Section | None:
    if not isinstance(given, list) or not all(isinstance(row, Mapping) for row in given) or not given:
        return None
    fields = ("geometric_mean_radius", "mean_log_radius", "mean_log_radius_sem")
    lines = [
        {
            "label": text_of(row.get("layer"), 80),
            "values": [*(number_of(_number(row.get(name)), 4) for name in fields), number_of(_count(row.get("n_never_crossed")))],
        }
        for row in given[:2000]
    ]
    heads = ["geometric mean radius", "mean ln r", "standard error", "never crossed"]
    lead = "Directions that move one layer alone, at the first cutoff. A small radius marks the layer that the fit depends on most."
    return Section("glance", "layers", "Layer by layer", lead, data={"head": "Layer", "models": heads, "lines": lines})


def _array(values: Any) -> np.ndarray:
    return np.asarray([np.nan if value is None else float(value) for value in values], dtype=float)


def _number(value: Any) -> float | None:
    return float(value) if is_number(value) and abs(value) < 1e300 else None


def _count(value: Any) -> int | None:
    number = _number(value)
    return None if number is None else int(number)
