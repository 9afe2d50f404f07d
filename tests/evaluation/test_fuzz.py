"""Whatever a table holds, the ranking ends in rows or in one sentence, never in a traceback or a NaN."""

import json

import numpy as np
import pytest
from hypothesis import Phase, given, settings
from hypothesis import strategies as st

from genscope.errors import GenscopeError
from genscope.evaluation.rank import rank

numbers = st.one_of(st.none(), st.integers(-3, 3), st.floats(allow_nan=True, allow_infinity=True), st.sampled_from([1e308, -1e308, 5e-324, 0.1]))


@settings(max_examples=80, deadline=None, phases=[Phase.explicit, Phase.reuse, Phase.generate])
@given(st.data())
def test_any_numbers(data: st.DataObject) -> None:
    n = data.draw(st.integers(1, 14))
    column = st.lists(numbers, min_size=n, max_size=n)
    table = {"model": [f"m{k}" for k in range(n)], "x": data.draw(column), "depth": data.draw(column), "test_error": data.draw(column)}
    table["family"] = data.draw(st.lists(st.sampled_from(["a", "b", ""]), min_size=n, max_size=n))
    try:
        result = rank(table, axes=["family"], group="family", n_bootstrap=20, n_permutations=20)
    except GenscopeError as error:
        assert "\n" not in str(error)
        return
    json.loads(result.to_json(), parse_constant=pytest.fail)
    for row in result.rows:
        for name, value in row.items():
            if isinstance(value, float):
                assert np.isfinite(value), name
        for name in ("kendall", "spearman", "pearson", "within_kendall", "partial_spearman", "granulated_kendall"):
            assert row[name] is None or -1 <= row[name] <= 1


@pytest.mark.parametrize("text", ["<script>alert(1)</script>", "\x1b[31mred", "=cmd|' /C calc'!A0", "\u202eevil", "a" * 5000])
def test_names_are_only_names(text: str) -> None:
    result = rank({"model": [f"{text}{k}" for k in range(6)], text: list(range(6)), "test_error": list(range(6))}, n_bootstrap=20)
    assert result.rows[0]["measure"] == text
    assert "\x1b" not in result.summary["verdict"] and "\u202e" not in result.summary["verdict"]
