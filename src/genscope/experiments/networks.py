"""Trained networks under the digest of what they depend on: each is trained once, whoever needs it."""

import json
from collections.abc import Callable, Mapping
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


def trained_tensors(folder: Path | None, settings: Mapping[str, Any], train: "Callable[[], Mapping[str, torch.Tensor]]") -> "dict[str, torch.Tensor]":
    """The tensors for ``settings`` from ``folder``, or from ``train()`` and then kept; see :meth:`Context.trained`.

    A file that is missing, damaged or of other settings is trained anew. The network's claim is held meanwhile, so two processes never train
    the same one; the claim of a killed process is taken over.
    """
    import torch

    described = strict_json.dumps(dict(settings), sort_keys=True)
    if folder is None:
        return _as_tensors(_as_arrays(train()))
    key = checksum(described.encode("utf-8"))[:24]
    arrays = _read(folder, key, described)
    if arrays is None:
        with claimed(folder / f".{key}.claim", wait=True):
            arrays = _read(folder, key, described)  # another process may have trained it meanwhile
            if arrays is None:
                with torch.enable_grad():  # a caller that only measures must not stop the training it needs
                    arrays = _as_arrays(train())
                raw = packed(arrays)
                write_atomically(folder / f"{key}.safetensors", raw)
                document = strict_json.dumps({"settings": json.loads(described), "tensors": checksum(raw)})
                write_atomically(folder / f"{key}.json", sealed(document))
    return _as_tensors(arrays)


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
