"""Time of `assess` per measure on ResNet-20 and 2,000 CIFAR-10 images against the forward passes it needs, and of perturbed networks in stacks.

    python benchmarks/assess.py --data cifar-10-batches-py --weights resnet20.th [--runs 2] [--budget fast]

CPU seconds on one thread. The floor of an ingredient is the number of forward passes of one example that it needs (a gradient counts three, a
product with the Hessian six: its convolutions are those of six forwards) times the time of one, measured in the same run.
"""

import argparse
import os
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any
from unittest import mock

import numpy as np
import torch
from torch import Tensor, nn
from trained import cifar, cpu_seconds, digits_mlp, resnet20, told


def needed(settings: dict[str, Any], n: int, classes: int, spent: dict[str, Any]) -> dict[str, float]:
    """Forward passes of one example per ingredient; those of searches are counted from what they did."""
    subset, curved = min(settings["max_examples"], n), min(settings["hessian_examples"], n)
    ascent = (3 * (settings["ascent_steps"] - 1) + 1) * subset
    return {
        "outputs": n,
        "sharpness_curve": settings["n_scales"] * settings["n_draws"] * subset,
        "relative_noise": settings["n_draws"] * subset,
        "filter_normalized_sharpness": settings["n_draws"] * subset,
        "keskar_sharpness": ascent,
        "adaptive_sharpness": ascent,
        "adaptive_sharpness_l2": ascent,
        "adaptive_sharpness_logit_normalized": ascent + 3 * subset,
        "centre": subset,
        "centre_gradient": 3 * subset,
        "jacobian_norms": (1 + classes) * min(settings["jacobian_examples"], n),
        "fisher_rao_norm": 3 * subset,
        "hessian_operator": 3 * curved,
        "hessian_krylov": 6 * curved * spent["hessian_krylov"].n_products,
        "hessian_trace": (4 + 1 / 4) * curved * 8,  # two blocks of four probes, each with one pass at the weights
        "isotropic_sigma": spent["forwards"]["isotropic_sigma"],
        "magnitude_sigma": spent["forwards"]["magnitude_sigma"],
        "zero_prior_certificate": spent["forwards"]["zero_prior_certificate"] + spent["forwards"]["noisy_errors"],
    }


class Meter:
    """CPU seconds and forward passes of each node of one run."""

    def __init__(self) -> None:
        import genscope.core.resolver as resolver
        from genscope.networks.functional import Network

        self.seconds: dict[str, float] = {}
        self.values: dict[str, Any] = {"forwards": {}}
        call, forward, self.count = resolver._call, Network.forward, 0

        def counted(network: Network, params: Any, x: Any) -> Tensor:
            self.count += len(x)
            return forward(network, params, x)

        def timed(node: Any, *rest: Any) -> Any:
            self.count, began = 0, time.process_time()
            self.values[node.name] = call(node, *rest)
            self.seconds[node.name] = time.process_time() - began
            self.values["forwards"][node.name] = self.count
            return self.values[node.name]

        self.patches = (mock.patch.object(resolver, "_call", timed), mock.patch.object(Network, "forward", counted))

    def run(self, *arguments: Any, **options: Any) -> Any:
        from genscope.sources.model import assess

        with self.patches[0], self.patches[1]:
            return assess(*arguments, **options)


def per_measure(model: nn.Module, x: Tensor, y: Tensor, budget: str, runs: int) -> None:
    """The table of seconds and floors."""
    from genscope.sources.model_budget import budget_options
    from genscope.sources.model_roots import prepare

    roots = prepare(model, (x, y), None, None, loss="cross_entropy", device=None).roots
    images = x[:512].contiguous(memory_format=torch.channels_last).split(128)
    with torch.no_grad():
        passes, _ = cpu_seconds(lambda: [roots["forward"](roots["params"], part) for part in images], 5)
    each = min(passes) / 512
    meters, totals = [], []
    for _ in range(runs):
        meters.append(Meter())
        totals += cpu_seconds(lambda: meters[-1].run(model, (x, y), budget=budget), 1)[0]
    floors = needed(budget_options(budget), len(y), roots["n_classes"], meters[-1].values)
    print(f"one forward {each * 1e3:.3g} ms per image; whole run {told(totals)} s of CPU (min / median of {runs}); load {os.getloadavg()[0]:.1f}\n")
    print("| ingredient or measure | CPU s, min / median | forwards | floor, s | over the floor |\n|---|---|---|---|---|")
    order = sorted(meters[-1].seconds, key=lambda name: -meters[-1].seconds[name])
    for name in order:
        seconds = [meter.seconds[name] for meter in meters]
        if min(seconds) < 0.05:
            continue
        floor = floors.get(name, 0) * each
        print(f"| {name} | {told(seconds)} | {floors.get(name, 0):,.0f} | {floor:.3g} | {f'{min(seconds) / floor:.1f}' if floor else '-'} |")
    rest = [sum(spent for name, spent in meter.seconds.items() if min(m.seconds[name] for m in meters) < 0.05) for meter in meters]
    print(f"| all others together | {told(rest)} | | | |")


def stacks(model: nn.Module, x: Tensor, y: Tensor, draws: int) -> dict[str, np.ndarray]:
    """Losses of perturbed networks by the plain loop and in stacks, with their times."""
    from genscope.measures.ingredients.points import loss_and_error_sums
    from genscope.networks.functional import wrap_module
    from genscope.numerics.perturbation import evaluate_points, perturbed_points, stack_size

    network = wrap_module(model)
    params, statistic = dict(network.params), loss_and_error_sums(network.forward, "cross_entropy")
    widths = {name: 0.1 * value.abs() for name, value in params.items()}
    points = list(perturbed_points(params, widths, range(draws), 1.0))
    last = x.contiguous(memory_format=torch.channels_last) if x.ndim == 4 else x
    choices: dict[str, Callable[[], np.ndarray]] = {}
    for size in (32, 128):
        for stack in (1, 8, 32) if x.ndim == 2 else (1, 8):
            for name, data in (("", x), ("channels_last ", last)) if x.ndim == 4 else (("", x),):
                batches = list(zip(data.split(size), y.split(size), strict=True))
                words = f"{name}{'loop' if stack == 1 else f'vmap of {stack}'}, batches of {size}"
                choices[words] = lambda batches=batches, stack=stack: evaluate_points(statistic, points, batches, stack=stack)
    found: dict[str, np.ndarray] = {}
    base: dict[str, float] = {}
    print(f"\n{draws} networks of {sum(v.numel() for v in params.values()):,} weights, {len(y)} examples; chosen: stacks of {stack_size(params)}\n")
    print("| way | ms per network, min / median | times faster than the plain loop over the same batches |\n|---|---|---|")
    for words, run in choices.items():
        seconds, found[words] = cpu_seconds(run, 3)
        size = words.rpartition(" ")[2]
        base.setdefault(size, min(seconds))
        print(f"| {words} | {told(seconds, 1e3 / draws)} | {base[size] / min(seconds):.2f} |")
    first = next(iter(found.values()))
    worst = max(float(np.abs(value - first).max() / np.abs(first).max()) for value in found.values())
    print(f"\nlargest relative difference between ways: {worst:.1e}")
    assert worst < 1e-5
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True, help="directory cifar-10-batches-py")
    parser.add_argument("--weights", type=Path, required=True, help="the ResNet-20 checkpoint")
    parser.add_argument("--budget", default="fast")
    parser.add_argument("--examples", type=int, default=2000)
    parser.add_argument("--runs", type=int, default=2)
    parser.add_argument("--only", choices=("measures", "stacks"))
    a = parser.parse_args()
    model, (x, y) = resnet20(a.weights), cifar(a.data, a.examples)
    if a.only != "stacks":
        per_measure(model, x, y, a.budget, a.runs)
    if a.only != "measures":
        stacks(*digits_mlp(), draws=64)
        stacks(model, x[:128], y[:128], draws=8)


if __name__ == "__main__":
    main()
