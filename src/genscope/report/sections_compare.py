"""The page of several checkpoints side by side: what moved, and which measure orders the models as their scores do."""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from genscope.core.results import Result
from genscope.report import sections as parts
from genscope.report.payload import spectra_of, table_of
from genscope.report.sections import Section
from genscope.report.sections_analyze import matrix_name
from genscope.report.sections_measures import forest_section, scatter_section
from genscope.report.wording import label_of, number_of, source_of, text_of

_FIRST = ("alpha", "alpha_weighted", "log_spectral_norm", "log_frobenius_norm", "stable_rank")


def compare_sections(result: Result) -> list[Section]:
    """What the page of ``compare`` shows, in reading order."""
    models = short_names(model_names(result))
    result = replace(result, rows=[_plain_row(row) for row in result.rows])
    measures = _measures(result)
    plain = [
        key
        for key in dict.fromkeys(key for row in result.rows for key, value in row.items() if not isinstance(value, Mapping))
        if key not in {"reason", "reasons", "rows", "cols", "n_matrices", "n_eigenvalues"}
    ]
    table = table_of(result.rows, (*plain, *(key for measure in measures[:1] for key in _columns(measure, len(models)))), "layer")
    for column in table["columns"]:
        _name_column(column, models)
    payload = {"models": models, "measures": [{"key": key, "label": label_of(key)} for key in measures], "first": measures[0] if measures else None}
    ranking = result.summary.get("ranking")
    spectra = spectra_of(result.rows, result.curves)
    lead = "Each row is a matrix that the models share. Choose a measure to see it in every model."
    return parts.present(
        _numbers(result, models),
        _glance(result, models),
        Section("changes", "changes", "What changed, layer by layer", "Models side by side, in the order of the checkpoint.", payload=payload)
        if measures
        else None,
        Section("layer", "layer", "One layer", payload={"spectra": spectra, "models": models, "matrix": matrix_name(result)})
        if result.rows
        else None,
        parts.table_section(table, "All matrices", lead, ("kind",), "The models have no matrix in common."),
        forest_section(ranking, "Which measure orders these models as their scores do?", text_of(result.summary.get("ranking_verdict") or "", 600)),
        scatter_section(result.curves.get("scatter"), str(result.summary.get("target") or "score")),
        parts.skipped(
            result.tail.get("unmatched"), "Layers without a partner", "unmatched", "Present in some of the models only, or of another shape."
        ),
        parts.skipped(result.tail.get("skipped"), "Tensors left out", "skipped", "Not compared, with the reason."),
        parts.skipped(result.tail.get("unscored"), "Models without a score", "unscored", ""),
        parts.notes(result.tail.get("notes")),
        parts.glossary("compare"),
        parts.reproducibility(result),
    )


def fallback_verdict(result: Result) -> str:
    """A sentence for results whose summary has none."""
    unmatched = len(result.tail.get("unmatched") or ())
    return f"{len(model_names(result))} models share {len(result.rows):,} matrices; {unmatched:,} layers have no partner."


def model_names(result: Result) -> list[str]:
    """Names of the models, safe to show; numbered when they are missing."""
    given = result.head.get("models") or ()
    names = [source_of(model.get("name") or model.get("source") or "") if isinstance(model, Mapping) else source_of(model) for model in given]
    wide = max((len(value["values"]) for row in result.rows for value in row.values() if _is_measure(value)), default=0)
    return names + [f"model {index + 1}" for index in range(len(names), wide)]


def short_names(names: list[str], limit: int = 32) -> list[str]:
    """``names`` without the words that all of them begin with and the ending that all of them share, cut to ``limit`` characters.

    Example:
        >>> short_names(["run_wide_1.pt", "run_deep_1.pt"]), short_names(["a.pt", "b.npz"])
        (['wide_1', 'deep_1'], ['a.pt', 'b.npz'])
    """
    short = list(names)
    if len(set(names)) == len(names) > 1:
        endings = {name.rpartition(".")[2] for name in names if "." in name.strip(".")}
        if len(endings) == 1 and all(name.endswith(f".{next(iter(endings))}") for name in names):
            short = [name.rpartition(".")[0] for name in names]
        same = next((place for place, letters in enumerate(zip(*short, strict=False)) if len(set(letters)) > 1), min(map(len, short)))
        begins = short[0][:same]
        cut = max(begins.rfind(mark) for mark in "_-/ .") + 1
        if cut and all(len(name) > cut for name in short):
            short = [name[cut:] for name in short]
    return [name if len(name) <= limit else f"{name[: limit // 2]}…{name[1 - limit // 2 :]}" for name in short]


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _measures(result: Result) -> list[str]:
    found = list(
        dict.fromkeys(key for row in result.rows for key, value in row.items() if _is_measure(value) and any(map(_is_number, value["values"])))
    )
    found = [key for key in found if not any(key == f"{base}_{end}" for base in found for end in ("low", "high"))]
    return [key for key in _FIRST if key in found] + [key for key in found if key not in _FIRST]


def _plain_row(row: Mapping[str, Any]) -> dict[str, Any]:
    """``statuses`` and ``reasons`` of all models as one text each: one word when they agree."""
    shown = dict(row)
    for key in ("statuses", "reasons"):
        if isinstance(row.get(key), list | tuple):
            texts = [text_of(item) if item is not None else "–" for item in row[key]]
            shown[key] = None if set(texts) == {"–"} else texts[0] if len(set(texts)) == 1 else " → ".join(texts)
    return shown


def _glance(result: Result, models: list[str]) -> Section | None:
    """The models' own summaries side by side."""
    summaries = result.summary.get("models")
    if not isinstance(summaries, list | tuple) or len(summaries) != len(models) or not all(isinstance(one, Mapping) for one in summaries):
        return None
    keys = [key for key in summaries[0] if any(isinstance(one.get(key), int | float) for one in summaries)]
    lines = [{"label": label_of(key), "values": [number_of(one.get(key)) for one in summaries]} for key in keys]
    return (
        Section(
            "glance",
            "glance",
            "The models at a glance",
            "Means over the fitted matrices of each model.",
            data={"head": "Summary", "models": models, "lines": lines},
        )
        if lines
        else None
    )


def _is_measure(value: Any) -> bool:
    return isinstance(value, Mapping) and isinstance(value.get("values"), list | tuple)


def _columns(measure: str, n_models: int) -> list[str]:
    return [*(f"{measure}[{index}]" for index in range(n_models)), f"{measure}.change"]


def _name_column(column: dict[str, Any], models: list[str]) -> None:
    """``alpha[1]`` becomes "α · name of the second model"."""
    key = column["key"]
    if key.endswith("]") and "[" in key:
        measure, index = key[:-1].rsplit("[", 1)
        if index.isdigit() and int(index) < len(models):
            column.update(label=f"{label_of(measure)} · {models[int(index)][:40]}", measure=measure, model=int(index))
    elif "." in key:
        measure, inner = key.rsplit(".", 1)
        column.update(label=f"Δ {label_of(measure)}" if inner == "change" else f"{label_of(measure)} {label_of(inner)}", measure=measure)


def _numbers(result: Result, models: list[str]) -> Section | None:
    own = {key: value for key, value in result.summary.items() if isinstance(value, int | float) and not isinstance(value, bool)}
    summary = {**own, "models": len(models), "matrices": len(result.rows)}
    order = ["models", "matrices", *[key for key in own if key not in {"n_models", "n_matrices"}][:8]]
    return parts.key_numbers(summary, order, {"models": "Models", "matrices": "Shared matrices", "n_unmatched": "Without a partner"}, {})
