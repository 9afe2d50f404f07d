import pytest
import torch
from torch import nn

from genscope.networks.fold_batch_norm import fold_batch_norm
from genscope.networks.functional import wrap_module
from genscope.networks.homogeneity import euler_errors, homogeneity, homogeneity_error
from genscope.networks.trace import trace
from genscope.training import models


def test_bias_in_the_first_layer_only_is_homogeneous():
    model, x = models.small_conv((4, 5), image_size=12), torch.randn(3, 3, 12, 12)
    found = homogeneity(trace(model, x))
    assert (found.uniform, found.layerwise, found.degree) == (True, True, 3)
    assert found.degrees == {"conv1": 1, "conv2": 1, "fc": 1}
    assert found.reasons == ()
    assert homogeneity_error(wrap_module(model), x, 3) < 1e-13
    assert homogeneity_error(wrap_module(model), x, 2) > 0.1
    assert max(euler_errors(wrap_module(model), x).values()) < 1e-12


def test_later_biases_break_it_and_zero_ones_do_not():
    model, x = models.mlp((3, 4, 2)), torch.randn(3, 3)
    found = homogeneity(trace(model, x))
    assert not found.uniform
    assert found.reasons[0].startswith("l2: its bias")
    assert homogeneity_error(wrap_module(model), x, found.degree) > 1e-3
    model.l2.bias.data.zero_()
    assert homogeneity(trace(model, x)).uniform
    assert homogeneity_error(wrap_module(model), x, 2) < 1e-13


@pytest.mark.parametrize(
    ("layer", "word"),
    [
        (nn.BatchNorm1d(4), "batch normalization"),
        (nn.LayerNorm(4), "scale of all layers"),
        (nn.GELU(), "gelu"),
        (nn.Softmax(1), "softmax"),
        (nn.Tanh(), "tanh"),
    ],
)
def test_what_breaks_it_is_named(layer, word):
    model = nn.Sequential(nn.Linear(3, 4, bias=False), layer, nn.Linear(4, 2, bias=False))
    found = homogeneity(trace(model, torch.randn(2, 3)))
    assert not found.uniform
    assert len(found.reasons) == 1
    assert found.reasons[0].startswith("1: ")
    assert word in found.reasons[0]


def test_skips_break_it_unless_their_paths_are_equally_long():
    class Skip(nn.Module):
        def __init__(self, through):
            super().__init__()
            self.a, self.b, self.c, self.through = nn.Linear(3, 3, bias=False), nn.Linear(3, 3, bias=False), nn.Linear(3, 3, bias=False), through

        def forward(self, x):
            x = torch.relu(self.a(x))
            return self.b(x) + (self.c(x) if self.through else x)

    x = torch.randn(4, 3)
    broken, even = (homogeneity(trace(Skip(through), x)) for through in (False, True))
    assert not broken.uniform
    assert "degree 1 and 2" in broken.reasons[0]
    assert (even.uniform, even.layerwise, even.degree) == (True, False, 2)
    assert homogeneity_error(wrap_module(Skip(True)), x, 2) < 1e-13


def test_attention_breaks_it(zoo):
    found = homogeneity(trace(zoo.Attention(), torch.randint(0, 11, (2, 5))))
    assert not found.uniform
    assert any("softmax attention" in reason for reason in found.reasons)


def test_folding_turns_batch_norm_into_a_bias(zoo):
    model = zoo.shake(models.small_conv((4, 5), image_size=12, batch_norm=True))
    graph = trace(model, torch.randn(2, 3, 12, 12))
    assert sum("batch normalization" in reason for reason in homogeneity(graph).reasons) == 2
    folded = homogeneity(fold_batch_norm(graph).graph)
    assert [reason.split(":")[0] for reason in folded.reasons] == ["conv2"]


def test_leaky_relu_pooling_and_input_scaling_keep_it(zoo):
    class Scaled(nn.Module):
        def __init__(self, inner):
            super().__init__()
            self.inner = inner

        def forward(self, x):
            return self.inner((x - 0.5) / 0.25)

    for model, shape, degree in ((models.mlp((4, 3, 2), bias=False, activation="leaky_relu"), (4,), 2), (zoo.Pools(), (1, 4, 4), 2)):
        found = homogeneity(trace(Scaled(model), torch.randn(2, *shape)))
        assert found.uniform, found.reasons
        assert found.degree == degree
        assert homogeneity_error(wrap_module(model), torch.randn(2, *shape), degree) < 1e-13
