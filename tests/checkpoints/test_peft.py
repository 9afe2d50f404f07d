"""LoRA adapters: the product, its factors, and the merge, against plain matrix products."""

import json
import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from safetensors.numpy import save_file

from genscope.checkpoints.limits import Limits
from genscope.checkpoints.peft import open_peft_folder
from genscope.checkpoints.peft_config import AdapterConfig
from genscope.checkpoints.safetensors import open_safetensors
from genscope.core.tensors import Checkpoint
from genscope.errors import CorruptInput, GenscopeError, LimitExceeded, UnsafeInput, UnsupportedInput, UsageError

RNG = np.random.default_rng(0)
PREFIX = "base_model.model.model.layers.0."
A, B = RNG.standard_normal((4, 10)).astype("f4"), RNG.standard_normal((6, 4)).astype("f4")
W = RNG.standard_normal((6, 10)).astype("f4")


def adapter(folder: Path, tensors: dict[str, np.ndarray] | None = None, **config: Any) -> Path:
    folder.mkdir(exist_ok=True)
    if tensors is None:
        tensors = {f"{PREFIX}q_proj.lora_A.weight": A, f"{PREFIX}q_proj.lora_B.weight": B}
    save_file({name: np.ascontiguousarray(values) for name, values in tensors.items()}, folder / "adapter_model.safetensors")
    (folder / "adapter_config.json").write_text(json.dumps({"peft_type": "LORA", "r": 4, "lora_alpha": 8, **config}))
    return folder


def base(path: Path, **tensors: np.ndarray) -> Path:
    save_file({name.replace("__", "."): values for name, values in tensors.items()}, path)
    return path


def close_to(values: np.ndarray, expected: np.ndarray) -> None:
    np.testing.assert_allclose(values, expected, rtol=1e-5, atol=1e-5)


def test_factors_carry_their_scale(tmp_path: Path):
    checkpoint = open_peft_folder(adapter(tmp_path / "a"))
    assert isinstance(checkpoint, Checkpoint)
    assert checkpoint.format == "peft"
    assert [(spec.name, spec.shape, spec.kind) for spec in checkpoint.specs] == [
        (f"{PREFIX}q_proj.lora_A.weight", (4, 10), "lora"),
        (f"{PREFIX}q_proj.lora_B.weight", (6, 4), "lora"),
    ]
    assert all(spec.attributes["lora_scaling"] == 2.0 and spec.attributes["lora_rank"] == 4 for spec in checkpoint.specs)
    np.testing.assert_array_equal(checkpoint.read(f"{PREFIX}q_proj.lora_A.weight"), A)
    checkpoint.close()


def test_the_product_is_multiplied_out_on_request(tmp_path: Path):
    checkpoint = open_peft_folder(adapter(tmp_path / "a"), form="product")
    (spec,) = checkpoint.specs
    assert (spec.name, spec.shape, spec.kind) == ("model.layers.0.q_proj.lora_BA", (6, 10), "lora")
    close_to(checkpoint.read(spec.name), 2 * B @ A)
    checkpoint.close()
    with pytest.raises(UsageError, match="was closed"):
        checkpoint.read(spec.name)


def test_merged_has_the_names_of_the_base(tmp_path: Path):
    stored = base(tmp_path / "base.safetensors", model__layers__0__q_proj__weight=W, other__weight=W.T.copy())
    checkpoint = open_peft_folder(adapter(tmp_path / "a"), base=stored)
    assert {spec.name: spec.shape for spec in checkpoint.specs} == {"model.layers.0.q_proj.weight": (6, 10), "other.weight": (10, 6)}
    close_to(checkpoint.read("model.layers.0.q_proj.weight"), W + 2 * B @ A)
    np.testing.assert_array_equal(checkpoint.read("other.weight"), W.T)
    assert "added to 1 weights of base.safetensors" in " ".join(checkpoint.notes)
    checkpoint.close()


def test_a_base_given_open_stays_open(tmp_path: Path):
    opened = open_safetensors(base(tmp_path / "base.safetensors", model__layers__0__q_proj__weight=W))
    open_peft_folder(adapter(tmp_path / "a"), base=opened).close()
    np.testing.assert_array_equal(opened.read("model.layers.0.q_proj.weight"), W)


@pytest.mark.parametrize(
    ("config", "scale"),
    [
        ({"lora_alpha": 16}, 4.0),
        ({"use_rslora": True}, 8 / math.sqrt(4)),
        ({"alpha_pattern": {"q_proj": 1}}, 0.25),
        ({"alpha_pattern": {"layers.0.q_proj": 2, "proj": 100}}, 0.5),
        ({"alpha_pattern": {".*(q|k)_proj": 1}}, 2.0),
    ],
)
def test_scales(tmp_path: Path, config: dict[str, Any], scale: float):
    checkpoint = open_peft_folder(adapter(tmp_path / "a", **config), form="product")
    close_to(checkpoint.read("model.layers.0.q_proj.lora_BA"), scale * B @ A)
    assert any("regular expressions" in note for note in checkpoint.notes) == ("(q|k)" in str(config))


def test_embeddings_convolutions_and_gpt2(tmp_path: Path):
    kernel_a, kernel_b = RNG.standard_normal((2, 3, 5, 5)).astype("f4"), RNG.standard_normal((8, 2, 1, 1)).astype("f4")
    table_a, table_b = RNG.standard_normal((2, 20)).astype("f4"), RNG.standard_normal((7, 2)).astype("f4")
    tensors = {
        "base_model.model.conv.lora_A.weight": kernel_a,
        "base_model.model.conv.lora_B.weight": kernel_b,
        "base_model.model.wte.lora_embedding_A": table_a,
        "base_model.model.wte.lora_embedding_B": table_b,
        "base_model.model.h.c_attn.lora_A.weight": A,
        "base_model.model.h.c_attn.lora_B.weight": B,
    }
    folder = adapter(tmp_path / "a", tensors, lora_alpha=4, fan_in_fan_out=True)
    alone = open_peft_folder(folder, form="product")
    assert {spec.name: spec.shape for spec in alone.specs} == {
        "conv.lora_BA": (8, 3, 5, 5),
        "wte.lora_BA": (20, 7),
        "h.c_attn.lora_BA": (6, 10),
    }
    close_to(alone.read("conv.lora_BA"), 2 * np.einsum("or,rikl->oikl", kernel_b[:, :, 0, 0], kernel_a))
    close_to(alone.read("wte.lora_BA"), 2 * (table_b @ table_a).T)
    weights = {
        "conv__weight": np.ones((8, 3, 5, 5), "f4"),
        "wte__weight": np.ones((20, 7), "f4"),
        "transformer__h__c_attn__weight": np.ones((10, 6), "f4"),
    }
    merged = open_peft_folder(folder, base=base(tmp_path / "base.safetensors", **weights))
    close_to(merged.read("wte.weight"), 1 + 2 * (table_b @ table_a).T)
    close_to(merged.read("conv.weight"), 1 + alone.read("conv.lora_BA"))
    close_to(merged.read("transformer.h.c_attn.weight"), 1 + (B @ A).T)


def test_a_square_weight_is_turned_only_if_the_configuration_says_so(tmp_path: Path):
    square_a, square_b = A[:, :6], B
    tensors = {"base_model.model.m.lora_A.weight": square_a, "base_model.model.m.lora_B.weight": square_b}
    stored = base(tmp_path / "base.safetensors", m__weight=np.zeros((6, 6), "f4"))
    for turned in (False, True):
        merged = open_peft_folder(adapter(tmp_path / "a", tensors, fan_in_fan_out=turned), base=stored)
        update = 2 * square_b @ square_a
        close_to(merged.read("m.weight"), update.T if turned else update)


def test_the_rest_of_an_adapter_is_named(tmp_path: Path):
    tensors = {
        f"{PREFIX}q_proj.lora_A.weight": A,
        f"{PREFIX}q_proj.lora_B.weight": B,
        f"{PREFIX}q_proj.lora_magnitude_vector": np.ones(6, "f4"),
        f"{PREFIX}k_proj.lora_A.weight": A,
        f"{PREFIX}v_proj.lora_A.weight": A,
        f"{PREFIX}v_proj.lora_B.weight": B[:, :3],
        "base_model.model.score.weight": W,
    }
    folder = adapter(tmp_path / "a", tensors, use_dora=True, base_model_name_or_path="../../etc/passwd")
    checkpoint = open_peft_folder(folder)
    reasons = {skip.layer.removeprefix(PREFIX): skip.reason for skip in checkpoint.skips}
    assert reasons["k_proj.lora_A.weight"] == "a LoRA factor without its partner"
    assert "cannot be multiplied" in reasons["v_proj.lora_B.weight"]
    assert "DoRA" in reasons["q_proj.lora_magnitude_vector"]
    assert "base_model.model.score.weight" in {spec.name for spec in checkpoint.specs}
    notes = " ".join(checkpoint.notes)
    assert "DoRA" in notes and "nothing was opened there" in notes
    merged = open_peft_folder(
        folder, base=base(tmp_path / "b.safetensors", model__layers__0__q_proj__weight=W, score__weight=np.zeros((6, 10), "f4"))
    )
    np.testing.assert_array_equal(merged.read("score.weight"), W)


def test_a_bare_file_and_named_adapters(tmp_path: Path):
    folder = adapter(
        tmp_path / "a", {"q.lora_A.default.weight": A, "q.lora_B.default.weight": B, "q.lora_A.other.weight": A, "q.lora_B.other.weight": 2 * B}
    )
    checkpoint = open_peft_folder(folder / "adapter_model.safetensors", form="product")
    assert [spec.name for spec in checkpoint.specs] == ["q.lora_BA", "q.lora_BA#2"]
    close_to(checkpoint.read("q.lora_BA#2"), 2 * B @ A)
    assert "alpha/r is not known" in " ".join(checkpoint.notes)
    with pytest.raises(CorruptInput, match="same weight"):
        open_peft_folder(folder, base=base(tmp_path / "b.safetensors", q__weight=W))


def test_the_wrong_base_is_refused(tmp_path: Path):
    folder = adapter(tmp_path / "a")
    with pytest.raises(UsageError, match=r"has no tensor for 'model\.layers\.0\.q_proj'"):
        open_peft_folder(folder, base=base(tmp_path / "b.safetensors", x__weight=W))
    with pytest.raises(CorruptInput, match="does not fit"):
        open_peft_folder(folder, base=base(tmp_path / "b.safetensors", model__layers__0__q_proj__weight=W[:5].copy()))
    with pytest.raises(UsageError, match="no form"):
        open_peft_folder(folder, form="sum")


HOSTILE_CONFIGS = {
    "not json": (b"hello", CorruptInput),
    "a list": (b"[]", CorruptInput),
    "deep": (b"[" * 100_000, CorruptInput),
    "not text": (b"\xff\xfe", CorruptInput),
    "alpha as text": (b'{"lora_alpha": "8"}', CorruptInput),
    "alpha infinite": (b'{"lora_alpha": Infinity}', CorruptInput),
    "alpha huge": (b'{"lora_alpha": 1' + b"0" * 400 + b"}", CorruptInput),
    "alpha true": (b'{"lora_alpha": true}', CorruptInput),
    "pattern as list": (b'{"alpha_pattern": [1]}', LimitExceeded),
    "another method": (b'{"peft_type": "IA3"}', UnsupportedInput),
}


@pytest.mark.parametrize("case", HOSTILE_CONFIGS)
def test_hostile_configurations(tmp_path: Path, case: str):
    raw, error = HOSTILE_CONFIGS[case]
    folder = adapter(tmp_path / "a")
    (folder / "adapter_config.json").write_bytes(raw)
    with pytest.raises(error, match=r"adapter_config\.json"):
        open_peft_folder(folder)


def test_files_of_the_folder_follow_the_path_policy(tmp_path: Path):
    folder = adapter(tmp_path / "a")
    (tmp_path / "secret.safetensors").write_bytes((folder / "adapter_model.safetensors").read_bytes())
    (folder / "adapter_model.safetensors").unlink()
    with pytest.raises(UnsupportedInput, match=r"adapter_model\.bin is in"):
        open_peft_folder(folder)
    (folder / "adapter_model.safetensors").symlink_to(tmp_path / "secret.safetensors")
    with pytest.raises(UnsafeInput, match="leads out"):
        open_peft_folder(folder)


@pytest.mark.parametrize("legacy", [False, True])
def test_adapters_saved_by_torch(tmp_path: Path, legacy: bool):
    import torch

    folder = adapter(tmp_path / "a")
    (folder / "adapter_model.safetensors").unlink()
    tensors = {f"{PREFIX}q_proj.lora_A.weight": torch.from_numpy(A), f"{PREFIX}q_proj.lora_B.weight": torch.from_numpy(B)}
    torch.save(tensors, folder / "adapter_model.bin", _use_new_zipfile_serialization=not legacy)
    checkpoint = open_peft_folder(folder, form="product")
    close_to(checkpoint.read("model.layers.0.q_proj.lora_BA"), 2 * B @ A)
    checkpoint.close()
    np.savez(folder / "x.npz", a=A)
    (folder / "x.npz").rename(folder / "adapter_model.bin")
    with pytest.raises(UnsupportedInput, match="adapter_model"):
        open_peft_folder(folder)


def test_the_one_door_merges_too(tmp_path: Path):
    from genscope.checkpoints.open import open_checkpoint

    folder = adapter(tmp_path / "a")
    assert open_checkpoint(folder).format == "peft"
    stored = base(tmp_path / "base.safetensors", model__layers__0__q_proj__weight=W)
    close_to(open_checkpoint(folder, base=stored).read("model.layers.0.q_proj.weight"), W + 2 * B @ A)


def test_a_large_product_respects_the_budget(tmp_path: Path):
    folder = adapter(tmp_path / "a", {"q.lora_A.weight": np.ones((1, 3000), "f4"), "q.lora_B.weight": np.ones((3000, 1), "f4")})
    checkpoint = open_peft_folder(folder, Limits(memory_bytes=20_000_000), form="product")
    with pytest.raises(LimitExceeded, match="memory budget"):
        checkpoint.read("q.lora_BA")
    with pytest.raises(GenscopeError, match="no pair"):
        open_peft_folder(adapter(tmp_path / "b", {"q.weight": W}))


def test_scale_of_nothing():
    assert AdapterConfig().scale("q", 4) is None
    assert AdapterConfig(alpha=4.0).scale("q", 0) is None
