"""Integer and 8-bit weights with scales beside them: multiplied out where the format says how, else named and skipped."""

import dataclasses
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np

from genscope.core.tensors import TensorSpec
from genscope.errors import CorruptInput

if TYPE_CHECKING:
    from genscope.checkpoints.table import RawTensor

_EIGHT_BIT = ("int8", "float8_e4m3fn", "float8_e5m2", "float8_e4m3fnuz", "float8_e5m2fnuz")
_FLOATS = ("float64", "float32", "float16", "bfloat16")
_PACKED = (
    (re.compile(r"(^|\.)(qweight|qzeros|g_idx)$"), "packed by GPTQ or AWQ: quantized, skipped"),
    (re.compile(r"\.(weight_packed|weight_shape)$"), "packed by compressed-tensors: quantized, skipped"),
    (
        re.compile(r"\.(absmax|quant_map|nested_absmax|nested_quant_map|quant_state\.bitsandbytes__\w+)$"),
        "bitsandbytes state of a quantized weight, skipped",
    ),
    (re.compile(r"_(blocks|scales)$"), "microscaling blocks: quantized, skipped"),
)


@dataclass(frozen=True)
class ScaleRule:
    """``weight ≈ (stored − zero) · scale``, the scale per tensor, per row or per block."""

    weight: str
    scale: str
    factor: float = 1.0
    zero: str | None = None
    block: tuple[int, int] | None = None


@dataclass
class ScalePlan:
    """Rules by weight name, and reasons for the tensors that only serve other tensors or cannot be unpacked."""

    rules: dict[str, ScaleRule] = field(default_factory=dict)
    reasons: dict[str, str] = field(default_factory=dict)


def plan(tensors: "Mapping[str, RawTensor]") -> ScalePlan:
    """Find quantized weights by the names and shapes of their neighbours; reads nothing.

    ``X.weight`` (int8 or fp8) with ``X.weight_scale`` (compressed-tensors), ``X.weight_scale_inv`` (DeepSeek, 128×128 blocks) or
    ``X.SCB`` (bitsandbytes LLM.int8: rows, over 127) is multiplied out.
    """
    made = ScalePlan()
    for name, raw in tensors.items():
        if raw.dtype in _EIGHT_BIT and raw.reason is None and 0 not in raw.shape:
            rule = _rule(name, raw.shape, tensors)
            if isinstance(rule, ScaleRule):
                made.rules[name] = rule
                for helper in (rule.scale, rule.zero):
                    if helper is not None:
                        made.reasons[helper] = f"the scale of {name}, multiplied into it"
            elif rule is not None:
                made.reasons[name] = rule
        elif raw.dtype in ("uint8", "int32", "int64", "uint32", *_FLOATS, "float8_e8m0"):
            reason = _packed_reason(name, raw, tensors)
            if reason:
                made.reasons[name] = reason
    return made


def _rule(name: str, shape: tuple[int, ...], tensors: "Mapping[str, RawTensor]") -> ScaleRule | str | None:
    stem = name[: -len("weight")] if name.endswith("weight") else None
    if stem is not None and f"{stem}SCB" in tensors and len(shape) == 2 and tensors[f"{stem}SCB"].shape == (shape[0],):
        return ScaleRule(name, f"{stem}SCB", factor=1.0 / 127.0)
    for scale in (f"{name}_scale", f"{name}_scale_inv"):
        held = tensors.get(scale)
        if held is None:
            continue
        zero = f"{name}_zero_point" if f"{name}_zero_point" in tensors else None
        block = _block(shape, held.shape)
        if held.dtype not in _FLOATS or (block is None and not _broadcasts(held.shape, shape)):
            return f"quantized with scales of shape {list(held.shape)} that do not fit it, skipped"
        if zero is not None and tensors[zero].shape != held.shape:
            return "quantized with zero points of another shape than its scales, skipped"
        return ScaleRule(name, scale, zero=zero, block=block)
    return "quantized integers (int8) without a scale beside them, skipped" if tensors[name].dtype == "int8" else None


def _broadcasts(scale: tuple[int, ...], shape: tuple[int, ...]) -> bool:
    if scale in ((), (1,)):
        return True
    if len(scale) == 1:
        return len(shape) >= 1 and scale[0] == shape[0]
    return len(scale) == len(shape) and all(s in (1, n) for s, n in zip(scale, shape, strict=True))


def _block(shape: tuple[int, ...], scale: tuple[int, ...]) -> tuple[int, int] | None:
    if len(shape) != 2 or len(scale) != 2 or scale in ((1, 1), (shape[0], 1), (1, shape[1]), shape):
        return None
    for size in (128, 64, 256, 32):
        if scale == (-(-shape[0] // size), -(-shape[1] // size)):
            return size, size
    if scale[0] == shape[0] and scale[1] > 0 and shape[1] % scale[1] == 0:
        return 1, shape[1] // scale[1]
    return None


def _packed_reason(name: str, raw: "RawTensor", tensors: "Mapping[str, RawTensor]") -> str | None:
    if raw.dtype == "uint8" and (f"{name}.absmax" in tensors or f"{name}.quant_map" in tensors):
        return "packed by bitsandbytes (4 bit): quantized, skipped"
    stem, _, leaf = name.rpartition(".")
    if leaf == "scales" and f"{stem}.qweight" in tensors:
        return "the scales of a weight packed by GPTQ or AWQ, skipped"
    for pattern, reason in _PACKED:
        if pattern.search(name):
            if leaf.endswith(("_blocks", "_scales")) and raw.dtype in _FLOATS:
                continue
            return reason if raw.dtype not in _FLOATS or "state" in reason else None
    return None


def dequantized_spec(spec: TensorSpec, rule: ScaleRule) -> TensorSpec:
    """The spec of the weight as it will be read; what it is stored as is kept in ``attributes``."""
    dtype = spec.dtype if spec.dtype.startswith("float8") else "float32"
    return dataclasses.replace(spec, dtype=dtype, attributes={**spec.attributes, "dequantized_from": spec.dtype, "scale": rule.scale})


def dequantize(rule: ScaleRule, read: Callable[[str], np.ndarray]) -> np.ndarray:
    """Multiply one weight by its scales, in float32.

    Example:
        >>> values = {"w": np.array([[2, 4]], np.int8), "w_scale": np.array([0.5], np.float32)}
        >>> dequantize(ScaleRule("w", "w_scale"), values.__getitem__).tolist()
        [[1.0, 2.0]]
    """
    weight = read(rule.weight).astype(np.float32)
    scale = read(rule.scale).astype(np.float32) * np.float32(rule.factor)
    zero = read(rule.zero).astype(np.float32) if rule.zero is not None else None
    if zero is not None:
        weight -= _spread(zero, weight.shape, rule.block)
    weight *= _spread(scale, weight.shape, rule.block)
    return weight


def _spread(scale: np.ndarray, shape: tuple[int, ...], block: tuple[int, int] | None) -> np.ndarray:
    if block is not None:
        rows, cols = block
        wide = np.repeat(np.repeat(scale, rows, axis=0)[: shape[0]], cols, axis=1)[:, : shape[1]]
        if wide.shape != shape:
            raise CorruptInput(f"scales of shape {list(scale.shape)} do not cover a weight of shape {list(shape)}; get a fresh copy.")
        return wide
    if scale.ndim == 1 and scale.size > 1:
        return scale.reshape(-1, *([1] * (len(shape) - 1)))
    return scale.reshape([1] * len(shape)) if scale.size == 1 else scale
