import numpy as np
import pytest
import torch
from safetensors.torch import save_file
from torch import nn

import genscope
from genscope.errors import CorruptInput, GenscopeError, UsageError
from genscope.verbs.landscape_trajectory import runs_from_paths


def circle(n=12, seed=0):
    """Checkpoints on a circle of radius 3 in a plane of 20 parameters, far from the origin."""
    rng = np.random.default_rng(seed)
    basis, _ = np.linalg.qr(rng.standard_normal((20, 2)))
    angle = np.linspace(0, 4, n)
    points = 10 + 3 * np.outer(np.cos(angle), basis[:, 0]) + 3 * np.outer(np.sin(angle), basis[:, 1])
    return [{"w": torch.from_numpy(row[:12].reshape(3, 4)), "b": torch.from_numpy(row[12:])} for row in points]


def test_a_plane_is_found_with_its_geometry_and_nothing_off_it():
    result = genscope.landscape_trajectory(circle())
    xy = np.array([[row["pc1"], row["pc2"]] for row in result.rows])
    steps = np.linalg.norm(np.diff(xy, axis=0), axis=1)
    np.testing.assert_allclose(steps, 6 * np.sin(4 / 11 / 2), rtol=1e-6)
    np.testing.assert_allclose([row["step_length"] for row in result.rows], [0, *steps], rtol=1e-6)
    assert max(row["off_plane"] for row in result.rows) < 1e-6 and result.summary["explained"] == pytest.approx(1.0)
    assert result.head["n_params"] == 20 and result.head["random_walk"]["walk_high"] < 1.0
    assert result.head["options"]["perplexity"] == pytest.approx(11 / 3)
    again = genscope.landscape_trajectory(circle())
    assert again.rows == result.rows and again.curves == result.curves


def test_folders_are_runs_in_the_order_of_their_numbers(tmp_path):
    states = circle()
    for run, offset in (("good", 0.0), ("bad", 1.0)):
        (tmp_path / run).mkdir()
        for index, state in enumerate(states):
            save_file({name: tensor + offset for name, tensor in state.items()}, tmp_path / run / f"epoch{index}.safetensors")
        (tmp_path / run / "log.json").write_text("{}")
    result = genscope.landscape_trajectory(runs_from_paths([str(tmp_path / "good"), str(tmp_path / "bad")]), embedding="pca", out=tmp_path / "out")
    assert [row["checkpoint"] for row in result.rows[:12]] == [f"epoch{k}.safetensors" for k in range(12)]
    assert [row["run"] for row in result.rows] == ["good"] * 12 + ["bad"] * 12
    assert result.rows[12]["step_length"] == 0.0 and result.rows[0]["tsne1"] is None
    assert result.head["random_walk"]["explained"] == pytest.approx(1.0)
    assert genscope.load(tmp_path / "out").rows == result.rows
    files = [str(tmp_path / "good" / f"epoch{k}.safetensors") for k in (0, 5, 9)]
    assert len(genscope.landscape_trajectory(runs_from_paths(files)).rows) == 3
    mixed = runs_from_paths([str(tmp_path / "bad"), files[0]])
    assert list(mixed) == ["bad", "files"]


def test_modules_are_read_without_their_running_statistics():
    modules = []
    for seed in range(4):
        torch.manual_seed(seed)
        modules.append(nn.Sequential(nn.Linear(3, 4), nn.BatchNorm1d(4)))
        modules[-1][1].running_mean.fill_(1e6 * seed)
    result = genscope.landscape_trajectory(modules, embedding="pca")
    assert result.head["n_params"] == 24 and max(row["distance"] for row in result.rows) < 10
    assert any("running_mean" in note for note in result.tail["notes"])


@pytest.mark.parametrize(
    ("checkpoints", "words"),
    [
        (circle()[:2], "at least 3 checkpoints"),
        ([*circle()[:3], {"w": torch.zeros(3, 4)}], "has no"),
        ([*circle()[:3], {"w": torch.zeros(4, 3), "b": torch.zeros(8)}], "has the shape"),
        ([circle()[0]] * 3, "are the same"),
        (3, "give a folder"),
    ],
)
def test_what_is_no_trajectory_is_refused(checkpoints, words):
    with pytest.raises(GenscopeError, match=words):
        genscope.landscape_trajectory(checkpoints)


def test_bad_options_damaged_files_and_nan(tmp_path):
    with pytest.raises(UsageError, match="no embedding"):
        genscope.landscape_trajectory(circle(), embedding="umap")
    states = circle()[:3]
    states[1]["b"][0] = float("nan")
    with pytest.raises(UsageError, match="NaN or infinite"):
        genscope.landscape_trajectory(states)
    for index in range(3):
        (tmp_path / f"e{index}.safetensors").write_bytes(b"\x00" * 20)
    with pytest.raises((CorruptInput, GenscopeError)):
        genscope.landscape_trajectory(tmp_path)
    assert "at least 4" in " ".join(genscope.landscape_trajectory(circle()[:3]).tail["notes"])
