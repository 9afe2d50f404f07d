import tracemalloc

import pytest
import torch
from safetensors.torch import save_file

from genscope.checkpoints.limits import Limits
from genscope.checkpoints.open import open_checkpoint
from genscope.checkpoints.state_dict import Found
from genscope.checkpoints.table import RawTensor, TableCheckpoint, TensorTable, plain_errors
from genscope.core.tensors import Checkpoint
from genscope.errors import CorruptInput, GenscopeError, LimitExceeded, UsageError


@pytest.mark.parametrize("kind", ["safetensors", "zip", "legacy"])
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_reading_needs_little_more_than_the_tensor(dtype, kind, tmp_path):
    values = {"w": torch.ones(2000, 2000, dtype=dtype)}
    path = tmp_path / "m"
    if kind == "safetensors":
        save_file(values, path)
    else:
        torch.save(values, path, _use_new_zipfile_serialization=kind == "zip")
    checkpoint = open_checkpoint(path)
    tracemalloc.start()
    try:
        assert checkpoint.read("w").sum() == 4_000_000
        assert tracemalloc.get_traced_memory()[1] < 1.6 * 16_000_000
    finally:
        tracemalloc.stop()


def test_foreign_exceptions_become_one_sentence():
    for foreign in (
        ValueError("deep\nbelow"),
        KeyError("x"),
        OverflowError(),
        RecursionError(),
        UnicodeDecodeError("utf-8", b"", 0, 1, "x"),
        OSError(5, "io"),
    ):
        with pytest.raises(CorruptInput) as refusal, plain_errors("m.pt"):
            raise foreign
        assert "\n" not in str(refusal.value) and "m.pt" in str(refusal.value)
    with pytest.raises(LimitExceeded), plain_errors("m.pt"):
        raise MemoryError
    with pytest.raises(UsageError, match="as it is"), plain_errors("m.pt"):
        raise UsageError("as it is")
    with pytest.raises(KeyboardInterrupt), plain_errors("m.pt"):
        raise KeyboardInterrupt


def table(*names):
    return TensorTable([Found((name,), RawTensor((1,), "float32", 4)) for name in names], "test")


def test_two_tensors_of_one_name_are_refused():
    with pytest.raises(CorruptInput, match="two tensors are called 'a'"):
        TableCheckpoint("m", table("a", "a"), Limits())


def test_half_surrogates_in_names_become_printable():
    checkpoint = TableCheckpoint("m", table("a\ud800"), Limits())
    assert checkpoint.specs[0].name == "a\\ud800" and isinstance(checkpoint, Checkpoint)
    with pytest.raises(GenscopeError, match="no values"):
        checkpoint.read(checkpoint.specs[0].name)
