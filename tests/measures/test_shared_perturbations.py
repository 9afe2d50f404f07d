"""What measures share, and what is stopped early, gives the numbers of the long way round."""

import numpy as np
import pytest
import torch
from tests.measures.networks_by_hand import compute, random_weights, roots_of
from torch import nn

from genscope.measures.ingredients.points import loss_and_error_sums, loss_and_gradient, mean_loss_and_error
from genscope.measures.ingredients.sigma import _MeanError
from genscope.measures.ingredients.subset import Subset
from genscope.networks.functional import wrap_module
from genscope.numerics.ascent import ascend
from genscope.numerics.perturbation import evaluate_points, perturbed_points, stack_size


def small_cnn() -> nn.Module:
    torch.manual_seed(0)
    return nn.Sequential(nn.Conv2d(2, 4, 3, padding=1), nn.ReLU(), nn.Flatten(), nn.Linear(64, 3))


def images(n: int = 40) -> tuple[torch.Tensor, torch.Tensor]:
    generator = torch.Generator().manual_seed(1)
    return torch.randn(n, 2, 4, 4, generator=generator), torch.randint(0, 3, (n,), generator=generator)


@pytest.mark.parametrize("memory", [torch.contiguous_format, torch.channels_last])
def test_stacks_agree_with_the_loop_in_float32(memory: torch.memory_format) -> None:
    network, (x, y) = wrap_module(small_cnn()), images()
    params = dict(network.params)
    points = list(perturbed_points(params, dict.fromkeys(params, 0.1), range(6), 1.0))
    statistic = loss_and_error_sums(network.forward, "cross_entropy")
    loop = evaluate_points(statistic, points, [(x, y)])
    stacked = evaluate_points(statistic, points, [(x.contiguous(memory_format=memory), y)], stack=6)
    np.testing.assert_allclose(stacked, loop, rtol=1e-5)


@pytest.mark.parametrize("sigma", [1e-3, 0.03, 0.1, 0.3, 3.0])
def test_a_decided_error_is_the_error_decided_in_full(sigma: float) -> None:
    network, (x, _) = wrap_module(small_cnn()), images()
    with torch.no_grad():
        y = network(x).argmax(1)
    params = dict(network.params)
    assert stack_size(params) == 1
    subset = Subset(tuple(zip(x.split(7), y.split(7), strict=True)), len(y), len(y))
    seen = _MeanError(params, network.forward, "cross_entropy", subset, [1, 2, 3, 4])
    points = perturbed_points(params, dict.fromkeys(params, sigma), [1, 2, 3, 4], 1.0)
    mean = float(mean_loss_and_error(seen.statistic, points, subset.batches, params)[:, 1].mean())
    for target in (0.0, 0.05, mean, 0.9 * mean, 0.5):
        assert seen.within(dict.fromkeys(params, sigma), target) == (mean <= target)


def test_a_known_centre_changes_no_ascent() -> None:
    network, (x, y) = wrap_module(small_cnn()), images()
    params = dict(network.params)
    objective = loss_and_gradient(network.forward, "cross_entropy", ((x, y),))
    radii = {name: 0.05 * value.abs() for name, value in params.items()}
    alone = ascend(objective, params, radii, steps=6)
    told = ascend(objective, params, radii, steps=6, at_centre=objective(params))
    assert (told.increase, told.centre) == (alone.increase, alone.centre)
    assert (alone.n_gradients, told.n_gradients) == (6, 5)


def test_two_priors_at_one_scale_share_their_draws() -> None:
    weights = random_weights()
    zeros = [torch.zeros_like(weight) for weight in weights]
    found = compute(roots_of(weights, initial=zeros), ["pac_bayes_certificate", "pac_bayes_certificate_init"])
    # A prior at an initialization of zeros is the prior at zero, so every number is the same.
    assert found["pac_bayes_certificate"].value == found["pac_bayes_certificate_init"].value
    assert found["zero_prior_certificate"].monte_carlo_error == found["init_prior_certificate"].monte_carlo_error
