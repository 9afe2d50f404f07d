"""Small bias-free ReLU networks as roots, and the transformations that measures may or may not notice."""

import itertools
from typing import Any

import torch
from torch import nn

from genscope.core.catalogue import Catalogue
from genscope.core.resolver import execute, plan
from genscope.measures.load import load_all_measures
from genscope.networks.functional import wrap_module
from genscope.networks.trace import trace

CATALOGUE: Catalogue = load_all_measures()
FAST = {"n_draws": 4, "n_scales": 5, "ascent_steps": 6, "search_rtol": 0.2, "certificate_draws": 40, "certificate_examples": 8, "lemma_draws": 5}


def chain(weights: list[torch.Tensor]) -> nn.Sequential:
    layers: list[nn.Module] = []
    for weight in weights:
        layer = nn.Linear(weight.shape[1], weight.shape[0], bias=False, dtype=torch.float64)
        layer.weight = nn.Parameter(weight.clone())
        layers += [layer, nn.ReLU()]
    return nn.Sequential(*layers[:-1])


def random_weights(widths: tuple[int, ...] = (6, 9, 8, 3), seed: int = 0) -> list[torch.Tensor]:
    generator = torch.Generator().manual_seed(seed)
    return [torch.randn(b, a, generator=generator, dtype=torch.float64) / a**0.5 for a, b in itertools.pairwise(widths)]


def roots_of(
    weights: list[torch.Tensor], initial: list[torch.Tensor] | None = None, n: int = 60, teacher: list[torch.Tensor] | None = None
) -> dict[str, Any]:
    """Roots whose labels are the ``teacher``'s own answers (default: the network's), so that all margins are positive."""
    net = chain(weights)
    network = wrap_module(net)
    x = torch.randn(n, weights[0].shape[1], generator=torch.Generator().manual_seed(7), dtype=torch.float64)
    with torch.no_grad():
        y = chain(teacher or weights)(x).argmax(1)
    start = initial if initial is not None else random_weights((weights[0].shape[1], *(len(w) for w in weights)), seed=99)
    return {
        "network": network,
        "graph": trace(network, x[:3]),
        "params": dict(network.params),
        "initial_params": dict(zip(network.params, start, strict=True)),
        "forward": network.forward,
        "loss": "cross_entropy",
        "batches": [(x[:40], y[:40]), (x[40:], y[40:])],
        "test_batches": [(x.flip(1), y)],
        "n_examples": n,
        "n_classes": weights[-1].shape[0],
        "data_dependent_buffers": (),
    }


def compute(roots: dict[str, Any], names: list[str], seed: int = 0, **options: Any) -> dict[str, Any]:
    return execute(plan(names, roots, CATALOGUE), roots, options={**FAST, **options}, seed=seed)


def node_rescaled(weights: list[torch.Tensor]) -> list[torch.Tensor]:
    """Each hidden unit's incoming weights times a factor of its own, its outgoing weights over it."""
    made = [weight.clone() for weight in weights]
    generator = torch.Generator().manual_seed(3)
    for i in range(len(made) - 1):
        factor = torch.exp(torch.randn(len(made[i]), generator=generator, dtype=torch.float64))
        made[i] *= factor[:, None]
        made[i + 1] /= factor[None]
    return made


def layer_scaled(weights: list[torch.Tensor]) -> list[torch.Tensor]:
    return [weight * factor for weight, factor in zip(weights, (3.0, 0.5, 7.0), strict=True)]


def layer_rescaled(weights: list[torch.Tensor]) -> list[torch.Tensor]:
    return [weight * factor for weight, factor in zip(weights, (4.0, 0.5, 0.5), strict=True)]


def last_layer_scaled(weights: list[torch.Tensor]) -> list[torch.Tensor]:
    return [*weights[:-1], 5.0 * weights[-1]]


def permuted(weights: list[torch.Tensor]) -> list[torch.Tensor]:
    made = [weight.clone() for weight in weights]
    for i in range(len(made) - 1):
        order = torch.randperm(len(made[i]), generator=torch.Generator().manual_seed(i))
        made[i], made[i + 1] = made[i][order], made[i + 1][:, order]
    return made
