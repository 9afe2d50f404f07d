"""The page of a trained model has a part per question, and the page of a ranking shows axes and confounders."""

from typing import Any

from genscope.core.results import Result
from genscope.report.page import render
from genscope.report.sections_assess import assess_sections
from genscope.report.sections_measures import rank_sections


def measure(name: str, group: str, value: float | None = 1.0, layer: str | None = None, **more: Any) -> dict[str, Any]:
    facts = {"low": None, "high": None, "status": "ok", "reason": "", "unit": "nats", "expects": "larger gap", "meaning": f"What {name} says."}
    return {"measure": name, "layer": layer, "value": value, "group": group, **facts, **more}


def assessment() -> Result:
    rows = [
        measure("margin", "margins", 2.0, low=1.5, high=2.5),
        measure("normalized_train_loss", "normalized loss"),
        measure("pac_bayes_certificate_init", "PAC-Bayes", 0.31, status="doubtful", reason="vacuous <b>here</b>"),
        measure("adaptive_sharpness", "sharpness", 0.5, low=0.5),
        measure("log_path_norm_l2", "norms", None, status="skipped", reason="not traced (log_path_norm_l2 <- graph)"),
        measure("l2_over_margin", "norms over margin"),
        measure("layer_frobenius_norm", "norms", 3.25, "l1.weight"),
        measure("layer_operator_norm", "norms", 1.75, "l1"),
        measure("theorem_one_bound", "theorem 1 of Neyshabur et al."),
        measure("mine", "other measures"),
    ]
    certificate = {"bound": 0.31, "sigma": 0.1, "divergence": 20.0, "monte_carlo_error": 0.2, "n_draws": 200, "prior": "initialization"}
    curves = {
        "margins": {"edges": [0, 1, 2], "density": [0.5, 0.5]},
        "bi_criteria": {"x": [1, 2], "y": [3, 4]},
        "init_prior_certificate": certificate,
        "other": {"x": [1, 2], "y": [1, 2]},
    }
    return Result("assess", {"model": "net", "summary": {"verdict": "It fits."}}, rows, {}, curves)


def test_every_question_has_its_part_in_order() -> None:
    found = {section.id: section for section in assess_sections(assessment())}
    order = ["cards", "margins", "layers", "loss", "certificate", "sharpness", "capacity", "theorem", "figures", "table", "skipped"]
    assert [name for name in found if name in order] == order
    assert found["layers"].data["lines"] == [{"label": "l1", "values": ["3.250", "1.750"]}]
    assert "at most 31.0% of new examples wrong" in found["certificate"].data["facts"][0]
    assert [figure["title"] for figure in found["figures"].payload["figures"]] == ["Other"]
    assert found["sharpness"].data["lines"][0]["interval"] == "at least 0.500"
    assert "<-" not in str(found["skipped"].data)


def test_the_page_is_complete_without_groups_and_escapes_reasons() -> None:
    page = render(assessment())
    assert "vacuous &lt;b&gt;here" in page and "<b>here" not in page
    old = Result("assess", {}, [{"measure": "margin", "layer": None, "value": 1.0, "status": "ok"}], {}, {})
    assert "margin" in render(old)
    assert "All measures" in render(Result("assess", {}, [], {}, {}))


def test_a_ranking_shows_one_axis_at_a_time_and_what_hangs_on_groups() -> None:
    shared = {"n": 12, "status": "ok", "kendall_low": 0.2, "kendall_high": 0.9}
    rows = [
        {"measure": "norm", "kendall": 0.6, "within_kendall": -0.4, "across_kendall": 1.0, "confounding": "turns round within groups", **shared},
        {"measure": "width", "kendall": 0.1, "within_kendall": None, "baseline": True, **shared},
    ]
    per_axis = {"axes": ["width", "noise"], "measures": {"norm": {"width": 1.0, "noise": -0.5}, "width": {"width": None, "noise": None}}}
    result = Result("rank", {"n_models": 12, "target": "gap"}, rows, {}, {"per_axis": per_axis})
    found = {section.id: section for section in rank_sections(result)}
    cells = found["axes"].data["lines"][0]["cells"]
    assert [cell["heat"] for cell in cells] == ["p4", "m2", "none"]
    assert [cell["text"] for cell in found["confounders"].data["lines"][0]["cells"]] == ["+0.60", "−0.40", "+1.00"]
    assert found["confounders"].data["lines"][0]["words"] == "turns round within groups"
    items = {item["measure"]: item["baseline"] for item in found["ranking"].payload["items"]}
    assert items == {"norm": False, "width": True}
    assert "turns round within groups" in render(result)


def test_odd_curves_of_a_ranking_are_left_out() -> None:
    for odd in (None, 3, {"axes": 3, "measures": {}}, {"axes": ["a"], "measures": {"x": 3}}, {"axes": [], "measures": {}}):
        assert "axes" not in {section.id for section in rank_sections(Result("rank", {}, [], {}, {"per_axis": odd}))}
