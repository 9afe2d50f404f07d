"""Weights stored as factors: LoRA pairs (the update B·A) and weight normalization (direction and length)."""

import math
from collections.abc import Mapping

import numpy as np

from genscope.core.matrices import MatrixSpec
from genscope.core.tensors import TensorSpec
from genscope.layers import names

Found = tuple[list[MatrixSpec], set[str], list[str]]


def factor_matrices(specs: Mapping[str, TensorSpec]) -> dict[str, tuple[MatrixSpec, tuple[str, ...], tuple[str, ...]]]:
    """Matrices made of two tensors, keyed by whichever of the two comes first: (matrix, tensors it uses up, notes)."""
    order = {name: position for position, name in enumerate(specs)}
    found = {}
    for name in specs:
        pair = _lora(name, specs) or _weight_norm(name, specs)
        if pair is not None:
            found[min(pair[1], key=order.__getitem__)] = pair
    return found


def _lora(name: str, specs: Mapping[str, TensorSpec]) -> tuple[MatrixSpec, tuple[str, ...], tuple[str, ...]] | None:
    """The update B·A of a pair A [r, in, *kernel], B [out, r, 1…]: r × in, because R·A with B = Q·R has the singular values of B·A."""
    match = names.LORA.match(name)
    if match is None or match["factor"] not in {"A", "down"}:
        return None
    other = {"A": "B", "down": "up"}[match["factor"]]
    cut = match.start("factor")
    partner = name[:cut] + other + name[cut + len(match["factor"]) :]
    a, b = specs[name], specs.get(partner)
    if b is None or len(a.shape) < 2 or len(b.shape) < 2 or 0 in a.shape + b.shape:
        return None
    rank, wide, out = a.shape[0], math.prod(a.shape[1:]), b.shape[0]
    if math.prod(b.shape[1:]) != rank:
        return None
    scale = a.attributes.get("lora_scaling", b.attributes.get("lora_scaling"))
    layer = match["head"] or name
    spec = MatrixSpec(layer, "lora", "lora_BA", min(rank, out), wide, 1, (name, partner), ("lora", a.shape[2:], float(scale or 1.0)))
    note = () if scale is not None else (f"{layer}: the LoRA update B·A without its factor alpha/r, which the tensors do not hold",)
    return spec, (name, partner), note


def _weight_norm(name: str, specs: Mapping[str, TensorSpec]) -> tuple[MatrixSpec, tuple[str, ...], tuple[str, ...]] | None:
    """The weight g·v/‖v‖ of torch's weight normalization, for 2-D weights normalized by row."""
    match = names.WEIGHT_NORM.match(name)
    if match is None or match["leaf"] not in {"weight_g", "parametrizations.weight.original0"}:
        return None
    direction = match["head"] + {"weight_g": "weight_v", "parametrizations.weight.original0": "parametrizations.weight.original1"}[match["leaf"]]
    length, vectors = specs[name], specs.get(direction)
    if vectors is None or len(vectors.shape) != 2 or length.shape != (vectors.shape[0], 1) or 0 in vectors.shape:
        return None
    layer = f"{match['head']}weight"
    spec = MatrixSpec(layer, "linear", "weight", *vectors.shape, 1, (name, direction), ("weight_norm", ()))
    return spec, (name, direction), ()


def lora_product(a: np.ndarray, b: np.ndarray, scale: float) -> np.ndarray:
    """``scale·R·A`` [1, min(r, out), in] with B = Q·R: the nonzero singular values of ``scale·B·A``, without forming it."""
    first = a.reshape(a.shape[0], -1).astype(np.float64)
    second = b.reshape(b.shape[0], -1).astype(np.float64)
    return (scale * (np.linalg.qr(second, mode="r") @ first))[None]


def normalized_weight(length: np.ndarray, vectors: np.ndarray) -> np.ndarray:
    """``g·v/‖v‖`` by row, [1, out, in]; a zero row stays zero."""
    norms = np.linalg.norm(vectors.astype(np.float64), axis=1, keepdims=True)
    return (vectors * (length / np.where(norms == 0, 1.0, norms)))[None]
