"""Convolutions against the dense matrices they stand for."""

import itertools
import math

import numpy as np
import pytest

from genscope.core.matrices import ConvOperator
from genscope.errors import CorruptInput, UsageError
from genscope.numerics.convolution import convolution_singular_values
from genscope.numerics.convolution_norm import ConvolutionMap, convolution_norm, operator_norm_bound

GOLDEN = np.array([[2.0, 7, -1], [1, 3, -8], [5, -3, 1]])[None, None]


def dense(kernel, size, stride, padding, groups=1):
    """The matrix of a convolution, entry by entry from its definition."""
    out, cols = kernel.shape[:2]
    ks = kernel.shape[2:]
    if padding == "circular":
        m = tuple(n // s for n, s in zip(size, stride, strict=True))
    else:
        m = tuple((n + 2 * padding - k) // s + 1 for n, k, s in zip(size, ks, stride, strict=True))
    a = np.zeros((out, *m, cols * groups, *size))
    for o in range(out):
        group = o // (out // groups)
        for p in itertools.product(*map(range, m)):
            for i in range(cols):
                for q in itertools.product(*map(range, ks)):
                    x = [s * pp + qq for s, pp, qq in zip(stride, p, q, strict=True)]
                    if padding == "circular":
                        x = [xx % n for xx, n in zip(x, size, strict=True)]
                    else:
                        x = [xx - padding for xx in x]
                        if any(xx < 0 or xx >= n for xx, n in zip(x, size, strict=True)):
                            continue
                    a[(o, *p, group * cols + i, *x)] += kernel[(o, i, *q)]
    return a.reshape(out * math.prod(m), cols * groups * math.prod(size))


CASES = [
    ((3, 2, 3, 3), (6, 5), (1, 1), 1),
    ((3, 2, 3, 3), (6, 4), (2, 2), 1),
    ((2, 3, 3, 2), (6, 6), (3, 2), 1),
    ((4, 2, 3, 3), (4, 4), (1, 1), 2),
    ((4, 1, 3, 3), (4, 6), (2, 2), 4),
    ((3, 2, 5), (8,), (2,), 1),
    ((2, 2, 2, 2, 2), (3, 2, 4), (1, 1, 2), 1),
    ((2, 2, 5, 5), (3, 4), (1, 1), 1),  # wider than the input: wraps
    ((20, 18, 3, 3), (4, 3), (1, 1), 1),  # through the Gram matrix
]


@pytest.mark.parametrize(("shape", "size", "stride", "groups"), CASES)
def test_all_singular_values_are_those_of_the_circulant_matrix(shape, size, stride, groups):
    kernel = np.random.default_rng(0).standard_normal(shape)
    found = convolution_singular_values(ConvOperator(kernel, size, stride, "circular", groups))
    matrix = dense(kernel, size, stride, "circular", groups)
    exact = np.linalg.svd(matrix, compute_uv=False)
    if groups > 1:  # per group no value is dropped; the whole matrix may be shorter on one side
        exact = np.concatenate([exact, np.zeros(max(0, found.values.size - exact.size))])
    assert found.values.size == exact.size
    np.testing.assert_allclose(found.values, exact, atol=max(found.resolution, 1e-12 * exact[0]) * 2, rtol=1e-10)
    assert found.frobenius_squared == pytest.approx(np.square(matrix).sum(), rel=1e-12)


def test_published_values():
    def circular(kernel):
        return convolution_singular_values(ConvOperator(kernel, (20, 20), (1, 1), "circular")).values[0]

    def norm(padding):
        return convolution_norm(ConvolutionMap(GOLDEN, (20, 20), padding=padding), rng=np.random.default_rng(1)).value

    assert circular(GOLDEN) == pytest.approx(22.91221348, abs=5e-9)
    assert norm("circular") == pytest.approx(22.91221348, abs=5e-9)
    assert norm(1) == pytest.approx(22.72753302, abs=5e-9)
    assert norm("same") == pytest.approx(22.72753302, abs=5e-9)
    assert norm("valid") == pytest.approx(22.67943198, abs=5e-9)
    assert np.linalg.norm(GOLDEN) == pytest.approx(12.76714533, abs=5e-9)
    assert circular(GOLDEN) <= operator_norm_bound(GOLDEN) == pytest.approx(3 * 12.76714533)


@pytest.mark.parametrize(("shape", "size", "stride", "groups"), CASES)
@pytest.mark.parametrize("padding", ["circular", 1])
def test_map_and_adjoint_are_the_dense_matrix(shape, size, stride, groups, padding):
    rng = np.random.default_rng(2)
    kernel = rng.standard_normal(shape)
    matrix = dense(kernel, size, stride, padding, groups)
    convolution = ConvolutionMap(kernel, size, stride=stride, padding=padding, groups=groups)
    x = rng.standard_normal((convolution.in_channels, *size))
    y = rng.standard_normal((convolution.out_channels, *convolution.out_size))
    np.testing.assert_allclose(convolution.forward(x).ravel(), matrix @ x.ravel(), atol=1e-12)
    np.testing.assert_allclose(convolution.adjoint(y).ravel(), matrix.T @ y.ravel(), atol=1e-12)
    found = convolution_norm(convolution, rng=rng)
    exact = np.linalg.svd(matrix, compute_uv=False)
    assert found.value == pytest.approx(exact[0], rel=1e-9)
    assert np.abs(exact - found.value).min() <= found.residual + 1e-12 * exact[0]
    assert exact[0] <= operator_norm_bound(kernel, stride=stride, groups=groups) * (1 + 1e-12)


def test_an_early_stop_is_a_lower_bound_with_an_honest_residual():
    kernel = np.random.default_rng(3).standard_normal((4, 4, 3, 3))
    exact = np.linalg.svd(dense(kernel, (8, 8), (1, 1), 1), compute_uv=False)
    found = convolution_norm(ConvolutionMap(kernel, (8, 8), padding=1), rng=np.random.default_rng(0), max_steps=5)
    assert found.n_steps == 5
    assert found.value <= exact[0] * (1 + 1e-12)
    assert np.abs(exact - found.value).min() <= found.residual


@pytest.mark.parametrize("factor", [1e-150, 1e150])
def test_scale(factor):
    kernel = np.random.default_rng(4).standard_normal((3, 3, 3, 3))
    plain = convolution_singular_values(ConvOperator(kernel, (6, 6), (1, 1), "circular"))
    scaled = convolution_singular_values(ConvOperator(kernel * factor, (6, 6), (1, 1), "circular"))
    np.testing.assert_allclose(scaled.values, plain.values * factor, rtol=1e-12)
    norm = convolution_norm(ConvolutionMap(kernel * factor, (6, 6), padding=1), rng=np.random.default_rng(0))
    assert norm.value == pytest.approx(convolution_norm(ConvolutionMap(kernel, (6, 6), padding=1), rng=np.random.default_rng(0)).value * factor)


def test_odd_input():
    zero = np.zeros((2, 2, 3, 3))
    assert convolution_singular_values(ConvOperator(zero, (4, 4), (1, 1), "circular")).values.max() == 0
    assert convolution_norm(ConvolutionMap(zero, (4, 4)), rng=np.random.default_rng(0)).value == 0
    with pytest.raises(UsageError, match="multiple of the stride"):
        convolution_singular_values(ConvOperator(zero, (5, 4), (2, 2), "circular"))
    with pytest.raises(UsageError, match="circular padding only"):
        convolution_singular_values(ConvOperator(zero, (4, 4), (1, 1), "zeros"))
    with pytest.raises(CorruptInput, match="NaN"):
        convolution_singular_values(ConvOperator(zero * np.nan, (4, 4), (1, 1), "circular"))
    with pytest.raises(UsageError, match="larger than"):
        ConvolutionMap(np.ones((1, 1, 5, 5)), (3, 3))


def test_one_by_one_kernels_repeat_the_matrix_at_every_pixel():
    kernel = np.random.default_rng(5).standard_normal((3, 4, 1, 1))
    found = convolution_singular_values(ConvOperator(kernel, (2, 3), (1, 1), "circular")).values
    np.testing.assert_allclose(found, np.repeat(np.linalg.svd(kernel[:, :, 0, 0], compute_uv=False), 6))
