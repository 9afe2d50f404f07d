import numpy as np
import pytest
import torch

from genscope.checkpoints.memory import open_memory
from genscope.checkpoints.open import open_checkpoint
from genscope.errors import GenscopeError, UsageError


class Conv1D(torch.nn.Module):
    def __init__(self):
        super().__init__()
        self.weight = torch.nn.Parameter(torch.randn(6, 18))
        self.bias = torch.nn.Parameter(torch.zeros(18))


class Odd(torch.nn.Linear):
    pass


def model():
    torch.manual_seed(0)
    net = torch.nn.ModuleDict(
        {
            "conv": torch.nn.Conv2d(4, 8, 3, stride=2, padding=1, groups=2),
            "up": torch.nn.ConvTranspose1d(3, 5, 2),
            "norm": torch.nn.BatchNorm2d(8),
            "rnn": torch.nn.GRU(4, 5),
            "attention": torch.nn.MultiheadAttention(8, 2),
            "table": torch.nn.Embedding(7, 6),
            "head": Odd(6, 7, bias=False),
            "gpt": Conv1D(),
        }
    )
    net["head"].weight = net["table"].weight
    net.register_buffer("scratch", torch.zeros(3), persistent=False)
    return net


def test_module_gives_kinds_attributes_and_ties():
    checkpoint = open_checkpoint(model())
    specs = {spec.name: spec for spec in checkpoint.specs}
    kinds = {name: spec.kind for name, spec in specs.items() if spec.kind}
    assert kinds == {
        "conv.weight": "conv2d",
        "up.weight": "conv_transpose1d",
        "rnn.weight_ih_l0": "gru",
        "rnn.weight_hh_l0": "gru",
        "attention.in_proj_weight": "attention",
        "attention.out_proj.weight": "linear",
        "table.weight": "embedding",
        "gpt.weight": "linear",
    }
    assert specs["conv.weight"].attributes == {"groups": 2, "stride": (2, 2), "padding": (1, 1), "dilation": (1, 1)}
    assert specs["attention.in_proj_weight"].attributes == {"num_heads": 2} and specs["gpt.weight"].attributes == {"transposed": True}
    assert specs["table.weight"].aliases == ("head.weight",) and "scratch" not in specs
    assert [skip.layer for skip in checkpoint.skips] == ["norm.num_batches_tracked"]


def test_module_and_state_dict_and_file_agree(tmp_path):
    net = model()
    torch.save(net.state_dict(), tmp_path / "m.pt")
    by_module, by_state, by_file = open_checkpoint(net), open_checkpoint(net.state_dict()), open_checkpoint(tmp_path / "m.pt")
    assert [s.name for s in by_module.specs] == [s.name for s in by_state.specs] == [s.name for s in by_file.specs]
    for spec in by_module.specs:
        np.testing.assert_array_equal(by_module.read(spec.name), by_state.read(spec.name))
        np.testing.assert_array_equal(by_module.read(spec.name), by_file.read(spec.name))


def test_nothing_of_the_users_is_touched():
    net = model()
    net.train()
    ran = []
    net.register_forward_hook(lambda *a: ran.append(a))
    net.register_state_dict_post_hook(lambda *a: ran.append(a))
    before = {name: tensor.clone() for name, tensor in net.state_dict().items()}
    ran.clear()
    random_state = torch.get_rng_state()
    checkpoint = open_checkpoint(net)
    for spec in checkpoint.specs:
        values = checkpoint.read(spec.name)
        values[...] = 7.0  # a copy: the model must not notice
    assert ran == [] and net.training and torch.equal(random_state, torch.get_rng_state())
    assert all(parameter.grad is None and parameter.requires_grad for parameter in net.parameters())
    after = net.state_dict()
    assert all(torch.equal(before[name], after[name]) for name in before)


@pytest.mark.parametrize("dtype", [torch.float64, torch.float32, torch.float16, torch.bfloat16, torch.float8_e4m3fn, torch.float8_e5m2], ids=str)
def test_tensors_are_widened_exactly(dtype):
    tensor = torch.randn(3, 4, dtype=torch.float64).to(dtype)
    read = open_checkpoint({"w": tensor}).read("w")
    assert read.dtype == (np.float64 if dtype == torch.float64 else np.float32)
    np.testing.assert_array_equal(read, tensor.to(torch.float64).numpy().astype(read.dtype))


def test_one_array_or_tensor():
    array = np.arange(6, dtype=np.float16).reshape(2, 3).T
    checkpoint = open_checkpoint(array)
    assert checkpoint.specs[0].shape == (3, 2) and checkpoint.read("weight").tolist() == array.tolist()
    assert open_checkpoint(torch.eye(2)).read("weight").tolist() == [[1, 0], [0, 1]]


def test_mappings_are_unwrapped():
    checkpoint = open_checkpoint({"model": {"module.a": torch.ones(2, 2)}, "optimizer": {"state": {0: torch.ones(2)}, "param_groups": []}})
    assert [spec.name for spec in checkpoint.specs] == ["a"] and "optimizer" in " ".join(checkpoint.notes)
    net = torch.nn.Linear(2, 2)
    assert {spec.name for spec in open_checkpoint({"model": net}).specs} == {"weight", "bias"}


def test_odd_tensors_are_skipped_with_a_reason():
    odd = {
        "sparse": torch.eye(3).to_sparse(),
        "meta": torch.empty(3, 3, device="meta"),
        "complex": torch.zeros(2, dtype=torch.complex64),
        "expanded": torch.ones(1).expand(10**6, 10**6),
        "integer": torch.arange(3),
        "object": np.array([{}]),
        "text": np.array(["a"]),
        "empty": torch.ones(0, 5),
    }
    checkpoint = open_checkpoint(odd)
    assert checkpoint.specs == () and {skip.layer for skip in checkpoint.skips} == set(odd)
    lazy = torch.nn.LazyLinear(4)
    assert "lazy" in open_checkpoint(lazy).skips[0].reason


@pytest.mark.parametrize("source", [3, None, object(), {1, 2}], ids=lambda source: type(source).__name__)
def test_other_things_are_refused(source):
    with pytest.raises(UsageError, match="not something genscope reads"):
        open_memory(source)


def test_names_that_are_not_there():
    with pytest.raises(GenscopeError, match="no readable tensor"):
        open_checkpoint({"w": np.eye(2)}).read("v")
