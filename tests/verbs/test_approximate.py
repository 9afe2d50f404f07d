"""The experiment end to end on tiny budgets, its arithmetic on planted errors, and resuming."""

from pathlib import Path

import numpy as np
import pytest

import genscope
from genscope.errors import StoreError, UsageError
from genscope.verbs.approximate import count_rows, square_rows
from genscope.verbs.approximation_exponents import exponent_rows, optimization_rows, slope_curves
from genscope.verbs.approximation_verdict import approximation_summary

TINY = {"variables": [2, 4], "units": [1, 2, 4], "seeds": 2, "restarts": 1, "steps": 4}


def planted(exponents: dict[str, float], variables: int = 8, spread: float = 0.02) -> list[dict]:
    """Rows whose errors follow known power laws, a little apart from seed to seed."""
    rows = []
    for architecture, exponent in exponents.items():
        for units in (8, 16, 32, 64):
            errors = [3.0 * units ** -(exponent + spread * (seed - 2)) for seed in range(5)]
            rows.append({"architecture": architecture, "variables": variables, "width": units, "matched_to": units, "n_units": units,
                         "n_parameters": 4 * units, "n_seeds": 5, "error": float(np.exp(np.mean(np.log(errors)))), "errors": errors})  # fmt: skip
    return rows


def test_planted_exponents_are_found_with_their_intervals() -> None:
    rows = planted({"tree_shared": 1.0, "shallow": 0.25})
    tree, shallow = exponent_rows(rows, 2.0, 0)
    assert (tree["exponent"], shallow["exponent"]) == pytest.approx((1.0, 0.25))
    assert (tree["theorem"], shallow["theorem"]) == (1.0, 0.25)
    half = 2.7764451 * np.std([-0.04, -0.02, 0, 0.02, 0.04], ddof=1) / np.sqrt(5)
    assert (tree["low"], tree["high"]) == pytest.approx((1 - half, 1 + half), rel=1e-6)
    assert tree["low"] < tree["bootstrap_low"] < tree["bootstrap_high"] < tree["high"]


def test_the_verdict_follows_the_interval() -> None:
    for tree, shallow, word in ((1.0, 0.25, "faster with units in trees"), (0.2, 0.9, "faster with units in shallow"), (0.5, 0.5, "do not tell")):
        rows = planted({"tree_shared": tree, "shallow": shallow})
        if word == "do not tell":
            for row in rows:  # not the same seeds up in both
                row["errors"] = row["errors"] if row["architecture"] == "shallow" else row["errors"][::-1]
        summary = approximation_summary(rows, exponent_rows(rows, 2.0, 0), optimization_rows(rows, 0), 0)
        assert word in summary["verdict"]
        assert summary["exponent_difference"] == pytest.approx(tree - shallow, abs=1e-9)


def test_optimization_error_is_told_where_it_is_proven() -> None:
    rows = planted({"tree": 0.5, "tree_built": 0.5})
    for row in rows:
        if row["architecture"] == "tree":
            row["errors"] = [2 * error for error in row["errors"]]
    rows[1]["errors"][0] = 100.0  # a wider network that is worse
    found = {row["architecture"]: row for row in optimization_rows(rows, 0)}
    assert found["tree"]["n_inversions"] == 1 and found["tree"]["n_steps"] == 15
    assert found["tree"]["excess"] > 2 and found["tree_built"]["excess"] is None
    lines = approximation_summary(rows, exponent_rows(rows, 2.0, 0), list(found.values()), 0)["verdict_details"]
    assert any("upper bounds" in line for line in lines)


def test_fitted_lines_go_through_the_middle_of_their_points() -> None:
    rows = planted({"tree": 0.7}, spread=0.0)
    line = slope_curves(rows, exponent_rows(rows, 2.0, 0))["lines"][0]
    np.testing.assert_allclose(line["y"], [3.0 * x**-0.7 for x in line["x"]])


def test_the_experiment_runs_saves_resumes_and_refuses_another(tmp_path: Path) -> None:
    seen: list[str] = []
    first = genscope.approximate(**TINY, out=tmp_path / "run", progress=lambda done, total, name, share: seen.append(name))
    assert len(seen) == len(first.rows) == 30 and all(row["status"] == "ok" for row in first.rows)
    (next((tmp_path / "run" / "cells").glob("*.json"))).unlink()
    again = genscope.approximate(**TINY, out=tmp_path / "run", progress=lambda done, total, name, share: seen.append(name))
    assert len(seen) == 31
    assert again.to_dict() | {"timing": 0} == first.to_dict() | {"timing": 0}
    loaded = genscope.load(tmp_path / "run")
    assert loaded.summary["verdict"] == first.summary["verdict"] and len(loaded.tail["exponents"]) == 10
    with pytest.raises(StoreError, match="another run"):
        genscope.approximate(**{**TINY, "seeds": 3}, out=tmp_path / "run")


def test_an_exponent_of_two_widths_is_a_status_with_a_reason() -> None:
    result = genscope.approximate(variables=[2], units=[1, 2], seeds=1, architectures=["shallow"], steps=2)
    (row,) = result.tail["exponents"]
    assert (row["status"], row["exponent"]) == ("skipped", None) and "at least 3" in row["reason"]
    assert "No exponents" in result.summary["verdict"]


def test_a_training_that_diverges_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    result = genscope.approximate(
        variables=[2], units=[1, 2, 4], seeds=1, architectures=["shallow"], steps=6, learning_rate=1e30, activation="relu_squared"
    )
    assert {row["status"] for row in result.rows} <= {"ok", "failed"}
    for row in result.rows:
        assert (row["error"] is None) == (row["status"] == "failed") and (row["status"] == "ok" or "diverged" in row["reason"])
    result.to_json()


def test_unit_counts_and_squares_stand_in_the_result() -> None:
    counts = {(row["variables"], row["degree"]): row for row in count_rows((4, 8))}
    assert (counts[8, 3]["shallow"], counts[8, 3]["tree"]) == (165, 70) == (counts[8, 3]["monomial_rank"], 70)
    assert counts[8, 4]["monomial_rank"] is None and counts[4, 2]["tree_rank"] == counts[4, 2]["tree_dimension"] == 14
    assert all(row["error"] == row["exact_error"] for row in square_rows())


@pytest.mark.parametrize(
    "wrong",
    [
        {"size": "huge"},
        {"variables": [3]},
        {"units": []},
        {"units": [0]},
        {"architectures": ["ring"]},
        {"activation": "sin"},
        {"depth": 2},
        {"seeds": 0},
    ],
)
def test_wrong_requests_are_one_sentence(wrong: dict) -> None:
    with pytest.raises(UsageError, match=r"\.$"):
        genscope.approximate(**wrong)
