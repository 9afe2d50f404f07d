"""``genscope landscape boundary`` and ``genscope landscape trajectory`` as a user runs them."""

import json

import torch
from safetensors.torch import save_file
from tests.cli.conftest import Run

from genscope.training.models import mlp

MODEL = "genscope.training.models:mlp((2, 8, 2))"


def test_boundary_prints_json_and_writes_a_gif_and_a_page(run: Run, tmp_path):
    torch.manual_seed(0)
    save_file(mlp((2, 8, 2)).state_dict(), tmp_path / "net.safetensors")
    common = ("landscape", "boundary", "--model", MODEL, "--weights", tmp_path / "net.safetensors", "--data", "swiss-roll:n=12,n_test=20", "-q")
    done = run(*common, "--points", "20", "--frames", "3", "--gif", tmp_path / "b.gif", "--html", tmp_path / "b.html", "--json")
    assert done.code == 0, done.err
    found = json.loads(done.out)
    assert len(found["examples"]) == 12 and found["animation"]["frames"] == 3 and 0 <= found["test_accuracy"] <= 1
    assert (tmp_path / "b.gif").read_bytes()[:4] == b"GIF8" and "landscape boundary" in (tmp_path / "b.html").read_text(encoding="utf-8")
    done = run(*common, "--gif", tmp_path / "c.gif", "--frames", "0")
    assert done.code == 2 and "--gif needs frames" in done.err and done.out == ""
    done = run(*common, "--through", "0", "0", "1")
    assert done.code == 2 and "three different" in done.err and "Traceback" not in done.err and done.out == ""


def test_trajectory_of_a_folder(run: Run, tmp_path):
    folder = tmp_path / "checkpoints"
    folder.mkdir()
    for index in range(5):
        torch.manual_seed(index)
        save_file(mlp((2, 3, 2)).state_dict(), folder / f"epoch{index}.safetensors")
    done = run("landscape", "trajectory", folder, "-q", "--walks", "5", "--embedding", "pca")
    assert done.code == 0, done.err
    assert "epoch4" in done.out and "17 parameters" in done.out and "random walk" in done.out
    done = run("landscape", "trajectory", tmp_path / "nothing.pt", folder / "epoch0.safetensors", folder / "epoch1.safetensors", "-q")
    assert done.code == 1 and "nothing.pt" in done.err and len(done.err.strip().splitlines()) == 1 and done.out == ""
