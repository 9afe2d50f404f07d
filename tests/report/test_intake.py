"""A tampered folder of results still gives a page: parts of wrong kinds are left out, never a traceback."""

import random
from typing import Any

import pytest
from tests.report.pages import data_of, read
from tests.report.sample_models import EVERY
from tests.report.sample_results import analyze_result

from genscope.core.results import Result
from genscope.report.intake import trusted
from genscope.report.page import render

JUNK = [None, "text", -1, 3.5, float("nan"), True, [], {}, [1, "a"], {"values": [1, 2]}, {"x": [1]}, 10**30, "</script>"]


def tampered(rng: random.Random, value: Any, depth: int = 0) -> Any:
    """``value`` with some parts replaced by parts of other kinds, and some missing."""
    if depth and rng.random() < 0.06:
        return rng.choice(JUNK)
    if isinstance(value, dict):
        return {key: tampered(rng, item, depth + 1) for key, item in value.items() if rng.random() > 0.02}
    if isinstance(value, list | tuple) and depth < 5:
        return [tampered(rng, item, depth + 1) for item in value][:60]
    return value


@pytest.mark.parametrize("verb", EVERY)
def test_tampered_results_still_give_a_page(verb: str) -> None:
    rng = random.Random(verb)
    result = analyze_result(6) if verb == "analyze" else EVERY[verb]()
    for _ in range(3 if verb == "approximate" else 15):  # it draws six figures each time
        rows = tampered(rng, [dict(row) for row in result.rows])
        blocks = (dict(result.tail), dict(result.curves), dict(result.reproducibility), dict(result.timing))
        text = render(Result(verb, tampered(rng, dict(result.head)), rows, *(tampered(rng, block) for block in blocks)))
        data_of(text)
        assert read(text).count("script") == 2


def test_values_of_the_wrong_kind_become_gaps_or_texts() -> None:
    rows = [{"layer": "a", "alpha": "3", "status": {"x": 1}, "n_tail": True, "kind": 7, "own": [1]}, "not a row"]
    shown = trusted(Result("analyze", {"summary": [1], "options": "x", "models": 3}, rows, {"skipped": "x", "notes": ["n"]}))
    assert list(shown.rows) == [{"layer": "a", "alpha": None, "status": "{'x': 1}", "n_tail": None, "kind": "7", "own": [1]}]
    assert shown.head == {"summary": {}} and shown.tail == {"notes": ["n"]}


def test_pairs_of_a_comparison_keep_their_places() -> None:
    rows = [{"layer": "a", "alpha": {"values": [1.0, "x", None], "change": float("nan")}}]
    assert trusted(Result("compare", {}, rows)).rows[0]["alpha"] == {"values": [1.0, None, None], "change": None}
