"""Radii of 3,000 random directions through the paper's six-layer swiss-roll network: genscope against the two plain ways, in one run.

    python benchmarks/basins.py

Seconds of one thread. The public code's way evaluates 101 grid points per direction and takes the one whose loss is nearest to the cutoff; the plain
loop doubles and halves until it has the crossing to 1e-3. Both move the weights of a module, run it, and read its loss, on fewer directions; their
time per direction is what counts. All use the same filter-normalized directions of the same network on the same 400 points.
"""

import argparse
import math
import os
import time
from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from torch import nn

CUTOFF, POINTS = 0.1, 101


def swiss_roll(n: int = 400, seed: int = 0) -> tuple[torch.Tensor, torch.Tensor]:
    generator = torch.Generator().manual_seed(seed)
    angle = torch.sqrt(torch.rand(n // 2, generator=generator)) * math.radians(600)
    arms = [sign * 1.5 * angle[:, None] * torch.stack([angle.cos(), angle.sin()], dim=1) for sign in (-1, 1)]
    x = torch.cat(arms) + 0.5 * torch.randn(n, 2, generator=generator)
    return x / 10, torch.arange(n) // (n // 2)


def trained() -> tuple[nn.Module, torch.Tensor, torch.Tensor]:
    from genscope.training.loop import Recipe, error_and_loss, fit, initialize
    from genscope.training.models import mlp

    x, y = swiss_roll()
    net = initialize(mlp((2, 23, 16, 26, 32, 28, 31, 2)), torch.Generator().manual_seed(0))
    fit(net, x, y, Recipe(epochs=3000, learning_rate=3e-3, batch_size=400, stop_at_loss=1e-3))
    print(f"trained: error {error_and_loss(net, x, y)[0]:.3f}, loss {error_and_loss(net, x, y)[1]:.2e}")
    return net.eval(), x, y


def moved_loss(net: nn.Module, x: torch.Tensor, y: torch.Tensor) -> Callable[[torch.Tensor], float]:
    """The loss with the weights of the module set to a vector: what a plain loop does at each point."""

    def loss(flat: torch.Tensor) -> float:
        torch.nn.utils.vector_to_parameters(flat, net.parameters())
        return float(nn.functional.cross_entropy(net(x), y))

    return loss


def by_grid(loss: Callable[[torch.Tensor], float], centre: torch.Tensor, direction: torch.Tensor, span: float) -> float:
    """Nearest of 101 points spaced as the fifth power, as in the released swiss-roll script."""
    radii = span * np.linspace(0, 1, POINTS) ** 5
    losses = [loss(centre + float(radius) * direction) for radius in radii]
    return float(radii[int(np.argmin(np.abs(np.array(losses) - CUTOFF)))])


def by_bisection(loss: Callable[[torch.Tensor], float], centre: torch.Tensor, direction: torch.Tensor, start: float) -> float:
    low, high = 0.0, start
    while loss(centre + high * direction) < CUTOFF:
        low, high = high, 2 * high
    while high - low > 1e-3 * high:
        middle = (low + high) / 2
        low, high = (middle, high) if loss(centre + middle * direction) < CUTOFF else (low, middle)
    return (low + high) / 2


def seconds(call: Callable[[], Any], wall: bool = False) -> tuple[float, Any]:
    clock = time.perf_counter if wall else time.process_time
    began = clock()
    found = call()
    return clock() - began, found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--directions", type=int, default=3000)
    parser.add_argument("--plain", type=int, default=150, help="directions of the plain loops")
    parser.add_argument("--runs", type=int, default=3)
    a = parser.parse_args()
    torch.set_num_threads(1)
    net, x, y = trained()
    from genscope.core.seeds import generator_for
    from genscope.landscape.basin import basin_rays
    from genscope.landscape.coordinates import coordinates_of
    from genscope.landscape.criteria import Edge
    from genscope.landscape.evaluator import Evaluator
    from genscope.landscape.radius import SearchSettings
    from genscope.landscape.rays import Rays
    from genscope.measures.ingredients.losses import scores_of
    from genscope.networks.functional import wrap_module
    from genscope.numerics.perturbation import noise_seeds
    from genscope.verbs.landscape_basin import criteria_of

    network = wrap_module(net)
    places = coordinates_of(network.params, "filter_normalized")
    rays = Rays(places, noise_seeds(generator_for(0, "benchmark"), a.directions))
    edges, length = [Edge("loss", CUTOFF)], places.n_filters**0.5
    evaluator = Evaluator(network, [(x, y)], scores_of("cross_entropy"))

    def ours(n_check: int, workers: int = 1, rtol: float = 1e-3) -> Any:
        criteria = criteria_of(evaluator, "cross_entropy", edges, workers)
        settings = SearchSettings(rtol, 1.5, 1e-3 * length, 1e-9 * length, 100 * length, n_check)
        return basin_rays(criteria, rays, criteria.cutoffs(edges), settings)

    exact = ours(0, rtol=1e-6)
    batch = rays.batch(0, a.plain)
    loss, centre = moved_loss(net, x, y), torch.nn.utils.parameters_to_vector(net.parameters()).detach().clone()
    span = 3 * float(np.median(exact.radii))
    times: dict[str, list[float]] = {name: [] for name in ("grid", "bisection", "genscope", "genscope, checked", "genscope, 2 workers (wall)")}
    with torch.no_grad():
        for _ in range(a.runs):
            spent, grid = seconds(lambda: [by_grid(loss, centre, d, span) for d in batch.directions[: a.plain // 5]])
            times["grid"].append(spent / (a.plain // 5))
            spent, halved = seconds(lambda: [by_bisection(loss, centre, d, span / 6) for d in batch.directions])
            times["bisection"].append(spent / a.plain)
            spent, found = seconds(lambda: ours(0))
            times["genscope"].append(spent / a.directions)
            spent, checked = seconds(lambda: ours(2))
            times["genscope, checked"].append(spent / a.directions)
            times["genscope, 2 workers (wall)"].append(seconds(lambda: ours(0, 2), wall=True)[0] / a.directions)
    torch.nn.utils.vector_to_parameters(centre, net.parameters())
    error = {"grid": np.abs(np.array(grid) / exact.radii[: len(grid), 0] - 1), "bisection": np.abs(np.array(halved) / exact.radii[: a.plain, 0] - 1)}
    error |= {"genscope": np.abs(found.radii / exact.radii - 1), "genscope, checked": np.abs(checked.radii / exact.radii - 1)}
    mean, with_checks = found.n_evaluations.mean(), checked.n_evaluations.mean()
    print(f"load {os.getloadavg()[0]:.1f}; n = {places.n}; evaluations per ray {mean:.2f}, with checks {with_checks:.2f}\n")
    print("| way | ms per direction, min / median | against the grid | against bisection | largest error of a radius |\n|---|---|---|---|---|")
    for name, spent in times.items():
        ratios = [f"{min(times[other]) / min(spent):.1f}" for other in ("grid", "bisection")]
        worst = f"{error[name].max():.1e}" if name in error else ""
        print(f"| {name} | {1e3 * min(spent):.3f} / {1e3 * float(np.median(spent)):.3f} | {ratios[0]} | {ratios[1]} | {worst} |")


if __name__ == "__main__":
    main()
