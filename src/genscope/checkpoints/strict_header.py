"""The JSON header of a safetensors file, with everything refused that two readers could understand differently."""

import json
from collections.abc import Mapping
from typing import Any, NamedTuple, NoReturn

from genscope.core.text import display_name
from genscope.errors import CorruptInput

_KEYS = {"dtype", "shape", "data_offsets"}
_SLACK = 200_000
_MOST_VALUES = 1_200_000


class Entry(NamedTuple):
    """One tensor of the header; sizes and offsets not yet checked."""

    dtype: str
    shape: list[Any]
    begin: Any
    end: Any


class _DuplicateKey(Exception):
    pass


def parse_header(raw: bytes, file_name: str) -> tuple[dict[str, Entry], Mapping[str, str]]:
    """Tensors by name in the header's order, and the ``__metadata__`` of the file.

    Raises:
        CorruptInput: not UTF-8, not JSON, not an object, a key twice, an entry of the wrong form, a name that is no valid text.

    Example:
        >>> parse_header(b'{"w":{"dtype":"F32","shape":[1],"data_offsets":[0,4]}}', "a.safetensors")[0]["w"].dtype
        'F32'
    """
    entries = raw.count(b'"data_offsets"')
    if raw.count(b",") > 40 * entries + _SLACK:
        raise CorruptInput(f"{file_name}: the header holds far more values than its {entries} tensors need; do not trust the file.")
    document = strict_json(raw, file_name, "the header", _pairs, containers=3 * entries + _SLACK, values=len(raw))
    if not isinstance(document, dict):
        raise CorruptInput(f"{file_name}: the header is JSON but not an object of tensors; this is not a safetensors file.")
    metadata = document.pop("__metadata__", {})
    if not isinstance(metadata, dict) or not all(isinstance(value, str) for value in metadata.values()):
        raise CorruptInput(f"{file_name}: __metadata__ in the header is not an object of texts; get a fresh copy.")
    for name, entry in document.items():
        if not isinstance(entry, Entry):
            raise CorruptInput(
                f"{file_name}, tensor {display_name(name)!r}: its header entry is not exactly dtype, shape and two data offsets; get a fresh copy."
            )
    if not raw.isascii() or b"\\u" in raw:
        _check_text(document, file_name)
    return document, metadata


def strict_json(raw: bytes, file_name: str, what: str, pairs: Any = None, *, containers: int = _SLACK, values: int = _MOST_VALUES) -> Any:
    """JSON text without duplicate keys, NaN or a byte-order mark, and with no more than ``containers`` lists and objects and ``values`` commas.

    Three bytes of text can become a hundred of memory, so brackets and commas are counted first.

    Raises:
        CorruptInput: anything else, in one sentence.
    """
    fix = "get a fresh copy."
    if raw.count(b"[") + raw.count(b"{") > containers:
        raise CorruptInput(f"{file_name}: {what} holds more than {containers} lists and objects, far more than it needs; do not trust the file.")
    if raw.count(b",") > values:
        raise CorruptInput(f"{file_name}: {what} holds more than {values} values, far more than it needs; do not trust the file.")
    try:
        text = raw.decode("utf-8")
    except UnicodeDecodeError as error:
        raise CorruptInput(f"{file_name}: {what} is not UTF-8 text (byte {error.start} of {len(raw)}); {fix}") from None
    if not text.startswith("{") and pairs is _pairs and text.lstrip(" \t\r\n").startswith("{"):
        raise CorruptInput(f"{file_name}: {what} begins with blanks instead of an open brace; {fix}")
    try:
        return json.loads(text, object_pairs_hook=pairs or _plain_pairs, parse_constant=_no_constant)
    except _DuplicateKey as error:
        raise CorruptInput(f"{file_name}: {what} names {display_name(str(error), 120)!r} twice; {fix}") from None
    except json.JSONDecodeError as error:
        raise CorruptInput(f"{file_name}: {what} is not JSON (at character {error.pos} of {len(text)}); {fix}") from None
    except RecursionError:
        raise CorruptInput(f"{file_name}: {what} nests too deep; {fix}") from None
    except ValueError:
        raise CorruptInput(f"{file_name}: {what} holds a number that is no finite number of reasonable length; {fix}") from None


def _pairs(pairs: list[tuple[str, Any]]) -> Any:
    if 3 <= len(pairs) <= 16:
        entry = _plain_pairs(pairs)
        # Keys beyond the three are allowed, as the format's own library does.
        if entry.keys() >= _KEYS and isinstance(entry["dtype"], str):
            shape, offsets = entry["shape"], entry["data_offsets"]
            if isinstance(shape, list) and isinstance(offsets, list) and len(offsets) == 2:
                return Entry(entry["dtype"], shape, offsets[0], offsets[1])
    return _plain_pairs(pairs)


def _plain_pairs(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    made = dict(pairs)
    if len(made) < len(pairs):
        seen: set[str] = set()
        raise _DuplicateKey(next(key for key, _ in pairs if key in seen or seen.add(key)))  # type: ignore[func-returns-value]
    return made


def _no_constant(_: str) -> NoReturn:
    raise ValueError


def _check_text(document: dict[str, Entry], file_name: str) -> None:
    for name in document:
        try:
            name.encode("utf-8")
        except UnicodeEncodeError:
            raise CorruptInput(
                f"{file_name}, tensor {display_name(name)!r}: the name holds half a surrogate pair and is no valid text; get a fresh copy."
            ) from None
