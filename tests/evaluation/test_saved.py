"""Saved results of other verbs become a table, joined with scores by model name."""

import json
from pathlib import Path

import numpy as np
import pytest

from genscope.core.results import Result
from genscope.errors import GenscopeError
from genscope.evaluation.rank import rank
from genscope.evaluation.saved import is_saved, read_saved


def analysis(model: str, alpha: float) -> Result:
    summary = {"n_matrices": 4, "n_fitted": 4, "n_skipped": 1, "alpha": alpha, "log_spectral_norm": alpha / 2, "verdict": "fine"}
    return Result("analyze", {"source": model, "options": {}, "summary": summary}, [{"layer": "a", "alpha": alpha}], {"skipped": []})


def assessment(model: str, value: float | None) -> Result:
    rows = [{"measure": "margin", "layer": None, "value": value}, {"measure": "norm", "layer": "fc", "value": 3.0}]
    rows += [{"measure": "path_norm", "layer": "", "value": 2.0}]
    return Result("assess", {"model": model, "data": "x"}, rows)


def test_analyses_and_assessments(tmp_path: Path) -> None:
    folder = analysis("a.pt", 2.0).save(tmp_path / "a")
    (tmp_path / "b.json").write_text(analysis("b.pt", 3.0).to_json())
    table = read_saved([folder, tmp_path / "b.json", analysis("c.pt", 4.0)])
    assert table.models == ("a.pt", "b.pt", "c.pt")
    assert sorted(table.numbers) == ["alpha", "log_spectral_norm", "n_matrices"]
    assert table.numbers["alpha"].tolist() == [2, 3, 4]
    other = read_saved([assessment("a", 1.0), assessment("b", None)])
    assert sorted(other.numbers) == ["margin", "path_norm"] and np.isnan(other.numbers["margin"][1])


def test_rank_saved_results_with_scores(tmp_path: Path) -> None:
    folders = [analysis(f"zoo/m{k}.pt", 2.0 + k).save(tmp_path / f"m{k}") for k in range(6)]
    (tmp_path / "scores.csv").write_text("model,accuracy\n" + "".join(f"m{k},{90 - k}\n" for k in range(5)) + "other,1\n")
    result = rank(folders, scores=tmp_path / "scores.csv", n_bootstrap=50)
    row = {row["measure"]: row for row in result.rows}["alpha"]
    assert row["kendall"] == pytest.approx(-1) and row["n"] == 5
    assert result.tail["unmatched"] == ["zoo/m5.pt: no score", "other: no measures"]
    assert {row["measure"]: row["baseline"] for row in result.rows}["n_matrices"] is True
    with pytest.raises(GenscopeError, match="Only 1 of 6 models have a score"):
        rank(folders, scores={"model": ["m1", "x"], "accuracy": [1, 2]})


@pytest.mark.parametrize(
    ("content", "sentence"),
    [
        ("{", "not valid JSON"),
        ("[1]", "not a result of analyze or assess"),
        ("[" * 100_000, "not valid JSON"),
        ('{"n_models": 3, "measures": []}', "not a result of analyze or assess"),
        ('{"matrices": [], "summary": {"alpha": 2.0}}', "does not say which model"),
    ],
)
def test_what_is_not_a_result(tmp_path: Path, content: str, sentence: str) -> None:
    path = tmp_path / "r.json"
    path.write_text(content)
    assert is_saved(path)
    with pytest.raises(GenscopeError, match=sentence):
        read_saved([path])


def test_more_bad_sources(tmp_path: Path) -> None:
    with pytest.raises(GenscopeError, match=r"holds no result\.json"):
        rank(tmp_path)
    with pytest.raises(GenscopeError, match="no numbers for whole models"):
        read_saved([Result("assess", {"model": "m"}, [{"measure": "x", "layer": "fc", "value": 1.0}])])
    with pytest.raises(GenscopeError, match="appears 2 times"):
        read_saved([analysis("a", 2.0), analysis("a", 3.0)])
    (tmp_path / "t.csv").write_text("model,e\na,1\n")
    with pytest.raises(GenscopeError, match="one table, or several saved results"):
        rank([tmp_path / "t.csv", tmp_path / "t.csv"])
    assert json.loads(analysis("a", float("nan")).to_json())["summary"]["alpha"] is None
