import json
import os

import numpy as np
import pytest
import torch
from safetensors.numpy import save_file

from genscope.checkpoints.open import open_checkpoint
from genscope.errors import CorruptInput, GenscopeError, LimitExceeded, PartialResult, UnsafeInput

A = {"a.weight": np.full((2, 3), 1, "f4"), "a.bias": np.zeros(2, "f4")}
B = {"b.weight": np.full((3, 2), 2, "f2")}
ONE, TWO = "model-00001-of-00002.safetensors", "model-00002-of-00002.safetensors"
INDEX = "model.safetensors.index.json"


def model(folder, weight_map=None, metadata=None):
    folder.mkdir(exist_ok=True)
    save_file(A, folder / ONE)
    save_file(B, folder / TWO)
    index = {"metadata": metadata or {"total_size": 44}, "weight_map": weight_map or {**dict.fromkeys(A, ONE), **dict.fromkeys(B, TWO)}}
    (folder / INDEX).write_text(json.dumps(index))
    return folder


@pytest.mark.parametrize("how", ["folder", "index"])
def test_shards_are_one_checkpoint(how, tmp_path):
    folder = model(tmp_path / "m")
    checkpoint = open_checkpoint(folder if how == "folder" else folder / INDEX)
    assert [spec.name for spec in checkpoint.specs] == ["a.weight", "a.bias", "b.weight"] or {spec.name for spec in checkpoint.specs} == {*A, *B}
    for name, values in {**A, **B}.items():
        np.testing.assert_array_equal(checkpoint.read(name), values)
    assert checkpoint.notes == () and checkpoint.format == "sharded"
    checkpoint.close()


BAD = ["../evil.safetensors", "/evil.safetensors", "sub/../../evil", "..\\evil", "%2e%2e/evil", "", ".", "..", 7, None, ["x"], True]


@pytest.mark.parametrize("value", BAD, ids=repr)
def test_shard_names_that_could_lead_out_are_refused_before_opening(value, tmp_path):
    folder = model(tmp_path / "m", {"a.weight": ONE, "b.weight": value})
    save_file({"b.weight": np.full((1,), 1234.5, "f4")}, tmp_path / "evil.safetensors")
    (folder / ONE).unlink()
    os.mkfifo(folder / ONE)  # opening anything here would be refused with other words
    with pytest.raises(UnsafeInput) as refusal:
        open_checkpoint(folder)
    assert "file name" in str(refusal.value) and INDEX in str(refusal.value) and "b.weight" in str(refusal.value)


def test_shard_that_is_a_link_out_of_the_folder(tmp_path):
    folder = model(tmp_path / "m")
    (folder / TWO).rename(tmp_path / "elsewhere.safetensors")
    (folder / TWO).symlink_to(tmp_path / "elsewhere.safetensors")
    with pytest.raises(UnsafeInput, match="leads out of the folder"):
        open_checkpoint(folder)
    with pytest.raises(UnsafeInput):
        open_checkpoint(folder / INDEX)


def test_cache_layout_of_the_hub_works(tmp_path):
    folder = model(tmp_path / "m")
    entry = tmp_path / "hub" / "models--org--name"
    (entry / "blobs").mkdir(parents=True)
    snapshot = entry / "snapshots" / ("c" * 40)
    snapshot.mkdir(parents=True)
    for name in (ONE, TWO, INDEX):
        (folder / name).rename(entry / "blobs" / f"sha-{name}")
        (snapshot / name).symlink_to(f"../../blobs/sha-{name}")
    for source in (snapshot, snapshot / INDEX):
        checkpoint = open_checkpoint(source)
        np.testing.assert_array_equal(checkpoint.read("b.weight"), B["b.weight"])
    checkpoint = open_checkpoint(snapshot / ONE)
    np.testing.assert_array_equal(checkpoint.read("a.weight"), A["a.weight"])


def test_missing_shards_are_all_listed_or_left_out_when_allowed(tmp_path):
    names = [f"s{i}.safetensors" for i in range(3)]
    folder = model(tmp_path / "m", {"a.weight": ONE, "a.bias": ONE, **{f"t{i}": name for i, name in enumerate(names)}})
    with pytest.raises(PartialResult) as refusal:
        open_checkpoint(folder)
    assert all(name in str(refusal.value) for name in names) and "--allow-missing" in str(refusal.value)
    checkpoint = open_checkpoint(folder, allow_missing=True)
    assert {spec.name for spec in checkpoint.specs} == set(A) and "3 of 4 shards are missing" in " ".join(checkpoint.notes)
    (folder / ONE).unlink()
    with pytest.raises(PartialResult, match="all of its"):
        open_checkpoint(folder, allow_missing=True)


def test_index_and_shards_must_agree(tmp_path):
    folder = model(tmp_path / "m", {"a.weight": ONE, "a.bias": TWO, "b.weight": TWO})
    with pytest.raises(CorruptInput, match=r"listed in .*00002-of.* but stored in .*00001-of"):
        open_checkpoint(folder)
    folder = model(tmp_path / "m")
    save_file({**B, "a.bias": np.zeros(2, "f4")}, folder / TWO)
    with pytest.raises(CorruptInput, match="stored in both"):
        open_checkpoint(folder)
    folder = model(tmp_path / "m", {**dict.fromkeys(A, ONE), **dict.fromkeys(B, TWO), "ghost": TWO})
    with pytest.raises(CorruptInput, match=r"not in their shards: ghost"):
        open_checkpoint(folder)
    folder = model(tmp_path / "m", {"a.weight": ONE, "b.weight": TWO})
    assert "1 tensors are in the shards but not in the index" in " ".join(open_checkpoint(folder).notes)


def test_total_size_is_only_a_warning(tmp_path):
    folder = model(tmp_path / "m", metadata={"total_size": 10**15})
    assert "1000000000000000 bytes in total" in open_checkpoint(folder).notes[0]


@pytest.mark.parametrize(
    "text", ["[]", "{}", '{"weight_map": []}', '{"weight_map": {}}', '{"weight_map": null}', "{", "\ufeff{}", '{"weight_map": {"a": "x", "a": "y"}}']
)
def test_broken_index_is_refused(text, tmp_path):
    folder = model(tmp_path / "m")
    (folder / INDEX).write_text(text)
    with pytest.raises(CorruptInput, match=r"index\.json"):
        open_checkpoint(folder)


def test_index_of_many_entries_is_read(tmp_path):
    count = 20_000
    folder = tmp_path / "m"
    folder.mkdir()
    save_file({f"t{i}": np.zeros(1, "f4") for i in range(count)}, folder / "w.safetensors")
    (folder / INDEX).write_text(json.dumps({"weight_map": {f"t{i}": "w.safetensors" for i in range(count)}}))
    assert len(open_checkpoint(folder).specs) == count


def test_shard_names_that_differ_only_in_case(tmp_path):
    folder = model(tmp_path / "m", {"a.weight": ONE, "a.bias": ONE.replace("model", "MODEL"), "b.weight": TWO})
    with pytest.raises(UnsafeInput, match="differ only in case"):
        open_checkpoint(folder)


def test_empty_shard_and_shard_of_another_kind(tmp_path):
    folder = model(tmp_path / "m")
    (folder / TWO).write_bytes(b"")
    with pytest.raises(CorruptInput, match=r"00002-of-00002\.safetensors: the file is empty"):
        open_checkpoint(folder)
    np.savez(folder / "x.npz", a=np.ones(1))
    (folder / "x.npz").rename(folder / TWO)
    with pytest.raises(GenscopeError, match="shard must be"):
        open_checkpoint(folder)


@pytest.mark.parametrize("zipped", [True, False])
def test_torch_shards(zipped, tmp_path):
    folder = tmp_path / "m"
    folder.mkdir()
    names = ["pytorch_model-00001-of-00002.bin", "pytorch_model-00002-of-00002.bin"]
    parts = [{"module.x": torch.ones(2, 2)}, {"module.y": torch.full((3,), 5.0)}]
    for name, part in zip(names, parts, strict=True):
        torch.save(part, folder / name, _use_new_zipfile_serialization=zipped)
    weight_map = {"module.x": names[0], "module.y": names[1]}
    (folder / "pytorch_model.bin.index.json").write_text(json.dumps({"weight_map": weight_map}))
    checkpoint = open_checkpoint(folder)
    # The first storage of each shard has the same key "0": they are not tied.
    assert [(spec.name, spec.aliases) for spec in checkpoint.specs] == [("x", ()), ("y", ())]
    assert checkpoint.read("y").tolist() == [5, 5, 5]


def test_numbered_shards_without_an_index(tmp_path):
    folder = model(tmp_path / "m")
    (folder / INDEX).unlink()
    assert {spec.name for spec in open_checkpoint(folder).specs} == {*A, *B}
    (folder / TWO).unlink()
    with pytest.raises(PartialResult, match=TWO):
        open_checkpoint(folder)


def test_many_shards_need_few_descriptors(tmp_path):
    import resource

    folder = tmp_path / "m"
    folder.mkdir()
    count = 60
    for i in range(1, count + 1):
        save_file({f"t{i}": np.full((2,), i, "f4")}, folder / f"model-{i:05d}-of-{count:05d}.safetensors")
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    now = len(os.listdir("/proc/self/fd"))
    resource.setrlimit(resource.RLIMIT_NOFILE, (now + 20, hard))
    try:
        checkpoint = open_checkpoint(folder)
        assert [float(checkpoint.read(f"t{i}")[0]) for i in range(1, count + 1)] == list(range(1, count + 1))
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


def test_shard_replaced_between_reads_is_noticed(tmp_path):
    folder = model(tmp_path / "m")
    checkpoint = open_checkpoint(folder)
    save_file({"b.weight": np.full((3, 2), 9, "f2")}, tmp_path / "new")
    os.replace(tmp_path / "new", folder / TWO)
    with pytest.raises(CorruptInput, match="changed"):
        checkpoint.read("b.weight")


def test_index_longer_than_the_limit(tmp_path):
    from genscope.checkpoints.limits import Limits

    with pytest.raises(LimitExceeded, match="json_bytes"):
        open_checkpoint(model(tmp_path / "m"), limits=Limits(json_bytes=10))


def test_nothing_outside_the_folder_is_opened(tmp_path):
    import sys

    folder = model(tmp_path / "m")
    open_checkpoint(folder).read("b.weight")
    opened, watching = [], [True]

    def hook(event, args):
        if watching and event == "open" and isinstance(args[0], str | bytes):
            opened.append(os.fsdecode(args[0]))

    sys.addaudithook(hook)
    try:
        open_checkpoint(folder).read("b.weight")
        (folder / TWO).unlink()
        (folder / TWO).symlink_to("/etc/passwd")
        with pytest.raises(UnsafeInput):
            open_checkpoint(folder)
    finally:
        watching.clear()
    # Names relative to a folder's descriptor are single components; only the folder itself goes by its path.
    system = ("/proc/meminfo", "/sys/fs/cgroup")
    assert {name for name in opened if not name.startswith(system)} <= {str(folder), ONE, TWO, INDEX}
