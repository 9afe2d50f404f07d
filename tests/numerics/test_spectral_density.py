"""Densities of eigenvalues and several eigenpairs against dense decompositions."""

import numpy as np
import pytest

from genscope.errors import UsageError
from genscope.numerics.eigenpairs import sampled_diagonal, top_eigenpairs
from genscope.numerics.spectral_density import spectral_density


def symmetric(n: int, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """A matrix with a bulk around zero and five outliers, and its eigenvalues."""
    rng = np.random.default_rng(seed)
    values = np.concatenate([rng.normal(0.0, 0.3, n - 5), [4.0, 5.0, 6.5, 8.0, 20.0]])
    basis = np.linalg.qr(rng.standard_normal((n, n)))[0]
    return (basis * values) @ basis.T, np.sort(values)[::-1]


def test_top_eigenpairs_are_sorted_and_know_their_residuals() -> None:
    matrix, values = symmetric(300)
    found = top_eigenpairs(lambda v: matrix @ v, 300, 5, np.random.default_rng(0))
    assert np.allclose(found.values, values[:5], rtol=1e-4) and found.converged
    assert np.allclose(found.residuals, np.linalg.norm(matrix @ found.vectors - found.values * found.vectors, axis=0))
    assert found.n_products < 80
    assert np.allclose(found.vectors.T @ found.vectors, np.eye(5), atol=1e-8)


def test_small_operators_are_exact_and_too_many_are_refused() -> None:
    matrix, values = symmetric(20)
    assert np.allclose(top_eigenpairs(lambda v: matrix @ v, 20, 20, np.random.default_rng(0)).values, values)
    with pytest.raises(UsageError, match="21"):
        top_eigenpairs(lambda v: matrix @ v, 20, 21, np.random.default_rng(0))


def test_a_budget_that_is_too_small_is_told() -> None:
    matrix, _ = symmetric(400)
    found = top_eigenpairs(lambda v: matrix @ v, 400, 40, np.random.default_rng(0), tolerance=1e-10, max_products=90)
    assert not found.converged


def test_density_gives_traces_of_functions_within_their_standard_error() -> None:
    matrix, values = symmetric(300)
    found = spectral_density(lambda v: matrix @ v, 300, np.random.default_rng(0), n_probes=20, n_steps=40)
    assert np.allclose(found.weights.sum(axis=1), 1.0) and found.n_products == 800
    for function in (lambda x: x, lambda x: x**2, np.exp, np.abs):
        mean, sem = found.trace_of(function)
        assert abs(mean - function(values).sum()) < 4 * sem
    share, sem = found.share_above(0.0)
    assert abs(share - (values > 0).mean()) < 4 * sem + 0.01


def test_density_integrates_to_one_and_finds_the_outliers_without_ghosts() -> None:
    matrix, values = symmetric(300)
    found = spectral_density(lambda v: matrix @ v, 300, np.random.default_rng(1), n_probes=8, n_steps=60)
    grid = np.linspace(-3, 23, 5201)
    density, sem = found.on_grid(grid, 0.05)
    assert np.trapezoid(density, grid) == pytest.approx(1.0, abs=1e-3) and (sem >= 0).all()
    exact = np.exp(-0.5 * ((grid[:, None] - values) / 0.05) ** 2).mean(axis=1) / (0.05 * np.sqrt(2 * np.pi))
    assert np.abs(density - exact).mean() < 0.15 * exact.mean()
    for probe in found.nodes:
        assert (np.abs(probe - 20.0) < 1e-6).sum() == 1  # full re-orthogonalisation: no copies


def test_an_exhausted_krylov_space_does_no_harm() -> None:
    found = spectral_density(lambda v: 2.0 * v, 30, np.random.default_rng(0), n_probes=3, n_steps=10)
    assert found.trace_of(lambda x: x) == pytest.approx((60.0, 0.0))


def test_sampled_diagonal_is_unbiased_and_exact_for_diagonals() -> None:
    matrix, _ = symmetric(60)
    found = sampled_diagonal(lambda v: matrix @ v, 60, np.random.default_rng(0), n_probes=4000)
    spread = np.sqrt((matrix**2).sum(1) - np.diag(matrix) ** 2) / np.sqrt(4000)
    assert (np.abs(found - np.diag(matrix)) < 5 * spread).all()
    assert np.allclose(sampled_diagonal(lambda v: np.arange(5.0)[:, None] * v, 5, np.random.default_rng(0), n_probes=3), np.arange(5.0))
