"""What a run of ``assess`` will cost, before it is started: forward passes from the budget, seconds from a measured pass."""

import time
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import torch

from genscope.measures.load import load_all_measures
from genscope.sources.model import measure_plan
from genscope.sources.model_budget import budget_options
from genscope.sources.model_roots import prepare

BACKWARD = 3.0
"""A gradient costs about three forwards, a Hessian product on a kept graph twice that."""


@dataclass(frozen=True)
class Cost:
    """Measures to be computed, forward passes of one example that they need, and seconds at the measured speed."""

    n_measures: int
    forwards: float
    seconds: float


def estimate_cost(
    model: Any, train: Any, measures: Iterable[str] | None, budget: str, loss: str = "cross_entropy", device: str | None = None
) -> Cost:
    """Count the forwards of each planned ingredient and time one micro-batch.

    Example:
        >>> estimate_cost(torch.nn.Linear(3, 2), (torch.zeros(8, 3), torch.tensor([0, 1] * 4)), ["margin"], "fast").forwards
        8.0
    """
    prepared = prepare(model, train, None, None, loss=loss, device=device)
    plan = measure_plan(measures, budget, prepared.roots, load_all_measures())
    settings = budget_options(budget)
    n = prepared.train.n_examples
    subset = min(settings["max_examples"], n)
    ascent, search = settings["ascent_steps"] * subset * BACKWARD, 12
    costs = {
        "outputs": n,
        "sharpness_curve": settings["n_scales"] * settings["n_draws"] * subset,
        "isotropic_sigma": search * settings["n_draws"] * subset,
        "magnitude_sigma": search * settings["n_draws"] * subset,
        "worst_alpha": search * ascent,
        "worst_magnitude_alpha": search * ascent,
        "hessian_krylov": 12 * 2 * BACKWARD * min(settings["hessian_examples"], subset),
        "hessian_trace": settings["trace_products"] * 4 * min(settings["hessian_examples"], subset),
        "jacobian_norms": prepared.roots["n_classes"] * BACKWARD * min(settings["jacobian_examples"], subset),
        "zero_prior_certificate": settings["certificate_draws"] * min(settings["certificate_examples"], n),
        "fisher_rao_norm": BACKWARD * subset,
        "basin_search": settings["basin_directions"] * 9 * min(settings["basin_examples"], subset),
        "basin_volume": (6 * settings["basin_directions"] + 9 * settings["basin_gradients"]) * min(settings["basin_examples"], subset),
        "learning_chains": 4 * 1.5 * settings["chain_steps"] * BACKWARD * min(settings["chain_examples"], subset),
        "local_entropy": settings["entropy_draws"] * subset,
        **dict.fromkeys(("keskar_sharpness", "adaptive_sharpness", "adaptive_sharpness_l2", "adaptive_sharpness_logit_normalized"), ascent),
        **dict.fromkeys(("relative_noise", "filter_normalized_sharpness"), settings["n_draws"] * subset),
    }
    forwards = float(sum(costs.get(node.name, 0) for node in plan.order))
    return Cost(len(plan.wanted), forwards, forwards * _seconds_per_example(prepared.roots, prepared.train.first[0]))


def _seconds_per_example(roots: dict[str, Any], x: Any) -> float:
    from genscope.measures.ingredients.subset import take

    size = min(128, len(next(iter(x.values()))) if isinstance(x, Mapping) else len(x[0]) if isinstance(x, tuple) else len(x))
    batch = take(x, slice(0, size))
    with torch.no_grad():
        roots["forward"](roots["params"], batch)
        began = time.perf_counter()
        roots["forward"](roots["params"], batch)
    return (time.perf_counter() - began) / size
