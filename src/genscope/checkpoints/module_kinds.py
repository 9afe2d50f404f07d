"""Layer kinds and attributes from the classes of a live ``nn.Module``, by class name, so that subclasses and look-alikes count too."""

from collections.abc import Mapping
from typing import Any

_KINDS = {
    "Linear": "linear",
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


def kind_and_attributes(module: Any, name: str, dims: int) -> tuple[str | None, Mapping[str, Any]]:
    """The kind of the layer that holds a tensor of ``dims`` dimensions under ``name``, and the facts that its views need.

    Biases and other vectors get no kind. ``attributes`` may hold ``groups stride padding dilation num_heads hidden_size transposed``.
    """
    word = next((base.__name__ for base in type(module).__mro__ if base.__name__ in _KINDS), None)
    if word is None or "weight" not in name or dims < 2:
        return None, {}
    kind = _KINDS[word]
    if word == "Conv1D":
        # Hugging Face's Conv1D is a linear layer that stores [in, out].
        return kind, {"transposed": True}
    if kind.startswith("conv"):
        return kind, _convolution(module)
    if kind == "attention":
        return kind, {"num_heads": int(module.num_heads)}
    if kind in {"lstm", "gru", "rnn"}:
        return kind, {"hidden_size": int(module.hidden_size)}
    return kind, {}


def _convolution(module: Any) -> Mapping[str, Any]:
    padding = module.padding if isinstance(module.padding, str) else tuple(int(n) for n in module.padding)
    return {
        "groups": int(module.groups),
        "stride": tuple(int(n) for n in module.stride),
        "padding": padding,
        "dilation": tuple(int(n) for n in module.dilation),
    }
