from itertools import pairwise

import numpy as np
import pytest
import torch
from torch import nn

from genscope.errors import UsageError
from genscope.landscape.boundary_distance import Search, boundary_distances
from genscope.landscape.linear_region import linear_region
from genscope.networks.functional import wrap_module
from genscope.networks.outputs import predictions


def net(widths=(2, 12, 12, 3), activation=nn.ReLU, seed=0):
    generator = torch.Generator().manual_seed(seed)
    layers = []
    for fan_in, fan_out in pairwise(widths):
        layer = nn.Linear(fan_in, fan_out)
        with torch.no_grad():
            layer.weight.copy_(torch.randn(layer.weight.shape, generator=generator) * (2 / fan_in) ** 0.5)
            layer.bias.copy_(torch.randn(layer.bias.shape, generator=generator) * 0.3)
        layers += [layer, activation()]
    return nn.Sequential(*layers[:-1]).double()


def points(n, size=2, seed=1):
    return torch.randn(n, size, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def dense(module, x, reach=2.5, angles=600, radii=250):
    """The nearest change of class over a fine polar grid."""
    theta = torch.arange(angles, dtype=torch.float64) * (2 * np.pi / angles)
    unit = torch.stack([theta.cos(), theta.sin()], 1)
    r = torch.linspace(0, reach, radii, dtype=torch.float64)[1:]
    found = []
    for point in x:
        grid = point + r[:, None, None] * unit
        changed = (predictions(module(grid.reshape(-1, 2))) != predictions(module(point[None]))).view(len(r), angles).any(1)
        found.append(float(r[int(changed.int().argmax())]) if bool(changed.any()) else np.inf)
    return np.array(found), reach / (radii - 1)


@pytest.mark.parametrize("activation", [nn.ReLU, nn.Tanh])
@torch.no_grad()
def test_the_search_finds_what_a_dense_search_finds(activation):
    module = net(activation=activation)
    x = points(12)
    with torch.enable_grad():
        found = boundary_distances(module, x).distance
    truth, step = dense(module, x)
    near = truth < 2.4
    assert near.sum() > 7
    # the grid overestimates by its steps in radius and angle, the search by its directions; what it finds is a change of class
    assert (found[near] <= truth[near] * 1.002 + 1e-9).all()
    assert (found[near] >= truth[near] - step - 2 * np.pi / 600 * truth[near]).all()


def test_a_linear_network_is_exact_in_any_dimension():
    module = net((7, 4), seed=3)
    x = points(40, 7)
    weight, z = module[0].weight.detach(), module(x).detach()
    own = z.argmax(1)
    gaps = (z.gather(1, own[:, None]) - z) / (weight[own][:, None] - weight).norm(dim=2).clamp_min(1e-300)
    truth = gaps.scatter(1, own[:, None], torch.inf).min(1).values.numpy()
    region = linear_region(wrap_module(module), x)
    np.testing.assert_allclose(region.boundary, truth, rtol=1e-10)
    assert region.exact.all()
    np.testing.assert_allclose(boundary_distances(module, x).distance, truth, rtol=2e-4)


def test_one_linear_region_brackets_the_search_and_is_exact_where_it_says_so():
    module = net((2, 4, 3), seed=5)
    x = 2 * points(200, seed=4)
    region, found = linear_region(wrap_module(module), x), boundary_distances(module, x).distance
    assert (region.lower_bound <= found * (1 + 1e-9)).all()
    assert 5 < region.exact.sum() < 200
    truth, step = dense(module, x[torch.from_numpy(region.exact)][:12])
    near = truth < 2.4
    np.testing.assert_allclose(region.boundary[region.exact][:12][near], truth[near], atol=step)
    # the region's own faces: no unit changes sign closer than the region says
    inside = x + 0.999 * torch.from_numpy(region.region)[:, None] * nn.functional.normalize(points(200, seed=9), dim=1)
    assert torch.equal(module[0](inside) > 0, module[0](x) > 0)


def test_leaky_units_one_output_and_other_networks():
    leaky = nn.Sequential(nn.Linear(2, 5), nn.LeakyReLU(0.2), nn.Linear(5, 1)).double()
    x = points(20, seed=7)
    region = linear_region(wrap_module(leaky), x)
    found = boundary_distances(leaky, x).distance
    assert np.isfinite(region.boundary).all() and (region.lower_bound <= found * (1 + 1e-9)).all()
    np.testing.assert_allclose(found[region.exact], region.boundary[region.exact], rtol=1e-3)
    assert linear_region(wrap_module(nn.Sequential(nn.Linear(2, 3), nn.Tanh(), nn.Linear(3, 2))), x) is None
    assert linear_region(wrap_module(leaky), x, memory=1) is None


def test_a_ring_around_an_island_is_found_and_everything_of_one_class_has_no_boundary():
    def island(x):
        inside = 0.25 - x.square().sum(1)
        return torch.stack([inside, -inside], 1)

    x = torch.tensor([[0.1, 0.0], [0.9, 0.0], [0.0, 3.0]], dtype=torch.float64)
    np.testing.assert_allclose(boundary_distances(island, x, others=-x).distance, [0.4, 0.4, 2.5], rtol=1e-3)
    constant = boundary_distances(lambda x: torch.stack([x[:, 0] * 0 + 1, x[:, 0] * 0], 1), x)
    assert np.isinf(constant.distance).all()


def test_images_keep_their_shape_and_the_seed_decides():
    module = nn.Sequential(nn.Conv2d(1, 3, 3), nn.Tanh(), nn.Flatten(), nn.Linear(48, 3)).double()
    x = torch.randn(6, 1, 6, 6, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    found = boundary_distances(module, x)
    assert found.nearest.shape == x.shape
    np.testing.assert_allclose((found.nearest - x).flatten(1).norm(dim=1).numpy(), found.distance, rtol=1e-9)
    assert (predictions(module(found.nearest)) != predictions(module(x))).all()
    assert np.array_equal(found.distance, boundary_distances(module, x).distance)
    with pytest.raises(UsageError, match="at least 2 steps"):
        boundary_distances(module, x, Search(steps=1))
