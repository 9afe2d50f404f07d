import numpy as np
import pytest

from genscope.numerics.lanczos import top_eigenvalue


@pytest.mark.parametrize("n", [1, 5, 32, 33, 200])
def test_top_algebraic_eigenvalue_with_residual(n: int) -> None:
    rng = np.random.default_rng(n)
    matrix = rng.standard_normal((n, n))
    matrix = (matrix + matrix.T) / 2
    found = top_eigenvalue(lambda block: matrix @ block, n, rng, tolerance=1e-8, max_products=2000)
    exact = np.linalg.eigvalsh(matrix)
    assert found.value == pytest.approx(exact[-1], abs=1e-6)
    assert np.abs(exact - found.value).min() <= found.residual + 1e-9


def test_the_largest_and_not_the_largest_in_magnitude() -> None:
    diagonal = np.r_[-100.0, np.linspace(0, 3, 99)]
    found = top_eigenvalue(lambda block: diagonal[:, None] * block, 100, np.random.default_rng(0))
    assert found.value == pytest.approx(3.0, abs=0.05)


def test_a_small_budget_says_so_and_stays_a_lower_bound() -> None:
    diagonal = np.linspace(0, 1, 5000)
    found = top_eigenvalue(lambda block: diagonal[:, None] * block, 5000, np.random.default_rng(0), tolerance=1e-12, max_products=20)
    assert not found.converged
    assert 0.9 < found.value <= 1.0 + 1e-12
    assert np.abs(diagonal - found.value).min() <= found.residual


def test_it_stops_on_an_invariant_space() -> None:
    diagonal = np.r_[2.0, np.ones(50)]
    found = top_eigenvalue(lambda block: diagonal[:, None] * block, 51, np.random.default_rng(0), tolerance=1e-14)
    assert found.n_products <= 3 and found.value == pytest.approx(2.0, abs=1e-12)


def test_the_residual_and_the_captured_trace_are_what_they_say() -> None:
    rng = np.random.default_rng(3)
    matrix = rng.standard_normal((300, 300))
    matrix = matrix + matrix.T
    for budget in (10, 24, 60):
        found = top_eigenvalue(lambda block: matrix @ block, 300, np.random.default_rng(0), tolerance=1e-12, max_products=budget)
        assert found.n_products == budget and not found.converged
        assert found.residual == pytest.approx(float(np.linalg.norm(matrix @ found.vector - found.value * found.vector)), rel=1e-6)
        np.testing.assert_allclose(found.basis.T @ found.basis, np.eye(found.basis.shape[1]), atol=1e-10)
        assert found.captured == pytest.approx(float(np.trace(found.basis.T @ matrix @ found.basis)), rel=1e-9)


def test_a_good_guess_saves_products_and_an_orthogonal_one_does_no_harm() -> None:
    diagonal = np.r_[20.0, np.linspace(0, 10, 499)]
    guesses = (None, np.eye(500)[0], np.eye(500)[7])
    runs = [top_eigenvalue(lambda block: diagonal[:, None] * block, 500, np.random.default_rng(0), start=guess) for guess in guesses]
    assert all(run.value == pytest.approx(20.0, rel=1e-5) for run in runs)
    assert runs[1].n_products < runs[0].n_products


def test_a_rough_tolerance_spends_fewer_products() -> None:
    diagonal = np.r_[50.0, np.linspace(0, 10, 999)]
    rough, fine = (top_eigenvalue(lambda block: diagonal[:, None] * block, 1000, np.random.default_rng(0), tolerance=t) for t in (1e-2, 1e-3))
    assert rough.n_products < fine.n_products
    assert rough.value == pytest.approx(50.0, rel=1e-2)
