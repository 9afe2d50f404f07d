import math

import pytest

from genscope.numerics.logspace import log_of, log_product, log_sum


def test_products_beyond_the_float_range() -> None:
    assert log_product([1e300] * 10) == pytest.approx(3000 * math.log(10))
    assert log_product([2.0, 0.0]) == -math.inf
    assert log_of(0.0) == -math.inf


def test_sum_of_logarithms() -> None:
    assert log_sum([5000.0, 5000.0, -math.inf]) == pytest.approx(5000 + math.log(2))
