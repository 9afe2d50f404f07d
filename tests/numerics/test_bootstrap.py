"""Resampling: the draws, the intervals against SciPy's, and how often they cover the truth."""

import itertools

import numpy as np
import pytest
from scipy import stats

from genscope.numerics.bootstrap import correlation_interval, percentile_interval, perfect_order_bound, resampling_weights
from genscope.numerics.rank_correlation import kendall_tau, weighted_correlations


def test_weights_are_multinomial_counts() -> None:
    weights = resampling_weights(10, 4000, np.random.default_rng(0))
    assert (weights.sum(axis=1) == 10).all()
    assert weights.mean() == pytest.approx(1.0)
    assert (weights == 0).mean() == pytest.approx(0.9**10, abs=0.01)


def test_clusters_are_drawn_together() -> None:
    clusters = np.array(["a", "b", "a", "c", "c", "c"])
    weights = resampling_weights(6, 200, np.random.default_rng(0), clusters)
    assert (weights[:, 0] == weights[:, 2]).all()
    assert (weights[:, 3] == weights[:, 4]).all() and (weights[:, 4] == weights[:, 5]).all()
    assert (weights[:, 0] + weights[:, 1] + weights[:, 3] == 3).all()


def test_interval_agrees_with_scipy() -> None:
    rng = np.random.default_rng(1)
    x = rng.normal(size=40)
    y = x + rng.normal(size=40)
    tau = weighted_correlations(resampling_weights(40, 3000, rng), x[None], y)[0][0]
    low, high = percentile_interval(tau) or (0.0, 0.0)
    options = {"paired": True, "vectorized": False, "n_resamples": 1500, "method": "percentile", "rng": np.random.default_rng(2)}
    reference = stats.bootstrap((x, y), lambda a, b: stats.kendalltau(a, b).statistic, **options).confidence_interval
    assert (low, high) == pytest.approx((reference.low, reference.high), abs=0.03)


@pytest.mark.parametrize(("n", "rho"), [(8, 0.0), (8, 0.9), (30, 0.5), (60, 0.9)])
def test_intervals_of_kendall_cover_the_truth(n: int, rho: float) -> None:
    rng = np.random.default_rng(n)
    truth = 2 / np.pi * np.arcsin(rho)
    hits = 0
    for _ in range(200):
        x = rng.normal(size=n)
        y = rho * x + np.sqrt(1 - rho**2) * rng.normal(size=n)
        tau = weighted_correlations(resampling_weights(n, 300, rng), x[None], y)[0][0]
        low, high = correlation_interval(kendall_tau(x, y) or 0.0, tau, n) or (2.0, 2.0)
        hits += low <= truth <= high
    assert hits / 200 >= 0.90


def test_a_perfect_order_is_not_certainty() -> None:
    low, high = correlation_interval(1.0, np.ones(500), 4) or (0.0, 0.0)
    assert low < 0 and high == 1.0
    assert correlation_interval(-1.0, -np.ones(500), 40) == pytest.approx((-1.0, -perfect_order_bound(40)))
    assert perfect_order_bound(40) < 1.0


@pytest.mark.parametrize("n", [3, 4, 5, 6])
def test_perfect_order_bound_by_enumeration(n: int) -> None:
    discordant = np.array([sum(order[i] > order[j] for i in range(n) for j in range(i + 1, n)) for order in itertools.permutations(range(n))])
    pairs = n * (n - 1) / 2
    # Search the law of largest entropy over a fine grid of q and compare.
    logs = np.linspace(-4, 4, 8001)
    weights = np.exp(np.outer(logs, discordant))
    weights /= weights.sum(axis=1, keepdims=True)
    chance, tau = weights[:, discordant == 0].sum(axis=1), 1 - 2 * weights @ discordant / pairs
    assert perfect_order_bound(n) == pytest.approx(np.interp(0.025, chance[::-1], tau[::-1]), abs=1e-4)


def test_the_bound_agrees_with_the_exact_test() -> None:
    assert perfect_order_bound(4) < 0 < perfect_order_bound(5)  # 1/4! = 0.042, 1/5! = 0.008
    assert perfect_order_bound(3, 2 / 3) == pytest.approx(0.0, abs=1e-5)  # 1/3! is the tail of the 2/3 interval
    assert perfect_order_bound(8) < perfect_order_bound(9) < perfect_order_bound(200) < 1
    assert perfect_order_bound([8]) == perfect_order_bound(8) < perfect_order_bound([8, 8])


@pytest.mark.parametrize("n", [6, 10])
def test_the_bound_is_low_enough_for_normal_data(n: int) -> None:
    # At the τ of the bound, a bivariate normal sample is perfectly ordered about as rarely as promised (2.5%), not far more often.
    rho = np.sin(np.pi * perfect_order_bound(n) / 2)
    rng = np.random.default_rng(0)
    x = rng.normal(size=(20_000, n))
    y = rho * x + np.sqrt(1 - rho**2) * rng.normal(size=x.shape)
    perfect = (x.argsort(axis=1) == y.argsort(axis=1)).all(axis=1)
    assert perfect.mean() < 0.05


def test_undefined_resamples() -> None:
    values = np.r_[np.full(60, np.nan), np.linspace(0, 1, 40)]
    assert percentile_interval(values) is None
    assert percentile_interval(values[30:]) is not None
