import pytest
import torch
from torch import nn

from genscope.core.status import Undefined
from genscope.errors import UnsupportedInput
from genscope.networks.fold_batch_norm import fold_batch_norm, freeze_weights
from genscope.networks.functional import wrap_module
from genscope.networks.trace import relative_error, trace
from genscope.training import models


def test_hand_computed_convolution_and_linear():
    conv, norm = nn.Conv2d(1, 1, 1), nn.BatchNorm2d(1, eps=0.0)
    conv.weight.data.fill_(3.0), conv.bias.data.fill_(0.5)
    norm.running_mean.fill_(2.0), norm.running_var.fill_(4.0), norm.weight.data.fill_(-1.0), norm.bias.data.fill_(7.0)
    folded = fold_batch_norm(trace(nn.Sequential(conv, norm), torch.zeros(2, 1, 2, 2)))
    assert folded.graph.params["0.weight"].item() == pytest.approx(-1.5)
    assert folded.graph.params["0.bias"].item() == pytest.approx((0.5 - 2.0) * -0.5 + 7.0)
    assert folded.folded == (("1", "0"),)
    assert [node.kind for node in folded.graph.nodes] == ["conv"]
    assert folded.graph.buffers == {}


def test_any_order_of_registration_and_missing_biases(zoo):
    model = zoo.shake(zoo.LateRegistration())
    x = torch.randn(5, 2, 7, 7)
    folded = fold_batch_norm(trace(model, x), x)
    assert folded.folded == (("bn_a", "conv_a"), ("bn_b", "conv_b"))
    assert "conv_a.bias" in folded.graph.params
    assert folded.error_exact < 1e-13
    assert folded.error_data < 1e-5
    assert relative_error(folded.network(x), wrap_module(model)(x)) < 1e-5


@pytest.mark.parametrize("option", ["A", "B"])
def test_residual_networks_fold_completely(zoo, option):
    model = zoo.shake(models.cifar_resnet(8, option=option, widths=(2, 4, 8)))
    folded = fold_batch_norm(trace(model, torch.randn(2, 3, 16, 16)))
    assert len(folded.folded) == (9 if option == "B" else 7)
    assert folded.kept == ()
    assert folded.error_exact < 1e-12
    assert isinstance(folded.error_data, Undefined)


def test_pre_activation_batch_norm_stays_as_a_diagonal_layer(zoo):
    model = zoo.shake(zoo.PreActivation())
    folded = fold_batch_norm(trace(model, torch.randn(2, 2, 6, 6)))
    # bn1 reads the stem, whose output the skip reads too; bn2 reads conv1 alone and folds.
    assert folded.folded == (("bn2", "conv1"),)
    assert [name for name, _ in folded.kept] == ["bn1"]
    assert "read elsewhere" in folded.kept[0][1]
    assert folded.error_exact < 1e-13
    kinds = [node.kind for node in folded.graph.nodes]
    assert kinds.count("diagonal") == 1
    assert "batch_norm" not in kinds


def test_shared_modules_are_not_folded(zoo):
    model = zoo.shake(zoo.Shared())
    folded = fold_batch_norm(trace(model, torch.randn(2, 2, 5, 5)))
    assert folded.folded == ()
    assert all("shared" in reason for _, reason in folded.kept)
    assert folded.error_exact < 1e-13


def test_one_batch_norm_used_twice(zoo):
    class Twice(nn.Module):
        def __init__(self):
            super().__init__()
            self.a, self.b, self.bn = nn.Linear(3, 3), nn.Linear(3, 3, bias=False), nn.BatchNorm1d(3)

        def forward(self, x):
            return self.bn(self.b(torch.relu(self.bn(self.a(x)))))

    folded = fold_batch_norm(trace(zoo.shake(Twice()), torch.randn(2, 3)))
    assert folded.folded == (("bn", "a"), ("bn", "b"))
    assert folded.error_exact < 1e-13


def test_batch_norm_over_another_dimension_than_the_features(zoo):
    class Sequence(nn.Module):
        def __init__(self):
            super().__init__()
            self.linear, self.bn = nn.Linear(4, 5), nn.BatchNorm1d(5)

        def forward(self, x):
            return self.bn(self.linear(x)).mean(2)

    folded = fold_batch_norm(trace(zoo.shake(Sequence()), torch.randn(2, 5, 4)))
    assert "another dimension" in folded.kept[0][1]
    assert folded.error_exact < 1e-13


def test_without_affine_parameters_at_the_input_and_after_pooling(zoo):
    model = nn.Sequential(nn.BatchNorm2d(2, affine=False), nn.Conv2d(2, 3, 3), nn.MaxPool2d(2), nn.BatchNorm2d(3), nn.Flatten())
    folded = fold_batch_norm(trace(zoo.shake(model), torch.randn(2, 2, 6, 6)))
    assert [name for name, _ in folded.kept] == ["0", "3"]
    assert "network's input" in folded.kept[0][1]
    assert "max pool" in folded.kept[1][1]
    assert folded.error_exact < 1e-13


def test_half_precision_networks_fold_within_their_own_rounding(zoo):
    model = zoo.shake(zoo.LateRegistration()).to(torch.bfloat16)
    folded = fold_batch_norm(trace(model, torch.randn(2, 2, 7, 7, dtype=torch.bfloat16)))
    assert folded.error_exact < 1e-13
    assert folded.network.dtype == torch.bfloat16
    assert 1e-5 < folded.error_random < 0.1


def test_weights_that_the_module_standardizes_itself_are_exact_in_float64():
    class Standardized(nn.Conv2d):
        def forward(self, x):
            weight = (self.weight - self.weight.mean((1, 2, 3), keepdim=True)) / self.weight.std((1, 2, 3), keepdim=True)
            return nn.functional.conv2d(x, weight, self.bias, self.stride, self.padding)

    folded = fold_batch_norm(trace(nn.Sequential(Standardized(2, 3, 3, padding=1), nn.ReLU()), torch.randn(2, 2, 5, 5)))
    assert folded.error_exact < 1e-13
    assert folded.graph.layers()[0].weight.startswith("0.")


def test_a_network_of_nothing_but_normalization():
    folded = fold_batch_norm(trace(nn.BatchNorm1d(2, affine=False).eval(), torch.randn(3, 2)))
    assert [node.kind for node in folded.graph.nodes] == ["diagonal"]
    assert folded.error_exact < 1e-13


def test_a_linear_layer_written_as_a_product_folds(zoo):
    class Product(nn.Module):
        def __init__(self):
            super().__init__()
            self.weight, self.bn = nn.Parameter(torch.randn(3, 4)), nn.BatchNorm1d(4)

        def forward(self, x):
            return self.bn(x @ self.weight)

    folded = fold_batch_norm(trace(zoo.shake(Product()), torch.randn(2, 3)))
    assert len(folded.folded) == 1
    assert folded.error_exact < 1e-13


def test_the_users_model_and_the_traced_graph_do_not_change(zoo):
    model = zoo.shake(zoo.LateRegistration())
    before = {name: tensor.clone() for name, tensor in model.state_dict().items()}
    graph = trace(model, torch.randn(2, 2, 7, 7))
    fold_batch_norm(graph)
    assert all(torch.equal(before[name], tensor) for name, tensor in model.state_dict().items())
    assert all(torch.equal(before[name], tensor) for name, tensor in graph.params.items())


def test_a_wrong_fold_is_refused(zoo, monkeypatch):
    from genscope.networks import fold_batch_norm as module

    graph = trace(zoo.shake(zoo.LateRegistration()), torch.randn(2, 2, 7, 7))
    right = module._affine
    monkeypatch.setattr(module, "_affine", lambda node, graph: (right(node, graph)[0] * 1.001, right(node, graph)[1]))
    with pytest.raises(UnsupportedInput, match="differs from the original"):
        fold_batch_norm(graph)


def test_batch_statistics_in_evaluation_mode_are_refused():
    model = nn.Sequential(nn.Linear(2, 3), nn.BatchNorm1d(3, track_running_stats=False))
    with pytest.raises(UnsupportedInput, match="statistics of its batch"):
        fold_batch_norm(trace(model, torch.randn(4, 2)))


def test_computed_weights_become_the_weights_that_multiply():
    model = nn.Sequential(nn.utils.parametrizations.weight_norm(nn.Linear(3, 2)), nn.ReLU(), nn.Linear(2, 2))
    graph = trace(model, torch.randn(2, 3))
    frozen = freeze_weights(graph)
    assert torch.allclose(frozen.params["0.weight"], model[0].weight)
    assert "0.parametrizations.weight.original0" not in frozen.params
    x = torch.randn(3, 3)
    assert torch.equal(frozen.network()(x), wrap_module(model)(x))
