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
    assert "margin" in done.out and "test_batches" in done.out
    dry = run("assess", "--model", "mine:net", "--data", "data.npz", "--dry-run")
    assert dry.code == 0 and "forward passes" in dry.out


@pytest.mark.parametrize(
    ("words", "code", "sentence"),
    [
        (["--model", "mine", "--data", "data.npz"], 2, "package.module:factory"),
        (["--model", "nowhere:net", "--data", "data.npz"], 2, "no module 'nowhere'"),
        (["--model", "mine:other", "--data", "data.npz"], 2, "has no 'other'"),
        (["--model", "mine:broken", "--data", "data.npz"], 1, "no luck"),
        (["--model", "mine:number", "--data", "data.npz"], 1, "torch.nn.Module"),
        (["--model", "mine:net", "--weights", "other.safetensors", "--data", "data.npz"], 1, "shape"),
        (["--model", "mine:net", "--data", "cifar10:nowhere"], 1, "CIFAR-10"),
    ],
)
def test_bad_input_is_one_sentence_and_nothing_on_standard_output(run: Run, folder: Path, words: list[str], code: int, sentence: str) -> None:
    done = run("assess", *words, "--measure", "margin")
    assert (done.code, done.out) == (code, ""), done.err
    assert sentence in done.err and "Traceback" not in done.err
