import numpy as np
import pytest

from genscope.numerics.lanczos import top_eigenvalue
from genscope.numerics.trace import deflated_hutchinson


def outliers(n: int = 400) -> np.ndarray:
    rng = np.random.default_rng(1)
    basis, _ = np.linalg.qr(rng.standard_normal((n, n)))
    return np.asarray((basis * np.r_[300.0, 120.0, 40.0, rng.normal(0, 0.3, n - 3)]) @ basis.T)


def test_unbiased_with_an_honest_error() -> None:
    matrix = outliers()
    found = top_eigenvalue(lambda block: matrix @ block, 400, np.random.default_rng(0))
    form = lambda z: np.einsum("ik,ik->k", z, matrix @ z)  # noqa: E731
    runs = [deflated_hutchinson(form, found.captured, found.basis, np.random.default_rng(seed), max_probes=12, tolerance=0.0) for seed in range(200)]
    errors = np.array([run.value for run in runs]) - np.trace(matrix)
    assert abs(errors.mean()) < 4 * errors.std() / np.sqrt(len(runs))
    assert errors.std() == pytest.approx(np.mean([run.sem for run in runs]), rel=0.2)
    plain = deflated_hutchinson(form, 0.0, np.zeros((400, 0)), np.random.default_rng(0), max_probes=12, tolerance=0.0)
    assert np.mean([run.sem for run in runs]) < plain.sem / 5


def test_probes_stop_at_the_tolerance_and_never_exceed_the_budget() -> None:
    asked: list[int] = []

    def form(z: np.ndarray) -> np.ndarray:
        asked.append(z.shape[1])
        return np.arange(1.0, 51.0) @ z**2 + z[0] * z[1] * 100

    basis = np.zeros((50, 0))
    loose, tight = (deflated_hutchinson(form, 0.0, basis, np.random.default_rng(0), max_probes=30, tolerance=t) for t in (0.5, 1e-9))
    assert loose.n_products == 8 and tight.n_products == 30 and sum(asked) == 38
    assert loose.sem <= 0.5 * abs(loose.value) and tight.sem > 1e-9 * tight.value
