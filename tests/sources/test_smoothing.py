from pathlib import Path

import numpy as np
import pytest
from safetensors.numpy import load_file, save_file

from genscope.errors import UsageError
from genscope.sources.smoothing import smooth


@pytest.fixture
def planted(tmp_path: Path) -> tuple[Path, np.ndarray]:
    rng = np.random.default_rng(0)
    left, right = np.linalg.qr(rng.standard_normal((120, 3)))[0], np.linalg.qr(rng.standard_normal((200, 3)))[0]
    signal = left * np.array([60.0, 50.0, 40.0]) @ right.T
    weight = signal + rng.standard_normal((120, 200))
    kernel = rng.standard_normal((24, 16, 3, 3))
    path = tmp_path / "planted.safetensors"
    save_file({"fc.weight": weight.astype(np.float32), "fc.bias": np.arange(120, dtype=np.float32), "conv.weight": kernel.astype(np.float32)}, path)
    return path, signal


def test_spikes_are_the_planted_signal(planted: tuple[Path, np.ndarray], tmp_path: Path) -> None:
    path, signal = planted
    result = smooth(path, tmp_path / "copy.safetensors", include=("fc*",))
    assert [row["rank_kept"] for row in result.rows] == [3]
    before, after = load_file(path), load_file(tmp_path / "copy.safetensors")
    assert np.linalg.norm(after["fc.weight"] - signal) < 0.5 * np.linalg.norm(before["fc.weight"] - signal)
    assert np.array_equal(after["fc.bias"], before["fc.bias"]) and np.array_equal(after["conv.weight"], before["conv.weight"])


def test_rank_is_the_best_approximation_also_of_kernel_positions(planted: tuple[Path, np.ndarray], tmp_path: Path) -> None:
    path, _ = planted
    smooth(path, tmp_path / "copy.safetensors", keep="rank", rank=2)
    before, after = load_file(path), load_file(tmp_path / "copy.safetensors")
    for i in range(3):
        for j in range(3):
            left, values, right = np.linalg.svd(before["conv.weight"][:, :, i, j].astype(np.float64), full_matrices=False)
            assert after["conv.weight"][:, :, i, j] == pytest.approx((left[:, :2] * values[:2]) @ right[:2], abs=1e-5)


def test_full_rank_is_the_identity(planted: tuple[Path, np.ndarray], tmp_path: Path) -> None:
    path, _ = planted
    smooth(path, tmp_path / "copy.safetensors", keep="rank", rank=10_000)
    before, after = load_file(path), load_file(tmp_path / "copy.safetensors")
    assert all(after[name] == pytest.approx(before[name], abs=1e-4) for name in before)


def test_traps_go_and_signal_stays(planted: tuple[Path, np.ndarray], tmp_path: Path) -> None:
    path, signal = planted
    tensors = load_file(path)
    tensors["fc.weight"][5, 7] += 80.0
    save_file(tensors, path)
    result = smooth(path, tmp_path / "copy.safetensors", keep="untrapped", include=("fc*",))
    after = load_file(tmp_path / "copy.safetensors")["fc.weight"]
    assert result.rows[0]["n_changed"] >= 1
    assert abs(after[5, 7] - signal[5, 7]) < 10
    assert np.linalg.svd(after, compute_uv=False)[:3] == pytest.approx([60, 50, 40], rel=0.12)


@pytest.mark.parametrize(("keep", "rank"), [("rank", None), ("spikes", 3), ("rank", 0), ("everything", None)])
def test_impossible_requests_write_nothing(planted: tuple[Path, np.ndarray], tmp_path: Path, keep: str, rank: int | None) -> None:
    with pytest.raises(UsageError):
        smooth(planted[0], tmp_path / "copy.safetensors", keep=keep, rank=rank)
    assert not (tmp_path / "copy.safetensors").exists()


def test_bfloat16_rounds_to_nearest_even(tmp_path: Path) -> None:
    torch = pytest.importorskip("torch")
    from safetensors.torch import load_file as load_torch
    from safetensors.torch import save_file as save_torch

    weight = torch.randn(30, 20, generator=torch.Generator().manual_seed(0)).to(torch.bfloat16)
    save_torch({"w.weight": weight}, tmp_path / "b.safetensors")
    smooth(tmp_path / "b.safetensors", tmp_path / "copy.safetensors", exclude=("*",))
    assert torch.equal(load_torch(tmp_path / "copy.safetensors")["w.weight"], weight)
