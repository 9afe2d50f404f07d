import numpy as np
import pytest

from genscope.numerics.lanczos import _plain_lanczos, top_eigenvalue


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


def test_plain_lanczos_stops_on_an_invariant_space() -> None:
    diagonal = np.r_[2.0, np.ones(50)]
    vector = _plain_lanczos(lambda v: diagonal * v, np.ones(51), 20)
    assert abs(vector[0]) == pytest.approx(1.0, abs=1e-8)


def test_a_rough_tolerance_spends_fewer_products() -> None:
    diagonal = np.r_[50.0, np.linspace(0, 10, 999)]
    rough, fine = (top_eigenvalue(lambda block: diagonal[:, None] * block, 1000, np.random.default_rng(0), tolerance=t) for t in (1e-2, 1e-3))
    assert rough.n_products < fine.n_products
    assert rough.value == pytest.approx(50.0, rel=1e-2)
