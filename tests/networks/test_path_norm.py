import itertools
import math
from collections.abc import Callable, Iterator

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from genscope.core.status import Undefined
from genscope.networks.path_norm import log_path_norm
from genscope.networks.trace import trace
from genscope.training import models

EXPONENTS = [0.5, 1.0, 2.0, 4.0]


def dense(linear: Callable[[Tensor], Tensor], shape: tuple[int, ...]) -> Tensor:
    """The matrix of a linear map, column by column."""
    n = math.prod(shape)
    columns = [linear(row.view(1, *shape)).flatten() for row in torch.eye(n, dtype=torch.float64)]
    return torch.stack(columns, 1)


def windows(size: int, kernel: int, stride: int, padding: int, channels: int) -> Tensor:
    """Which inputs [channels, size, size] fall into which max-pooling window, as a 0/1 matrix."""
    positions = torch.arange(channels * size * size, dtype=torch.float64).view(1, channels, size, size) + 1
    patches = F.unfold(F.pad(positions, [padding] * 4), kernel, stride=stride).view(channels, kernel * kernel, -1)
    matrix = torch.zeros(channels * patches.shape[2], channels * size * size, dtype=torch.float64)
    for channel, window in itertools.product(range(channels), range(patches.shape[2])):
        for position in patches[channel, :, window]:
            if position > 0:
                matrix[channel * patches.shape[2] + window, int(position) - 1] = 1
    return matrix


def paths(edges: dict[str, list[tuple[str, float]]], unit: str) -> Iterator[float]:
    """The product of weights of each path that ends in ``unit``, one by one; a unit without edges starts a path."""
    if unit not in edges:
        yield 1.0
        return
    for source, weight in edges[unit]:
        for product in paths(edges, source):
            yield product * weight


def connect(edges: dict, matrix: Tensor, target: str, source: str, bias: Tensor | None = None) -> None:
    for i, row in enumerate(matrix.detach().tolist()):
        edges.setdefault(f"{target}{i}", []).extend((f"{source}{j}", weight) for j, weight in enumerate(row) if weight != 0)
    for i, value in enumerate(bias.detach().tolist() if bias is not None else []):
        edges[f"{target}{i}"].append((f"{target} bias", value))


def enumerated(edges: dict, outputs: list[str], q: float) -> float:
    return math.log(sum(abs(product) ** q for unit in outputs for product in paths(edges, unit))) / q


@pytest.mark.parametrize("q", EXPONENTS)
def test_every_path_of_a_network_with_biases_and_a_skip(q):
    class Skip(nn.Module):
        def __init__(self):
            super().__init__()
            self.a, self.b, self.c = nn.Linear(3, 3), nn.Linear(3, 3, bias=False), nn.Linear(3, 2)

        def forward(self, x):
            h = torch.relu(self.a(x))
            return self.c(torch.relu(self.b(h)) + h)

    model = Skip().double()
    edges: dict = {}
    connect(edges, model.a.weight, "a", "x", model.a.bias)
    connect(edges, model.b.weight, "b", "a")
    for i in range(3):
        edges[f"s{i}"] = [(f"b{i}", 1.0), (f"a{i}", 1.0)]
    connect(edges, model.c.weight, "c", "s", model.c.bias)
    found = log_path_norm(trace(model, torch.ones(2, 3, dtype=torch.float64)), q)
    assert found == pytest.approx(enumerated(edges, ["c0", "c1"], q), abs=1e-12)


@pytest.mark.parametrize("q", EXPONENTS)
def test_every_path_through_convolutions_pools_and_concatenation(zoo, q):
    model = zoo.Pools().double()
    edges: dict = {}
    connect(edges, dense(model.conv, (1, 4, 4)), "conv", "x")
    connect(edges, dense(model.side, (1, 4, 4)), "side", "x")
    connect(edges, windows(4, 3, 2, 1, 2), "max", "conv")
    connect(edges, dense(lambda x: F.avg_pool2d(x, 2), (2, 4, 4)), "avg", "side")
    for i in range(8):
        edges[f"cat{i}"] = [(f"max{i}", 1.0), (f"avg{i}", 0.5)]
        edges[f"cat{i + 8}"] = [(f"avg{i}", 1.0)]
    connect(edges, dense(lambda x: F.adaptive_avg_pool2d(x, (1, 2)), (4, 2, 2)), "pool", "cat")
    connect(edges, model.head.weight, "out", "pool")
    found = log_path_norm(trace(model, torch.ones(2, 1, 4, 4, dtype=torch.float64)), q)
    assert found == pytest.approx(enumerated(edges, ["out0", "out1"], q), abs=1e-12)


@pytest.mark.parametrize("q", [1.0, 2.0])
@pytest.mark.parametrize(
    ("pool", "size"),
    [
        (nn.AvgPool2d(3, 2, padding=1), 6),
        (nn.AvgPool2d(3, 2, padding=1, count_include_pad=False), 6),
        (nn.AvgPool2d(2, ceil_mode=True), 5),
        (nn.AdaptiveAvgPool2d(3), 7),
        (nn.AvgPool2d(2, divisor_override=3), 6),
    ],
)
def test_average_pools_are_linear_layers_with_their_own_weights(pool, size, q):
    model = nn.Sequential(nn.Conv2d(1, 2, 1), pool, nn.Flatten()).double()
    matrix = dense(pool, (2, size, size)).abs() ** q
    first = (model[0].weight.flatten().abs() ** q + model[0].bias.abs() ** q).repeat_interleave(size * size)
    found = log_path_norm(trace(model, torch.ones(2, 1, size, size, dtype=torch.float64)), q)
    assert found == pytest.approx(math.log(float((matrix @ first.detach()).sum())) / q, abs=1e-12)


@pytest.mark.parametrize(
    ("pool", "kernel", "stride", "padding"), [(nn.MaxPool2d(2), 2, 2, 0), (nn.MaxPool2d(3, 1, 1), 3, 1, 1), (nn.MaxPool2d(3, 2, 1), 3, 2, 1)]
)
def test_max_pools_sum_their_windows(pool, kernel, stride, padding):
    model = nn.Sequential(nn.Conv2d(1, 2, 1, bias=False), pool, nn.Flatten()).double()
    weights = model[0].weight.detach().flatten().abs().repeat_interleave(36)
    found = log_path_norm(trace(model, torch.ones(2, 1, 6, 6, dtype=torch.float64)))
    assert found == pytest.approx(math.log(float((windows(6, kernel, stride, padding, 2) @ weights).sum())), abs=1e-12)
    ceiling = nn.Sequential(model[0], nn.MaxPool2d(3, 2, ceil_mode=True), nn.Flatten())
    counts = F.conv2d(F.pad(torch.ones(1, 1, 6, 6), (0, 1, 0, 1)), torch.ones(1, 1, 3, 3), stride=2).sum().item()
    expected = math.log(counts * float(model[0].weight.detach().abs().sum()))
    assert log_path_norm(trace(ceiling, torch.ones(2, 1, 6, 6, dtype=torch.float64))) == pytest.approx(expected, abs=1e-12)


@pytest.mark.parametrize("q", [1.0, 2.0])
def test_batch_norm_has_weight_gamma_over_sigma_and_bias_beta_minus_mu_gamma_over_sigma(zoo, q):
    norm = nn.BatchNorm1d(3, eps=0.0)
    model = zoo.shake(nn.Sequential(nn.Linear(2, 3, bias=False), norm, nn.ReLU(), nn.Linear(3, 1, bias=False))).double()
    scale = norm.weight / norm.running_var.sqrt()
    inner = (model[0].weight.abs() ** q).sum(1) * scale.abs() ** q + (norm.bias - norm.running_mean * scale).abs() ** q
    expected = math.log(float((model[3].weight.abs() ** q @ inner).sum().detach())) / q
    assert log_path_norm(trace(model, torch.ones(2, 2, dtype=torch.float64)), q) == pytest.approx(expected, abs=1e-12)


@pytest.mark.parametrize("residual", [False, True])
def test_node_rescaling_leaves_it_unchanged_to_ten_digits(zoo, residual):
    if residual:
        model, shape = zoo.shake(models.cifar_resnet(8, widths=(2, 4, 8))), (3, 16, 16)
        pairs = [(block.bn1, block.conv2) for stage in (model.layer1, model.layer2, model.layer3) for block in stage]
    else:
        model, shape = zoo.shake(models.small_conv((6, 5), image_size=12, batch_norm=True)), (3, 12, 12)
        pairs = [(model.bn1, model.conv2)]
    model = model.double()
    x = torch.randn(2, *shape, dtype=torch.float64)
    graph, logits = trace(model, x), model(x)
    before = [log_path_norm(graph, q) for q in EXPONENTS]
    for norm, conv in pairs:
        factors = torch.exp(2 * torch.randn(len(norm.weight), dtype=torch.float64))
        norm.weight.data *= factors
        norm.bias.data *= factors
        conv.weight.data /= factors.view(1, -1, 1, 1)
    assert torch.allclose(model(x), logits, atol=1e-9)
    graph = trace(model, x)
    assert [log_path_norm(graph, q) for q in EXPONENTS] == pytest.approx(before, abs=1e-10)


def test_very_deep_networks_stay_finite():
    for factor in (1e9, 1e-9):
        model = models.mlp([8, *[8] * 45, 3])
        for parameter in model.parameters():
            parameter.data *= factor
        for bias in (True, False):
            found = log_path_norm(trace(model, torch.zeros(2, 8)), 1.0)
            assert isinstance(found, float)
            assert math.isfinite(found)
            assert (found > 800) if factor > 1 else (found > -30 if bias else found < -800)
            for name, parameter in model.named_parameters():
                if name.endswith("bias"):
                    parameter.data.zero_()


def test_one_layer_norms_and_the_l2_path_norm_of_two_layers():
    model = models.mlp((3, 4, 2), bias=False).double()
    graph = trace(model, torch.ones(1, 3, dtype=torch.float64))
    product = (model.l2.weight.square() @ model.l1.weight.square()).sum()
    assert log_path_norm(graph, 2.0) == pytest.approx(0.5 * math.log(float(product.detach())), abs=1e-12)


def test_where_there_are_no_paths_a_sentence_says_so(zoo):
    dead = models.mlp((3, 4, 2), bias=False)
    dead.l1.weight.data.zero_()
    cases = {
        "zero": (dead, torch.ones(1, 3)),
        "gelu": (models.mlp((3, 4, 2), activation="gelu"), torch.ones(1, 3)),
        "scaled_dot_product_attention": (zoo.Attention(), torch.zeros(2, 5, dtype=torch.long)),
        "layer_norm": (nn.Sequential(nn.Linear(3, 4), nn.LayerNorm(4)), torch.ones(1, 3)),
    }
    for word, (model, x) in cases.items():
        found = log_path_norm(trace(model, x))
        assert isinstance(found, Undefined)
        assert word in found.reason
