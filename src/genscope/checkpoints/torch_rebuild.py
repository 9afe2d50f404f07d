"""The short list of functions a torch pickle may name, each replaced by one of ours that makes inert data."""

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from genscope.checkpoints.inert_values import InertGlobal, InertMapping, InertObject
from genscope.checkpoints.torch_storage import DTYPES, StorageRef, TensorRef

Arguments = tuple[Any, ...]


def _dtype_word(value: Any, fallback: str) -> str:
    if isinstance(value, InertGlobal):
        return DTYPES.get(value.name, value.name)
    return fallback


def _tensor(args: Arguments) -> Any:
    storage, offset, size, stride = args[:4]
    if not isinstance(storage, StorageRef) or not isinstance(size, tuple) or not isinstance(stride, tuple):
        raise ValueError("a tensor needs a storage, an offset, a size and a stride")
    if storage.dtype.startswith("q"):
        return TensorRef(None, 0, size, stride, storage.dtype, "quantized tensor, skipped")
    return TensorRef(storage, offset, size, stride, storage.dtype)


def _typed_tensor(args: Arguments) -> Any:
    plain = _tensor(args)
    return TensorRef(plain.storage, plain.offset, plain.size, plain.stride, _dtype_word(args[6], plain.dtype), plain.reason)


def _first(args: Arguments) -> Any:
    return args[0]


def _unreadable(reason: str, size_at: Callable[[Arguments], Any]) -> Callable[[Arguments], Any]:
    def rebuilt(args: Arguments) -> Any:
        try:
            size = size_at(args)
        except (IndexError, TypeError, KeyError):
            size = ()
        return TensorRef(None, 0, tuple(size) if isinstance(size, tuple | list) else (), (), reason.split(" ", 1)[0], reason)

    return rebuilt


def _mapping(args: Arguments) -> Any:
    made = InertMapping()
    pairs = args[-1] if args and isinstance(args[-1], list | tuple | dict) else ()
    if isinstance(pairs, dict):
        made.update(pairs)
    else:
        for pair in pairs:
            if not isinstance(pair, list | tuple) or len(pair) != 2 or not isinstance(pair[0], str | int):
                raise ValueError("a mapping needs pairs of key and value")
            made[pair[0]] = pair[1]
    return made


def _sequence(args: Arguments) -> Any:
    return list(args[0]) if args and isinstance(args[0], list | tuple) else []


def _size(args: Arguments) -> Any:
    return tuple(args[0]) if args and isinstance(args[0], list | tuple) else ()


def _encoded(args: Arguments) -> Any:
    # Protocol 2 writes bytes as text and the name of this codec.
    if not args:
        return b""
    if len(args) == 2 and isinstance(args[0], str) and args[1] in ("latin1", "latin-1"):
        return args[0].encode("latin-1")
    raise ValueError("only latin-1 text is turned into bytes")


def _from_type(args: Arguments) -> Any:
    """A tensor subclass: its plain tensor, when the plain function is on this list."""
    function, kind, inner = args[0], args[1], args[2]
    rebuilder = REBUILDERS.get(function.full_name) if isinstance(function, InertGlobal) else None
    if rebuilder is None or rebuilder is _from_type or not isinstance(inner, tuple):
        return InertObject(kind, args)
    return rebuilder(inner)


def _parameter(args: Arguments) -> Any:
    return args[0] if args and isinstance(args[0], TensorRef) else InertObject(InertGlobal("torch.nn.parameter", "Parameter"), args)


_UTILS = "torch._utils."
REBUILDERS: Mapping[str, Callable[[Arguments], Any]] = {
    _UTILS + "_rebuild_tensor": _tensor,
    _UTILS + "_rebuild_tensor_v2": _tensor,
    _UTILS + "_rebuild_tensor_v3": _typed_tensor,
    _UTILS + "_rebuild_parameter": _first,
    _UTILS + "_rebuild_parameter_with_state": _first,
    _UTILS + "_rebuild_device_tensor_from_cpu_tensor": _first,
    _UTILS + "_rebuild_device_tensor_from_numpy": _first,
    _UTILS + "_rebuild_xla_tensor": _first,
    _UTILS + "_rebuild_qtensor": _unreadable("quantized tensor, skipped", lambda a: a[2]),
    _UTILS + "_rebuild_sparse_tensor": _unreadable("sparse tensor, skipped", lambda a: a[1][2]),
    _UTILS + "_rebuild_sparse_csr_tensor": _unreadable("sparse tensor, skipped", lambda a: a[1][3]),
    _UTILS + "_rebuild_meta_tensor_no_storage": _unreadable("meta tensor: it has no values", lambda a: a[1]),
    _UTILS + "_rebuild_nested_tensor": _unreadable("nested tensor, skipped", lambda _: ()),
    _UTILS + "_rebuild_wrapper_subclass": _unreadable("wrapped tensor subclass, skipped", lambda a: a[2]),
    "torch._tensor._rebuild_from_type_v2": _from_type,
    "torch._tensor._rebuild_from_type": _from_type,
    "torch.nn.parameter.Parameter": _parameter,
    "torch.Size": _size,
    "torch.jit._pickle.build_intlist": _first,
    "torch.jit._pickle.build_doublelist": _first,
    "torch.jit._pickle.build_boollist": _first,
    "torch.jit._pickle.build_tensorlist": _first,
    "torch.jit._pickle.restore_type_tag": _first,
    "collections.OrderedDict": _mapping,
    "collections.defaultdict": _mapping,
    "builtins.dict": _mapping,
    "builtins.list": _sequence,
    "builtins.set": _sequence,
    "builtins.frozenset": _sequence,
    "__builtin__.set": _sequence,
    "__builtin__.frozenset": _sequence,
    "_codecs.encode": _encoded,
    "builtins.bytes": _encoded,
    "__builtin__.bytes": _encoded,
}
_ARRAYS = ("numpy.core.multiarray._reconstruct", "numpy._core.multiarray._reconstruct")
_FRAMED = ("numpy.core.numeric._frombuffer", "numpy._core.numeric._frombuffer")  # protocol 5


def is_array(value: Any) -> bool:
    """Whether an inert object is a pickled NumPy array."""
    if not isinstance(value, InertObject):
        return False
    if value.class_name in _FRAMED:
        return isinstance(value.args, tuple) and len(value.args) == 4
    return value.class_name in _ARRAYS and isinstance(value.state, tuple) and len(value.state) == 5


def array_of(value: InertObject) -> np.ndarray | str:
    """The array that an inert object describes, or the reason why there is none; only plain numeric types, never objects."""
    if value.class_name in _FRAMED:
        raw, dtype, shape, order_word = value.args
        fortran = order_word == "F"
    else:
        _, shape, dtype, fortran, raw = value.state
    word = dtype.args[0] if isinstance(dtype, InertObject) and isinstance(dtype.args, tuple) and dtype.args else None
    order = dtype.state[1] if isinstance(dtype, InertObject) and isinstance(dtype.state, tuple) and len(dtype.state) > 1 else "<"
    if not isinstance(word, str) or word[:1] not in "fiub" or not word[1:].isdigit() or order not in ("<", ">", "|", "="):
        return "array of objects or of an unknown type, skipped"
    raw = raw.encode("latin-1") if isinstance(raw, str) else raw
    kind = np.dtype(("<" if order == "=" else order) + word)
    count = 1
    for size in shape:
        if type(size) is not int or size < 0:
            raise ValueError("a shape holds non-negative integers")
        count *= size
    if not isinstance(raw, bytes) or count * kind.itemsize != len(raw):
        raise ValueError("an array's bytes do not fill its shape")
    return np.frombuffer(raw, kind).reshape(shape, order="F" if fortran else "C")
