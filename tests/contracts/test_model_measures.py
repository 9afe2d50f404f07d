"""Contracts that every measure of a trained model keeps; a new measure is covered the moment it is registered."""

import math
from collections.abc import Callable
from typing import Any

import pytest
import torch
from tests.measures.networks_by_hand import (
    CATALOGUE,
    compute,
    last_layer_scaled,
    layer_rescaled,
    layer_scaled,
    node_rescaled,
    permuted,
    random_weights,
    roots_of,
)

from genscope.core.estimate import Estimate
from genscope.core.status import STATUSES, Undefined
from genscope.sources.model import default_measures

MEASURES = default_measures("default", CATALOGUE)
CHANGES: dict[str, Callable[[list[torch.Tensor]], list[torch.Tensor]]] = {
    "node_rescaling": node_rescaled,
    "layer_scaling": layer_scaled,
    "layer_rescaling": layer_rescaled,
    "last_layer_scaling": last_layer_scaled,
    "permutation": permuted,
}
WEIGHTS = random_weights()
ROOTS = roots_of(WEIGHTS)
BEFORE = {name: value.clone() for name, value in ROOTS["params"].items()}
# Noise is drawn weight by weight, so under a permutation these agree in distribution only.
SAMPLED = {name for name in MEASURES if CATALOGUE.nodes[name].wants_rng or "sigma" in str(CATALOGUE.nodes[name].needs) or "certificate" in name}
SAMPLED |= {"kl_at_sharpness"} | {name for name in MEASURES if "relative_noise" in CATALOGUE.nodes[name].needs}


@pytest.fixture(scope="module")
def reference() -> dict[str, Any]:
    return compute(ROOTS, MEASURES)


CASES = [
    (name, change) for name in MEASURES for change in CATALOGUE.nodes[name].facts["invariant_to"] if change != "permutation" or name not in SAMPLED
]
NOTICED = [
    ("l2_over_margin", "node_rescaling"),
    ("keskar_sharpness", "node_rescaling"),
    ("hessian_trace", "node_rescaling"),
    ("margin", "layer_scaling"),
]


@pytest.fixture(scope="module")
def changed() -> dict[str, dict[str, Any]]:
    start = random_weights(seed=99)
    found = {}
    for change, apply in CHANGES.items():
        names = [name for name, claimed in [*CASES, *NOTICED] if claimed == change]
        found[change] = compute(roots_of(apply(WEIGHTS), initial=apply(start) if change == "permutation" else start), names)
    return found


def numbers(value: Any) -> list[float]:
    if isinstance(value, dict):
        return [number for item in value.values() for number in numbers(item)]
    return [value.value if isinstance(value, Estimate) else float(value)]


@pytest.mark.parametrize("name", MEASURES)
def test_finite_or_a_status(reference: dict[str, Any], name: str) -> None:
    value = reference[name]
    if isinstance(value, Undefined):
        assert value.reason and value.status in STATUSES
    else:
        assert all(math.isfinite(number) for number in numbers(value)), value


def test_almost_all_are_defined_here(reference: dict[str, Any]) -> None:
    undefined = {name: value.reason for name, value in reference.items() if isinstance(value, Undefined) and name in MEASURES}
    assert set(undefined) <= {"kl_at_sharpness", "log_basin_volume"}, undefined


@pytest.mark.parametrize(("name", "change"), CASES, ids=lambda value: str(value))
def test_stated_invariances_hold(reference: dict[str, Any], changed: dict[str, dict[str, Any]], name: str, change: str) -> None:
    before, after = reference[name], changed[change][name]
    assert not isinstance(before, Undefined) and not isinstance(after, Undefined)
    assert numbers(after) == pytest.approx(numbers(before), rel=1e-6, abs=1e-9)


@pytest.mark.parametrize(("name", "change"), NOTICED)
def test_what_is_not_stated_is_noticed(reference: dict[str, Any], changed: dict[str, dict[str, Any]], name: str, change: str) -> None:
    assert change not in CATALOGUE.nodes[name].facts["invariant_to"]
    assert numbers(changed[change][name]) != pytest.approx(numbers(reference[name]), rel=1e-3)


@pytest.mark.parametrize("name", [name for name in MEASURES if CATALOGUE.nodes[name].wants_rng])
def test_alone_is_as_in_company_and_seeds_repeat(reference: dict[str, Any], name: str) -> None:
    assert compute(roots_of(WEIGHTS), [name])[name] == reference[name]


def test_inputs_are_not_changed(reference: dict[str, Any]) -> None:
    assert reference
    assert all(torch.equal(BEFORE[name], value) and not value.requires_grad for name, value in ROOTS["params"].items())
