from collections.abc import Callable

import numpy as np
import pytest

from genscope.numerics.trace import TraceEstimate, exact_trace, hutch_plus_plus, hutchinson, xtrace

Estimator = Callable[..., TraceEstimate]


def decaying(n: int = 80) -> np.ndarray:
    rng = np.random.default_rng(1)
    basis, _ = np.linalg.qr(rng.standard_normal((n, n)))
    return (basis * (1.0 / np.arange(1, n + 1) ** 1.5)) @ basis.T


def multiply(matrix: np.ndarray) -> Callable[[np.ndarray], np.ndarray]:
    return lambda block: matrix @ block


@pytest.mark.parametrize("estimator", [hutchinson, hutch_plus_plus, xtrace])
def test_unbiased_and_sem_is_honest(estimator: Estimator) -> None:
    matrix = decaying()
    found = [estimator(multiply(matrix), len(matrix), 24, np.random.default_rng(seed)) for seed in range(60)]
    values = np.array([estimate.value for estimate in found])
    errors = np.abs(values - np.trace(matrix))
    assert abs(values.mean() - np.trace(matrix)) < 4 * values.std() / np.sqrt(60)
    covered = np.mean(errors <= 3 * np.array([estimate.sem for estimate in found]))
    assert covered > 0.85


def test_the_range_makes_the_difference() -> None:
    matrix = decaying()
    spread = {
        e: np.std([e(multiply(matrix), 80, 30, np.random.default_rng(s)).value for s in range(30)]) for e in (hutchinson, hutch_plus_plus, xtrace)
    }
    assert spread[hutch_plus_plus] < spread[hutchinson] / 2
    assert spread[xtrace] < spread[hutchinson] / 2


def test_xtrace_equals_the_naive_leave_one_out() -> None:
    matrix, half = decaying(30), 5
    found = xtrace(multiply(matrix), 30, 2 * half, np.random.default_rng(3))
    probes = np.random.default_rng(3).standard_normal((30, half))
    probes *= np.sqrt(30) / np.linalg.norm(probes, axis=0)
    values = []
    for i in range(half):
        basis, _ = np.linalg.qr(matrix @ np.delete(probes, i, axis=1))
        rest = probes[:, i] - basis @ (basis.T @ probes[:, i])
        scale = (30 - half + 1) / (rest @ rest)
        values.append(np.trace(basis.T @ matrix @ basis) + scale * rest @ matrix @ rest)
    assert found.value == pytest.approx(np.mean(values), rel=1e-9)
    assert found.sem == pytest.approx(np.std(values, ddof=1) / np.sqrt(half), rel=1e-6)


@pytest.mark.parametrize("estimator", [hutch_plus_plus, xtrace])
def test_low_rank_is_exact(estimator: Estimator) -> None:
    rng = np.random.default_rng(0)
    factor = rng.standard_normal((50, 3))
    matrix = factor @ factor.T
    assert estimator(multiply(matrix), 50, 24, rng).value == pytest.approx(np.trace(matrix), rel=1e-8)


def test_exact_and_tiny() -> None:
    matrix = decaying(4)
    assert exact_trace(multiply(matrix), 4).value == pytest.approx(np.trace(matrix))
    assert hutch_plus_plus(multiply(matrix), 4, 30, np.random.default_rng(0)).sem == 0.0
