"""Scores join models by name, and what does not join is listed."""

from pathlib import Path

import pytest

from genscope.errors import GenscopeError
from genscope.evaluation.scores import Scores, match_scores, read_scores, short_name


def test_accuracy_and_error_files(tmp_path: Path) -> None:
    (tmp_path / "s.csv").write_text("model,accuracy\nvgg11.pt,69.0\nvgg13.pt,70.1\nvgg16.pt,\n")
    scores = read_scores(tmp_path / "s.csv")
    assert scores.values == {"vgg11.pt": 69.0, "vgg13.pt": 70.1}
    assert scores.higher_is_better and scores.column == "accuracy"
    assert "1 model(s) of s.csv have no accuracy" in scores.notes
    (tmp_path / "e.csv").write_text("name,whatever\na,1\nb,2\n")
    assert read_scores(tmp_path / "e.csv").column == "whatever"


def test_matching() -> None:
    scores = Scores({"a": 1.0, "dir/b.safetensors": 2.0, "zzz": 3.0}, "error", False)
    found, missing, unused = match_scores(["a", "elsewhere/B.pt", "c"], scores)
    assert found == {"a": 1.0, "elsewhere/B.pt": 2.0}
    assert missing == ("c",) and unused == ("zzz",)
    with pytest.raises(GenscopeError, match="fits several rows"):
        match_scores(["y/a.pt"], Scores({"x/a": 1.0, "z/a.pt": 2.0}, "error", False))


def test_short_names() -> None:
    assert short_name("/x/Y.pth.tar") == "y"
    assert short_name("resnet18.v2") == "resnet18.v2"
    assert short_name("org/name") == "name"
