"""Exact unit counts against their binomials and against ranks that know nothing of binomials."""

import math

import numpy as np
import pytest

from genscope.errors import UsageError
from genscope.numerics.polynomial_rank import monomial_exponents, monomial_rank, numeric_rank, ridge_power_rank, tree_polynomial_rank, unit_counts


@pytest.mark.parametrize(("n", "k", "shallow", "tree"), [(8, 2, 45, 42), (8, 3, 165, 70), (8, 4, 495, 105), (4, 2, 15, 18), (2, 3, 10, 10)])
def test_the_counts_of_theorems_two_and_three(n: int, k: int, shallow: int, tree: int) -> None:
    counts = unit_counts(n, k)
    assert (counts.shallow, counts.tree) == (shallow, tree)
    assert len(monomial_exponents(n, k)) == shallow


def test_the_printed_approximations_leave_out_factorials() -> None:
    counts = unit_counts(8, 4)
    assert (counts.shallow_printed, counts.shallow) == (65_536, 495)
    large = unit_counts(2, 10_000)
    assert large.shallow_printed / large.shallow == pytest.approx(math.factorial(2), rel=1e-3)
    assert large.tree_printed / large.tree == pytest.approx(2, rel=1e-3)


@pytest.mark.parametrize(("n", "k"), [(2, 1), (2, 5), (4, 1), (4, 2), (4, 3), (8, 2), (8, 3)])
def test_ranks_agree_with_the_counts(n: int, k: int) -> None:
    rng, counts = np.random.default_rng(0), unit_counts(n, k)
    assert monomial_rank(n, k, rng) == counts.shallow
    assert ridge_power_rank(n, k, rng) == counts.shallow
    assert ridge_power_rank(n, k, rng, units=counts.shallow - 1) == counts.shallow - 1
    assert tree_polynomial_rank(n, k, rng) == counts.tree_dimension


def test_a_tree_of_squares_has_degree_k_to_the_levels() -> None:
    # h(a, b) = (a + b)^2 on four leaves is ((x1 + x2)^2 + (x3 + x4)^2)^2: along a line its fourth difference is constant, not its second
    t = np.arange(7.0)
    values = (2 * (2 * t) ** 2) ** 2
    assert np.ptp(np.diff(values, 4)) == 0 and np.diff(values, 4)[0] > 0
    assert unit_counts(4, 2).composed_degree == 4 and unit_counts(8, 3).composed_degree == 27


def test_rank_ignores_the_scale_of_columns() -> None:
    matrix = np.random.default_rng(1).standard_normal((20, 5)) * 10.0 ** np.array([0, -40, 30, 5, -200])
    assert numeric_rank(matrix) == 5
    assert numeric_rank(np.hstack((matrix, matrix[:, :1] * 3))) == 5
    assert numeric_rank(np.zeros((3, 2))) == 0


@pytest.mark.parametrize(("n", "k"), [(3, 2), (1, 2), (0, 1), (4, 0)])
def test_impossible_trees_are_refused(n: int, k: int) -> None:
    with pytest.raises(UsageError, match=r"power of two|degree"):
        unit_counts(n, k)
