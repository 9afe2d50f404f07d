import numpy as np
import pytest

import genscope


def test_product_rows_equal_the_svd_of_the_product() -> None:
    rng = np.random.default_rng(0)
    weights = {"a.weight": rng.standard_normal((40, 30)), "b.weight": rng.standard_normal((25, 40)), "c.weight": rng.standard_normal((20, 25))}
    result = genscope.analyze(weights, products=True, resamples=0)
    rows = {row["layer"]: row for row in result.rows}
    assert len(rows) == 5
    for first, second in (("a", "b"), ("b", "c")):
        expected = np.linalg.svd(weights[f"{second}.weight"] @ weights[f"{first}.weight"], compute_uv=False)[0] ** 2
        assert rows[f"{first}.weight * {second}.weight"]["lambda_max"] == pytest.approx(expected, rel=1e-10)


def test_shapes_that_do_not_chain_give_no_product() -> None:
    rng = np.random.default_rng(0)
    result = genscope.analyze({"a.weight": rng.standard_normal((40, 30)), "b.weight": rng.standard_normal((25, 41))}, products=True, resamples=0)
    assert [row["layer"] for row in result.rows] == ["a.weight", "b.weight"]
