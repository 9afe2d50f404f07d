"""``genscope assess`` as a user runs it."""

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import save_file
from tests.cli.conftest import Run

MODULE = """
import torch
from torch import nn
def net():
    torch.manual_seed(0)
    return nn.Sequential(nn.Linear(4, 6), nn.ReLU(), nn.Linear(6, 2))
def data():
    x = torch.randn(40, 4, generator=torch.Generator().manual_seed(0))
    return x, (x[:, 0] > 0).long()
def broken():
    raise ValueError("no luck")
number = 3
def sized(width, *, outputs=2, **rest):
    torch.manual_seed(0)
    return nn.Sequential(nn.Linear(4, width), nn.ReLU(), nn.Linear(width, outputs))
"""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    where = tmp_path / "cwd"
    where.mkdir(exist_ok=True)
    (where / "mine.py").write_text(MODULE)
    x = np.random.default_rng(0).standard_normal((40, 4)).astype(np.float32)
    np.savez(where / "data.npz", x=x, y=(x[:, 0] > 0).astype(np.int64))
    model = torch.nn.Sequential(torch.nn.Linear(4, 6), torch.nn.ReLU(), torch.nn.Linear(6, 2))
    save_file(model.state_dict(), where / "weights.safetensors")
    save_file({"0.weight": torch.zeros(5, 4)}, where / "other.safetensors")
    return where


def test_json_contract_and_weights(run: Run, folder: Path) -> None:
    words = ["assess", "--model", "mine:net", "--weights", "weights.safetensors", "--initial", "weights.safetensors", "--data", "data.npz"]
    done = run(*words, "--measure", "train_error", "--measure", "l2_dist", "--budget", "fast", "--json", "--out", "kept")
    assert done.code == 0, done.err
    document = json.loads(done.out)
    assert {"model", "data", "measures"} <= set(document)
    rows = {row["measure"]: row for row in document["measures"]}
    assert rows["l2_dist"]["value"] == 0.0 and rows["train_error"]["status"] == "ok"
    assert (folder / "kept" / "result.json").is_file()


def test_table_for_people_and_factories_for_data(run: Run, folder: Path) -> None:
    done = run("assess", "--model", "mine:net", "--data", "mine:data", "--measure", "margin", "--measure", "test_error", "--budget", "fast")
    assert done.code == 0, done.err
    assert "margin" in done.out and "give --test-data" in done.out
    dry = run("assess", "--model", "mine:net", "--data", "data.npz", "--dry-run")
    assert dry.code == 0 and "forward passes" in dry.out


def test_factories_take_literal_arguments(run: Run, folder: Path) -> None:
    for call in ("mine:sized(6)", "mine:sized( width = 6 , outputs = 2)", "mine:sized(6, names=('a', None), rate=-1e-3)"):
        done = run("assess", "--model", call, "--weights", "weights.safetensors", "--data", "data.npz", "--measure", "train_error", "--json")
        assert done.code == 0, done.err
        assert json.loads(done.out)["measures"][0]["status"] == "ok"
    wrong = run("assess", "--model", "mine:sized(7)", "--weights", "weights.safetensors", "--data", "data.npz", "--json")
    assert (wrong.code, wrong.out) == (1, "") and "shape" in wrong.err


@pytest.mark.parametrize(
    ("words", "code", "sentence"),
    [
        (["--model", "mine", "--data", "data.npz"], 2, "package.module:factory"),
        (["--model", "nowhere:net", "--data", "data.npz"], 2, "no module 'nowhere'"),
        (["--model", "mine:other", "--data", "data.npz"], 2, "has no 'other'"),
        (["--model", "mine:broken", "--data", "data.npz"], 1, "no luck"),
        (["--model", "mine:sized", "--data", "data.npz"], 1, "width"),
        (["--model", "mine:sized(6, outputs=9", "--data", "data.npz"], 2, "cannot be read"),
        (["--model", "mine:sized(print())", "--data", "data.npz"], 2, "print() is not a literal"),
        (["--model", "mine:sized(open('x'))", "--data", "data.npz"], 2, "is not a literal"),
        (["--model", "mine:sized(*[6])", "--data", "data.npz"], 2, "is not a literal"),
        (["--model", "mine:sized(**{'width': 6})", "--data", "data.npz"], 2, "one pair of brackets"),
        (["--model", "mine:sized(6)(7)", "--data", "data.npz"], 2, "one pair of brackets"),
        (["--model", "mine:sized(6).eval()", "--data", "data.npz"], 2, "one pair of brackets"),
        (["--model", "mine:sized(" + "(" * 500 + ")" * 500 + ")", "--data", "data.npz"], 2, "cannot be read"),
        (["--model", "mine:number(3)", "--data", "data.npz"], 2, "takes no arguments"),
        (["--model", "mine:number", "--data", "data.npz"], 1, "torch.nn.Module"),
        (["--model", "mine:net", "--weights", "other.safetensors", "--data", "data.npz"], 1, "shape"),
        (["--model", "mine:net", "--data", "cifar10:nowhere"], 1, "CIFAR-10"),
    ],
)
def test_bad_input_is_one_sentence_and_nothing_on_standard_output(run: Run, folder: Path, words: list[str], code: int, sentence: str) -> None:
    done = run("assess", *words, "--measure", "margin")
    assert (done.code, done.out) == (code, ""), done.err
    assert sentence in done.err and "Traceback" not in done.err
