"""Saved results of other verbs as rows of a table: one model per result, one column per measure."""

import json
import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from genscope.core.results import Result
from genscope.errors import CorruptInput, LimitExceeded, UnsupportedInput
from genscope.evaluation.table import ModelTable, table_from_columns

_MAX_BYTES = 256_000_000
_SIZES = {"n_matrices", "n_layers", "n_weights", "n_params"}


def is_saved(source: Any) -> bool:
    """Whether ``source`` is a result: in memory, a folder with ``result.json``, or a JSON file."""
    if isinstance(source, Result):
        return True
    return isinstance(source, str | Path) and (Path(source).is_dir() or Path(source).suffix.lower() == ".json")


def read_saved(sources: Sequence[Any]) -> ModelTable:
    """One row per saved ``analyze`` or ``assess`` result.

    Columns: the numbers of an analysis' summary (``alpha``, ``log_spectral_norm``, …, ``n_matrices``), or the whole-model measures of an assessment.
    A measure that a result lacks is missing for that model.

    Raises:
        CorruptInput, UnsupportedInput, LimitExceeded: a file is not a saved result that holds measures; one sentence.
    """
    found = [_one(source) for source in sources]
    if len({model for model, _ in found}) < len(found):
        # Runs of `…/model.safetensors` share a name; the folders they were saved in do not.
        found = [(_place(source) or model, values) for source, (model, values) in zip(sources, found, strict=True)]
    names = list(dict.fromkeys(name for _, values in found for name in values))
    if not names:
        raise UnsupportedInput("The saved results hold no numbers for whole models; give results of analyze or assess.")
    columns: dict[str, list[Any]] = {"model": [model for model, _ in found]}
    columns |= {name: [values.get(name) for _, values in found] for name in names}
    return table_from_columns(columns, "the saved results")


def _place(source: Any) -> str | None:
    return None if isinstance(source, Result) else Path(source).name.removesuffix(".json")


def _one(source: Any) -> tuple[str, dict[str, float]]:
    if isinstance(source, Result):
        return _measures(source.to_dict(), "result")
    path = Path(source)
    file = path / "result.json" if path.is_dir() else path
    try:
        if file.stat().st_size > _MAX_BYTES:
            raise LimitExceeded(f"{file.name}: larger than the {_MAX_BYTES // 10**6} MB that a saved result may have.")
        document = json.loads(file.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise UnsupportedInput(f"{path.name}: holds no result.json; give a folder written by --out, or a file written by --json.") from None
    except OSError as error:
        raise CorruptInput(f"{path.name}: could not be read ({error.strerror or error}).") from None
    except (ValueError, RecursionError):
        raise CorruptInput(f"{path.name}: not valid JSON; write the result again.") from None
    if not isinstance(document, Mapping):
        raise UnsupportedInput(f"{path.name}: JSON, but not a result of analyze or assess.")
    return _measures(document, path.name)


def _measures(document: Mapping[str, Any], where: str) -> tuple[str, dict[str, float]]:
    model = document.get("source") or document.get("model")
    summary, rows = document.get("summary"), document.get("measures")
    values: dict[str, float] = {}
    if isinstance(document.get("matrices"), list) and isinstance(summary, Mapping):
        values = {str(name): float(value) for name, value in summary.items() if _number(value) and (name in _SIZES or not str(name).startswith("n_"))}
    elif isinstance(rows, list) and "n_models" not in document:
        for row in rows:
            if isinstance(row, Mapping) and not row.get("layer") and _number(row.get("value")) and isinstance(row.get("measure"), str):
                values.setdefault(row["measure"], float(row["value"]))
    else:
        raise UnsupportedInput(f"{where}: not a result of analyze or assess, so it holds no measures of one model.")
    if not isinstance(model, str) or not model:
        raise UnsupportedInput(f"{where}: the result does not say which model it is of.")
    return model, values


def _number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)
