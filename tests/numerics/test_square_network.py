"""Yarotsky's square: interpolation at dyadic points, and its error to the last bit."""

import numpy as np
import pytest
import torch

from genscope.errors import UsageError
from genscope.numerics.square_network import square_error, square_network


@pytest.mark.parametrize("depth", range(1, 11))
def test_the_largest_error_is_exactly_known(depth: int) -> None:
    x = np.linspace(-1, 1, 2 ** (depth + 4) + 1)
    found = square_network(depth)(x) - np.maximum(x, 0) ** 2
    assert found.max() == square_error(depth) == 4.0**-depth / 4
    assert found.min() == 0.0


def test_it_interpolates_at_the_dyadic_points_and_bends_nowhere_else() -> None:
    knots = np.linspace(0, 1, 2**5 + 1)
    network = square_network(5)
    np.testing.assert_array_equal(network(knots), knots**2)
    x = np.random.default_rng(0).uniform(0, 1, 200)
    np.testing.assert_allclose(network(x), np.interp(x, knots, knots**2), atol=1e-14)


def test_the_weights_are_those_of_a_plain_relu_network() -> None:
    network = square_network(6)
    layers: list[torch.nn.Module] = []
    for weight, bias in zip(network.weights, network.biases, strict=True):
        layer = torch.nn.Linear(*weight.shape[::-1]).double()
        layer.load_state_dict({"weight": torch.tensor(weight), "bias": torch.tensor(bias)})
        layers += [layer, torch.nn.ReLU()]
    x = torch.linspace(-2, 1, 301, dtype=torch.float64)
    found = torch.nn.Sequential(*layers[:-1])(x[:, None])[:, 0].detach().numpy()
    np.testing.assert_allclose(found, network(x.numpy()), atol=1e-15)
    assert network.depth == 6 and network.n_units == 24


@pytest.mark.parametrize("depth", [0, 27])
def test_other_depths_are_refused(depth: int) -> None:
    with pytest.raises(UsageError, match="depth"):
        square_network(depth)
