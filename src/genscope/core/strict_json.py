"""JSON that any strict parser accepts, the same bytes for the same values."""

import json
import math
from typing import Any

import numpy as np

from genscope.core.status import Undefined
from genscope.core.text import valid_unicode


def dumps(value: Any, *, indent: int | None = None, sort_keys: bool = False) -> str:
    """Serialize with NaN, infinities and undefined values as ``null``, lone surrogates escaped, keys in the given (or alphabetical) order."""
    return json.dumps(plain(value), allow_nan=False, ensure_ascii=False, indent=indent, sort_keys=sort_keys)


def plain(value: Any) -> Any:
    """``value`` as dictionaries, lists, strings, ints, finite floats, booleans and ``None`` only."""
    if value is None or isinstance(value, bool | int):
        return value
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, str):
        return valid_unicode(value)
    if isinstance(value, Undefined):
        return None
    if isinstance(value, np.generic):
        return plain(value.item())
    if isinstance(value, np.ndarray):
        return plain(value.tolist())
    if isinstance(value, dict):
        return {valid_unicode(str(key)): plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [plain(item) for item in value]
    if hasattr(value, "items"):
        return plain(dict(value))
    raise TypeError(f"cannot write {type(value).__name__} as JSON")
