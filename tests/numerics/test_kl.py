import math

import numpy as np
import pytest

from genscope.numerics.kl import bernoulli_kl, isotropic_gaussian_kl, kl_inverse_upper, pac_bayes_kl_bound


@pytest.mark.parametrize(("q", "budget"), [(0.0, 1e-6), (0.0, 0.3), (0.02, 0.01), (0.4, 0.2), (0.9, 0.05), (0.5, 3.0)])
def test_inverse_is_the_inverse_and_never_below_it(q: float, budget: float) -> None:
    p = kl_inverse_upper(q, budget)
    assert p >= q
    assert bernoulli_kl(q, p) == pytest.approx(budget, rel=1e-6)
    assert bernoulli_kl(q, p) >= budget * (1 - 1e-9)


def test_inverse_at_the_ends() -> None:
    assert kl_inverse_upper(1.0, 0.1) == 1.0
    assert kl_inverse_upper(0.3, 0.0) == 0.3
    assert kl_inverse_upper(0.3, math.inf) == 1.0
    assert kl_inverse_upper(0.0, 0.25) == pytest.approx(1 - math.exp(-0.25), abs=1e-12)


def test_seeger_is_tighter_than_pinsker() -> None:
    for q in (0.0, 0.05, 0.3):
        assert kl_inverse_upper(q, 0.02) <= q + math.sqrt(0.02 / 2) + 1e-12


def test_gaussian_kl_against_monte_carlo() -> None:
    rng = np.random.default_rng(0)
    n, sigma, prior = 5, 0.7, 1.3
    mean, centre = rng.standard_normal(n), rng.standard_normal(n)
    w = mean + sigma * rng.standard_normal((200_000, n))
    log_q = -0.5 * ((w - mean) ** 2).sum(1) / sigma**2 - n * math.log(sigma)
    log_p = -0.5 * ((w - centre) ** 2).sum(1) / prior**2 - n * math.log(prior)
    draws = log_q - log_p
    closed = isotropic_gaussian_kl(float(((mean - centre) ** 2).sum()), n, sigma, prior)
    assert abs(draws.mean() - closed) < 4 * draws.std() / math.sqrt(len(draws))


def test_equal_widths_leave_the_distance_only() -> None:
    assert isotropic_gaussian_kl(3.0, 10**6, 0.1, 0.1) == pytest.approx(3.0 / (2 * 0.01))


def test_bound_grows_with_divergence_and_shrinks_with_data() -> None:
    assert pac_bayes_kl_bound(0.1, 10, 1000, 0.05) < pac_bayes_kl_bound(0.1, 100, 1000, 0.05)
    assert pac_bayes_kl_bound(0.1, 10, 10_000, 0.05) < pac_bayes_kl_bound(0.1, 10, 1000, 0.05)
    assert pac_bayes_kl_bound(0.0, 1e9, 100, 0.05) == pytest.approx(1.0)
