"""Layer kinds of Keras weights from their names and shapes alone; the stored model configuration is never interpreted."""

import re
from collections.abc import Mapping
from typing import Any

Hint = tuple[str | None, dict[str, Any]]

_CONVOLUTIONS = {3: "conv1d", 4: "conv2d", 5: "conv3d"}
_VARIABLE = re.compile(r"^(?P<layer>.*?)/?vars/(?P<index>\d+)$")


def keras_layout(name: str) -> str:
    """``keras`` ([in, out], HWIO), unless the last word is torch's ``weight``."""
    return "torch" if name.rsplit("/", 1)[-1].split(":")[0] == "weight" else "keras"


def keras_kind(name: str, shapes: Mapping[str, tuple[int, ...]]) -> Hint:
    """Kind and attributes of weight ``name``; ``shapes`` holds its neighbours too.

    Example:
        >>> keras_kind("dense/kernel:0", {"dense/kernel:0": (4, 3)})
        ('linear', {})
        >>> keras_kind("layers/conv2d/vars/0", {"layers/conv2d/vars/0": (3, 3, 1, 8)})
        ('conv2d', {})
    """
    shape = shapes[name]
    if len(shape) < 2 or keras_layout(name) == "torch":
        return None, {}
    variable = _VARIABLE.match(name)
    if variable:
        return _kind_of_variable(variable["layer"], int(variable["index"]), shape, shapes)
    layer, _, leaf = name.rpartition("/")
    return _kind_of_word(leaf.split(":")[0], layer.lower(), shape)


def _kind_of_word(word: str, layer: str, shape: tuple[int, ...]) -> Hint:
    if word in {"embeddings", "position_embeddings"} and len(shape) == 2:
        return "embedding", {}
    if word in {"depthwise_kernel", "depthwise_weights"}:
        return _depthwise(shape)
    if word == "pointwise_kernel":
        return _CONVOLUTIONS.get(len(shape)), {}
    if word == "recurrent_kernel" or (word == "kernel" and _recurrent(layer)):
        return _recurrent(layer) or _gates(shape), {"keras_weight": word}
    if word == "kernel":
        return _kernel(layer, shape)
    return None, {}


def _kind_of_variable(layer: str, index: int, shape: tuple[int, ...], shapes: Mapping[str, tuple[int, ...]]) -> Hint:
    """Keras 3 numbers a layer's variables; the layer's own name is its class in snake case, with a number."""
    words = [re.sub(r"_\d+$", "", part.lower()) for part in layer.split("/") if part not in {"layers", "cell"}]
    own = words[-1] if words else ""
    if "embedding" in own and len(shape) == 2:
        return "embedding", {}
    recurrent = _recurrent(" ".join(words[-3:]))
    if recurrent and len(shape) == 2 and index < 2:
        return recurrent, {"keras_weight": ("kernel", "recurrent_kernel")[index]}
    if own.startswith("depthwise") or (own.startswith("separable") and index == 0):
        return _depthwise(shape)
    if index == 0 or own.startswith("separable"):
        return _kernel(" ".join(words), shape)
    del shapes
    return None, {}


def _kernel(layer: str, shape: tuple[int, ...]) -> Hint:
    if len(shape) == 2:
        return "linear", {}
    if len(shape) == 3 and ("attention" in layer or "einsum" in layer or layer.rsplit("/", 1)[-1] in {"query", "key", "value", "attention_output"}):
        return None, {"keras_weight": "einsum"}
    kind = _CONVOLUTIONS.get(len(shape))
    if kind and "transpose" in layer:
        return kind.replace("conv", "conv_transpose"), {}
    return kind, {}


def _depthwise(shape: tuple[int, ...]) -> Hint:
    kind = _CONVOLUTIONS.get(len(shape))
    return (kind, {"groups": shape[-2], "depthwise": True, "depth_multiplier": shape[-1]}) if kind else (None, {})


def _recurrent(layer: str) -> str | None:
    last = layer.replace("/", " ")
    return next((kind for kind, word in (("lstm", "lstm"), ("gru", "gru"), ("rnn", "rnn")) if word in last), None)


def _gates(shape: tuple[int, ...]) -> str:
    return {4: "lstm", 3: "gru"}.get(shape[1] // shape[0] if shape[0] and shape[1] % shape[0] == 0 else 0, "rnn")
