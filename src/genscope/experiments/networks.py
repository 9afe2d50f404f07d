"""Trained networks under the digest of what they depend on: each is trained once, whoever needs it."""

import contextlib
import json
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from genscope.core import strict_json
from genscope.core.arrays import packed, unpacked
from genscope.core.claims import claimed
from genscope.core.files import write_atomically
from genscope.core.sealed import LARGEST, checksum, read_regular, read_regular_bytes, sealed, unsealed

if TYPE_CHECKING:
    import torch

LARGEST_NETWORK = 16 * LARGEST


def trained_tensors(
    folder: Path | None, settings: Sequence[Mapping[str, Any]], train: "Callable[[Sequence[int]], Sequence[Mapping[str, torch.Tensor]]]"
) -> "list[dict[str, torch.Tensor]]":
    """The tensors for each of ``settings`` from ``folder``, or from ``train(places of the missing)`` and then kept.

    A file that is missing, damaged or of other settings is trained anew. The claims of the missing networks are held meanwhile (taken in one
    order by everybody), so two processes never train the same one; the claim of a killed process is taken over.
    """
    described = [strict_json.dumps(dict(one), sort_keys=True) for one in settings]
    if folder is None:
        return [_as_tensors(_as_arrays(tensors)) for tensors in train(range(len(settings)))]
    keys = [checksum(text.encode("utf-8"))[:24] for text in described]
    found = {key: _read(folder, key, text) for key, text in zip(keys, described, strict=True)}
    lacking = sorted(key for key, arrays in found.items() if arrays is None)
    if lacking:
        with contextlib.ExitStack() as claims:
            for key in lacking:
                claims.enter_context(claimed(folder / f".{key}.claim", wait=True))
                found[key] = _read(folder, key, described[keys.index(key)])  # another process may have trained it meanwhile
            missing = [keys.index(key) for key in lacking if found[key] is None]
            _train(folder, missing, keys, described, train, found)
    return [_as_tensors(found[key] or {}) for key in keys]


def _train(
    folder: Path,
    missing: Sequence[int],
    keys: Sequence[str],
    described: Sequence[str],
    train: "Callable[[Sequence[int]], Sequence[Mapping[str, torch.Tensor]]]",
    found: dict[str, dict[str, np.ndarray] | None],
) -> None:
    import torch

    if not missing:
        return
    missing = sorted(missing)
    with torch.enable_grad():  # a caller that only measures must not stop the training it needs
        trained = train(missing)
    for place, tensors in zip(missing, trained, strict=True):
        key, arrays = keys[place], _as_arrays(tensors)
        raw = packed(arrays)
        write_atomically(folder / f"{key}.safetensors", raw)
        document = strict_json.dumps({"settings": json.loads(described[place]), "tensors": checksum(raw)})
        write_atomically(folder / f"{key}.json", sealed(document))
        found[key] = arrays


def _read(folder: Path, key: str, described: str) -> dict[str, np.ndarray] | None:
    try:
        document = json.loads(unsealed(read_regular(folder / f"{key}.json")))
        raw = read_regular_bytes(folder / f"{key}.safetensors", largest=LARGEST_NETWORK)
        if document["tensors"] != checksum(raw) or strict_json.dumps(document["settings"], sort_keys=True) != described:
            return None
        return unpacked(raw)
    except (OSError, ValueError, KeyError, TypeError, RecursionError):
        return None


def _as_arrays(tensors: "Mapping[str, torch.Tensor]") -> dict[str, np.ndarray]:
    import torch

    found = {}
    for name, tensor in tensors.items():
        tensor = tensor.detach().cpu()
        found[name] = (tensor.float() if tensor.dtype == torch.bfloat16 else tensor).numpy()
    return found


def _as_tensors(arrays: Mapping[str, np.ndarray]) -> "dict[str, torch.Tensor]":
    import torch

    return {name: torch.from_numpy(np.array(array)) for name, array in arrays.items()}
