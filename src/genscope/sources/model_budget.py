"""How much work ``assess`` may do: three named budgets and what each option of the measures becomes in them."""

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any

from genscope.errors import UsageError

BUDGETS: Mapping[str, Mapping[str, Any]] = MappingProxyType(
    {
        "fast": {
            "max_examples": 128,
            "n_draws": 5,
            "n_scales": 7,
            "ascent_steps": 8,
            "search_rtol": 0.1,
            "hessian_examples": 64,
            "trace_products": 12,
            "trace_tolerance": 0.1,
            "eigenvalue_tolerance": 1e-2,
            "jacobian_examples": 64,
            "certificate_draws": 200,
            "certificate_examples": 8,
            "chain_inputs": 2,
            "lemma_draws": 5,
            "basin_directions": 12,
            "basin_examples": 64,
            "basin_gradients": 16,
            "chain_steps": 40,
            "chain_examples": 64,
            "entropy_draws": 20,
        },
        "default": {
            "max_examples": 1000,
            "n_draws": 20,
            "n_scales": 9,
            "ascent_steps": 20,
            "search_rtol": 0.05,
            "hessian_examples": 256,
            "trace_products": 30,
            "trace_tolerance": 0.02,
            "eigenvalue_tolerance": 1e-3,
            "jacobian_examples": 256,
            "certificate_draws": 1000,
            "certificate_examples": 32,
            "chain_inputs": 8,
            "lemma_draws": 20,
            "basin_directions": 100,
            "basin_examples": 256,
            "basin_gradients": 64,
            "chain_steps": 150,
            "chain_examples": 128,
            "entropy_draws": 50,
        },
        "paper": {
            "max_examples": 5000,
            "n_draws": 1000,
            "n_scales": 13,
            "ascent_steps": 2000,
            "n_restarts": 3,
            "search_rtol": 0.01,
            "hessian_examples": 1024,
            "trace_products": 300,
            "trace_tolerance": 0.005,
            "eigenvalue_tolerance": 1e-4,
            "jacobian_examples": 1000,
            "certificate_draws": 20000,
            "certificate_examples": 64,
            "chain_inputs": 64,
            "lemma_draws": 200,
            "basin_directions": 3000,
            "basin_examples": 1000,
            "basin_gradients": 512,
            "chain_steps": 2000,
            "chain_examples": 1000,
            "entropy_draws": 1000,
        },
    }
)

LEFT_OUT_WHEN_FAST = (
    *("sharpness_orig", "sharpness_init", "sharpness_flatness", "sharpness_mag_orig", "sharpness_mag_init", "sharpness_mag_flatness"),
    *("effective_radius", "log_basin_volume", "local_learning_coefficient", "local_entropy"),
)
"""Worst-case scale searches (an ascent inside a bisection, the costliest of all), and what needs many rays or long chains to mean anything."""


def budget_options(budget: str) -> dict[str, Any]:
    """The options of a named budget.

    Raises:
        UsageError: there is no such budget.

    Example:
        >>> budget_options("fast")["n_draws"]
        5
    """
    if budget not in BUDGETS:
        raise UsageError(f"There is no budget {budget!r}; use {', '.join(BUDGETS)}.")
    return dict(BUDGETS[budget])
