import math

import pytest
import torch
from torch import nn

from genscope.core.matrices import ConvOperator
from genscope.networks.layer_operators import layer_operators, top_singular_value
from genscope.networks.trace import trace
from genscope.numerics.convolution import convolution_singular_values
from genscope.training import models

KERNEL = torch.tensor([[2.0, 7.0, -1.0], [1.0, 3.0, -8.0], [5.0, -3.0, 1.0]])


def dense_norm(module: nn.Module, shape: tuple[int, ...]) -> float:
    """Largest singular value of the module's matrix, built column by column."""
    n = math.prod(shape)
    zero = module(torch.zeros(1, *shape, dtype=torch.float64))
    columns = (module(torch.eye(n, dtype=torch.float64).view(n, *shape)) - zero).flatten(1)
    return float(torch.linalg.svdvals(columns.detach())[0])


@pytest.mark.parametrize(
    ("options", "expected"),
    [({"padding": 1, "padding_mode": "circular"}, 22.91221348), ({"padding": 1}, 22.72753302), ({}, 22.67943198)],
)
def test_published_kernel_at_twenty_by_twenty(options, expected):
    conv = nn.Conv2d(1, 1, 3, bias=False, **options)
    conv.weight.data[0, 0] = KERNEL
    (found,) = layer_operators(trace(conv, torch.zeros(1, 1, 20, 20)), tolerance=1e-8)
    assert found.operator_norm == pytest.approx(expected, abs=1e-8)
    assert found.reshaped_norm == pytest.approx(12.76714533, abs=1e-8)
    assert found.input_shape == (1, 20, 20)
    assert found.converged
    assert found.residual <= 1e-8


@pytest.mark.parametrize(
    ("module", "shape"),
    [
        (nn.Conv2d(2, 3, 3, padding=1), (2, 7, 6)),
        (nn.Conv2d(2, 3, 3, stride=2, padding=1, bias=False), (2, 8, 8)),
        (nn.Conv2d(4, 6, 3, groups=2, dilation=2), (4, 8, 8)),
        (nn.Conv2d(3, 3, 3, groups=3, padding="same"), (3, 6, 6)),
        (nn.Conv2d(2, 2, 3, padding=1, padding_mode="circular", stride=2), (2, 6, 6)),
        (nn.Conv2d(2, 2, 3, padding=1, padding_mode="reflect"), (2, 5, 5)),
        (nn.Conv1d(3, 4, 5, padding=2), (3, 11)),
        (nn.ConvTranspose2d(3, 2, 3, stride=2, padding=1), (3, 5, 5)),
        (nn.Linear(7, 4), (7,)),
    ],
)
def test_against_the_dense_matrix_of_the_layer(module, shape):
    module = module.double()
    (found,) = layer_operators(trace(module, torch.zeros(1, *shape, dtype=torch.float64)), tolerance=1e-7)
    exact = dense_norm(module, shape)
    assert found.operator_norm == pytest.approx(exact, rel=1e-8)
    assert found.operator_norm <= found.upper_bound * (1 + 1e-9) or "reflect" in str(module)


@pytest.mark.parametrize(("stride", "groups"), [(1, 1), (2, 1), (1, 2), (2, 2)])
def test_circular_convolutions_against_their_fourier_spectrum(stride, groups):
    module = nn.Conv2d(4, 6, 3, stride=stride, groups=groups, padding=1, padding_mode="circular", bias=False).double()
    (found,) = layer_operators(trace(module, torch.zeros(1, 4, 12, 12, dtype=torch.float64)), tolerance=1e-7)
    operator = ConvOperator(module.weight.detach().numpy(), (12, 12), (stride, stride), "circular", groups)
    assert found.operator_norm == pytest.approx(float(convolution_singular_values(operator).values[0]), rel=1e-9)


def test_the_default_tolerance_is_good_to_its_word():
    module = nn.Conv2d(4, 5, 3, padding=1).double()
    (found,) = layer_operators(trace(module, torch.zeros(1, 4, 12, 12, dtype=torch.float64)))
    assert found.operator_norm == pytest.approx(dense_norm(module, (4, 12, 12)), rel=1e-6)
    assert found.residual <= 1e-4


def test_the_size_of_the_input_matters_and_the_reshaped_kernel_is_no_bound():
    conv = nn.Conv2d(1, 1, 3, padding=1, bias=False)
    conv.weight.data.fill_(1.0)
    norms = [layer_operators(trace(conv, torch.zeros(1, 1, n, n)))[0] for n in (1, 4, 16)]
    assert norms[0].operator_norm == pytest.approx(1.0)
    assert norms[0].operator_norm < norms[0].reshaped_norm < norms[1].operator_norm < norms[2].operator_norm < 9


def test_diagonal_layers_embeddings_and_zero_layers(zoo):
    found = {op.layer: op for op in layer_operators(trace(zoo.shake(zoo.PreActivation()), torch.randn(2, 2, 6, 6)))}
    assert found["bn1"].kind == "diagonal"
    assert set(found) == {"stem", "bn1", "conv1", "conv2", "head"}
    tokens = layer_operators(trace(zoo.Attention(), torch.zeros(2, 5, dtype=torch.long)))
    assert tokens[0].kind == "embedding"
    dead = nn.Conv2d(1, 1, 3)
    dead.weight.data.zero_()
    assert layer_operators(trace(dead, torch.zeros(1, 1, 5, 5)))[0].operator_norm == 0.0


def test_weights_scale_the_norm_and_batch_norm_is_inside_it(zoo):
    model = zoo.shake(models.small_conv((4, 5), image_size=12, batch_norm=True)).double()
    x = torch.randn(2, 3, 12, 12, dtype=torch.float64)
    before = layer_operators(trace(model, x))
    model.bn1.weight.data *= -3.0
    after = layer_operators(trace(model, x))
    assert after[0].operator_norm == pytest.approx(3 * before[0].operator_norm, rel=1e-6)
    assert after[1].operator_norm == pytest.approx(before[1].operator_norm, rel=1e-6)


def test_lanczos_on_planted_singular_values():
    generator = torch.Generator().manual_seed(0)
    left, right = (torch.linalg.qr(torch.randn(60, 60, generator=generator, dtype=torch.float64))[0] for _ in range(2))
    values = torch.linspace(1, 0, 60, dtype=torch.float64)
    matrix = left @ torch.diag(values) @ right
    start = torch.randn(60, generator=generator, dtype=torch.float64)
    found = top_singular_value(lambda x: matrix.to(x.dtype) @ x, start, tolerance=1e-9)
    assert found.value == pytest.approx(1.0, abs=1e-12)
    restarted = top_singular_value(lambda x: matrix.to(x.dtype) @ x, start, tolerance=1e-6, memory_bytes=8 * 120 * 10)
    assert restarted.converged
    assert restarted.steps > 10
    assert restarted.value == pytest.approx(1.0, abs=1e-8)
    stopped = top_singular_value(lambda x: matrix.to(x.dtype) @ x, start, tolerance=1e-9, max_steps=4)
    assert not stopped.converged
    assert stopped.residual > 1e-9
