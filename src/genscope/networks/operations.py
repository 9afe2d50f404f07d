"""What each ATen operation is, in the few kinds that genscope reasons about."""

from collections.abc import Callable
from typing import Any

from torch import Tensor

from genscope.networks.graph import Ref

LINEAR_PRODUCTS = {"mm": ("self", "mat2"), "matmul": ("self", "other"), "addmm": ("mat1", "mat2"), "bmm": ("self", "mat2")}

_KINDS = {
    "linear": ("linear",),
    "conv": ("conv1d", "conv2d", "conv3d"),
    "conv_transpose": ("conv_transpose1d", "conv_transpose2d", "conv_transpose3d"),
    "batch_norm": ("batch_norm",),
    "normalization": ("layer_norm", "group_norm", "instance_norm", "rms_norm", "_native_batch_norm_legit", "linalg_vector_norm", "norm"),
    "relu": ("relu",),
    "leaky_relu": ("leaky_relu", "prelu", "rrelu"),
    "activation": (
        *("gelu", "silu", "tanh", "sigmoid", "elu", "selu", "celu", "softplus", "hardtanh", "relu6", "hardswish", "hardsigmoid", "mish"),
        *("log_sigmoid", "softsign", "erf", "clamp", "exp", "pow", "sqrt", "rsqrt", "abs", "square"),
    ),
    "max_pool": ("max_pool1d", "max_pool2d", "max_pool3d", "adaptive_max_pool1d", "adaptive_max_pool2d", "amax"),
    "avg_pool": ("avg_pool1d", "avg_pool2d", "avg_pool3d", "adaptive_avg_pool1d", "adaptive_avg_pool2d", "adaptive_avg_pool3d", "mean"),
    "sum": ("sum",),
    "add": ("add",),
    "sub": ("sub", "rsub"),
    "mul": ("mul",),
    "div": ("div",),
    "cat": ("cat", "stack"),
    "embedding": ("embedding",),
    "dropout": ("dropout", "alpha_dropout", "feature_dropout", "native_dropout"),
    "softmax": ("softmax", "log_softmax", "_softmax", "_log_softmax"),
    "attention": ("scaled_dot_product_attention", "_native_multi_head_attention"),
    "matmul": ("einsum", *LINEAR_PRODUCTS),
    "structural": (
        *("view", "reshape", "flatten", "unflatten", "permute", "transpose", "t", "slice", "select", "squeeze", "unsqueeze", "contiguous", "clone"),
        *(
            "expand",
            "expand_as",
            "repeat",
            "split",
            "split_with_sizes",
            "chunk",
            "unbind",
            "to",
            "type_as",
            "_to_copy",
            "alias",
            "detach",
            "detach_",
            "index_select",
        ),
        *(
            "movedim",
            "flip",
            "roll",
            "pixel_shuffle",
            "pixel_unshuffle",
            "channel_shuffle",
            "narrow",
            "view_as",
            "reshape_as",
            "lift_fresh_copy",
            "tensor_split",
        ),
        *("unsafe_split", "unsafe_chunk", "swapaxes", "swapdims", "ravel", "float", "double", "identity", "_unsafe_view"),
    ),
    "pad": ("pad", "constant_pad_nd"),
}
KIND_OF = {name: kind for kind, names in _KINDS.items() for name in names}


def operation_name(target: Callable[..., Any]) -> str:
    """``conv2d`` for ``aten.conv2d.default``; the function's own name otherwise."""
    schema = getattr(target, "_schema", None)
    return schema.name.split("::")[-1] if schema is not None else getattr(target, "__name__", str(target))


def kind_of(target: Callable[..., Any]) -> str:
    """The kind of an operation by name; ``other`` for what is not known."""
    name = operation_name(target)
    return "structural" if name == "getitem" else KIND_OF.get(name, "other")


def roles(name: str, argument: Callable[[str], Any], is_data: Callable[[Any], bool]) -> dict[str, Any]:
    """Kind, weight, bias and orientation where they depend on which operand is data: products, shifts and scales by a parameter."""
    if name in ("add", "sub", "mul", "div", "rsub"):
        left, right = argument("self"), argument("other")
        if is_data(left) and is_data(right):
            return {}
        constant, both = (right, "shift") if is_data(left) else (left, "shift")
        if name in ("mul", "div"):
            both = "scale" if name == "mul" or is_data(left) else "other"
        return {"kind": both, "weight" if both == "scale" else "bias": constant if isinstance(constant, Ref) else None}
    if name in LINEAR_PRODUCTS:
        left, right = (argument(side) for side in LINEAR_PRODUCTS[name])
        if name != "bmm" and is_data(left) and not is_data(right):
            return {"kind": "linear", "weight": right, "bias": argument("self") if name == "addmm" else None, "transposed": True}
        return {}
    if name in ("linear", "embedding", "batch_norm") or name.startswith(("conv", "layer_norm", "group_norm", "instance_norm", "rms_norm")):
        return {"weight": argument("weight"), "bias": argument("bias")}
    return {}


def diagonal(x: Tensor, scale: Tensor, shift: Tensor | None = None) -> Tensor:
    """``scale · x + shift`` per channel (dimension 1): what a batch normalization with fixed statistics is."""
    size = [1, -1] + [1] * (x.ndim - 2)
    y = x * scale.view(size)
    return y if shift is None else y + shift.view(size)
