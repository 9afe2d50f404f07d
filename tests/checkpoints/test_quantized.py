import numpy as np
import pytest
import torch
from safetensors.torch import save_file

from genscope.checkpoints.open import open_checkpoint


def opened(tmp_path, tensors):
    save_file(tensors, tmp_path / "m.safetensors")
    return open_checkpoint(tmp_path / "m.safetensors")


def reasons(checkpoint):
    return {skip.layer: skip.reason for skip in checkpoint.skips}


@pytest.mark.parametrize("scale_shape", [(), (1,), (6,), (6, 1)], ids=str)
def test_int8_with_scale(scale_shape, tmp_path):
    generator = torch.Generator().manual_seed(0)
    weight = torch.randint(-127, 128, (6, 4), generator=generator, dtype=torch.int8)
    scale = torch.rand(scale_shape, generator=generator) + 0.1
    checkpoint = opened(tmp_path, {"l.weight": weight, "l.weight_scale": scale})
    expected = weight.numpy().astype("f8") * scale.reshape(-1, 1).numpy().astype("f8")
    np.testing.assert_allclose(checkpoint.read("l.weight"), expected, rtol=1e-6)
    spec = checkpoint.specs[0]
    assert spec.dtype == "float32" and spec.attributes["dequantized_from"] == "int8" and "multiplied" in reasons(checkpoint)["l.weight_scale"]
    assert next(held for held in checkpoint.held if held.name == "l.weight").dtype == "int8"


def test_int8_with_zero_points(tmp_path):
    weight = torch.tensor([[1, 2], [3, 4]], dtype=torch.int8)
    checkpoint = opened(
        tmp_path,
        {"l.weight": weight, "l.weight_scale": torch.tensor([[2.0], [3.0]]), "l.weight_zero_point": torch.tensor([[1], [2]], dtype=torch.int8)},
    )
    assert checkpoint.read("l.weight").tolist() == [[0, 2], [3, 6]]


def test_fp8_in_blocks_of_128(tmp_path):
    weight = torch.randn(200, 300, generator=torch.Generator().manual_seed(0)).to(torch.float8_e4m3fn)
    scale = torch.tensor([[1.0, 2.0, 4.0], [8.0, 16.0, 32.0]])
    read = opened(tmp_path, {"l.weight": weight, "l.weight_scale_inv": scale}).read("l.weight")
    expected = np.empty((200, 300))
    for i in range(200):
        for j in range(300):
            expected[i, j] = float(scale[i // 128, j // 128])
    np.testing.assert_array_equal(read, weight.float().numpy() * expected)


def test_bitsandbytes_int8_rows(tmp_path):
    weight = torch.tensor([[127, -127], [0, 64]], dtype=torch.int8)
    checkpoint = opened(tmp_path, {"l.weight": weight, "l.SCB": torch.tensor([2.0, 127.0])})
    np.testing.assert_allclose(checkpoint.read("l.weight"), [[2, -2], [0, 64]], rtol=1e-6)


def test_packed_weights_are_named_and_skipped(tmp_path):
    checkpoint = opened(
        tmp_path,
        {
            "g.qweight": torch.zeros(2, 4, dtype=torch.int32),
            "g.qzeros": torch.zeros(1, 4, dtype=torch.int32),
            "g.scales": torch.ones(1, 4, dtype=torch.float16),
            "b.weight": torch.zeros(8, 1, dtype=torch.uint8),
            "b.weight.absmax": torch.zeros(1),
            "m.down_proj_blocks": torch.zeros(2, 2, dtype=torch.uint8),
            "alone.weight": torch.zeros(2, 2, dtype=torch.int8),
            "odd.weight": torch.zeros(4, 4, dtype=torch.int8),
            "odd.weight_scale": torch.ones(3, 2),
            "logit_scales": torch.ones(2),
        },
    )
    said = reasons(checkpoint)
    assert (
        "GPTQ" in said["g.qweight"]
        and "GPTQ" in said["g.scales"]
        and "bitsandbytes" in said["b.weight"]
        and "microscaling" in said["m.down_proj_blocks"]
    )
    assert "without a scale" in said["alone.weight"] and "do not fit" in said["odd.weight"]
    assert "logit_scales" in {spec.name for spec in checkpoint.specs}


def test_plain_fp8_needs_no_scale(tmp_path):
    weight = torch.randn(4, 4).to(torch.float8_e5m2)
    np.testing.assert_array_equal(opened(tmp_path, {"l.weight": weight}).read("l.weight"), weight.float().numpy())
