"""Matrices of a convolution kernel [out, in/groups, *kernel]: kernel positions, the reshaped kernel, or the linear map itself."""

import itertools
import math

from genscope.core.matrices import MatrixSpec
from genscope.core.tensors import Skip
from genscope.errors import UsageError
from genscope.layers.classify import Layer
from genscope.layers.steps import Steps, reshape, take, transpose
from genscope.layers.views_dense import Piece


def conv_channels(layer: Layer) -> tuple[int, int, int]:
    """(groups, rows, cols) of one kernel position of one group: out/g × in/g.

    A transposed convolution's kernel [in, out/groups, *kernel] is seen as the map from outputs back to inputs whose transpose it is
    (the same singular values): rows are inputs.
    """
    groups = int(layer.facts.get("groups", 1) or 1)
    if layer.shape[0] % groups:
        groups = 1
    return groups, layer.shape[0] // groups, layer.shape[1]


def slice_pieces(layer: Layer, pool: bool) -> tuple[Piece, ...]:
    """Kernel-position matrices, the paper's rule: kh·kw matrices out × in; with groups, each splits into its diagonal blocks out/g × in/g.

    Pooled: one row ``slices`` of kh·kw·g matrices. One by one: kh·kw rows ``slice[i,j]`` of g matrices each. A 1 × 1 kernel without
    groups is one matrix either way. A depthwise kernel of C channels gives kh·kw·C matrices 1 × 1: C singular values per position.
    """
    groups, rows, cols = conv_channels(layer)
    kernel = layer.shape[2:]
    dims = len(kernel)
    # [g, out/g, in/g, *kernel] → [*kernel, g, out/g, in/g]
    front: Steps = (reshape(groups, rows, cols, *kernel), transpose(*range(3, 3 + dims), 0, 1, 2))
    if pool:
        count = math.prod(kernel) * groups
        return (Piece("slices", (count, rows, cols), (*front, reshape(count, rows, cols))),)
    pieces = []
    for position in itertools.product(*(range(size) for size in kernel)):
        cut = tuple(take(axis, at, at + 1) for axis, at in enumerate(position))
        pieces.append(Piece(f"slice[{','.join(map(str, position))}]", (groups, rows, cols), (*front, *cut, reshape(groups, rows, cols))))
    return tuple(pieces)


def reshape_pieces(layer: Layer) -> tuple[Piece, ...]:
    """The kernel as one matrix per group, out/g × (in/g · kh·kw) — the rows are filters; g matrices pooled."""
    groups, rows, cols = conv_channels(layer)
    wide = cols * math.prod(layer.shape[2:])
    return (Piece("reshape", (groups, rows, wide), (reshape(groups, rows, wide),)),)


def operator_spec(layer: Layer, input_size: tuple[int, ...] | int | None) -> MatrixSpec | Skip:
    """The convolution as the linear map it is at one input size, with circular padding (boundaries wrap).

    Rows are out · ∏ ⌈size/stride⌉, columns in · ∏ size. An input size given by the source for this very layer wins over the option.
    For a transposed convolution the map is the one whose transpose it is, and the size that of its output.
    """
    dims = len(layer.shape) - 2
    size = layer.facts.get("input_size", input_size)
    if size is None:
        raise UsageError("The operator view of a convolution needs an input size: give input_size (--input-size 32x32).")
    sizes = tuple(int(n) for n in (size if isinstance(size, (tuple, list)) else (size,)))
    sizes = sizes * dims if len(sizes) == 1 else sizes
    if len(sizes) != dims:
        return Skip(layer.spec.name, f"the input size {list(sizes)} has {len(sizes)} dimensions, this kernel {dims}: no operator view")
    stride, dilation = _each(layer.facts.get("stride", 1), dims), _each(layer.facts.get("dilation", 1), dims)
    rounded = tuple(-(-n // s) * s for n, s in zip(sizes, stride, strict=True))
    groups, rows, cols = conv_channels(layer)
    out_size, in_size = math.prod(n // s for n, s in zip(rounded, stride, strict=True)), math.prod(rounded)
    recipe = ("operator", layer.shape[2:], layer.steps, (rounded, stride, dilation, groups))
    return MatrixSpec(layer.spec.name, layer.kind, "operator", groups * rows * out_size, groups * cols * in_size, 1, (layer.spec.name,), recipe)


def _each(value: object, dims: int) -> tuple[int, ...]:
    numbers = tuple(int(v) for v in value) if isinstance(value, (tuple, list)) else (int(value),) * dims  # type: ignore[call-overload]
    return numbers if len(numbers) == dims else (numbers[0],) * dims
