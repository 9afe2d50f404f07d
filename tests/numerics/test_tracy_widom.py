"""The Tracy–Widom law against published tables, another determinant identity, and simulation."""

import itertools

import numpy as np
import pytest
from scipy.special import airy

from genscope.errors import UsageError
from genscope.numerics.tracy_widom import largest_eigenvalue_law, tracy_widom_cdf, tracy_widom_quantile

# Quantiles printed by Bejan 2005 (Tables of the Tracy–Widom laws) and by the RMTstat package.
TABLE = {0.01: -3.8954, 0.05: -3.1804, 0.5: -1.2686, 0.9: 0.4501, 0.95: 0.9793, 0.99: 2.0234, 0.995: 2.4224, 0.999: 3.2724}


@pytest.mark.parametrize(("probability", "quantile"), TABLE.items())
def test_quantiles_of_the_tables(probability, quantile):
    assert tracy_widom_quantile(probability) == pytest.approx(quantile, abs=3e-4)
    assert tracy_widom_cdf(tracy_widom_quantile(probability)) == pytest.approx(probability, abs=1e-9)


def test_mean_and_variance_of_prahofer():
    s, h = np.linspace(-9, 12, 422, retstep=True)
    cdf = np.array([tracy_widom_cdf(x) for x in s])
    mean = 12 - h * (cdf.sum() - cdf[-1] / 2)
    square = 144 - h * (2 * s @ cdf - s[-1])
    assert mean == pytest.approx(-1.2065335745820, abs=1e-8)
    assert square - mean**2 == pytest.approx(1.607781034581, abs=1e-3)  # trapezoidal rule on s · F


def test_identity_with_the_complex_law():
    """F₂ = det(1 − B) det(1 + B), and F₂(−2) = 0.41322414250512 (Bornemann 2010)."""
    x, w = np.polynomial.legendre.leggauss(80)
    x, w = (x + 1) * 9, w * 9
    kernel = np.sqrt(w)[:, None] * airy(x[:, None] + x[None, :] - 2.0)[0] * np.sqrt(w)[None, :]
    other = np.linalg.det(np.eye(80) + kernel)
    assert tracy_widom_cdf(-2.0) * other == pytest.approx(0.41322414250512, abs=1e-12)


def test_ends():
    values = [tracy_widom_cdf(s) for s in (-20, -9, -6, -1, 3, 10, 40)]
    assert values[0] == 0.0 and values[-1] == 1.0
    assert all(a <= b for a, b in itertools.pairwise(values))
    with pytest.raises(UsageError, match="probability"):
        tracy_widom_quantile(1.0)


@pytest.mark.parametrize(("rows", "cols"), [(20, 60), (60, 60), (100, 10)])
def test_largest_eigenvalue_of_noise_follows_the_law(rows, cols):
    rng = np.random.default_rng(0)
    found = np.linalg.svd(rng.standard_normal((1000, rows, cols)), compute_uv=False)[:, 0] ** 2
    centre, width = largest_eigenvalue_law(rows, cols)
    standard = (found - centre) / width
    for probability in (0.1, 0.5, 0.9, 0.95):
        share = (standard <= tracy_widom_quantile(probability)).mean()
        assert share == pytest.approx(probability, abs=4 * np.sqrt(probability * (1 - probability) / 1000) + 0.01)
    assert largest_eigenvalue_law(rows, cols) == pytest.approx(largest_eigenvalue_law(cols, rows))
