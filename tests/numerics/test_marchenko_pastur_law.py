"""The closed forms against quadrature and simulation."""

import numpy as np
import pytest
from scipy.integrate import quad

from genscope.errors import UsageError
from genscope.numerics import marchenko_pastur_law as law

SHAPES = [(100, 400), (100, 100), (3, 1000), (90, 100)]


@pytest.mark.parametrize(("rows", "cols"), SHAPES)
def test_density_integrates_to_the_distribution(rows, cols):
    sigma = 0.7
    low, high = law.marchenko_pastur_edges(rows, cols, sigma)
    for share in (0.1, 0.5, 0.9, 1.0):
        # In the angle of λ the density is smooth even at the hard edge.
        def smooth(t):
            x = low + (high - low) * np.sin(t / 2) ** 2
            return law.marchenko_pastur_density(np.array([x]), rows, cols, sigma)[0] * (high - low) * np.sin(t) / 2

        end = 2 * np.arcsin(np.sqrt(share))
        area = quad(smooth, 0, end, epsabs=1e-12)[0]
        assert law.marchenko_pastur_cdf(np.array([low + share * (high - low)]), rows, cols, sigma)[0] == pytest.approx(area, abs=1e-8)


@pytest.mark.parametrize(("rows", "cols"), SHAPES)
def test_moments(rows, cols):
    """Mean N σ² and variance M N σ⁴ of one eigenvalue."""
    grid = law.marchenko_pastur_quantile((np.arange(20000) + 0.5) / 20000, rows, cols, 2.0)
    assert grid.mean() == pytest.approx(4 * max(rows, cols), rel=1e-5)
    assert grid.var() == pytest.approx(16 * rows * cols, rel=1e-3)


@pytest.mark.parametrize(("rows", "cols"), SHAPES)
def test_quantile_inverts_the_distribution(rows, cols):
    p = np.linspace(0.001, 0.999, 57)
    np.testing.assert_allclose(law.marchenko_pastur_cdf(law.marchenko_pastur_quantile(p, rows, cols), rows, cols), p, atol=1e-9)
    ends = law.marchenko_pastur_quantile(np.array([0.0, 1.0]), rows, cols)
    np.testing.assert_allclose(ends, law.marchenko_pastur_edges(rows, cols), rtol=1e-9, atol=1e-9)
    with pytest.raises(UsageError):
        law.marchenko_pastur_quantile(np.array([1.5]), rows, cols)


def test_finite_size_term_describes_small_matrices():
    rows, cols = 8, 16
    values = np.linalg.svd(np.random.default_rng(0).standard_normal((4000, rows, cols)), compute_uv=False) ** 2
    p = np.array([0.25, 0.5, 0.75])
    observed = np.quantile(values, p)
    plain = law.marchenko_pastur_quantile(p, rows, cols)
    corrected = law.marchenko_pastur_quantile(p, rows, cols, finite_size=True)
    # What is left is the order 1/M² wave of single eigenvalues; the systematic part of the error goes.
    assert abs((corrected / observed - 1).mean()) < 0.6 * abs((plain / observed - 1).mean())


def test_planted_signals():
    assert law.marchenko_pastur_edges(100, 400) == (100.0, 900.0)
    limit = law.detection_limit(100, 400, 0.5)
    assert law.outlier_eigenvalue(np.array([limit]), 100, 400, 0.5)[0] == pytest.approx(law.marchenko_pastur_edges(100, 400, 0.5)[1])
    theta = np.array([1.01, 1.5, 4.0, 50.0]) * limit
    np.testing.assert_allclose(law.signal_behind(law.outlier_eigenvalue(theta, 100, 400, 0.5), 100, 400, 0.5), theta, rtol=1e-9)
    assert law.signal_behind(np.array([1.0]), 100, 400, 0.5)[0] == limit


def test_outlier_of_a_real_matrix():
    rng = np.random.default_rng(1)
    u, v = rng.standard_normal(200), rng.standard_normal(800)
    theta = 2 * law.detection_limit(200, 800)
    found = [
        np.linalg.norm(rng.standard_normal((200, 800)) + theta * np.outer(u, v) / np.linalg.norm(u) / np.linalg.norm(v), 2) ** 2 for _ in range(6)
    ]
    assert np.mean(found) == pytest.approx(law.outlier_eigenvalue(np.array([theta]), 200, 800)[0], rel=0.01)
