"""The bulk fit: calibrated on noise, blind to nothing above the transition, honest where there is no bulk."""

import math

import numpy as np
import pytest

from genscope.core.status import DOUBTFUL, OK, Undefined
from genscope.errors import UsageError
from genscope.numerics.marchenko_pastur import fit_marchenko_pastur
from genscope.numerics.marchenko_pastur_law import detection_limit, marchenko_pastur_edges, marchenko_pastur_quantile


def values(matrix):
    return np.linalg.svd(matrix, compute_uv=False)


def planted(rng, rows, cols, strengths):
    """Noise of scale 1 plus orthogonal rank-one signals at multiples of the detection limit."""
    count = len(strengths)
    u = np.linalg.qr(rng.standard_normal((rows, count)))[0]
    v = np.linalg.qr(rng.standard_normal((cols, count)))[0]
    return rng.standard_normal((rows, cols)) + (u * (np.array(strengths) * detection_limit(rows, cols))) @ v.T


@pytest.mark.parametrize(("rows", "cols", "k", "draws"), [(20, 60, 1, 600), (50, 50, 1, 400), (200, 30, 1, 300), (16, 16, 9, 300)])
def test_pure_noise_shows_spikes_at_the_stated_level(rows, cols, k, draws):
    rng = np.random.default_rng(0)
    for level in (0.05, 0.2):
        rng = np.random.default_rng(1)
        alarms = np.mean(
            [
                fit_marchenko_pastur(values(rng.standard_normal((k, rows, cols))), rows, cols, n_matrices=k, level=level).n_spikes > 0
                for _ in range(draws)
            ]
        )
        spread = math.sqrt(level * (1 - level) / draws)
        assert level - 4 * spread <= alarms <= 1.35 * level + 4 * spread


@pytest.mark.parametrize(("rows", "cols"), [(100, 400), (200, 200), (400, 50)])
def test_edges_are_the_analytic_ones(rows, cols):
    sigma = 0.02
    fit = fit_marchenko_pastur(values(sigma * np.random.default_rng(2).standard_normal((rows, cols))), rows, cols)
    low, high = marchenko_pastur_edges(rows, cols, sigma)
    assert fit.sigma == pytest.approx(sigma, rel=0.015)
    assert fit.lambda_plus == pytest.approx(high, rel=0.03)
    assert fit.lambda_minus == pytest.approx(low, rel=0.03, abs=1e-12)
    assert fit.soft_rank == pytest.approx(1.0, abs=0.1)
    assert fit.status == OK and fit.n_spikes == 0 and fit.bulk_fraction == 1.0 and fit.bulk_energy == pytest.approx(1.0)


def test_exact_quantiles_give_the_exact_scale():
    eigenvalues = marchenko_pastur_quantile((np.arange(1000) + 0.5) / 1000, 1000, 3000, 0.3)
    assert fit_marchenko_pastur(np.sqrt(eigenvalues), 1000, 3000).sigma == pytest.approx(0.3, rel=1e-4)


def test_planted_spikes_are_found_above_the_transition_and_not_below():
    rng = np.random.default_rng(3)
    found = [fit_marchenko_pastur(values(planted(rng, 300, 600, [1.4, 1.6, 2, 3, 6])), 300, 600).n_spikes for _ in range(2)]
    assert found == [5, 5]
    hidden = [fit_marchenko_pastur(values(planted(rng, 80, 160, [0.3, 0.5, 0.7])), 80, 160).n_spikes for _ in range(40)]
    assert np.mean(np.array(hidden) > 0) <= 0.1


def test_many_large_spikes_do_not_hide_one_another():
    """One fifth of the spectrum is signal; a scale from the mean square would swallow most of it."""
    rng = np.random.default_rng(4)
    strengths = np.linspace(2, 8, 30)
    for _ in range(3):
        fit = fit_marchenko_pastur(values(planted(rng, 150, 300, strengths)), 150, 300)
        assert fit.n_spikes in (30, 31)
        assert fit.sigma == pytest.approx(1.0, rel=0.02)
        assert fit.bulk_fraction == pytest.approx(0.8, abs=0.01)
        assert fit.bulk_energy < 0.8


def test_the_scale_is_as_good_as_the_mean_square_on_noise_and_better_than_the_median():
    rng = np.random.default_rng(5)
    ours, mean, median = [], [], []
    theory = marchenko_pastur_quantile(np.array([0.5]), 60, 120)[0]
    for _ in range(150):
        s = values(rng.standard_normal((60, 120)))
        ours.append(fit_marchenko_pastur(s, 60, 120).sigma - 1)
        mean.append(math.sqrt(np.mean(s**2) / 120) - 1)
        median.append(math.sqrt(np.median(s**2) / theory) - 1)
    error = {name: math.sqrt(np.mean(np.square(e))) for name, e in (("ours", ours), ("mean", mean), ("median", median))}
    assert error["ours"] < 0.8 * error["median"]
    assert error["ours"] < 1.6 * error["mean"]


def test_pooled_matrices():
    rng = np.random.default_rng(6)
    stack = rng.standard_normal((9, 64, 96))
    assert fit_marchenko_pastur(values(stack), 64, 96, n_matrices=9).n_spikes == 0
    stack[4] = planted(rng, 64, 96, [3.0])
    fit = fit_marchenko_pastur(values(stack), 64, 96, n_matrices=9)
    assert fit.n_spikes == 1 and fit.sigma == pytest.approx(1, rel=0.01)
    single = fit_marchenko_pastur(values(stack[0]), 64, 96)
    assert fit.spike_threshold / fit.sigma**2 > single.spike_threshold / single.sigma**2  # the level is shared by nine matrices


@pytest.mark.parametrize("factor", [1e-30, 1e-3, 1e30, 1e-160])
def test_scale_equivariance(factor):
    s = values(planted(np.random.default_rng(7), 80, 120, [2.0, 4.0]))
    plain, scaled = fit_marchenko_pastur(s, 80, 120), fit_marchenko_pastur(s * factor, 80, 120)
    assert scaled.sigma == pytest.approx(plain.sigma * factor, rel=1e-12)
    assert (scaled.n_spikes, scaled.soft_rank) == (plain.n_spikes, pytest.approx(plain.soft_rank, rel=1e-12))


def test_zero_rows_do_not_move_the_scale():
    rng = np.random.default_rng(8)
    matrix = rng.standard_normal((100, 200))
    matrix[:40] = 0
    fit = fit_marchenko_pastur(values(matrix), 100, 200)
    assert fit.n_zero == 40 and fit.n_spikes == 0 and fit.sigma == pytest.approx(1, rel=0.02)
    noisy = np.maximum(values(matrix), 1e-7)
    assert fit_marchenko_pastur(noisy, 100, 200, resolution=1e-6).n_zero == 40


@pytest.mark.parametrize("kind", ["product", "cauchy", "rows of unequal scale"])
def test_other_spectra_are_doubted(kind):
    rng = np.random.default_rng(9)
    matrix = rng.standard_normal((150, 300))
    if kind == "product":
        matrix = rng.standard_normal((150, 150)) @ matrix
    elif kind == "cauchy":
        matrix = rng.standard_cauchy((150, 300))
    else:
        matrix *= np.exp(rng.standard_normal((150, 1)))
    fit = fit_marchenko_pastur(values(matrix), 150, 300)
    assert fit.status == DOUBTFUL and "Marchenko" in fit.reason


@pytest.mark.parametrize("matrix", [np.zeros((50, 50)), np.ones((50, 80)), np.ones((1, 500)), np.eye(5)])
def test_no_bulk(matrix):
    assert isinstance(fit_marchenko_pastur(values(matrix), *matrix.shape), Undefined)


def test_an_identity_is_no_noise():
    assert fit_marchenko_pastur(np.ones(100), 100, 100).status == DOUBTFUL


def test_misuse():
    with pytest.raises(UsageError, match="level"):
        fit_marchenko_pastur(np.ones(20), 20, 20, level=1.5)
    with pytest.raises(UsageError, match="too many"):
        fit_marchenko_pastur(np.ones(21), 20, 30)
    with pytest.raises(UsageError, match="finite"):
        fit_marchenko_pastur(np.array([np.nan] * 20), 20, 30)
