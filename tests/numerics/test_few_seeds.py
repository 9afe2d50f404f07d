"""Means over few seeds: Student's interval covers as it says, the bootstrap falls short."""

import numpy as np
from scipy import stats

from genscope.numerics.few_seeds import mean_over_seeds


def test_student_agrees_with_scipy() -> None:
    values = np.array([0.3, 0.9, 0.4, 0.8, 0.1])
    found = mean_over_seeds(values, np.random.default_rng(0))
    assert found is not None
    expected = stats.t.interval(0.95, 4, loc=values.mean(), scale=stats.sem(values))
    np.testing.assert_allclose((found.low, found.high), expected)
    assert found.low < found.bootstrap_low < found.mean < found.bootstrap_high < found.high  # type: ignore[operator]


def test_student_covers_and_the_bootstrap_does_not() -> None:
    rng = np.random.default_rng(1)
    found = [mean_over_seeds(rng.standard_normal(5), rng, n_resamples=400) for _ in range(600)]
    student = np.mean([one.low < 0 < one.high for one in found])  # type: ignore[union-attr, operator]
    bootstrap = np.mean([one.bootstrap_low < 0 < one.bootstrap_high for one in found])  # type: ignore[union-attr, operator]
    assert 0.93 < student < 0.97 and 0.78 < bootstrap < 0.89


def test_few_or_no_values() -> None:
    rng = np.random.default_rng(0)
    assert mean_over_seeds(np.array([np.nan, np.inf]), rng) is None
    found = mean_over_seeds(np.array([2.0, np.nan]), rng)
    assert found is not None and (found.mean, found.low, found.n) == (2.0, None, 1)
