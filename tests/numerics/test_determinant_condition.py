"""The determinant condition against the product taken literally."""

import math
from fractions import Fraction

import numpy as np
import pytest

from genscope.core.status import Undefined
from genscope.numerics.determinant_condition import determinant_condition, determinant_gap


def literal(values):
    """Largest k with an exact product of at least 1."""
    exact = [Fraction(float(v)) for v in sorted(values, reverse=True)]
    mean = sum(exact) / len(exact)
    best, product = 0, Fraction(1)
    for k, v in enumerate(exact, 1):
        product *= v / mean
        if product >= 1:
            best = k
    return best


@pytest.mark.parametrize("seed", range(6))
def test_against_exact_products(seed):
    values = np.random.default_rng(seed).pareto(1.5, 60) + 0.1
    found = determinant_condition(values)
    assert found.n_tail == literal(values)
    ordered = np.sort(values)[::-1]
    assert found.xmin == ordered[found.n_tail - 1]
    assert found.log_determinant == pytest.approx(np.log(ordered[: found.n_tail] / values.mean()).sum())
    assert found.log_determinant >= 0 > found.log_determinant + math.log(ordered[found.n_tail] / values.mean())


def test_scale_zeros_and_range():
    values = np.random.default_rng(9).pareto(1.0, 3000)
    assert determinant_condition(values).n_tail == determinant_condition(values * 1e-200).n_tail
    wide = np.geomspace(1e-200, 1e100, 2000)  # a plain product overflows
    assert 0 < determinant_condition(wide).n_tail < 2000
    assert determinant_condition(np.array([4.0, 1.0, 0.0, 0.0])).n_tail == 2
    assert determinant_gap(determinant_condition(np.array([4.0, 1.0, 0.0, 0.0])), 3) == -1


@pytest.mark.parametrize("values", [[], [1.0], [0.0, 0.0], [2.0, 2.0, 2.0]])
def test_undefined(values):
    assert isinstance(determinant_condition(np.array(values)), Undefined)
