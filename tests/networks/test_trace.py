import pytest
import torch
from torch import nn
from torch.nn import functional as F

from genscope.errors import UnsupportedInput
from genscope.networks.functional import wrap_module
from genscope.networks.graph import Ref
from genscope.networks.trace import relative_error, trace
from genscope.training import models


@pytest.mark.parametrize(
    ("model", "shape"),
    [
        (models.mlp((4, 5, 3), activation="gelu"), (4,)),
        (models.lenet5(), (1, 28, 28)),
        (models.small_conv((4, 5), image_size=16, batch_norm=True), (3, 16, 16)),
        (models.cifar_resnet(8, option="A", widths=(2, 4, 8)), (3, 16, 16)),
        (models.cifar_resnet(8, option="B", widths=(2, 4, 8)), (3, 16, 16)),
        (nn.Sequential(nn.Conv1d(2, 3, 3, padding="same", groups=1), nn.BatchNorm1d(3), nn.ReLU6(), nn.AdaptiveMaxPool1d(2), nn.Flatten()), (2, 9)),
        (nn.Sequential(nn.ConvTranspose2d(2, 4, 2, stride=2), nn.GroupNorm(2, 4), nn.SiLU(), nn.Flatten()), (2, 3, 3)),
    ],
)
def test_the_graph_computes_the_same_on_any_batch_size(model, shape):
    graph = trace(model, torch.randn(1, *shape))
    assert graph.batch is None
    for size in (1, 2, 7):
        x = torch.randn(size, *shape)
        assert relative_error(graph.run(graph.params, graph.buffers, x), wrap_module(model)(x)) <= 1e-6


def test_layers_carry_their_real_input_sizes():
    layers = trace(models.resnet20(), torch.zeros(1, 3, 32, 32)).layers()
    assert len(layers) == 20
    by_name = {layer.name: layer for layer in layers}
    assert by_name["layer2.0.conv1"].input_shape == (16, 32, 32)
    assert by_name["layer2.0.conv1"].output_shape == (32, 16, 16)
    assert by_name["layer3.0.conv2"].input_shape == (64, 8, 8)
    assert by_name["linear"].weight == "linear.weight"
    assert by_name["linear"].bias == "linear.bias"


def test_residual_additions_written_in_place_keep_their_meaning(zoo):
    class InPlace(nn.Module):
        def __init__(self):
            super().__init__()
            self.one, self.two = nn.Linear(3, 3), nn.Linear(3, 3)

        def forward(self, x):
            h = self.one(x)
            r = F.relu(h, inplace=True)
            h = h * 2  # reads what the ReLU overwrote
            r = r + self.two(h)
            r += x
            return r

    for model, shape in ((InPlace(), (3,)), (zoo.PreActivation(), (2, 6, 6))):
        graph = trace(model, torch.randn(2, *shape))
        assert not any(str(node.target).split(".")[1].endswith("_") for node in graph.nodes if str(node.target).startswith("aten"))


def test_attention_with_object_output_integer_inputs_and_tied_weights(zoo):
    model = zoo.Attention()
    graph = trace(model, torch.randint(0, 11, (2, 5)))
    kinds = {node.kind for node in graph.nodes}
    assert {"embedding", "linear", "attention", "normalization", "activation", "add", "dropout"} <= kinds
    assert "head.weight" not in graph.params
    users = graph.users()[Ref("param", "embedding.weight")]
    assert len(users) == 2
    both = trace(model, {"input_ids": torch.randint(0, 11, (2, 5)), "attention_mask": torch.ones(2, 5)})
    assert len(both.inputs) == 2
    x = {"input_ids": torch.randint(0, 11, (4, 5)), "attention_mask": torch.ones(4, 5)}
    assert relative_error(both.run(both.params, both.buffers, x), wrap_module(model)(x)) < 1e-5


def test_products_with_a_parameter_are_linear_layers():
    class Raw(nn.Module):
        def __init__(self):
            super().__init__()
            self.a, self.b, self.c = nn.Parameter(torch.randn(3, 4)), nn.Parameter(torch.randn(4)), nn.Parameter(torch.randn(2, 4))
            self.register_buffer("mean", torch.tensor([0.1, 0.2, 0.3]))

        def forward(self, x):
            h = torch.addmm(self.b, (x - self.mean) / 2, self.a)
            return torch.relu(h) @ self.c.t()

    graph = trace(Raw(), torch.randn(2, 3))
    assert [node.kind for node in graph.nodes if node.data] == ["shift", "scale", "linear", "relu", "linear"]
    assert graph.nodes[-1].transposed


def test_data_dependent_control_flow_is_refused_in_a_sentence():
    class Branch(nn.Module):
        def forward(self, x):
            return x if float(x.sum()) > 0 else -x

    with pytest.raises(UnsupportedInput, match="cannot trace"):
        trace(Branch(), torch.ones(2, 2))
    with pytest.raises(UnsupportedInput, match="empty"):
        trace(nn.Linear(2, 2), torch.ones(0, 2))


def test_writes_into_parts_of_tensors_become_functional():
    class Aliased(nn.Module):
        def forward(self, x):
            y = x * 1
            y[:, 0] = 5.0
            return y

    graph = trace(Aliased(), torch.ones(2, 2))
    assert torch.equal(graph.network()(torch.zeros(3, 2)), torch.tensor([[5.0, 0.0]] * 3))


def test_hidden_state_that_the_graph_cannot_see_is_found():
    class Drifting(nn.Module):
        n = 0

        def forward(self, x):
            self.n += 1
            return x * self.n

    with pytest.raises(UnsupportedInput, match="differs from the model"):
        trace(Drifting(), torch.ones(2, 2))


def test_a_network_in_another_precision_than_its_module_and_named_types(zoo):
    class Upcasting(nn.Module):
        def __init__(self):
            super().__init__()
            self.linear = nn.Linear(3, 2)

        def forward(self, x):
            return self.linear(x.float() + torch.zeros(3, dtype=torch.float32))

    network = wrap_module(models.mlp((3, 4, 2)))
    x = torch.randn(5, 3, dtype=torch.float64)
    exact = network.to(torch.float64)
    assert torch.equal(trace(exact, x).network()(x), exact(x))
    promoted = trace(Upcasting(), x.float()).to(torch.float64)
    assert promoted.network()(x).dtype == torch.float64


def test_a_module_that_cannot_be_copied_is_traced_and_left_in_its_mode():
    model = nn.Sequential(nn.Linear(2, 2), nn.Dropout(0.9)).train()
    model.stream = (i for i in range(3))
    graph = trace(model, torch.ones(1, 2))
    assert model.training and model[1].training
    assert torch.equal(graph.network()(torch.ones(1, 2)), model[0](torch.ones(1, 2)))


def test_networks_without_parameters_and_recurrent_ones():
    assert trace(nn.Flatten(), torch.ones(2, 2, 2)).layers() == ()

    class Recurrent(nn.Module):
        def __init__(self):
            super().__init__()
            self.lstm, self.head = nn.LSTM(3, 4, batch_first=True), nn.Linear(4, 2)

        def forward(self, x):
            return self.head(self.lstm(x)[0][:, -1])

    x = torch.randn(3, 5, 3)
    model = Recurrent()
    assert relative_error(trace(model, x).network()(x), wrap_module(model)(x)) < 1e-6


def test_tracing_leaves_model_mode_and_random_state():
    model = nn.Sequential(nn.Linear(2, 2), nn.Dropout(0.5)).train()
    state = torch.get_rng_state()
    trace(model, torch.ones(1, 2))
    assert torch.equal(state, torch.get_rng_state())
    assert all(module.training for module in model.modules())
    assert torch.is_grad_enabled()
