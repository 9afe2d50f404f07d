"""Noise is doubted, planted power laws are believed, and each piece of evidence says its own sentence."""

import numpy as np
import pytest
from tests.truth import noise_eigenvalues, planted_power_law

from genscope.core.power_law_fit import PowerLawFit
from genscope.numerics.power_law import fit_power_law
from genscope.numerics.power_law_bootstrap import bootstrap_power_law, goodness_of_fit
from genscope.numerics.tail_alternatives import TailComparison, compare_tail
from genscope.numerics.tail_belief import belief

FIT = PowerLawFit(3.0, 1.0, 100, 0.04, 0.2, 200)


def judged(values: np.ndarray, rng: np.random.Generator) -> str:
    fit = fit_power_law(values)
    found = bootstrap_power_law(values, fit, rng=rng)
    p_value = goodness_of_fit(values, fit, rng=rng)
    return belief(fit, p_value=p_value, low=found.low, high=found.high, alternatives=compare_tail(values, fit))[0]


@pytest.mark.parametrize(("rows", "cols"), [(50, 50), (50, 500), (100, 300), (200, 200), (300, 400)])
@pytest.mark.parametrize("uniform", [False, True])
def test_matrices_of_independent_entries_are_doubted(rows: int, cols: int, uniform: bool) -> None:
    rng = np.random.default_rng([rows, cols, uniform])
    repeats = 16 if rows <= 50 else 6
    statuses = [judged(noise_eigenvalues(rows, cols, rng, uniform=uniform), rng) for _ in range(repeats)]
    assert statuses.count("ok") <= repeats // 16


@pytest.mark.parametrize("n", [50, 200, 1000])
def test_planted_power_laws_are_believed(n: int) -> None:
    rng = np.random.default_rng(n)
    statuses = [judged(planted_power_law(n, alpha, rng), rng) for alpha in (2.0, 2.5, 3.0, 4.0, 6.0) for _ in range(6)]
    assert statuses.count("ok") >= 0.9 * len(statuses)


@pytest.mark.parametrize(
    ("evidence", "words"),
    [
        ({"low": 1.4, "high": 17.0}, "1.4 to 17.0, is too wide"),
        ({"p_value": 0.005}, "goodness-of-fit p = 0.005"),
        ({"alternatives": {"exponential": TailComparison("exponential", -9.0, -2.5, 0.01, {})}}, "exponential describes the tail better"),
        ({"alternatives": {"truncated_power_law": TailComparison("truncated_power_law", -9.0, -2.5, 0.001, {})}}, "the tail is cut off"),
    ],
)
def test_every_doubt_has_its_sentence(evidence: dict, words: str) -> None:
    status, reason = belief(FIT, **evidence)
    assert status == "doubtful"
    assert words in reason


def test_good_evidence_and_none_at_all_are_believed() -> None:
    assert belief(FIT) == ("ok", None)
    assert belief(FIT, p_value=0.3, low=2.6, high=3.5, alternatives={}) == ("ok", None)


def test_a_steep_tail_is_doubted_and_a_skipped_fit_stays_skipped() -> None:
    assert belief(PowerLawFit(14.0, 1.0, 30, 0.1, 2.0, 90))[0] == "doubtful"
    assert belief(fit_power_law(np.ones(30))) == ("skipped", "all eigenvalues are equal: no tail to fit")
