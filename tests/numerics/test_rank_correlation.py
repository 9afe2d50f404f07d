"""Rank correlations against SciPy, against explicit copies of models, and against their invariances."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from genscope.numerics.rank_correlation import average_ranks, dense_ranks, kendall_tau, pearson_r, spearman_rho, weighted_correlations


@pytest.mark.parametrize("n", [2, 3, 7, 40, 1500])
@pytest.mark.parametrize("levels", [None, 4])
def test_equals_scipy_with_and_without_ties(n: int, levels: int | None) -> None:
    rng = np.random.default_rng(n)
    x = rng.normal(size=n) if levels is None else rng.integers(0, levels, n).astype(float)
    y = 0.5 * x + (rng.normal(size=n) if levels is None else rng.integers(0, levels, n))
    if len(np.unique(x)) == 1 or len(np.unique(y)) == 1:
        assert kendall_tau(x, y) is None
        return
    assert kendall_tau(x, y) == pytest.approx(stats.kendalltau(x, y).statistic, abs=1e-12)
    assert spearman_rho(x, y) == pytest.approx(stats.spearmanr(x, y).statistic, abs=1e-12)
    assert pearson_r(x, y) == pytest.approx(stats.pearsonr(x, y).statistic, abs=1e-12)
    assert average_ranks(x) == pytest.approx(stats.rankdata(x))


def test_weights_are_copies_of_models() -> None:
    rng = np.random.default_rng(0)
    x, y = rng.integers(0, 9, 25).astype(float), rng.normal(size=25)
    counts = rng.multinomial(25, np.full(25, 1 / 25), size=6)
    kendall, spearman = weighted_correlations(counts, np.stack([x, -y]), y)
    for b, count in enumerate(counts):
        chosen = np.repeat(np.arange(25), count)
        assert kendall[0, b] == pytest.approx(stats.kendalltau(x[chosen], y[chosen]).statistic, abs=1e-9)
        assert spearman[0, b] == pytest.approx(stats.spearmanr(x[chosen], y[chosen]).statistic, abs=1e-6)
        assert kendall[1, b] == pytest.approx(-1)


def test_within_groups_counts_only_pairs_of_one_group() -> None:
    rng = np.random.default_rng(1)
    x, y, groups = rng.integers(0, 6, 30), rng.normal(size=30), rng.integers(0, 4, 30)
    top = left = right = 0.0
    for i in range(30):
        for j in range(i):
            if groups[i] == groups[j]:
                a, b = np.sign(x[i] - x[j]), np.sign(y[i] - y[j])
                top, left, right = top + a * b, left + abs(a), right + abs(b)
    tau, rho = weighted_correlations(np.ones((1, 30)), x[None].astype(float), y, groups)
    assert tau[0, 0] == pytest.approx(top / np.sqrt(left * right))
    assert np.isnan(rho).all()


@settings(max_examples=50, deadline=None)
@given(st.lists(st.integers(-20, 20), min_size=3, max_size=15), st.integers(0, 10_000))
def test_increasing_maps_change_nothing(values: list[int], seed: int) -> None:
    x = np.array(values, dtype=float)
    y = np.random.default_rng(seed).normal(size=len(x))
    tau = kendall_tau(x, y)
    assert kendall_tau(np.exp(x / 7), y**3) == tau
    assert kendall_tau(y, x) == pytest.approx(tau) if tau is not None else len(set(values)) == 1
    assert kendall_tau(-x, y) == (None if tau is None else pytest.approx(-tau))


@pytest.mark.parametrize("scale", [1e-300, 1e-30, 1e30, 1e300])
def test_huge_and_tiny_numbers(scale: float) -> None:
    x, y = np.array([1.0, 2.0, 4.0, 3.0]), np.array([2.0, 1.0, 5.0, 7.0])
    assert pearson_r(x * scale, y) == pytest.approx(stats.pearsonr(x, y).statistic)
    assert kendall_tau(x * scale, y) == kendall_tau(x, y)


def test_undefined_is_none_not_nan() -> None:
    constant, other = np.ones(5), np.arange(5.0)
    assert kendall_tau(constant, other) is None
    assert spearman_rho(other, constant) is None
    assert pearson_r(constant, other) is None
    assert pearson_r(np.array([]), np.array([])) is None
    assert dense_ranks(np.array([5.0, 5.0])).tolist() == [0, 0]
