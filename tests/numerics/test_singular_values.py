"""Singular values: accuracy against SVD and planted truth, scale, shapes, the honest small end, and refusals."""

import subprocess
import sys

import numpy as np
import pytest
import scipy.linalg
from tests.truth import matrix_with_singular_values

from genscope.errors import CorruptInput, UsageError
from genscope.numerics import lapack
from genscope.numerics.singular_values import METHODS, predicted_bytes, predicted_seconds, singular_values

SHAPES = [(1, 1), (1, 9), (9, 1), (20, 20), (17, 90), (90, 17), (140, 141), (40, 1500), (3, 30, 50), (9, 60, 40), (2, 170, 130), (4, 1, 7)]


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("shape", SHAPES)
def test_values_match_lapack_svd(shape: tuple[int, ...], method: str, dtype: type) -> None:
    stack = np.random.default_rng(0).standard_t(3, shape).astype(dtype)
    before = stack.copy()
    found = singular_values(stack, method=method)
    each = stack.reshape((-1, *shape[-2:])).astype(np.float64)
    exact = np.sort(np.concatenate([scipy.linalg.svdvals(one) for one in each]))[::-1]
    assert found.values.dtype == np.float64
    assert np.all(np.diff(found.values) <= 0.0)
    assert np.all(found.values[found.values > found.resolution] > 0.0)
    error = np.abs(found.values**2 - exact**2)
    assert np.max(error) < 4.0 * min(shape[-2:]) * 2.2e-16 * exact[0] ** 2
    tail = exact > 0.1 * exact[0]
    assert np.max(error[tail] / exact[tail] ** 2) < 1e-10
    assert found.frobenius_squared == pytest.approx(float(np.sum(each**2)), rel=1e-13)
    assert np.array_equal(stack, before)


def test_two_stage_reduction_agrees_with_numpy(monkeypatch: pytest.MonkeyPatch) -> None:
    matrix = np.random.default_rng(1).standard_normal((300, 400))
    gram = matrix @ matrix.T
    exact = np.linalg.eigvalsh(gram)
    for start in (10, 10_000):
        monkeypatch.setattr(lapack, "TWO_STAGE_FROM", start)
        assert np.allclose(lapack.symmetric_eigenvalues(gram.copy()), exact, rtol=0.0, atol=1e-12 * exact[-1])


def test_without_the_bundled_library_the_answers_are_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    stack = np.random.default_rng(2).standard_normal((150, 130)).astype(np.float32)
    direct = singular_values(stack)
    monkeypatch.setattr(lapack, "_library", lambda: None)
    assert np.allclose(singular_values(stack).values, direct.values, rtol=1e-12)
    assert np.allclose(singular_values(stack.T).values, direct.values, rtol=1e-12)


@pytest.mark.parametrize("exponent", [-500, -100, -30, 30, 100, 500])
def test_scale_is_exact_for_powers_of_two(exponent: int) -> None:
    stack = np.random.default_rng(3).standard_normal((60, 80))
    plain, scaled = singular_values(stack), singular_values(stack * 2.0**exponent)
    assert np.array_equal(scaled.values, plain.values * 2.0**exponent)
    assert scaled.resolution == plain.resolution * 2.0**exponent


@pytest.mark.parametrize("factor", [1e-30, 1e30, -7.3])
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_scale_equivariance(factor: float, dtype: type) -> None:
    stack = np.random.default_rng(4).standard_normal((60, 80)).astype(dtype)
    plain, scaled = singular_values(stack), singular_values((stack * dtype(factor)).astype(dtype))
    assert scaled.values == pytest.approx(plain.values * abs(factor), rel=1e-6 if dtype is np.float32 else 1e-11)


def test_planted_heavy_tail_to_ten_digits() -> None:
    rng = np.random.default_rng(5)
    planted = np.sort((1.0 - np.arange(200) / 200.0) ** -0.75)[::-1]
    found = singular_values(matrix_with_singular_values(planted, 200, 320, rng))
    assert np.max(np.abs(found.values**2 / planted**2 - 1.0)) < 1e-10


def test_small_end_is_honest() -> None:
    hilbert = scipy.linalg.hilbert(40)
    found, exact = singular_values(hilbert, method="gram"), scipy.linalg.svdvals(hilbert)
    trusted = found.values > found.resolution
    assert 3 < trusted.sum() < 20
    assert np.all(exact[~trusted] <= 2.0 * found.resolution)
    assert np.all(found.values[~trusted] <= found.resolution)
    sharp = singular_values(hilbert, method="svd")
    assert sharp.resolution < 1e-5 * found.resolution
    clear = exact > 100.0 * sharp.resolution
    assert sharp.values[clear] == pytest.approx(exact[clear], rel=1e-2)


def test_degenerate_matrices() -> None:
    rng = np.random.default_rng(6)
    zero = singular_values(np.zeros((30, 40)))
    assert not zero.values.any() and (zero.resolution, zero.frobenius_squared) == (0.0, 0.0)
    constant = singular_values(np.full((30, 40), 2.0, dtype=np.float32))
    assert constant.values[0] == pytest.approx(2.0 * 1200**0.5)
    assert np.all(constant.values[1:] <= constant.resolution)
    one = singular_values(np.outer(rng.standard_normal(50), rng.standard_normal(30)))
    assert (one.values > one.resolution).sum() == 1
    assert singular_values(np.eye(40)).values == pytest.approx(np.ones(40))


def test_views_and_other_kinds_of_numbers() -> None:
    stack = np.random.default_rng(7).integers(-9, 9, (40, 30, 3, 3)).astype(np.float32)
    slices = stack.transpose(2, 3, 0, 1).reshape(9, 40, 30)
    exact = singular_values(np.ascontiguousarray(slices)).values
    assert np.array_equal(singular_values(np.asfortranarray(slices)).values, exact)
    assert singular_values(slices.astype(np.float16)).values == pytest.approx(exact)
    assert singular_values(slices.astype(np.int8)).values == pytest.approx(exact)


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_bad_entries_are_counted_and_located(method: str, dtype: type) -> None:
    matrix = np.ones((100, 100), dtype=dtype)
    matrix[3, 7] = np.nan
    with pytest.raises(CorruptInput, match=r"1 of 10 000 entries NaN, first at \[3, 7\]"):
        singular_values(matrix, method=method)
    matrix[3, 7], matrix[5, 5] = np.inf, -np.inf
    with pytest.raises(CorruptInput, match=r"2 of 10 000 entries infinite, first at \[3, 7\]"):
        singular_values(matrix, method=method)
    matrix[3, 7] = np.nan
    with pytest.raises(CorruptInput, match=r"2 of 20 000 entries NaN or infinite, first at \[1, 3, 7\]"):
        singular_values(np.stack((np.ones_like(matrix), matrix)), method=method)


@pytest.mark.parametrize("wrong", [np.zeros(4), np.zeros((0, 4)), np.zeros((2, 2, 2, 2)), np.zeros((3, 3), dtype=complex), np.array([["a"]])])
def test_what_is_no_matrix_is_refused(wrong: np.ndarray) -> None:
    with pytest.raises(UsageError, match=r"matrix|real"):
        singular_values(wrong)


def test_unknown_method_is_refused() -> None:
    with pytest.raises(UsageError, match="auto, gram, svd"):
        singular_values(np.eye(3), method="qr")


def test_torch_gives_the_same_values() -> None:
    torch = pytest.importorskip("torch")
    for shape in ((50, 80), (3, 90, 40), (9, 5)):
        stack = np.random.default_rng(8).standard_t(3, shape).astype(np.float32)
        here, there = singular_values(stack), singular_values(torch.from_numpy(stack))
        assert there.values == pytest.approx(here.values, rel=1e-9)
        assert (there.method, there.resolution) == (here.method, pytest.approx(here.resolution))
        assert there.frobenius_squared == pytest.approx(here.frobenius_squared, rel=1e-12)
    with pytest.raises(CorruptInput, match="1 of 6 entries NaN"):
        singular_values(torch.tensor([[1.0, 2.0, 3.0], [4.0, float("nan"), 6.0]]))


def test_peak_memory_stays_at_one_gram_matrix() -> None:
    script = (
        "import resource, numpy as np; from genscope.numerics.singular_values import predicted_bytes, singular_values\n"
        "singular_values(np.ones((300, 300), dtype=np.float32)); w = np.random.default_rng(0).random((700, 40000), dtype=np.float32)\n"
        "before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss; singular_values(w)\n"
        "print((resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) * 1024, predicted_bytes(700, 40000) - w.nbytes)"
    )
    if sys.platform != "linux":
        pytest.skip("ru_maxrss counts bytes elsewhere")
    grown, predicted = map(int, subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True).stdout.split())
    assert grown < predicted + 8 * 2**20 < 42_000_000


def test_predictions_grow_with_the_work() -> None:
    assert predicted_seconds(768, 3072) > predicted_seconds(768, 768) > predicted_seconds(64, 64) > 0.0
    assert predicted_seconds(512, 512, 9) == pytest.approx(9 * predicted_seconds(512, 512))
    assert predicted_bytes(4096, 4096) > 4 * 4096**2 + 8 * 4096**2


def test_squares_beyond_float64_are_refused() -> None:
    with pytest.raises(CorruptInput, match="overflows float64"):
        singular_values(np.full((20, 30), 1e200))


def test_svd_steps_in_when_the_eigenvalue_iteration_fails(monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(gram: np.ndarray) -> np.ndarray:
        raise np.linalg.LinAlgError("no convergence")

    stack = np.random.default_rng(9).standard_normal((150, 140))
    exact = singular_values(stack, method="svd")
    monkeypatch.setattr("genscope.numerics.singular_values.symmetric_eigenvalues", fail)
    found = singular_values(stack, method="gram")
    assert found.method == "svd"
    assert np.array_equal(found.values, exact.values)
    monkeypatch.setattr(np.linalg, "svd", lambda *_, **__: fail(stack))
    with pytest.raises(CorruptInput, match="150 by 140 matrix did not converge"):
        singular_values(stack)


def test_a_very_long_matrix_is_summed_in_halves_with_the_same_result(monkeypatch: pytest.MonkeyPatch) -> None:
    weight = np.random.default_rng(0).standard_normal((40, 900)).astype(np.float32)
    whole = singular_values(weight, method="gram").values
    monkeypatch.setattr("genscope.numerics.singular_values._in_halves", lambda short, long: True)
    for matrix in (weight, weight.T.copy()):
        halves = singular_values(matrix, method="gram").values
        assert halves == pytest.approx(whole, rel=1e-12)
        assert np.array_equal(halves, singular_values(matrix, method="gram").values)
