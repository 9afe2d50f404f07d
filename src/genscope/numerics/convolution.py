"""A convolution as the linear map it is: all its singular values with circular padding, exactly, one Fourier frequency at a time."""

import itertools
import math
from collections.abc import Iterator

import numpy as np

from genscope.core.matrices import ConvOperator
from genscope.errors import CorruptInput, UsageError
from genscope.numerics.singular_values import SingularValues

_CHUNK_BYTES = 32 * 2**20
_GRAM_SIDE = 16  # blocks with a smaller side go through the SVD, as for plain matrices
_EPS = float(np.finfo(np.float64).eps)


def convolution_singular_values(operator: ConvOperator) -> SingularValues:
    r"""All singular values of a convolution with circular padding at one input size.

    With stride 1 the map is block diagonal in the Fourier basis: the singular values are those of the ``out × in`` matrices
    :math:`\hat K(\omega) = \sum_q K_q e^{2\pi i \omega q / n}`, one per frequency. With stride ``s`` an output frequency ν of the ``m = n/s``
    outputs sees the ``s`` aliased inputs per axis: its block is
    :math:`[\hat K(\nu), \hat K(\nu + m), \dots] / \sqrt{s^d}`, of size ``out × (in · s^d)``. Groups are separate blocks.
    The largest value is the layer's operator norm (its gain); neither it nor the others is a function of the reshaped kernel alone.

    Args:
        operator: kernel [out, in/groups, *k] of any number of spatial dimensions, ``input_size`` a multiple of ``stride``,
            ``padding="circular"``. The kernel may be wider than the input (it wraps).

    Returns:
        ``SingularValues``, sorted from large to small, ``∏ m · groups · min(out/groups, in/groups · s^d)`` of them. Blocks whose smaller side
        is above 16 go through their Gram matrix (``method`` ``fft+gram``), so values below ``resolution`` are rounding
        noise; smaller ones through the SVD.

    Raises:
        UsageError: a padding other than circular, or an input size that is not a multiple of the stride.
        CorruptInput: NaN or infinite entries.

    Invariances: scale-equivariant; shifting the kernel inside a larger one, swapping channels or flipping axes changes nothing.

    Cost: ``∏ m / 2`` singular value problems of size ``out × in · s^d`` per group; real kernels need half the frequencies.

    Source: Sedghi, Gupta & Long 2019, Theorem 6 (stride 1); the alias sum is the decimation identity of the discrete Fourier transform.

    Example:
        >>> kernel = np.array([[2.0, 7, -1], [1, 3, -8], [5, -3, 1]])[None, None]
        >>> found = convolution_singular_values(ConvOperator(kernel, (20, 20), (1, 1), "circular"))
        >>> round(float(found.values[0]), 8), found.values.size
        (22.91221348, 400)
    """
    kernel, stride = _checked(operator)
    out_size = tuple(n // s for n, s in zip(operator.input_size, stride, strict=True))
    scale = float(np.abs(kernel).max(initial=0.0))
    groups = operator.groups
    taps = (kernel / (scale or 1.0)).reshape(groups, kernel.shape[0] // groups, kernel.shape[1], -1)
    side = min(taps.shape[1], taps.shape[2] * math.prod(stride))
    gram = side > _GRAM_SIDE
    found = []
    for frequencies, copies in _half_of_frequencies(out_size, taps, stride):
        blocks = _blocks(taps, kernel.shape[2:], frequencies, operator.input_size, stride)
        values = _gram_values(blocks) if gram else np.linalg.svd(blocks, compute_uv=False)
        found.append(np.repeat(values.reshape(len(frequencies), -1), copies, axis=0).ravel())
    pooled = np.sort(np.concatenate(found))[::-1] * scale
    largest = float(pooled[0]) if pooled.size else 0.0
    width = max(taps.shape[1], taps.shape[2] * math.prod(stride))
    resolution = largest * (math.sqrt(4 * side * _EPS) if gram else width * _EPS)
    wraps = any(k > n for k, n in zip(kernel.shape[2:], operator.input_size, strict=True))
    squares = float(np.square(pooled).sum()) if wraps else math.prod(out_size) * float(np.square(kernel).sum())
    return SingularValues(pooled, resolution, "fft+gram" if gram else "fft+svd", squares)


def _checked(operator: ConvOperator) -> tuple[np.ndarray, tuple[int, ...]]:
    kernel = np.asarray(operator.kernel, dtype=np.float64)
    dims = kernel.ndim - 2
    stride = tuple(operator.stride) * (dims if len(operator.stride) == 1 else 1)
    if operator.padding != "circular":
        raise UsageError(
            f"All singular values are known for circular padding only, not {operator.padding!r}; use convolution_norm for its largest one."
        )
    if dims < 1 or len(operator.input_size) != dims or len(stride) != dims:
        raise UsageError(f"A kernel of shape {list(kernel.shape)} needs an input size and a stride of {dims} numbers.")
    if any(n < 1 or s < 1 or n % s for n, s in zip(operator.input_size, stride, strict=True)):
        raise UsageError(f"The input size {list(operator.input_size)} is not a multiple of the stride {list(stride)}; round it up.")
    if kernel.shape[0] % operator.groups:
        raise UsageError(f"{kernel.shape[0]} output channels cannot be split into {operator.groups} groups.")
    broken = int(np.count_nonzero(~np.isfinite(kernel)))
    if broken:
        raise CorruptInput(f"{broken} of {kernel.size} entries of the kernel are NaN or infinite.")
    return kernel, stride


def _half_of_frequencies(out_size: tuple[int, ...], taps: np.ndarray, stride: tuple[int, ...]) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """Chunks of (output frequencies [f, d], copies [f]): half of the last axis, since a real kernel has conjugate blocks at ν and −ν."""
    last = out_size[-1]
    half = np.arange(last // 2 + 1)
    grid = np.stack(np.meshgrid(*(np.arange(m) for m in out_size[:-1]), half, indexing="ij"), axis=-1).reshape(-1, len(out_size))
    copies = np.where((grid[:, -1] == 0) | (2 * grid[:, -1] == last), 1, 2)
    block_bytes = 16 * math.prod(taps.shape[:3]) * math.prod(stride)
    step = max(1, _CHUNK_BYTES // max(block_bytes, 1))
    for start in range(0, len(grid), step):
        yield grid[start : start + step], copies[start : start + step]


def _blocks(taps: np.ndarray, kernel: tuple[int, ...], frequencies: np.ndarray, size: tuple[int, ...], stride: tuple[int, ...]) -> np.ndarray:
    """Fourier blocks [f, groups, out/g, in/g · aliases]."""
    positions = np.array(list(itertools.product(*(range(k) for k in kernel))), dtype=np.float64)
    shifts = np.array(list(itertools.product(*(np.arange(s) * (n // s) for n, s in zip(size, stride, strict=True)))))
    turns = ((frequencies[:, None, :] + shifts[None, :, :]) / np.array(size)) @ positions.T  # [f, aliases, taps]
    phases = np.exp(2j * np.pi * (turns - np.floor(turns))) / math.sqrt(len(shifts))
    count, aliases = turns.shape[:2]
    flat = taps.reshape(-1, taps.shape[-1]) @ phases.reshape(count * aliases, -1).T
    blocks = flat.reshape(*taps.shape[:3], count, aliases).transpose(3, 0, 1, 2, 4)
    return blocks.reshape(count, taps.shape[0], taps.shape[1], -1)


def _gram_values(blocks: np.ndarray) -> np.ndarray:
    adjoint = blocks.conj().swapaxes(-1, -2)
    gram = blocks @ adjoint if blocks.shape[-2] <= blocks.shape[-1] else adjoint @ blocks
    return np.sqrt(np.clip(np.linalg.eigvalsh(gram), 0.0, None))
