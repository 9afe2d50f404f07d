"""Sections: what they count and group, and what they leave out when something is missing."""

from dataclasses import replace

import pytest
from tests.report.pages import data_of, read
from tests.report.sample_models import EVERY
from tests.report.sample_results import analyze_result

from genscope.core.results import Result
from genscope.report.page import render
from genscope.report.sections_analyze import composition


def test_composition_uses_the_whole_interval_above_six() -> None:
    def row(alpha: float, low: float, high: float) -> dict:
        return {"status": "ok", "alpha": alpha, "alpha_low": low, "alpha_high": high}

    rows = [
        row(1.5, 1.2, 1.9),
        row(1.9, 1.6, 2.5),
        row(3, 2.5, 4),
        row(5, 3, 9),
        row(8, 6.5, 12),
        {"status": "doubtful", "alpha": 3},
        {"status": "failed"},
        {"status": "skipped"},
    ]
    found = {group["id"]: group["n"] for group in composition(rows).data["groups"]}
    assert found == {"heavy": 1, "typical": 2, "unsure": 1, "weak": 1, "doubtful": 1, "failed": 1, "skipped": 1}
    assert sum(group["width"] for group in composition(rows).data["groups"]) == pytest.approx(100, abs=0.01)


def test_both_forms_of_scatter_draw_the_same() -> None:
    result = EVERY["rank"]()
    each = result.curves["scatter"]
    first = next(iter(each.values()))
    shared = {"target": first["y"], "models": first["labels"], "group": first["groups"], "measures": {name: one["x"] for name, one in each.items()}}
    again = replace(result, curves={"scatter": shared})
    assert data_of(render(again))["sections"]["scatter"] == data_of(render(result))["sections"]["scatter"]


def test_an_analysis_without_a_fit_names_the_commonest_reason() -> None:
    rows = [{"layer": f"l{k}", "view": "weight", "status": "skipped", "reason": "1×n: too small"} for k in range(3)]
    assert "No matrix could be fitted because: 1×n: too small" in render(Result("analyze", {"source": "a"}, rows))


def test_missing_fields_and_broken_curves_leave_sections_out() -> None:
    rows = [{"layer": "a", "view": "weight", "alpha": None}, {"layer": None, "view": None, "odd": {"values": [1, None]}, "more": {"x": [1, 2]}}]
    curves = {"a::weight": {"ccdf": {"x": [1], "y": [1, 2]}, "hist": {"edges": [1, 2], "density": []}, "mp": {}, "twin": None}}
    text = render(
        Result(
            "analyze", {"source": "a", "summary": {"alpha": float("nan")}}, rows, {"skipped": ["bare name", {"reason": "x"}], "notes": None}, curves
        )
    )
    assert 'id="depth"' not in text and "bare name" in text
    data_of(text)


def test_thousands_of_skipped_tensors_are_grouped_and_capped() -> None:
    result = replace(analyze_result(2), tail={"skipped": [{"layer": f"b{k}", "reason": "bias"} for k in range(5000)]})
    text = render(result)
    assert "and 3,000 more" in text and "<b>5,000</b> in all" in text


@pytest.mark.parametrize("verb", EVERY)
def test_zero_rows_are_a_page_that_says_so(verb: str) -> None:
    text = render(Result(verb, {"source": "empty.npz", "models": []} if verb != "describe" else {"source": "e"}, []))
    assert read(text).count("section") >= 2
    assert '<p class="verdict" id="verdict">' in text
