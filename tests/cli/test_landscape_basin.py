"""``genscope landscape basin`` as a user runs it."""

import json
from pathlib import Path

import pytest
import torch

from genscope.cli.main import main

MODULE = """
import torch
def net():
    made = torch.nn.Sequential(torch.nn.Linear(2, 6), torch.nn.ReLU(), torch.nn.Linear(6, 2))
    g = torch.Generator().manual_seed(0)
    for p in made.parameters():
        p.data = torch.randn(p.shape, generator=g)
    made[2].weight.data *= 3
    return made
def data():
    x = torch.randn(80, 2, generator=torch.Generator().manual_seed(1))
    with torch.no_grad():
        return x, net()(x).argmax(1)
"""
ASKED = ["landscape", "basin", "--model", "basin_mine:net", "--data", "basin_mine:data", "--cutoff", "loss_increase:0.1", "--directions", "40"]


@pytest.fixture(autouse=True)
def module(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "basin_mine.py").write_text(MODULE, encoding="utf-8")
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.setenv("COLUMNS", "160")
    torch.manual_seed(0)


def run(*arguments: str) -> int:
    with pytest.raises(SystemExit) as ending:
        main([*ASKED, *arguments])
    return int(ending.value.code or 0)


def test_json_keeps_the_contract(capsys: pytest.CaptureFixture[str]) -> None:
    assert run("--json", "--quiet") == 0
    document = json.loads(capsys.readouterr().out)
    wanted = ["n_params", "coordinates", "cutoff", "radii", "log_volume", "log_volume_low", "log_volume_high", "effective_radius", "ess", "estimator"]
    assert [name for name in [*wanted, "n_never_crossed"] if name not in document] == []
    assert document["n_params"] == 24 and document["n_params_total"] == 32 and len(document["radii"]) == 40
    assert document["verb"] == "landscape basin" and document["cutoffs"][0]["criterion"] == "loss_increase"


def test_the_table_shows_n_and_radius_beside_every_volume(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    assert run("--html", "page.html", "--csv", "rows.csv", "--out", "kept", "--estimator", "naive") == 0
    told = capsys.readouterr().out
    assert "24 dimensions" in told and "effective r" in told and "mean ln r" in told and "naive" in told
    assert (tmp_path / "page.html").stat().st_size > 10_000 and "mean_log_radius" in (tmp_path / "rows.csv").read_text(encoding="utf-8")
    assert (tmp_path / "kept" / "result.json").is_file() and (tmp_path / "kept" / "rays.npz").is_file()


def test_an_empty_basin_is_one_sentence(capsys: pytest.CaptureFixture[str]) -> None:
    assert run("--cutoff", "loss:1e-12", "--cutoff", "loss:1") == 0  # a further cutoff is left out with a note
    assert "left out" in capsys.readouterr().err
    first = [*ASKED[:6], "--cutoff", "loss:1e-12"]
    with pytest.raises(SystemExit) as ending:
        main(first)
    told = capsys.readouterr()
    assert ending.value.code == 1 and told.out == "" and "not below the cutoff" in told.err and len(told.err.strip().splitlines()) == 1
