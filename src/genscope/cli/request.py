"""From the words of a command line to the options of an analysis."""

import re
from collections.abc import Mapping
from typing import Any

from genscope.errors import UsageError


def analysis_request(given: Mapping[str, Any]) -> dict[str, Any]:
    """The keywords of ``analyze`` from parsed options: sizes read, what was not given left out.

    Raises:
        UsageError: a size that cannot be read.
    """
    from genscope.checkpoints.limits import Limits

    chosen = {name: value for name, value in given.items() if value is not None and value != ()}
    if "max_memory" in chosen:
        chosen["limits"] = Limits(memory_bytes=parse_size(chosen.pop("max_memory")))
    if "input_size" in chosen:
        chosen["input_size"] = parse_input_size(chosen["input_size"])
    return chosen


def parse_size(text: str) -> int:
    """Bytes from ``512M``, ``4G``, ``1.5GB`` or a plain number.

    Example:
        >>> parse_size("2K")
        2048
    """
    found = re.fullmatch(r"\s*(\d+(?:\.\d+)?)\s*([kKmMgGtT]?)[iI]?[bB]?\s*", text)
    if not found:
        raise UsageError(f"{text!r} is not a size; write it like 512M or 4G.")
    return int(float(found[1]) * 1024 ** " kmgt".index(found[2].lower() or " "))


def parse_input_size(text: str) -> tuple[int, ...]:
    """Input size from ``32`` (square) or ``224x224``."""
    parts = text.lower().split("x")
    if not 1 <= len(parts) <= 3 or not all(part.isdigit() and int(part) > 0 for part in parts):
        raise UsageError(f"--input-size {text!r} is not a size; write it like 32x32.")
    sizes = tuple(int(part) for part in parts)
    return sizes * 2 if len(sizes) == 1 else sizes
