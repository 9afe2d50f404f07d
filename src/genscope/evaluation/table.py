"""A clean table of models × columns from a CSV file, a Parquet file, a data frame or a mapping of columns."""

import csv
import io
import math
import re
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import combinations
from pathlib import Path
from typing import Any

import numpy as np

from genscope.core.text import display_name
from genscope.errors import CorruptInput, LimitExceeded, UnsupportedInput, UsageError

_MAX_BYTES = 256_000_000
_MAX_FIELD = 1_000_000
LARGEST = 1e150  # beyond this, squares overflow; no measure of a network that has not failed is so large
_BLANK = {"", "na", "nan", "n/a", "null", "none", "-", "–", "#n/a", "<na>"}
_THOUSANDS = re.compile(r"[+-]?\d{1,3}(,\d{3})+\.\d+$|[+-]?\d{1,3}(,\d{3}){2,}$")  # 1,013.2 and 1,234,567; a lone 1,234 could be a decimal comma
_NUMBER = re.compile(r"[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?%?$|[+-]?inf(inity)?$", re.IGNORECASE)
_REPEATS = {"seed", "run", "repeat", "trial", "fold", "epoch", "step"}
_NAME_COLUMNS = ("model", "model_name", "modelname", "name", "network", "checkpoint", "file", "id")


@dataclass(frozen=True)
class ModelTable:
    """Columns over models.

    Args:
        source: where it came from, for sentences.
        models: one unique name per row.
        numbers: numeric columns [n], missing and non-finite cells as NaN.
        texts: all other columns, as strings.
        notes: sentences on what was cleaned.
    """

    source: str
    models: tuple[str, ...]
    numbers: Mapping[str, np.ndarray]
    texts: Mapping[str, tuple[str, ...]]
    notes: tuple[str, ...] = field(default=())

    @property
    def columns(self) -> tuple[str, ...]:
        """Names of all columns but the models'."""
        return (*self.numbers, *self.texts)

    def labels(self, column: str) -> tuple[str, ...]:
        """A column as text labels, for grouping; numbers are written shortly (``16`` rather than ``16.0``)."""
        if column in self.texts:
            return self.texts[column]
        return tuple("" if math.isnan(value) else f"{value:.12g}" for value in self.numbers[column])


def read_table(source: Any, *, what: str = "table") -> ModelTable:
    """Read a table of models.

    Args:
        source: path of a ``.csv``/``.tsv``/``.txt`` or ``.parquet`` file, a pandas DataFrame, or a mapping of column name to values.
        what: the word for it in error sentences.

    Returns:
        A :class:`ModelTable`. A column is numeric when at least half of its filled cells are numbers; what does not parse is missing and counted.
        Cells are data: nothing in them is evaluated.

    Raises:
        CorruptInput: not text, ragged rows, duplicate columns or models, no rows.
        UnsupportedInput: no numeric column, or an unknown kind of file.
        LimitExceeded: larger than 256 MB.
    """
    if isinstance(source, ModelTable):
        return source
    if isinstance(source, str | Path):
        path = Path(source)
        return table_from_columns(_read_parquet(path) if path.suffix.lower() in {".parquet", ".pq"} else _read_csv(path), path.name)
    if hasattr(source, "to_dict") and hasattr(source, "columns"):
        return table_from_columns(_frame_columns(source), what)
    if isinstance(source, Mapping):
        return table_from_columns({str(name): list(values) for name, values in source.items()}, what)
    raise UsageError(f"A {what} is a path, a data frame or a mapping of columns, not {type(source).__name__}.")


def _frame_columns(frame: Any) -> dict[str, list[Any]]:
    columns = {str(name): frame[name].tolist() for name in frame.columns}
    if len(columns) != len(frame.columns):
        raise CorruptInput("The data frame has two columns of one name; rename one.")
    if frame.index.dtype == object or str(frame.index.dtype).startswith("str"):
        columns.setdefault("model", [str(item) for item in frame.index])
    return columns


def _read_bytes(path: Path) -> bytes:
    try:
        if path.is_dir():
            raise UnsupportedInput(f"{path.name}: this is a folder, not a table; give a CSV or Parquet file, or a folder of saved results.")
        if path.stat().st_size > _MAX_BYTES:
            raise LimitExceeded(f"{path.name}: larger than the {_MAX_BYTES // 10**6} MB that a table may have; keep one row per model.")
        return path.read_bytes()
    except OSError as error:
        raise CorruptInput(f"{path.name}: could not be read ({error.strerror or error}).") from None


def _read_csv(path: Path) -> dict[str, list[Any]]:
    raw = _read_bytes(path)
    try:
        text = raw.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise CorruptInput(f"{path.name}: not UTF-8 text (byte {error.start}); save it as CSV in UTF-8.") from None
    if "\0" in text:
        raise CorruptInput(f"{path.name}: holds NUL bytes, so it is not a text table; save it as CSV.")
    head = text.lstrip("\r\n").split("\n", 1)[0]
    delimiter = max(",;\t", key=head.count)
    csv.field_size_limit(_MAX_FIELD)
    try:
        rows = [row for row in csv.reader(io.StringIO(text), delimiter=delimiter, strict=True) if any(cell.strip() for cell in row)]
    except csv.Error as error:
        raise CorruptInput(f"{path.name}: not a well-formed CSV ({error}).") from None
    if len(rows) < 2:
        raise CorruptInput(f"{path.name}: holds no rows below its header line.")
    header = [cell.strip() for cell in rows[0]]
    repeated = sorted({name for name in header if name and header.count(name) > 1})
    if repeated:
        raise CorruptInput(f"{path.name}: two columns are named {display_name(repeated[0], 40)!r}; rename one.")
    for number, row in enumerate(rows[1:], start=2):
        if len(row) != len(header):
            raise CorruptInput(f"{path.name}: row {number} has {len(row)} cells where the header has {len(header)}; repair that row.")
    return {name or f"column_{k + 1}": [row[k] for row in rows[1:]] for k, name in enumerate(header)}


def _read_parquet(path: Path) -> dict[str, list[Any]]:
    raw = _read_bytes(path)
    try:
        import pyarrow.parquet as parquet
    except ImportError:
        raise UnsupportedInput(f"{path.name}: reading Parquet needs pyarrow; install genscope[parquet] or save the table as CSV.") from None
    try:
        table = parquet.read_table(io.BytesIO(raw))
        return {str(name): table.column(k).to_pylist() for k, name in enumerate(table.column_names) if not str(name).startswith("__index")}
    except (OSError, ValueError, TypeError, KeyError) as error:
        raise CorruptInput(f"{path.name}: not a readable Parquet file ({str(error).splitlines()[0][:120]}).") from None


def table_from_columns(columns: Mapping[str, Sequence[Any]], source: str) -> ModelTable:
    """Turn named columns of cells into a :class:`ModelTable`: names found, numbers parsed, oddities noted."""
    lengths = {len(values) for values in columns.values()}
    if not columns or lengths == {0}:
        raise CorruptInput(f"{source}: holds no rows.")
    if len(lengths) > 1:
        raise CorruptInput(f"{source}: the columns have different lengths ({min(lengths)} to {max(lengths)}).")
    name_column = _name_column(columns)
    models = tuple(str(cell).strip() for cell in columns[name_column]) if name_column else tuple(f"row {k + 1}" for k in range(lengths.pop()))
    numbers: dict[str, np.ndarray] = {}
    texts: dict[str, tuple[str, ...]] = {}
    notes = [] if name_column else [f"{source} has no column of model names; rows are numbered"]
    for name, cells in columns.items():
        if name == name_column:
            continue
        values, n_text, n_infinite, n_filled = _parse(cells)
        if n_filled and n_text * 2 <= n_filled:
            numbers[name] = values
            if n_text or n_infinite:
                notes.append(f"column {display_name(name, 60)}: " + _count_sentence(n_text, n_infinite))
        else:
            texts[name] = tuple("" if cell is None else str(cell).strip() for cell in cells)
    if not numbers:
        raise UnsupportedInput(f"{source}: no column holds numbers; a table of models needs at least an error column and a measure.")
    helpers = [*texts, *(name for name, values in numbers.items() if name.lower() in _REPEATS or _is_setting(values))]
    whole, told_apart = _unique_names(models, columns, name_column, helpers, source)
    if told_apart and name_column:
        texts[name_column] = models  # what repeats may serve as group or cluster
    models = whole
    return ModelTable(source, models, numbers, texts, (*told_apart, *notes))


def _name_column(columns: Mapping[str, Sequence[Any]]) -> str | None:
    lowered = {name.lower(): name for name in reversed(list(columns))}
    for candidate in _NAME_COLUMNS:
        if candidate in lowered and any(not _is_number(cell) for cell in columns[lowered[candidate]]):
            return lowered[candidate]
    first = next(iter(columns))
    cells = [str(cell).strip() for cell in columns[first]]
    if len(set(cells)) == len(cells) and not any(_is_number(cell) for cell in columns[first]) and all(cells):
        return first
    return None


def _is_number(cell: Any) -> bool:
    if isinstance(cell, int | float | np.number):
        return True
    return isinstance(cell, str) and _NUMBER.match(cell.strip()) is not None


def _is_setting(values: np.ndarray) -> bool:
    """Whole numbers with few distinct values, such as an image size: a choice somebody made rather than a measurement."""
    distinct = np.unique(values)
    return bool(np.all(distinct == np.round(distinct))) and len(distinct) <= len(values) // 4


def _unique_names(
    models: tuple[str, ...], columns: Mapping[str, Sequence[Any]], name_column: str | None, helpers: Sequence[str], source: str
) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Names as they are when no two are equal, else told apart by one or two other columns (series, data set, seed, image size), else a refusal."""
    counts = Counter(models)
    if len(counts) == len(models):
        return models, ()
    for chosen in [*combinations(helpers, 1), *combinations(helpers[:12], 2)]:
        cells = zip(*(columns[helper] for helper in chosen), models, strict=True)
        joined = tuple("/".join(str(cell).strip() for cell in row) for row in cells)
        if len(set(joined)) == len(joined):
            return joined, (f"model names repeat; told apart by {' and '.join(display_name(helper, 40) for helper in chosen)}",)
    twice = [name for name, count in counts.items() if count > 1]
    more = f" (and {len(twice) - 1} other names)" if len(twice) > 1 else ""
    first = f"the model name {display_name(twice[0], 60)!r} appears {counts[twice[0]]} times in column {name_column!r}{more}"
    raise CorruptInput(f"{source}: {first}; give each row its own name.")


def _parse(cells: Iterable[Any]) -> tuple[np.ndarray, int, int, int]:
    values, n_text, n_infinite, n_filled = [], 0, 0, 0
    for cell in cells:
        text = "" if cell is None else cell.strip() if isinstance(cell, str) else cell
        if isinstance(text, str):
            if text.lower() in _BLANK:
                values.append(math.nan)
                continue
            n_filled += 1
            text = text.replace(",", "") if _THOUSANDS.match(text) else text
            if not _NUMBER.match(text):
                n_text += 1
                values.append(math.nan)
                continue
            number = float(text.rstrip("%"))
        else:
            try:
                number = float(text)
            except (TypeError, ValueError, OverflowError):
                n_filled, n_text = n_filled + 1, n_text + 1
                values.append(math.nan)
                continue
            n_filled += not math.isnan(number)
        n_infinite += abs(number) > LARGEST
        values.append(number if abs(number) <= LARGEST else math.nan)
    return np.array(values, dtype=np.float64), n_text, n_infinite, n_filled


def _count_sentence(n_text: int, n_infinite: int) -> str:
    parts = [f"{n_text} cell(s) are not numbers"] if n_text else []
    parts += [f"{n_infinite} cell(s) are infinite or beyond 1e150"] if n_infinite else []
    return " and ".join(parts) + "; left out"
