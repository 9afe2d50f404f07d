"""Quantized ONNX weights: integers that a ``DequantizeLinear`` operator multiplies by a scale are read as the numbers they stand for."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from genscope.checkpoints.onnx_graph import OnnxGraph, OnnxNode, OnnxTensor

INTEGERS = {2: "uint8", 3: "int8"}
_SCALES = {1, 10, 11, 16}


@dataclass(frozen=True)
class Dequantization:
    """``weight = (stored - zero) · scale``, the scale per tensor or along ``axis``."""

    scale: str
    zero: str | None
    axis: int


def find_dequantizations(graphs: list[OnnxGraph], tensors: Mapping[str, OnnxTensor]) -> dict[str, Dequantization]:
    """Rules by the full name of the 8-bit tensor; only where scale and zero point are stored tensors of fitting shape."""
    rules: dict[str, Dequantization] = {}
    for graph in graphs:
        for node in graph.nodes:
            if node.operator == "DequantizeLinear" and len(node.inputs) >= 2 and not node.attributes.get("block_size", [0])[0]:
                _add_rule(rules, node, graph, tensors)
    return rules


def _add_rule(rules: dict[str, Dequantization], node: OnnxNode, graph: OnnxGraph, tensors: Mapping[str, OnnxTensor]) -> None:
    names = [graph.owner(name) if name else None for name in node.inputs[:3]]
    weight, scale = names[0], names[1]
    if weight is None or scale is None or tensors[weight].data_type not in INTEGERS or tensors[scale].data_type not in _SCALES:
        return
    wants_zero = len(node.inputs) > 2 and bool(node.inputs[2])
    zero = names[2] if wants_zero else None
    if wants_zero and (zero is None or tensors[zero].data_type != tensors[weight].data_type or tensors[zero].dims != tensors[scale].dims):
        return
    shape, rank = tensors[weight].dims, len(tensors[weight].dims)
    axis = node.attributes.get("axis", [1])[0]
    axis = axis + rank if axis < 0 else axis
    per_tensor = tensors[scale].dims in ([], [1])
    if per_tensor or (0 <= axis < rank and tensors[scale].dims == [shape[axis]]):
        rules.setdefault(weight, Dequantization(scale, zero, -1 if per_tensor else axis))


def dequantize(stored: np.ndarray, scale: np.ndarray, zero: np.ndarray | None, axis: int) -> np.ndarray:
    """``(stored - zero) · scale`` in float32.

    Example:
        >>> dequantize(np.array([[1, 2]], np.int8), np.array([0.5, 2.0]), None, 1).tolist()
        [[0.5, 4.0]]
    """
    values = stored.astype(np.float32)
    shape = [1] * stored.ndim
    if axis >= 0:
        shape[axis] = -1
    if zero is not None:
        values -= zero.astype(np.float32).reshape(shape if axis >= 0 else [])
    values *= scale.astype(np.float32).reshape(shape if axis >= 0 else [])
    return values
