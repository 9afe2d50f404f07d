import json
import os

import numpy as np
import pytest
import torch
from safetensors.numpy import save_file

from genscope.checkpoints.open import open_checkpoint
from genscope.errors import GenscopeError, UnsafeInput, UnsupportedInput


def tensors(value):
    return {"w": np.full((2, 2), value, "f4")}


def put(folder, name, value):
    if name.endswith(".safetensors"):
        save_file(tensors(value), folder / name)
    elif name.endswith(".npz"):
        np.savez(folder / name, **tensors(value))
    else:
        torch.save({"w": torch.full((2, 2), float(value))}, folder / name)


# Listed from first to last: each is chosen when those before it are gone.
PRECEDENCE = ["model.safetensors", "pytorch_model.bin", "consolidated.00.pth", "other.pt", "weights.npz"]


def test_precedence_is_as_documented_and_said(tmp_path):
    for value, name in enumerate(PRECEDENCE):
        put(tmp_path, name, value)
    for name in ("optimizer.pt", "training_args.bin", "scheduler.pt", "rng_state_0.pth"):
        put(tmp_path, name, 99)
    for value, name in enumerate(PRECEDENCE[:-1]):
        checkpoint = open_checkpoint(tmp_path)
        assert checkpoint.read("w")[0, 0] == value and len(checkpoint.specs) == 1
        assert checkpoint.notes[0].startswith(f"{name} was read") and "were not" in checkpoint.notes[0]
        (tmp_path / name).unlink()


def test_other_formats_come_last(tmp_path):
    put(tmp_path, "weights.npz", 4)
    assert open_checkpoint(tmp_path).read("w")[0, 0] == 4


def test_two_of_a_kind_need_a_choice(tmp_path):
    put(tmp_path, "a.safetensors", 1)
    put(tmp_path, "b.safetensors", 2)
    with pytest.raises(UnsupportedInput, match=r"name one of them: a\.safetensors, b\.safetensors"):
        open_checkpoint(tmp_path)
    put(tmp_path, "model.safetensors", 3)
    assert open_checkpoint(tmp_path).read("w")[0, 0] == 3


def test_variants_do_not_disturb_the_plain_name(tmp_path):
    put(tmp_path, "model.safetensors", 1)
    put(tmp_path, "model.fp16.safetensors", 2)
    assert open_checkpoint(tmp_path).read("w")[0, 0] == 1


def test_configuration_is_given_as_data(tmp_path):
    put(tmp_path, "model.safetensors", 1)
    (tmp_path / "config.json").write_text(json.dumps({"num_attention_heads": 12, "auto_map": {"AutoModel": "evil.py"}}))
    assert open_checkpoint(tmp_path).metadata["config"]["num_attention_heads"] == 12
    (tmp_path / "config.json").write_text("{")
    checkpoint = open_checkpoint(tmp_path)
    assert "config" not in checkpoint.metadata and "not used" in " ".join(checkpoint.notes)


def test_links_of_an_untrusted_folder_do_not_lead_out(tmp_path):
    folder = tmp_path / "m"
    folder.mkdir()
    put(tmp_path, "secret.safetensors", 1234.5)
    (folder / "model.safetensors").symlink_to(tmp_path / "secret.safetensors")
    with pytest.raises(UnsafeInput, match="leads out"):
        open_checkpoint(folder)
    (folder / "model.safetensors").unlink()
    put(tmp_path, "secret.npz", 1234.5)
    (folder / "w.npz").symlink_to(tmp_path / "secret.npz")
    with pytest.raises(UnsafeInput, match="leads out"):
        open_checkpoint(folder)


@pytest.mark.parametrize("content", ["empty", "other", "sub-folders"])
def test_folder_without_a_checkpoint(content, tmp_path):
    if content == "other":
        (tmp_path / "README.md").write_text("x")
    if content == "sub-folders":
        (tmp_path / "unet").mkdir()
        put(tmp_path / "unet", "model.safetensors", 1)
    with pytest.raises(UnsupportedInput, match="no checkpoint") as refusal:
        open_checkpoint(tmp_path)
    assert {"empty": "empty", "other": "README.md", "sub-folders": "unet"}[content] in str(refusal.value)


def test_unreadable_member_names_are_clean(tmp_path):
    (tmp_path / "\x1b[31m.txt").write_text("x")
    with pytest.raises(GenscopeError) as refusal:
        open_checkpoint(tmp_path)
    assert "\x1b" not in str(refusal.value)


def test_named_pipe_in_the_place_of_the_model_does_not_hang(tmp_path):
    os.mkfifo(tmp_path / "model.safetensors")
    with pytest.raises(GenscopeError, match="not a regular file"):
        open_checkpoint(tmp_path)
