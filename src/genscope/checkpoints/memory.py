"""Weights that are already in memory: an ``nn.Module``, a mapping of tensors, one array. Nothing of the user's is changed; each read copies."""

import math
import sys
from collections.abc import Hashable, Iterable, Mapping
from functools import partial
from typing import Any

import numpy as np

from genscope.checkpoints.dtypes import READABLE
from genscope.checkpoints.limits import Limits
from genscope.checkpoints.module_kinds import kind_and_attributes
from genscope.checkpoints.state_dict import Found, Walk
from genscope.checkpoints.table import RawTensor, TableCheckpoint, TensorTable, plain_errors
from genscope.errors import UsageError

_ONLY = "weight"


def open_memory(source: Any, limits: Limits | None = None, *, part: str | None = None) -> TableCheckpoint:
    """A checkpoint over live objects; values are copied (and widened) only when a tensor is read.

    Args:
        source: an ``nn.Module`` (layer kinds and strides come from its classes), a mapping of names to tensors or arrays
            (nested ``state_dict`` containers are opened), one array or one tensor.

    Raises:
        UsageError: none of these.
    """
    limits = limits or Limits()
    label = type(source).__name__
    with plain_errors(label):
        if _is_module(source):
            table = TensorTable(_module_tensors(source), "nn.Module")
        elif _is_tensor(source) or _is_array(source):
            table = TensorTable([Found((_ONLY,), _raw(source))], "array")
            label = "array"
        elif isinstance(source, Mapping):
            found = Walk(lambda value: _is_tensor(value) or _is_array(value), _children, _module_pairs).flatten(source)
            table = TensorTable([Found(item.path, _raw(item.tensor), item.optimizer) for item in found], "mapping")
        else:
            raise UsageError(f"{label}: not something genscope reads; give a path, an nn.Module, a state_dict or an array.")
        return TableCheckpoint(label, table, limits, part=part)


def _torch() -> Any:
    # Whoever hands us a torch object has imported torch; nobody else needs to wait for it.
    return sys.modules.get("torch")


def _is_module(value: Any) -> bool:
    torch = _torch()
    return torch is not None and isinstance(value, torch.nn.Module)


def _is_tensor(value: Any) -> bool:
    torch = _torch()
    return torch is not None and isinstance(value, torch.Tensor)


def _is_array(value: Any) -> bool:
    return isinstance(value, np.ndarray) or (isinstance(value, np.generic) and value.dtype.kind in "fc")


def _children(value: Any) -> Iterable[tuple[Any, Any]] | None:
    if isinstance(value, Mapping):
        return value.items()
    if isinstance(value, list | tuple):
        return enumerate(value)
    return None


def _module_pairs(value: Any) -> Iterable[tuple[Any, Any]] | None:
    if not _is_module(value):
        return None
    return [(name, tensor) for name, tensor, _, _ in _walk_module(value)]


def _walk_module(root: Any) -> Iterable[tuple[str, Any, Any, str]]:
    """Name, tensor, owning module and own name of every parameter and persistent buffer, without running any hook of the user's."""
    for prefix, module in root.named_modules(remove_duplicate=False):
        held = [*module._parameters.items()]
        held += [(name, buffer) for name, buffer in module._buffers.items() if name not in module._non_persistent_buffers_set]
        for name, tensor in held:
            if tensor is not None:
                yield (f"{prefix}.{name}" if prefix else name), tensor, module, name


def _module_tensors(root: Any) -> list[Found]:
    found = []
    for name, tensor, module, own in _walk_module(root):
        dims = 0 if _torch().nn.parameter.is_lazy(tensor) else tensor.dim()
        kind, attributes = kind_and_attributes([base.__name__ for base in type(module).__mro__], own, dims, partial(_fact, module))
        found.append(Found((name,), _raw(tensor, kind, attributes)))
    return found


def _fact(module: Any, name: str) -> Any:
    return getattr(module, name, None)


def _raw(value: Any, kind: str | None = None, attributes: Mapping[str, Any] | None = None) -> RawTensor:
    if isinstance(value, np.ndarray | np.generic):
        return _raw_array(np.asarray(value))
    reason = _torch_reason(value)
    dtype = str(value.dtype).removeprefix("torch.")
    if reason is not None and "lazy" in reason:
        return RawTensor((), dtype, 0, reason=reason)
    shape = tuple(int(n) for n in value.shape)
    n_bytes = value.element_size() * math.prod(shape)
    read = None if reason else partial(_read_tensor, value)
    return RawTensor(shape, dtype, n_bytes, read, reason, None if reason else _identity(value, shape, dtype), kind, attributes or {})


def _raw_array(array: np.ndarray) -> RawTensor:
    dtype = array.dtype.name if array.dtype.kind in "fiubc" else str(array.dtype)
    if dtype in READABLE or array.dtype.kind in "iubc":
        identity = (array.__array_interface__["data"][0], array.shape, array.strides, dtype) if array.size else None
        return RawTensor(array.shape, dtype, array.nbytes, partial(_read_array, array), identity=identity)
    if dtype in ("bfloat16", "float8_e4m3fn", "float8_e5m2"):
        return RawTensor(array.shape, dtype, array.nbytes, partial(_read_array, array))
    return RawTensor(array.shape, dtype, array.nbytes, reason=f"unsupported dtype {dtype}")


def _read_array(array: np.ndarray) -> np.ndarray:
    if array.dtype.kind in "iub":
        return array.copy()
    return np.array(array, dtype=np.float64 if array.dtype == np.float64 else np.float32, order="C")


def _torch_reason(tensor: Any) -> str | None:
    """Why a live tensor cannot be read, or ``None``."""
    torch = _torch()
    if torch.nn.parameter.is_lazy(tensor):
        return "a lazy parameter without a shape yet; run the model once first"
    if tensor.layout is not torch.strided:
        return "sparse tensor, skipped"
    if tensor.is_quantized:
        return "quantized tensor, skipped"
    if tensor.device.type == "meta":
        return "meta tensor: it has no values"
    if tensor.is_nested:
        return "nested tensor, skipped"
    if hasattr(tensor, "full_tensor"):
        return "distributed tensor: gather it first (full_tensor)"
    if any(step == 0 and n > 1 for n, step in zip(tensor.shape, tensor.stride(), strict=True)):
        return "an expanded view (stride 0): it repeats a few stored values"
    return None


def _identity(tensor: Any, shape: tuple[int, ...], dtype: str) -> Hashable:
    try:
        pointer = tensor.data_ptr()
    except RuntimeError:
        return None
    return (str(tensor.device), pointer, shape, tuple(tensor.stride()), dtype) if pointer else None


def _read_tensor(tensor: Any) -> np.ndarray:
    torch = _torch()
    if not tensor.dtype.is_floating_point:
        return tensor.detach().to(device="cpu", copy=True).numpy()
    wide = torch.float64 if tensor.dtype == torch.float64 else torch.float32
    return tensor.detach().to(device="cpu", dtype=wide, copy=True).contiguous().numpy()
