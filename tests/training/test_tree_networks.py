"""Stacked trees, shallow and deep networks: counted by hand, compared with plain modules, trained apart although side by side."""

import numpy as np
import pytest
import torch
from torch import nn

from genscope.errors import UsageError
from genscope.training.tree_built import built_tree
from genscope.training.tree_cells import CellTask, run_cell
from genscope.training.tree_fit import FitPlan, Points, errors_of, fit_stack, solve_last_layer
from genscope.training.tree_networks import ARCHITECTURES, StackedNetwork, matched_shape, shape_of
from genscope.training.tree_target import tree_targets, uniform_inputs


def generators(n: int, start: int = 0) -> list[torch.Generator]:
    return [torch.Generator().manual_seed(start + seed) for seed in range(n)]


@pytest.mark.parametrize("architecture", ARCHITECTURES)
@pytest.mark.parametrize("variables", [2, 4, 8])
def test_parameters_are_counted_exactly(architecture: str, variables: int) -> None:
    shape = shape_of(architecture, variables, 5)
    network = StackedNetwork(shape, generators(3))
    assert sum(value.numel() for value in network.parameters()) == 3 * shape.n_parameters
    assert network(torch.zeros(7, variables)).shape == (3, 7)


def test_matching_is_the_closest_whole_width() -> None:
    for n_parameters in (9, 33, 99, 175, 903):
        for architecture in ("shallow", "deep"):
            found = matched_shape(architecture, 8, n_parameters)
            others = [shape_of(architecture, 8, width).n_parameters for width in range(1, 120)]
            assert abs(found.n_parameters - n_parameters) == min(abs(other - n_parameters) for other in others)


def test_the_tree_of_two_variables_is_the_shallow_network() -> None:
    assert shape_of("tree", 2, 6).n_parameters == shape_of("shallow", 2, 6).n_parameters
    x = uniform_inputs(9, 2, torch.Generator().manual_seed(1))
    trees, shallow = (StackedNetwork(shape_of(name, 2, 6), generators(2)) for name in ("tree", "shallow"))
    torch.testing.assert_close(trees(x), shallow(x))


def test_a_tree_is_its_nodes_put_together() -> None:
    network = StackedNetwork(shape_of("tree", 4, 3), generators(1), "relu")
    x = uniform_inputs(11, 4, torch.Generator().manual_seed(2))

    def node(level: int, place: int, pair: torch.Tensor) -> torch.Tensor:
        first, last = 2 * level, 2 * level + 1
        hidden = torch.relu(pair @ network.weights[first][0, place] + network.biases[first][0, place])
        return hidden @ network.weights[last][0, place] + network.biases[last][0, place]

    expected = node(1, 0, torch.cat((node(0, 0, x[:, :2]), node(0, 1, x[:, 2:])), dim=1))
    torch.testing.assert_close(network(x)[0], expected[:, 0])


def test_a_deep_network_is_a_plain_one() -> None:
    network = StackedNetwork(shape_of("deep", 8, 5), generators(2), "relu")
    layers: list[nn.Module] = []
    for weight, bias in zip(network.weights, network.biases, strict=True):
        layer = nn.Linear(*weight.shape[-2:])
        layer.load_state_dict({"weight": weight[1, 0].T, "bias": bias[1, 0, 0]})
        layers += [layer, nn.ReLU()]
    x = uniform_inputs(6, 8, torch.Generator().manual_seed(3))
    torch.testing.assert_close(network(x)[1], nn.Sequential(*layers[:-1])(x)[:, 0])


def test_targets_do_not_depend_on_their_company_and_fill_their_range() -> None:
    x = uniform_inputs(2000, 8, torch.Generator().manual_seed(4))
    alone, together = tree_targets(8, generators(1, 5)), tree_targets(8, generators(3, 5))
    torch.testing.assert_close(alone(x)[0], together(x)[0])
    values = together(x)
    assert float(values.abs().max()) < 1.3 and float(values.std(1).min()) > 0.15
    assert torch.equal(together.repeated(2)(x)[2:4], values[1].expand(2, -1))


def test_a_target_is_compositional_and_its_inner_functions_are_shared() -> None:
    target = tree_targets(4, generators(1))
    x = uniform_inputs(50, 4, torch.Generator().manual_seed(6))
    inner = target.level(0, x.double().expand(1, -1, -1))
    torch.testing.assert_close(target.level(1, inner)[0, :, 0].float(), target(x)[0])
    swapped = target.level(0, x[:, [2, 3, 0, 1]].double().expand(1, -1, -1))
    torch.testing.assert_close(swapped[..., [1, 0]], inner)


def test_networks_of_a_stack_train_as_they_would_alone() -> None:
    x = uniform_inputs(512, 2, torch.Generator().manual_seed(7))
    plan = FitPlan(steps=30, batch=64)
    values = tree_targets(2, generators(2))(x)
    both = StackedNetwork(shape_of("tree", 2, 4), generators(2, 9))
    fit_stack(both, Points(x, values), plan, torch.Generator().manual_seed(8))
    alone = StackedNetwork(shape_of("tree", 2, 4), generators(1, 10))
    fit_stack(alone, Points(x, values[1:]), plan, torch.Generator().manual_seed(8))
    torch.testing.assert_close(both(x)[1], alone(x)[0], atol=1e-4, rtol=1e-4)


def test_the_last_layer_is_the_least_squares_solution() -> None:
    x = uniform_inputs(300, 2, torch.Generator().manual_seed(9))
    target = Points(x, tree_targets(2, generators(2))(x))
    network = StackedNetwork(shape_of("shallow", 2, 6), generators(2, 4))
    solve_last_layer(network, target, ridge=0.0)
    for place in range(2):
        features = np.hstack((network.features(x)[place, 0].detach().double().numpy(), np.ones((300, 1))))
        best = np.linalg.lstsq(features, target.values[place].double().numpy(), rcond=None)[0]
        residual = np.sqrt(np.mean((features @ best - target.values[place].double().numpy()) ** 2))
        found = float((network(x)[place] - target.values[place]).detach().square().mean().sqrt())
        assert found == pytest.approx(residual, rel=1e-4)


def test_errors_by_hand() -> None:
    x = torch.zeros(4, 2)
    network = StackedNetwork(shape_of("tree", 2, 1), generators(1))
    with torch.no_grad():
        for value in network.parameters():
            value.zero_()
    rms, largest = errors_of(network, Points(x, torch.tensor([[3.0, -1.0, 1.0, 1.0]])))
    assert rms.tolist() == pytest.approx([np.sqrt(3.0) / np.std([3, -1, 1, 1], ddof=1)]) and largest.tolist() == [1.0]


def test_a_built_tree_is_nearer_than_chance_and_reproducible() -> None:
    task = CellTask("tree_built", 4, 8, 2, 1, 2.0, "tanh", FitPlan(steps=150, batch=128), 0)
    first, again = run_cell(task), run_cell(task)
    assert first.errors == again.errors and max(first.errors) < 0.8
    assert built_tree.__doc__ and "upper bound" in built_tree.__doc__


def test_more_restarts_never_fit_the_points_worse() -> None:
    one = CellTask("shallow", 2, 4, 2, 1, 2.0, "tanh", FitPlan(steps=40, batch=64), 0)
    found = [run_cell(CellTask(**{**one.__dict__, "restarts": restarts})).errors for restarts in (1, 3)]
    assert all(np.isfinite(found).ravel())


@pytest.mark.parametrize("call", [lambda: shape_of("tree", 3, 2), lambda: shape_of("ring", 4, 2), lambda: tree_targets(4, [], 0.0)])
def test_impossible_requests_are_one_sentence(call) -> None:  # type: ignore[no-untyped-def]
    with pytest.raises(UsageError, match=r"\.$"):
        call()
