"""From tensor specs to a plan of matrices, and from a plan and its tensors to the matrices."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from genscope.core.matrices import ConvOperator, Matrix, MatrixSpec
from genscope.core.tensors import Skip, TensorSpec
from genscope.errors import CorruptInput, UsageError
from genscope.layers.classify import Layer, Neighbours, classify
from genscope.layers.products import is_product, multiply, plan_products
from genscope.layers.steps import apply_steps, shape_after
from genscope.layers.views_conv import operator_spec, reshape_pieces, slice_pieces
from genscope.layers.views_dense import Pieces, dense_pieces, stack_pieces
from genscope.layers.views_factors import factor_matrices, lora_product, normalized_weight

CONV_VIEWS = ("slices", "reshape", "operator")


@dataclass(frozen=True)
class ViewOptions:
    """How tensors become matrices.

    Args:
        conv: ``slices`` (kernel positions, the paper's rule), ``reshape`` (out × in·kh·kw) or ``operator`` (the linear map, circular).
        pool: with ``slices``, pool the kernel positions into one spectrum; else one row per position.
        min_rows: leave out matrices whose smaller side M is below this; 1 keeps all, 50 is the rule of Martin & Mahoney.
        input_size: size of the input at which ``operator`` takes a convolution, one number or one per dimension.
        pool_experts: pool the experts of a stack into one spectrum; else one row per expert.
        products: also the products of neighbouring linear layers.
        num_heads, num_kv_heads: attention heads, for fused weights whose source does not say.
    """

    conv: str = "slices"
    pool: bool = True
    min_rows: int = 1
    input_size: tuple[int, ...] | int | None = None
    pool_experts: bool = False
    num_heads: int | None = None
    num_kv_heads: int | None = None
    products: bool = False


@dataclass(frozen=True)
class MatrixPlan:
    """What an analysis will look at: ``matrices``, ``skips`` (a reason each) and ``notes`` (what was inferred), in the order of the tensors."""

    matrices: tuple[MatrixSpec, ...]
    skips: tuple[Skip, ...]
    notes: tuple[str, ...] = ()


def plan_matrices(specs: Iterable[TensorSpec], options: ViewOptions | None = None) -> MatrixPlan:
    """Every tensor as matrices or as a skip with a reason; reads no values.

    Args:
        specs: tensors of one checkpoint; their names and shapes decide.
        options: how convolutions, experts and small matrices are treated.

    Returns:
        The plan. Each tensor is used by at least one matrix or stands in ``skips``.

    Raises:
        UsageError: an unknown ``conv`` view, or ``operator`` without an input size.

    Cost: O(number of tensors and views).

    Example:
        >>> plan = plan_matrices([TensorSpec("c.weight", (8, 4, 3, 3), "float32", 1152), TensorSpec("c.bias", (8,), "float32", 32)])
        >>> [(m.view, m.n_matrices, m.rows, m.cols, m.n_eigenvalues) for m in plan.matrices], plan.skips[0].reason
        ([('slices', 9, 8, 4, 36)], '1-D tensor (bias or normalization), no spectrum')
    """
    options = options or ViewOptions()
    if options.conv not in CONV_VIEWS:
        raise UsageError(f"There is no convolution view {options.conv!r}; use one of {', '.join(CONV_VIEWS)}.")
    tensors = list(specs)
    neighbours = Neighbours(tensors)
    pairs = factor_matrices({spec.name: spec for spec in tensors})
    used = {name for _, names_used, _ in pairs.values() for name in names_used}
    matrices: list[MatrixSpec] = []
    skips: list[Skip] = []
    notes: list[str] = []
    for spec in tensors:
        if spec.name in pairs:
            found: list[MatrixSpec | Skip] = [pairs[spec.name][0]]
            notes += pairs[spec.name][2]
        elif spec.name in used:
            continue
        else:
            found, more = _plan_tensor(spec, neighbours, options)
            notes += more
        for entry in found:
            entry = _large_enough(entry, options.min_rows)
            (skips if isinstance(entry, Skip) else matrices).append(entry)  # type: ignore[arg-type]
    notes += _tied(tensors)
    if options.products:
        matrices += plan_products(matrices)
    return MatrixPlan(tuple(matrices), tuple(skips), tuple(notes))


def _plan_tensor(spec: TensorSpec, neighbours: Neighbours, options: ViewOptions) -> tuple[list[MatrixSpec | Skip], tuple[str, ...]]:
    layer = classify(spec, neighbours)
    if isinstance(layer, Skip):
        return [layer], ()
    facts = {"num_heads": options.num_heads, "num_kv_heads": options.num_kv_heads}
    layer = replace(layer, facts={**{k: v for k, v in facts.items() if v is not None}, **layer.facts})
    if layer.kind.startswith("conv") and len(layer.shape) > 2 and options.conv == "operator":
        return [operator_spec(layer, options.input_size)], layer.notes
    pieces, notes = _pieces(layer, neighbours, options)
    kernel = layer.shape[2:] if layer.kind.startswith("conv") else ()
    found: list[MatrixSpec | Skip] = []
    for piece in pieces:
        count, rows, cols = piece.shape
        recipe = ("steps", kernel, (*layer.steps, *piece.steps))
        found.append(MatrixSpec(spec.name, layer.kind, piece.view, rows, cols, count, (spec.name,), recipe))
    return found, layer.notes + notes


def _pieces(layer: Layer, neighbours: Neighbours, options: ViewOptions) -> Pieces:
    if layer.kind.startswith("conv") and len(layer.shape) > 2:
        return (reshape_pieces(layer) if options.conv == "reshape" else slice_pieces(layer, options.pool)), ()
    if len(layer.shape) == 3:
        return stack_pieces(layer, neighbours, each=layer.kind == "experts" and not options.pool_experts)
    return dense_pieces(layer, neighbours)


def _large_enough(entry: MatrixSpec | Skip, min_rows: int) -> MatrixSpec | Skip:
    if isinstance(entry, MatrixSpec) and min(entry.rows, entry.cols) < min_rows:
        shape = f"{entry.view} is {entry.rows} × {entry.cols}"
        return Skip(entry.layer, f"too small: {shape}, its smaller side is below {min_rows} (min_rows)")
    return entry


def _tied(tensors: list[TensorSpec]) -> list[str]:
    return [f"{spec.name} is also stored as {', '.join(spec.aliases)}: counted once" for spec in tensors if spec.aliases]


def build_matrix(spec: MatrixSpec, arrays: Mapping[str, np.ndarray]) -> Matrix:
    """The matrices of one row of the plan, from its tensors.

    Args:
        spec: a matrix of :func:`plan_matrices`.
        arrays: the tensors it names (more may be there), as read from the checkpoint; not changed.

    Returns:
        ``Matrix`` with ``stack`` [n_matrices, rows, cols] (a view of the tensor where NumPy can give one), or with ``operator``.

    Raises:
        CorruptInput: an array is missing or its shape is not what the plan was made for.

    Example:
        >>> plan = plan_matrices([TensorSpec("c.weight", (8, 4, 3, 3), "float32", 1152)])
        >>> build_matrix(plan.matrices[0], {"c.weight": np.zeros((8, 4, 3, 3))}).stack.shape
        (9, 8, 4)
    """
    missing = [name for name in spec.tensors if name not in arrays]
    if missing:
        raise CorruptInput(f"The tensor {missing[0]!r} needed for {spec.key!r} is missing; read it first.")
    if is_product(spec):
        return multiply(spec, build_matrix(spec.recipe[1], arrays), build_matrix(spec.recipe[2], arrays))
    first = arrays[spec.tensors[0]]
    method = spec.recipe[0]
    if method == "lora":
        return _checked(spec, lora_product(first, arrays[spec.tensors[1]], spec.recipe[2]))
    if method == "weight_norm":
        return _checked(spec, normalized_weight(first, arrays[spec.tensors[1]]))
    if method == "operator":
        return _operator(spec, first)
    return _checked(spec, _rearranged(spec, first))


def _rearranged(spec: MatrixSpec, array: np.ndarray) -> np.ndarray:
    steps: tuple[Any, ...] = spec.recipe[2]
    try:
        expected = shape_after(array.shape, steps)
        return apply_steps(array, steps) if len(expected) == 3 or spec.recipe[0] == "operator" else array
    except (ValueError, IndexError) as error:
        raise CorruptInput(
            f"The tensor {spec.tensors[0]!r} has shape {list(array.shape)}, which is not what its header says; the file is inconsistent."
        ) from error


def _checked(spec: MatrixSpec, stack: np.ndarray) -> Matrix:
    if stack.shape != (spec.n_matrices, spec.rows, spec.cols):
        planned = [spec.n_matrices, spec.rows, spec.cols]
        raise CorruptInput(
            f"The tensor {spec.tensors[0]!r} gives matrices {list(stack.shape)} where its header promised {planned}; the file is inconsistent."
        )
    return Matrix(spec, stack)


def _operator(spec: MatrixSpec, array: np.ndarray) -> Matrix:
    """A kernel with dilation becomes the wider kernel with zeros between its taps."""
    _, kernel_shape, _, (size, stride, dilation, groups) = spec.recipe
    kernel = _rearranged(spec, array)
    if any(d > 1 for d in dilation):
        wide = tuple((k - 1) * d + 1 for k, d in zip(kernel_shape, dilation, strict=True))
        spread = np.zeros(kernel.shape[:2] + wide, dtype=kernel.dtype)
        spread[(slice(None), slice(None), *(slice(None, None, d) for d in dilation))] = kernel
        kernel = spread
    return Matrix(spec, None, ConvOperator(kernel, size, stride, "circular", groups))
