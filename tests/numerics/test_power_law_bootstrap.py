"""The interval covers planted exponents, the p-value is uniform enough on power laws and small off them; both repeat with the seed."""

import numpy as np
import pytest
from tests.truth import noise_eigenvalues, planted_power_law

from genscope.numerics.power_law import fit_power_law
from genscope.numerics.power_law_bootstrap import bootstrap_power_law, goodness_of_fit

# alpha - 1 only scales the logarithms, so exponents share the repeats
REPEATS = {50: 40, 200: 30, 1000: 14, 4000: 6}


@pytest.mark.parametrize("n", REPEATS)
def test_interval_covers_planted_exponents(n: int) -> None:
    rng, covered, total = np.random.default_rng(n), 0, 0
    for alpha in (2.0, 2.5, 3.0, 4.0, 6.0):
        for _ in range(REPEATS[n]):
            values = planted_power_law(n, alpha, rng)
            found = bootstrap_power_law(values, fit_power_law(values), rng=rng)
            covered += found.low <= alpha <= found.high
            total += 1
    # 95 % of a binomial around the band of 90 to 98 %
    slack = 2.0 * (0.95 * 0.05 / total) ** 0.5
    assert 0.90 - slack < covered / total < 0.98 + slack


def test_p_value_keeps_its_level_on_power_laws() -> None:
    rng = np.random.default_rng(0)
    values = [planted_power_law(150, 3.0, rng) for _ in range(200)]
    p_values = np.array([goodness_of_fit(one, fit_power_law(one), n_resamples=100, rng=rng) for one in values])
    assert np.mean(p_values < 0.1) < 0.16
    assert np.mean(p_values < 0.5) > 0.25
    assert p_values.min() >= 1 / 101


@pytest.mark.parametrize("kind", ["lognormal", "uniform", "gaussian matrix"])
def test_p_value_rejects_what_is_no_power_law(kind: str) -> None:
    rng = np.random.default_rng(1)
    values = {
        "lognormal": np.exp(0.5 * rng.standard_normal(2000)),
        "uniform": rng.uniform(1.0, 4.0, 2000),
        "gaussian matrix": noise_eigenvalues(300, 300, rng),
    }[kind]
    fit = fit_power_law(values, xmin=float(np.quantile(values, 0.4)))
    assert goodness_of_fit(values, fit, rng=rng) < 0.05


def test_same_seed_same_answer_and_scale_does_not_matter() -> None:
    values = planted_power_law(300, 3.0, np.random.default_rng(2))
    fit, scaled = fit_power_law(values), fit_power_law(values * 1e30)
    one, two = (bootstrap_power_law(values, fit, rng=np.random.default_rng(3)) for _ in range(2))
    assert np.array_equal(one.alphas, two.alphas)
    assert (one.low, one.high) == (two.low, two.high)
    far = bootstrap_power_law(values[::-1] * 1e30, scaled, rng=np.random.default_rng(3))
    assert (far.low, far.high) == pytest.approx((one.low, one.high), rel=1e-5)
    assert goodness_of_fit(values, fit, rng=np.random.default_rng(4)) == goodness_of_fit(values, fit, rng=np.random.default_rng(4))


def test_interval_narrows_and_has_the_right_width() -> None:
    rng = np.random.default_rng(5)
    values = planted_power_law(3000, 3.0, rng)
    fit = fit_power_law(values, xmin=1.0)
    found = bootstrap_power_law(values, fit, n_resamples=400, rng=rng)
    assert 3.0 * fit.alpha_stderr < found.high - found.low < 8.0 * fit.alpha_stderr
    wide = bootstrap_power_law(values, fit, n_resamples=400, rng=np.random.default_rng(6), level=0.99)
    assert wide.high - wide.low > found.high - found.low
    assert found.alphas.size == 400


def test_without_a_fit_or_resamples_there_is_no_number() -> None:
    rng = np.random.default_rng(7)
    flat = fit_power_law(np.ones(30))
    assert bootstrap_power_law(np.ones(30), flat, rng=rng).low is None
    assert goodness_of_fit(np.ones(30), flat, rng=rng) is None
    values = planted_power_law(50, 3.0, rng)
    none = bootstrap_power_law(values, fit_power_law(values), n_resamples=0, rng=rng)
    assert (none.low, none.high, none.alphas.size) == (None, None, 0)
    few = bootstrap_power_law(values, fit_power_law(values), n_resamples=10, rng=rng)
    assert (few.low, few.alphas.size) == (None, 10)
    assert goodness_of_fit(values, fit_power_law(values), n_resamples=0, rng=rng) is None


@pytest.mark.parametrize("n", [6, 7, 12, 70_000])
def test_any_size_works(n: int) -> None:
    rng = np.random.default_rng(n)
    values = planted_power_law(n, 3.0, rng)
    fit = fit_power_law(values)
    found = bootstrap_power_law(values, fit, n_resamples=25, rng=rng)
    assert found.low < found.high
    assert 0.0 < goodness_of_fit(values, fit, n_resamples=5, rng=rng) <= 1.0


def test_the_interval_holds_the_estimate_even_where_resamples_prefer_another_tail() -> None:
    rng = np.random.default_rng(8)
    values = np.exp(0.8 * rng.standard_normal(1500))
    fit = fit_power_law(values, xmin=float(np.quantile(values, 0.3)))
    found = bootstrap_power_law(values, fit, rng=rng)
    assert fit.alpha < np.quantile(found.alphas, 0.025)
    assert found.low == fit.alpha < found.high
