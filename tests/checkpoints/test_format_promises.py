"""What all readers promise together: nothing outside the folder is opened, nothing runs, torch stays out, and messages stay printable."""

import json
import subprocess
import sys
import textwrap
from pathlib import Path

import gguf
import h5py
import numpy as np
import pytest
from onnx import TensorProto, helper, numpy_helper
from safetensors.numpy import save_file

from genscope.checkpoints.gguf_file import open_gguf
from genscope.checkpoints.hdf5 import open_hdf5
from genscope.checkpoints.numpy_file import open_numpy
from genscope.checkpoints.onnx_file import open_onnx
from genscope.errors import GenscopeError

WEIGHT = np.arange(64, dtype="f4").reshape(2, 32)
EVIL = "\x1b[31m\u202eevil<script>\n"


def folder_of_everything(folder: Path) -> Path:
    np.save(folder / "w.npy", WEIGHT)
    np.savez_compressed(folder / "w.npz", a=WEIGHT)
    proto = TensorProto(name="w", data_type=1, dims=(2, 32), data_location=TensorProto.EXTERNAL)
    proto.external_data.add(key="location", value="w.data")
    (folder / "w.data").write_bytes(WEIGHT.tobytes())
    (folder / "w.onnx").write_bytes(helper.make_model(helper.make_graph([], "g", [], [], initializer=[proto])).SerializeToString())
    writer = gguf.GGUFWriter(folder / "w.gguf", "llama")
    writer.add_tensor("w", WEIGHT)
    writer.add_tensor("q", gguf.quants.quantize(WEIGHT, gguf.GGMLQuantizationType.Q8_0), raw_dtype=gguf.GGMLQuantizationType.Q8_0)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    with h5py.File(folder / "w.h5", "w") as file:
        file["dense/kernel:0"] = WEIGHT
    (folder / "adapter").mkdir()
    save_file({"q.lora_A.weight": WEIGHT, "q.lora_B.weight": np.ones((3, 2), "f4")}, folder / "adapter" / "adapter_model.safetensors")
    (folder / "adapter" / "adapter_config.json").write_text(
        json.dumps({"peft_type": "LORA", "lora_alpha": 2, "base_model_name_or_path": "/etc/passwd"})
    )
    return folder


SCRIPT = """
    import os, sys
    from genscope.checkpoints.open import open_checkpoint
    root = sys.argv[1]
    names = ["w.npy", "w.npz", "w.onnx", "w.gguf", "adapter", "w.h5"]
    seen, watching = [], False

    def hook(event, arguments):
        if not watching:
            return
        if event == "open":
            path = os.fspath(arguments[0]) if not isinstance(arguments[0], int) else "fd"
            if path != "fd" and not path.startswith((root, "/proc/", "/sys/fs/cgroup")) and os.sep in path:
                seen.append((event, path))
        elif event in ("exec", "os.system", "os.exec", "import", "pickle.find_class", "ctypes.dlopen", "os.rename", "os.remove"):
            seen.append((event, str(arguments[0])[:80]))
        elif event.startswith("socket.connect"):
            seen.append((event, ""))

    def use(name):
        checkpoint = open_checkpoint(os.path.join(root, name))
        for spec in checkpoint.specs:
            assert checkpoint.read(spec.name).shape == spec.shape
        checkpoint.close()

    for name in names:
        use(name)  # imports happen here
    sys.addaudithook(hook)
    watching = True
    for name in names[:-1]:
        use(name)
    watching = False
    assert not seen, seen
    for module in ("torch", "onnx", "h5py", "keras", "safetensors"):
        assert module not in sys.modules, module
"""


def test_nothing_is_opened_run_or_imported(tmp_path: Path):
    root = folder_of_everything(tmp_path)
    before = sorted(path.relative_to(root) for path in root.rglob("*"))
    done = subprocess.run([sys.executable, "-c", textwrap.dedent(SCRIPT), str(root)], capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr[-2000:]
    assert sorted(path.relative_to(root) for path in root.rglob("*")) == before


def hostile_npz(path: Path) -> None:
    np.savez(path, **{EVIL: np.ones(3)})
    path.write_bytes(path.read_bytes().replace(b"(3,)", b"(9,)"))


def hostile_onnx(path: Path) -> None:
    tensor = numpy_helper.from_array(np.ones((2, 2), "f4"), EVIL)
    tensor.dims[0] = 7
    path.write_bytes(helper.make_model(helper.make_graph([], "g", [], [], initializer=[tensor])).SerializeToString())


def hostile_gguf(path: Path) -> None:
    writer = gguf.GGUFWriter(path, "llama")
    writer.add_tensor(EVIL, WEIGHT)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    path.write_bytes(path.read_bytes()[:-20])


def hostile_hdf5(path: Path) -> None:
    with h5py.File(path, "w") as file:
        file[EVIL] = h5py.ExternalLink("elsewhere", "/w")


@pytest.mark.parametrize(
    ("build", "opener"), [(hostile_npz, open_numpy), (hostile_onnx, open_onnx), (hostile_gguf, open_gguf), (hostile_hdf5, open_hdf5)]
)
def test_names_in_messages_are_made_printable(tmp_path: Path, build, opener):
    path = tmp_path / "x.npz"
    build(path)
    with pytest.raises(GenscopeError) as caught:
        opener(path)
    message = str(caught.value)
    assert "x.npz" in message and "evil" in message
    assert message.isprintable()
    assert str(tmp_path) not in message


@pytest.mark.parametrize("opener", [open_numpy, open_onnx, open_gguf, open_hdf5])
def test_missing_files_folders_and_pipes(tmp_path: Path, opener):
    import os

    os.mkfifo(tmp_path / "pipe")
    for name in ("missing", "pipe", "."):
        with pytest.raises(GenscopeError):
            opener(tmp_path / name)
    with pytest.raises(GenscopeError, match="regular file"):
        opener(Path("/dev/zero"))
