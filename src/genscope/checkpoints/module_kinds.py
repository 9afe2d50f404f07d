"""Layer kinds and attributes from the classes of modules, live or pickled, by class name, so that look-alikes count too."""

from collections.abc import Callable, Iterable, Mapping
from typing import Any

_KINDS = {
    "Linear": "linear",
    "NonDynamicallyQuantizableLinear": "linear",
    "Conv1d": "conv1d",
    "Conv2d": "conv2d",
    "Conv3d": "conv3d",
    "ConvTranspose1d": "conv_transpose1d",
    "ConvTranspose2d": "conv_transpose2d",
    "ConvTranspose3d": "conv_transpose3d",
    "Embedding": "embedding",
    "EmbeddingBag": "embedding",
    "LSTM": "lstm",
    "LSTMCell": "lstm",
    "GRU": "gru",
    "GRUCell": "gru",
    "RNN": "rnn",
    "RNNCell": "rnn",
    "MultiheadAttention": "attention",
    "Bilinear": "bilinear",
    "Conv1D": "linear",
}
_FACTS = {"attention": ("num_heads",), "lstm": ("hidden_size",), "gru": ("hidden_size",), "rnn": ("hidden_size",)}


def kind_and_attributes(classes: Iterable[str], name: str, dims: int, fact: Callable[[str], Any]) -> tuple[str | None, Mapping[str, Any]]:
    """The kind of the layer that holds a tensor of ``dims`` dimensions under ``name``, and the facts that its views need.

    Args:
        classes: names of the module's class and its bases, nearest first.
        fact: gives an attribute of the module, or ``None``; values that are no plain sizes are left out.

    Returns:
        Kind (``None`` for biases, vectors and unknown classes) and attributes: ``groups stride padding dilation num_heads hidden_size transposed``.

    Example:
        >>> kind_and_attributes(["Conv2d"], "weight", 4, {"groups": 2, "stride": (1, 1)}.get)
        ('conv2d', {'groups': 2, 'stride': (1, 1)})
    """
    word = next((held for held in classes if held in _KINDS), None)
    if word is None or "weight" not in name or dims < 2:
        return None, {}
    kind = _KINDS[word]
    if word == "Conv1D":
        # Hugging Face's Conv1D is a linear layer that stores [in, out].
        return kind, {"transposed": True}
    wanted = ("groups", "stride", "padding", "dilation") if kind.startswith("conv") else _FACTS.get(kind, ())
    facts = {key: _plain(fact(key)) for key in wanted}
    return kind, {key: value for key, value in facts.items() if value is not None}


def _plain(value: Any) -> Any:
    """A size, a tuple of sizes or a padding word; anything else is ``None``."""
    if type(value) is int and 0 <= value < 2**31:
        return value
    if isinstance(value, tuple | list) and 0 < len(value) <= 8 and all(type(n) is int and 0 <= n < 2**31 for n in value):
        return tuple(value)
    return value if value in ("same", "valid") and isinstance(value, str) else None
