"""The record of a training run: one JSON object a line, on disk as soon as it is written, readable while it grows."""

import json
import os
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from genscope.core import strict_json
from genscope.errors import StoreError

MANIFEST, RECORDS = "watch.json", "records.jsonl"
FORMAT = 1
SPLITS = ("train", "validation")
KINDS = ("step", "epoch", "alarm", "end")


def append_record(descriptor: int, record: Mapping[str, Any]) -> None:
    """Write ``record`` as one line in one system call, so that a kill leaves whole lines and at most one cut one.

    Raises:
        StoreError: the disk is full or gone.
    """
    line = (strict_json.dumps(dict(record)) + "\n").encode()
    try:
        while line:
            line = line[os.write(descriptor, line) :]
    except OSError as error:
        raise StoreError(f"{RECORDS}: the run could not be written ({error.strerror or error}); what is there stays readable.") from None


def parse_records(text: str) -> tuple[list[dict[str, Any]], str | None]:
    """The records of a log, and a note when lines were cut short or damaged.

    Args:
        text: the content of ``records.jsonl``; the last line may be cut off by a kill or still be being written.

    Returns:
        The records in order, and a sentence or ``None``.

    Example:
        >>> parse_records('{"kind": "step", "step": 1}\\n{"kind": "st')
        ([{'kind': 'step', 'step': 1}], None)
    """
    lines = text.split("\n")
    found, damaged = [], 0
    for position, line in enumerate(lines):
        if not line.strip():
            continue
        try:
            record = json.loads(line)
        except (ValueError, RecursionError):
            damaged += position < len(lines) - 1  # the last one is merely unfinished
            continue
        if isinstance(record, dict) and record.get("kind") in KINDS and _is_count(record.get("step")):
            found.append(record)
        else:
            damaged += 1
    note = (
        f"{damaged} line{'s' if damaged > 1 else ''} of {RECORDS} could not be read and {'are' if damaged > 1 else 'is'} left out"
        if damaged
        else None
    )
    return found, note


def numbers_of(record: Mapping[str, Any]) -> Iterator[tuple[str, str, float | None]]:
    """``(metric, where, value)`` of everything in a record; ``where`` is empty, a split or ``layer:NAME``."""
    for metric, value in _mapping(record.get("values")).items():
        yield str(metric), "", _number(value)
    for split in SPLITS:
        for metric, value in _mapping(record.get(split)).items():
            yield str(metric), split, _number(value)
    for layer, values in _mapping(record.get("layers")).items():
        for metric, value in _mapping(values).items():
            yield str(metric), f"layer:{layer}", _number(value)


def tags_of(record: Mapping[str, Any], prefix: str = "gen") -> dict[str, float]:
    """The defined numbers of a record under the flat names that experiment trackers use: ``gen/<metric>/<split, layer or model>``.

    Every name has three parts, so that none is the beginning of another: trackers that keep one file a number could not hold both.

    Example:
        >>> tags_of({"values": {"log_rho": 1.0}, "train": {"loss": 0.5}, "layers": {"fc1": {"alpha": None, "rho": 2.0}}})
        {'gen/log_rho/model': 1.0, 'gen/loss/train': 0.5, 'gen/rho/fc1': 2.0}
    """
    named = ((metric, where.removeprefix("layer:"), value) for metric, where, value in numbers_of(record))
    return {f"{prefix}/{tag_part(metric)}/{tag_part(where) or 'model'}": value for metric, where, value in named if value is not None}


def tag_part(name: str) -> str:
    """A layer's name with only the characters that every tracker accepts in a tag."""
    return re.sub(r"[^\w.\- ]", "_", name)


def run_descriptor(folder: Path, *, keep: bool) -> int:
    """A descriptor that appends to the run's records, after emptying them unless ``keep``.

    Raises:
        StoreError: the folder cannot be written, or the records are not a regular file.
    """
    flags = os.O_WRONLY | os.O_APPEND | os.O_CREAT | getattr(os, "O_CLOEXEC", 0) | getattr(os, "O_NOFOLLOW", 0) | (0 if keep else os.O_TRUNC)
    try:
        return os.open(folder / RECORDS, flags, 0o644)
    except OSError as error:
        raise StoreError(f"{folder.name}/{RECORDS}: the run could not be opened ({error.strerror or error}); choose another folder.") from None


def _mapping(value: Any) -> Mapping[str, Any]:
    return value if isinstance(value, Mapping) else {}


def _number(value: Any) -> float | None:
    # JSON knows integers beyond every float
    return float(value) if isinstance(value, int | float) and not isinstance(value, bool) and abs(value) < 1e300 else None


def _is_count(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and 0 <= value < 2**53
