"""Radii by first crossing against closed forms, awkward rays, and a slow scan."""

import numpy as np
import pytest

from genscope.errors import UsageError
from genscope.landscape.radius import Crossings, Cutoff, Guess, SearchSettings, first_crossings

START = SearchSettings(start=1e-2)
TENTH = (Cutoff(0, 0.1),)


def crossings(field, n_rays: int = 40, cutoffs=TENTH, settings: SearchSettings = START, guess: Guess | None = None) -> Crossings:  # type: ignore[no-untyped-def]
    return first_crossings(field, n_rays, cutoffs, settings, np.random.default_rng(0), guess)


def test_quadratic_rays_are_exact_and_cheap_once_warm() -> None:
    curvature = np.exp(np.random.default_rng(1).normal(0.0, 0.6, 200))

    def field(rays: np.ndarray, radii: np.ndarray) -> np.ndarray:
        return (0.5 * curvature[rays] * radii**2)[:, None]

    cold = crossings(field, 100)
    warm = crossings(lambda rays, radii: field(rays + 100, radii), 100, guess=cold.guess)
    for part, found in ((curvature[:100], cold), (curvature[100:], warm)):
        assert np.allclose(found.radii[:, 0], np.sqrt(0.2 / part), rtol=1e-9)
    assert warm.n_evaluations.mean() < 6.5 < cold.n_evaluations.mean()
    assert not warm.earlier.any() and not warm.returns.any()


@pytest.mark.parametrize("rtol", [1e-2, 1e-3, 1e-6])
def test_radii_of_curved_rays_are_within_the_tolerance(rtol: float) -> None:
    rate = np.random.default_rng(2).uniform(2.0, 30.0, 300)

    def field(rays: np.ndarray, radii: np.ndarray) -> np.ndarray:
        return (1e-6 * np.expm1(np.minimum(rate[rays] * radii**1.5, 600.0)) + 1e-9 * radii)[:, None]

    exact = (np.log1p(0.1 / 1e-6) / rate) ** (2 / 3)
    guess = None
    for _ in range(2):
        found = crossings(field, 300, settings=SearchSettings(rtol=rtol, start=1e-2), guess=guess)
        guess = found.guess
        assert np.abs(found.radii[:, 0] / exact - 1).max() < rtol


def bump(rays: np.ndarray, radii: np.ndarray) -> np.ndarray:
    """Above 0.1 between 0.25 and 0.35, again from 0.577 on."""
    return (0.3 * radii**2 + 0.2 * np.exp(-(((radii - 0.3) / 0.05) ** 2)) + 0.0 * rays)[:, None]


def test_an_outward_scan_finds_the_first_of_several_crossings() -> None:
    found = crossings(bump, 5, settings=SearchSettings(scan=1.2, start=1e-2))
    grid = np.linspace(0, 1, 100001)
    first = grid[np.argmax(bump(np.zeros(1), grid)[:, 0] >= 0.1)]
    assert np.allclose(found.radii[:, 0], first, rtol=2e-3)


def test_checks_find_an_earlier_crossing_that_a_warm_start_jumped_over() -> None:
    guess = Guess(np.log([0.55]), np.array([2.0]))
    careless = crossings(bump, 200, settings=SearchSettings(n_check=0, start=1e-2), guess=guess)
    careful = crossings(bump, 200, settings=SearchSettings(n_check=6, start=1e-2), guess=guess)
    assert not careless.earlier.any() and np.allclose(careless.radii, 0.5773, rtol=2e-3)
    assert careful.earlier.mean() > 0.5
    assert np.allclose(careful.radii[careful.earlier[:, 0], 0], 0.25244, rtol=2e-3)
    assert (careful.returns == careful.earlier).all()


def test_several_cutoffs_and_criteria_come_from_one_search() -> None:
    def field(rays: np.ndarray, radii: np.ndarray) -> np.ndarray:
        return np.stack([radii**2, np.floor(20 * radii) / 20], axis=1) + 0.0 * rays[:, None]

    cutoffs = (Cutoff(0, 0.1), Cutoff(0, 1.0), Cutoff(1, 0.3, steps=True))
    found = crossings(field, 10, cutoffs)
    assert np.allclose(found.radii, [[np.sqrt(0.1), 1.0, 0.3]], rtol=1e-3)
    alone = [crossings(field, 10, [cutoff]).n_evaluations.sum() for cutoff in cutoffs]
    assert found.n_evaluations.sum() < sum(alone)


def test_rays_that_never_cross_are_not_a_number_and_the_others_still_come_out() -> None:
    found = crossings(lambda rays, radii: np.where(rays % 2 == 0, 0.01, radii**2)[:, None], 6, settings=SearchSettings(largest=100.0))
    assert np.isnan(found.radii[::2]).all() and np.allclose(found.radii[1::2], np.sqrt(0.1))


@pytest.mark.parametrize("broken", [np.nan, np.inf])
def test_values_that_are_not_finite_count_as_outside(broken: float) -> None:
    found = crossings(lambda rays, radii: np.where(radii > 0.7, broken, 1e-3 * radii + 0.0 * rays)[:, None])
    assert np.allclose(found.radii, 0.7, rtol=1e-3) and found.not_finite.all()


def test_a_loss_that_underflows_near_the_centre_does_no_harm() -> None:
    found = crossings(lambda rays, radii: np.where(radii < 0.3, 0.0, radii - 0.3)[:, None] + 0.0 * rays[:, None])
    assert np.allclose(found.radii, 0.4, rtol=1e-3)


def test_settings_that_make_no_sense_are_refused() -> None:
    with pytest.raises(UsageError, match="rtol"):
        SearchSettings(rtol=0.0)


def test_against_an_independent_root_finder() -> None:
    optimize = pytest.importorskip("scipy.optimize.elementwise", reason="scipy is older than 1.15")
    rng = np.random.default_rng(3)
    a, b = rng.uniform(0.5, 2.0, 50), rng.uniform(0.1, 3.0, 50)

    def loss(radii: np.ndarray, a: np.ndarray, b: np.ndarray) -> np.ndarray:
        return a * radii**2 + b * radii**4 * (1 + 0.3 * np.sin(radii))

    found = crossings(lambda rays, radii: loss(radii, a[rays], b[rays])[:, None], 50)
    peer = optimize.find_root(lambda r, a, b: loss(r, a, b) - 0.1, (1e-3, 1.0), args=(a, b)).x
    assert np.allclose(found.radii[:, 0], peer, rtol=1e-3)
