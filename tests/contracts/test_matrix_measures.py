"""Contracts that every measure of one matrix keeps; a new measure is covered the moment it is registered."""

import math

import numpy as np
import pytest
from tests.contracts.matrices import as_matrix, hostile, ordinary

from genscope.core.resolver import execute, plan
from genscope.core.status import STATUSES, Undefined
from genscope.measures.load import load_matrix_measures

CATALOGUE = load_matrix_measures()
MEASURES = [node.name for node in CATALOGUE.measures(root="matrix")]
OPTIONS = {"resamples": 30}


def compute(array: np.ndarray, names: list[str], seed: int = 0) -> dict[str, object]:
    return execute(plan(names, ["matrix"]), {"matrix": as_matrix(array)}, options=OPTIONS, seed=seed, subject="layer.weight")


@pytest.fixture(scope="module")
def reference() -> dict[str, object]:
    return compute(ordinary(), MEASURES)


@pytest.mark.parametrize("case", sorted(hostile()))
def test_every_measure_is_finite_or_says_why_not(case: str) -> None:
    values = compute(hostile()[case], MEASURES)
    for name in MEASURES:
        value = values[name]
        if isinstance(value, Undefined):
            assert value.reason and value.status in STATUSES
        else:
            assert isinstance(value, int | float | np.number) and math.isfinite(value), f"{name} = {value!r} on {case}"


@pytest.mark.parametrize("name", MEASURES)
def test_alone_as_in_company(name: str, reference: dict[str, object]) -> None:
    assert compute(ordinary(), [name])[name] == reference[name]


def test_same_seed_same_values_and_inputs_unchanged(reference: dict[str, object]) -> None:
    array = ordinary()
    before = array.copy()
    again = compute(array, MEASURES)
    assert {name: again[name] for name in MEASURES} == {name: reference[name] for name in MEASURES}
    assert np.array_equal(array, before)


def _moved(kind: str, array: np.ndarray) -> np.ndarray:
    rng = np.random.default_rng(11)
    if kind == "scale":
        return array * 37.5
    if kind == "transpose":
        return array.T.copy()
    if kind == "rotation":
        return np.linalg.qr(rng.standard_normal((len(array), len(array))))[0] @ array
    if kind == "permutation":
        return array[rng.permutation(len(array))]
    raise AssertionError(f"unknown invariance {kind!r}: teach this test how to check it")


CLAIMS = [(node.name, kind) for node in CATALOGUE.measures(root="matrix") for kind in node.facts.get("invariant_to", ())]


@pytest.mark.parametrize(("name", "kind"), CLAIMS)
def test_stated_invariances_hold(name: str, kind: str, reference: dict[str, object]) -> None:
    expected = reference[name]
    found = compute(_moved(kind, ordinary()), [name])[name]
    if isinstance(expected, Undefined):
        assert isinstance(found, Undefined)
    else:
        assert found == pytest.approx(expected, rel=1e-7, abs=1e-9)


@pytest.mark.parametrize("name", MEASURES)
def test_scale_is_not_claimed_in_vain(name: str, reference: dict[str, object]) -> None:
    # a measure that does not claim scale invariance must really change, or its claim is missing
    if "scale" in CATALOGUE.nodes[name].facts.get("invariant_to", ()) or isinstance(reference[name], Undefined):
        return
    found = compute(ordinary() * 37.5, [name])[name]
    assert isinstance(found, Undefined) or found != pytest.approx(reference[name], rel=1e-9)
