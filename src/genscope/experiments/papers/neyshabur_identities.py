"""Neyshabur et al.: what the lemmas and identities come out as in numbers, each beside a control that breaks its assumption."""

from collections.abc import Callable
from itertools import pairwise, product
from typing import Any

import numpy as np

Numbers = dict[str, float]


def _lemma_three(rng: np.random.Generator, draws: int) -> Numbers:
    """E‖AνB‖_F over σ‖A‖_F‖B‖_F for independent Gaussian ν, and for a ν of rank one with the same variances."""
    a, b, sigma = rng.standard_normal((5, 4)), rng.standard_normal((6, 3)), 0.3
    scale = sigma * np.linalg.norm(a) * np.linalg.norm(b)
    noise = sigma * rng.standard_normal((draws, 4, 6))
    norms = np.linalg.norm(a @ noise @ b, axis=(1, 2)) / scale
    tied = sigma * rng.standard_normal((draws, 1, 1)) * np.ones((4, 6))
    control = np.linalg.norm(a @ tied @ b, axis=(1, 2)) / scale
    return {
        "mean": float(norms.mean()), "square": float((norms**2).mean()), "square_sem": float((norms**2).std() / np.sqrt(draws)),
        "control": float((control**2).mean()),
    }  # fmt: skip


def _lemma_one(rng: np.random.Generator, draws: int) -> Numbers:
    """Left over right side of Lemma 1, and the same with the product of norms in place of μ-conditioned terms."""
    from genscope.measures.ingredients.mlp import ReluChain
    from genscope.measures.theorem_one import lemma_one_ratio

    widths = (6, 12, 12, 12, 3)
    weights = tuple(rng.standard_normal((out, into)) * np.sqrt(2.0 / into) for into, out in pairwise(widths))
    x = np.abs(rng.standard_normal((4, 6)))
    chain = ReluChain(("l1", "l2", "l3", "l4"), weights, x / np.linalg.norm(x, axis=1, keepdims=True))
    found = lemma_one_ratio(chain, rng, lemma_draws=max(20, draws // 200), lemma_sigma=1e-2)
    return {"ratio": float(getattr(found, "value", np.nan))}


def _path_norm(rng: np.random.Generator, _draws: int) -> Numbers:
    """The path norm by enumeration, by a forward pass of |W|^p, after node rescaling, and as the least product of ‖W_i‖_{p,∞}."""
    weights = [rng.standard_normal(shape) for shape in ((4, 3), (5, 4), (2, 5))]
    found: Numbers = {}
    for p in (1, 2):
        paths = product(range(3), range(4), range(5), range(2))
        counted = sum(abs(weights[0][j, i] * weights[1][k, j] * weights[2][o, k]) ** p for i, j, k, o in paths)
        forward = _forward(weights, p)
        scales = [np.exp(rng.standard_normal(4)), np.exp(rng.standard_normal(5))]
        rescaled = _rescaled(weights, scales)
        found[f"enumeration_{p}"] = abs(counted / forward - 1.0)
        found[f"rescaling_{p}"] = abs(_forward(rescaled, p) / forward - 1.0)
        # ‖φ‖ for one output: the minimum is reached where every hidden unit's incoming weights have unit ℓp norm
        single = [weights[0], weights[1], weights[2][:1]]
        balanced = _balanced(single, p)
        found[f"attained_{p}"] = abs(_group_product(balanced, p) / _forward(single, p) ** (1 / p) - 1.0)
        others = [_group_product(_rescaled(single, [np.exp(rng.standard_normal(4)), np.exp(rng.standard_normal(5))]), p) for _ in range(200)]
        found[f"least_{p}"] = min(others) / _forward(single, p) ** (1 / p)
    changed = [weight.copy() for weight in weights]
    changed[0][0] *= 3.0  # a unit's incoming weights alone: the function changes, and so must the path norm
    found["control"] = abs(_forward(changed, 1) / _forward(weights, 1) - 1.0)
    return found


def _forward(weights: list[np.ndarray], p: int) -> float:
    signal = np.ones(weights[0].shape[1])
    for weight in weights:
        signal = np.abs(weight) ** p @ signal
    return float(signal.sum())


def _rescaled(weights: list[np.ndarray], scales: list[np.ndarray]) -> list[np.ndarray]:
    first, second = scales
    return [weights[0] * first[:, None], weights[1] / first * second[:, None], weights[2] / second]


def _balanced(weights: list[np.ndarray], p: int) -> list[np.ndarray]:
    first = 1.0 / (np.abs(weights[0]) ** p).sum(axis=1) ** (1 / p)
    middle = weights[1] / first
    second = 1.0 / (np.abs(middle) ** p).sum(axis=1) ** (1 / p)
    return [weights[0] * first[:, None], middle * second[:, None], weights[2] / second]


def _group_product(weights: list[np.ndarray], p: int) -> float:
    return float(np.prod([(np.abs(weight) ** p).sum(axis=1).max() ** (1 / p) for weight in weights]))


def _node_rescaling(rng: np.random.Generator, _draws: int) -> Numbers:
    """What a rescaling of one hidden unit by 10 changes: norms and sharpness, but neither the function nor the path norm."""
    import torch

    from genscope.training.models import mlp

    model = mlp((4, 8, 3), bias=False).double()
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.copy_(torch.from_numpy(rng.standard_normal(tuple(parameter.shape))))
    inputs, labels = rng.standard_normal((64, 4)), rng.integers(3, size=64)
    before = _assessed(model, inputs, labels)
    outputs = model(torch.from_numpy(inputs)).detach()
    with torch.no_grad():
        first, second = model.parameters()
        first[0] *= 10.0
        second[:, 0] /= 10.0
    after = _assessed(model, inputs, labels)
    moved = float((model(torch.from_numpy(inputs)).detach() - outputs).abs().max() / outputs.abs().max())
    return {"function": moved, **{name: abs(after[name] - before[name]) for name in before}}


MOVING = ("log_prod_of_fro", "log_prod_of_spec", "keskar_sharpness")
FIXED = ("log_path_norm_l1", "log_path_norm_l2")


def _assessed(model: Any, inputs: np.ndarray, labels: np.ndarray) -> Numbers:
    from genscope.sources.model import assess

    measures = [*MOVING, *FIXED]
    rows = assess(model, (inputs, labels), measures=measures, options={"ascent_steps": 30}).rows
    found = {row["measure"]: float(row["value"]) for row in rows}
    return {**found, "keskar_sharpness": float(np.log(found["keskar_sharpness"]))}


def _batch_norm(rng: np.random.Generator, _draws: int) -> Numbers:
    """Batch normalization folded into a convolutional network: relative change of its logits."""
    import torch
    from torch import nn

    from genscope.networks.fold_batch_norm import fold_batch_norm
    from genscope.networks.functional import wrap_module
    from genscope.networks.trace import trace

    model = nn.Sequential(nn.Conv2d(2, 6, 3, bias=False), nn.BatchNorm2d(6), nn.ReLU(), nn.Flatten(), nn.Linear(216, 3))
    generator = torch.Generator().manual_seed(int(rng.integers(2**31)))
    with torch.no_grad():
        for tensor in (*model.parameters(), *model.buffers()):
            if tensor.is_floating_point():
                tensor.copy_(torch.rand(tensor.shape, generator=generator) + 0.2)
    x = torch.randn(16, 2, 8, 8, generator=generator)
    network = wrap_module(model)
    folded = fold_batch_norm(trace(network, x), x)
    kept = network(x)
    skipped = nn.Sequential(*(module for module in model if not isinstance(module, nn.BatchNorm2d))).eval()(x)
    return {"float32": folded.error_random, "float64": folded.error_exact, "control": float(((skipped - kept).norm() / kept.norm()).detach())}


def _divergence(rng: np.random.Generator, draws: int) -> Numbers:
    """KL of two diagonal Gaussians in closed form against its Monte-Carlo estimate, in units of the standard error; and without the 1/2."""
    n = 20
    mean, sigma = rng.standard_normal(n), 0.3 + rng.random(n)
    exact = float((mean**2 / (2 * sigma**2)).sum())
    z = rng.standard_normal((draws, n))
    ratios = (((mean + sigma * z) ** 2 - (sigma * z) ** 2) / (2 * sigma**2)).sum(axis=1)
    estimate, sem = float(ratios.mean()), float(ratios.std() / np.sqrt(draws))
    return {"z": (estimate - exact) / sem, "relative": estimate / exact - 1.0, "control": (estimate - 2.0 * exact) / sem}


def _margin_scale(rng: np.random.Generator, _draws: int) -> Numbers:
    """Norms over the margin before and after the last layer of a bias-free network is multiplied by 7."""
    import torch

    from genscope.experiments.papers.neyshabur_networks import NORMS
    from genscope.sources.model import assess
    from genscope.training.models import mlp

    model = mlp((4, 8, 3), bias=False).double()
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.copy_(torch.from_numpy(rng.standard_normal(tuple(parameter.shape))))
        inputs = rng.standard_normal((64, 4))
        labels = model(torch.from_numpy(inputs)).argmax(1).numpy()
    measures = [*NORMS, "log_prod_of_fro"]
    before = {row["measure"]: row["value"] for row in assess(model, (inputs, labels), measures=measures).rows}
    with torch.no_grad():
        list(model.parameters())[-1].mul_(7.0)
    after = {row["measure"]: row["value"] for row in assess(model, (inputs, labels), measures=measures).rows}
    return {"largest": max(abs(after[name] - before[name]) for name in NORMS), "control": abs(after["log_prod_of_fro"] - before["log_prod_of_fro"])}


STATEMENTS: dict[str, Callable[[np.random.Generator, int], Numbers]] = {
    "T1": _lemma_three,
    "T2": _lemma_one,
    "T3": _path_norm,
    "T4": _node_rescaling,
    "T5": _batch_norm,
    "T6": _divergence,
    "T7": _margin_scale,
}
