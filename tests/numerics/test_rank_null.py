"""Null laws against SciPy's exact and asymptotic ones, and p-values that are uniform when nothing is there."""

import math

import numpy as np
import pytest
from scipy import stats

from genscope.numerics.rank_null import draw_permutations, holm, kendall_p_values, models_needed


@pytest.mark.parametrize("n", [3, 4, 5, 6, 7])
def test_small_tables_are_exact(n: int) -> None:
    rng = np.random.default_rng(n)
    for _ in range(5):
        x, y = rng.normal(size=n), rng.normal(size=n)
        p, method = kendall_p_values(x[None], y, 100, rng)
        assert method == "exact"
        assert p[0] == pytest.approx(stats.kendalltau(x, y, method="exact").pvalue)


def test_permutations_agree_with_the_exact_law() -> None:
    rng = np.random.default_rng(0)
    x = rng.normal(size=(3, 20))
    y = x[0] + 2 * rng.normal(size=20)
    p, method = kendall_p_values(x, y, 8000, rng)
    assert method == "permutation"
    for k in range(3):
        expected = stats.kendalltau(x[k], y, method="exact").pvalue
        assert p[k] == pytest.approx(expected, abs=4 * math.sqrt(expected * (1 - expected) / 8000) + 2e-4)


def test_many_models_use_the_normal_law_with_ties() -> None:
    rng = np.random.default_rng(0)
    x = np.stack([rng.integers(0, 5, 700).astype(float), rng.normal(size=700)])
    y = np.round(x[1] * 0.05 + rng.normal(size=700), 1)
    p, method = kendall_p_values(x, y, 100, rng)
    assert method == "normal"
    assert p == pytest.approx([stats.kendalltau(column, y, method="asymptotic").pvalue for column in x], rel=1e-9)


@pytest.mark.parametrize("n", [12, 30])
def test_p_values_are_uniform_when_nothing_is_there(n: int) -> None:
    rng = np.random.default_rng(n)
    p, _ = kendall_p_values(rng.normal(size=(600, n)), rng.normal(size=n), 500, rng)
    assert stats.kstest(p, "uniform").pvalue > 1e-3
    assert np.mean(p <= 0.05) == pytest.approx(0.05, abs=0.03)


def test_a_perfect_order_has_the_smallest_p() -> None:
    x = np.arange(10.0)
    p, _ = kendall_p_values(np.stack([x, -x]), x, 999, np.random.default_rng(0))
    assert p == pytest.approx([1 / 1000, 1 / 1000])


def test_exchanges_within_groups_stay_within_groups() -> None:
    groups = np.array([0, 1, 0, 1, 1, 2, 0, 2])
    orders, method = draw_permutations(8, 50, np.random.default_rng(0), groups)
    assert method == "permutation"
    assert (groups[orders] == groups).all()
    assert (np.sort(orders, axis=1) == np.arange(8)).all()
    assert len({tuple(order) for order in orders}) > 20


def test_a_group_difference_alone_is_no_evidence_within() -> None:
    rng = np.random.default_rng(3)
    groups = np.repeat(np.arange(6), 10)
    x = groups + 0.3 * rng.normal(size=(200, 60))
    y = groups + 0.3 * rng.normal(size=60)
    across, _ = kendall_p_values(x, y, 200, rng)
    within, _ = kendall_p_values(x, y, 200, rng, groups)
    assert across.max() < 0.02
    assert stats.kstest(within, "uniform").pvalue > 1e-3


def test_holm_by_hand() -> None:
    assert holm(np.array([0.01, 0.04, 0.03, 0.005])).tolist() == pytest.approx([0.03, 0.06, 0.06, 0.02])
    assert holm(np.array([0.9, 0.8])).tolist() == [1.0, 1.0]
    assert holm(np.array([])).tolist() == []


def test_models_needed() -> None:
    assert models_needed(1.0) == 5  # 2/5! = 0.017, 2/4! = 0.083
    assert models_needed(1.0, n_tests=36) == 7
    assert models_needed(0.001) is None
    needed = models_needed(0.3)
    assert needed is not None
    z = 0.3 / math.sqrt(2 * (2 * needed + 5) / (9 * needed * (needed - 1)))
    assert z == pytest.approx(1.96, abs=0.06)
