import math

import pytest

from genscope.numerics.sigma_search import find_largest_sigma


@pytest.mark.parametrize("edge", [2.3e-5, 0.01, 0.1, 0.7, 55.0])
def test_one_sided_bracket(edge: float) -> None:
    found = find_largest_sigma(lambda sigma: sigma <= edge, rtol=1e-3)
    assert found.sigma <= edge < found.above
    assert found.above / found.sigma - 1 <= 1e-3
    assert found.saturated == ""


def test_saturation_is_reported() -> None:
    high = find_largest_sigma(lambda _: True, largest=8.0)
    assert (high.sigma, high.above, high.saturated) == (8.0, math.inf, "above")
    low = find_largest_sigma(lambda _: False, smallest=1e-3)
    assert (low.sigma, low.saturated) == (0.0, "below")
    assert low.above == pytest.approx(1e-3)


def test_the_first_failure_from_below_bounds_the_search() -> None:
    # Holds up to 1, fails up to 10, holds again: the second island is never claimed.
    found = find_largest_sigma(lambda sigma: sigma <= 1.0 or sigma > 10.0, start=0.3, rtol=1e-3)
    assert found.sigma <= 1.0


def test_counts_its_evaluations() -> None:
    calls = []
    found = find_largest_sigma(lambda sigma: bool(calls.append(sigma)) or sigma < 0.2)
    assert found.n_evaluations == len(calls)
