"""``genscope landscape`` in a fresh process: the JSON, the table, the page, and one sentence for what does not fit."""

import json
from pathlib import Path

import numpy as np
import pytest

MODEL = "genscope.training.models:mlp((6, 5, 3))"


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    rng = np.random.default_rng(0)
    path = tmp_path_factory.mktemp("data") / "small.npz"
    np.savez(path, x=rng.standard_normal((30, 6)).astype(np.float32), y=rng.integers(3, size=30))
    return path


def test_a_plane_as_json(run, data: Path) -> None:  # type: ignore[no-untyped-def]
    done = run("landscape", "plane", "--model", MODEL, "--data", data, "--points", 3, 4, "--radius", 0.5, "--json", "-q")
    assert done.code == 0, done.err
    document = json.loads(done.out)
    assert document["verb"] == "landscape plane" and len(document["points"]) == 12 and document["shape"] == [3, 4]
    assert set(document["points"][0]) == {"x", "y", "loss", "error", "margin", "status", "reason"}
    assert {"bn_policy", "backend", "n_examples"} <= set(document["evaluation"])


@pytest.mark.parametrize(
    ("words", "code", "said"),
    [
        (("slice", "--bn", "fresh"), 2, "recalibrate, frozen, batch"),
        (("path", "--to", "nowhere.pt"), 1, "nowhere.pt"),
        (("volume",), 2, "No such command"),
    ],
)
def test_bad_input_is_one_sentence(run, data: Path, words: tuple[str, ...], code: int, said: str) -> None:  # type: ignore[no-untyped-def]
    done = run("landscape", *words, "--model", MODEL, "--data", data)
    assert done.code == code and said in done.err and done.out == "" and "Traceback" not in done.err
