"""The verb: rows and verdicts, going on from a kept run, refusals, the command line, pictures and the page."""

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn

import genscope
from genscope.core.results import Result
from genscope.errors import StoreError, UnsupportedInput, UsageError


@pytest.fixture(scope="module")
def line() -> Result:
    return genscope.flow("line", until=15)


def verdicts(result: Result) -> dict[str, tuple[str, str]]:
    return {row["lemma"]: (row["verdict"], row["corrected_verdict"]) for row in result.rows}


def test_a_linear_flow_meets_the_theory(line: Result) -> None:
    found = verdicts(line)
    for name in (
        "structural lemma",
        "equal growth",
        "norms grow",
        "loss falls to zero",
        "support vector machine",
        "KKT conditions",
        "descent and flow",
    ):
        assert found[name][0] == "HOLDS", name
    assert found["margin grows"] == ("HOLDS", "HOLDS")
    assert found["growth as printed before lemma 1"] == ("FAILS", "HOLDS")
    assert line.summary["angle"] < 0.05 and line.summary["status"] == "ok"
    assert all(row["source"] and row["statement"] and row["status"] in ("ok", "skipped") for row in line.rows)


def test_the_corrected_theorem_is_shown_with_its_verdict() -> None:
    found = verdicts(genscope.flow("stuck", until=40))
    assert found["maximum of the margin"] == ("FAILS", "HOLDS")
    assert found["one support vector"] == ("FAILS", "HOLDS")
    assert found["growth of norms"] == ("FAILS", "HOLDS")


def test_a_run_goes_on_as_if_it_had_never_stopped(tmp_path: Path, line: Result) -> None:
    genscope.flow("line", until=6, out=tmp_path / "run")
    onward = genscope.flow("line", until=15, out=tmp_path / "run")
    assert onward.curves["trace"]["log10_loss"] == line.curves["trace"]["log10_loss"]
    assert [row["residual"] for row in onward.rows] == [row["residual"] for row in line.rows]
    assert any(note.startswith("went on from") for note in onward.tail["notes"])
    back = genscope.load(tmp_path / "run")
    assert back.verb == "flow" and [row["lemma"] for row in back.rows] == [row["lemma"] for row in line.rows]
    with pytest.raises(StoreError, match="another flow"):
        genscope.flow("line", until=6, loss="logistic", out=tmp_path / "run")
    (tmp_path / "run" / "flow.json").write_text("{}")
    with pytest.raises(StoreError, match="damaged"):
        genscope.flow("line", until=6, out=tmp_path / "run")


def test_data_that_are_not_separated_are_a_status() -> None:
    rng = np.random.default_rng(0)
    x = rng.standard_normal((30, 2))
    torch.manual_seed(0)
    result = genscope.flow(nn.Linear(2, 1, bias=False), (x, (x[:, 0] * x[:, 1] > 0).astype(int)), until=10)
    assert result.summary["status"] == "doubtful" and "not separated" in result.summary["verdict"]
    assert verdicts(result)["norms grow"][0] == "NOT TESTED" and verdicts(result)["equal growth"][0] == "HOLDS"


def test_refusals() -> None:
    with pytest.raises(UsageError, match="built-in problem"):
        genscope.flow("nowhere")
    with pytest.raises(UsageError, match="decades"):
        genscope.flow("line", until="soon")
    with pytest.raises(UsageError, match="choose A"):
        genscope.flow("line", system="D")
    with pytest.raises(UsageError, match="no loss"):
        genscope.flow("line", loss="hinge")
    with pytest.raises(UsageError, match=r"data=\(X, y\)"):
        genscope.flow(nn.Linear(2, 1, bias=False))
    with pytest.raises(UnsupportedInput, match="a bias"):
        genscope.flow(nn.Sequential(nn.Linear(2, 2), nn.ReLU(), nn.Linear(2, 1)), (np.eye(2), np.array([0, 1])))


def test_the_command_prints_lemmas_and_json(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "genscope", "flow", "line", "--until", "4", "--quiet"]
    text = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    assert "structural lemma" in text and "holds" in text
    done = subprocess.run([*command, "--system", "b", "--json", "--html", str(tmp_path / "page.html")], capture_output=True, text=True, check=True)
    document = json.loads(done.stdout)
    assert document["verb"] == "flow" and document["options"]["system"] == "B" and {"lemma", "verdict", "residual"} <= set(document["lemmas"][0])
    assert "image/gif" in (tmp_path / "page.html").read_text()
    bad = subprocess.run([*command[:4], "line", "--model", "a:b"], capture_output=True, text=True, check=False)
    assert bad.returncode == 2 and bad.stdout == ""


def test_pictures_of_damaged_curves_are_left_out(line: Result) -> None:
    from genscope.figures.flow import flow_pictures
    from genscope.figures.theme import LIGHT

    pictures = flow_pictures(line.curves, line.tail)
    assert len(pictures) == 9 and all(picture.draw(LIGHT) for picture in pictures)
    gif = next(picture.animation for picture in pictures if picture.animation)(LIGHT)
    assert gif.startswith(b"GIF8") and len(gif) < 1_500_000
    assert flow_pictures({}) == [] and flow_pictures({"trace": {"tau": "x"}}) == []
    broken = {**line.curves, "norms": {"values": ["x"]}, "boundary": {"frames": [{}]}, "law": None, "descent": 3, "residuals": []}
    assert 0 < len(flow_pictures(broken)) < 9
