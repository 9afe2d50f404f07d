"""Partial correlations against formulas and residuals; a planted Simpson's paradox is found and named."""

import numpy as np
import pytest
from scipy import stats

from genscope.evaluation.confounders import group_correlations, partial_correlations, partial_from_correlations, per_group_table
from genscope.evaluation.ranking import rank_study
from genscope.evaluation.study import RankOptions, Study

OPTIONS = RankOptions(n_bootstrap=200, n_permutations=200)


def confounded(n: int = 80, seed: int = 0) -> Study:
    rng = np.random.default_rng(seed)
    depth = rng.normal(size=n)
    size = rng.normal(size=n)
    error = depth + 0.5 * size + 0.5 * rng.normal(size=n)
    values = {"shadow": depth + 0.3 * rng.normal(size=n), "real": error + 0.5 * rng.normal(size=n), "depth": depth}
    return Study(values, error, "test_error", tuple(map(str, range(n))), covariates={"depth": depth, "size": size}, baselines=frozenset({"depth"}))


def test_partial_from_correlations_is_the_textbook_formula() -> None:
    xy, xz, yz = 0.3, 0.5, -0.4
    matrix = np.array([[1, xy, xz], [xy, 1, yz], [xz, yz, 1]])
    assert partial_from_correlations(matrix) == pytest.approx((xy - xz * yz) / np.sqrt((1 - xz**2) * (1 - yz**2)))
    assert np.isnan(partial_from_correlations(np.ones((3, 3))))


def test_partial_spearman_is_the_correlation_of_rank_residuals() -> None:
    study = confounded()
    rows = partial_correlations(study.batches()[0], OPTIONS)
    z = np.column_stack([np.ones(80), stats.rankdata(study.covariates["depth"]), stats.rankdata(study.covariates["size"])])
    residual = [r - z @ np.linalg.lstsq(z, r, rcond=None)[0] for r in (stats.rankdata(study.values["real"]), stats.rankdata(study.target))]
    assert rows["real"]["partial_spearman"] == pytest.approx(stats.pearsonr(*residual).statistic)


def test_partial_kendall_with_one_covariate_is_kendalls_formula() -> None:
    study = confounded()
    one = Study(study.values, study.target, "test_error", study.models, covariates={"depth": study.covariates["depth"]})
    row = partial_correlations(one.batches()[0], OPTIONS)["shadow"]
    x, y, z = one.values["shadow"], one.target, one.values["depth"]
    xy, xz, yz = (stats.kendalltau(a, b).statistic for a, b in ((x, y), (x, z), (y, z)))
    assert row["partial_kendall"] == pytest.approx((xy - xz * yz) / np.sqrt((1 - xz**2) * (1 - yz**2)))


def test_a_shadow_of_depth_is_found_out_and_a_real_measure_stands() -> None:
    ranking = rank_study(confounded(), OPTIONS)
    rows = {row["measure"]: row for row in ranking.rows}
    assert rows["shadow"]["p_adjusted"] < 0.05 and "once depth, size is known" in rows["shadow"]["confounding"]
    assert rows["real"]["confounding"] is None
    assert rows["depth"]["covariates_used"] == ["size"]  # a covariate is not held fixed against itself


def simpson(seed: int = 0) -> Study:
    rng = np.random.default_rng(seed)
    group = np.repeat(np.arange(4), 15)
    inner = rng.normal(size=60)
    values = {"flips": 3.0 * group - inner + 0.3 * rng.normal(size=60), "hidden": -3.0 * group + 2.0 * inner, "fine": 3.0 * group + inner}
    return Study(values, 3.0 * group + inner, "test_error", tuple(map(str, range(60))), groups=tuple(f"g{g}" for g in group))


def test_simpsons_paradox_is_named() -> None:
    rows = {row["measure"]: row for row in rank_study(simpson(), OPTIONS).rows}
    assert rows["flips"]["kendall"] > 0.3 and rows["flips"]["within_kendall"] < -0.5
    assert "Simpson's paradox" in rows["flips"]["confounding"] and "Simpson's paradox" in rows["flips"]["verdict"]
    assert rows["fine"]["confounding"] is None and rows["fine"]["across_kendall"] == pytest.approx(1.0)
    assert rows["hidden"]["within_kendall"] == pytest.approx(1.0)


def test_within_groups_is_kendall_of_pairs_of_one_group() -> None:
    study = simpson()
    rows = group_correlations(study.batches()[0], OPTIONS)
    agree = sum(stats.kendalltau(study.values["flips"][15 * g : 15 * g + 15], study.target[15 * g : 15 * g + 15]).statistic for g in range(4)) / 4
    assert rows["flips"]["within_kendall"] == pytest.approx(agree)  # equal sizes, no ties: the mean


def test_rows_per_group() -> None:
    table = per_group_table(simpson().batches()[0])
    assert len(table) == 12 and {row["group"] for row in table} == {"g0", "g1", "g2", "g3"}
    line = stats.linregress(simpson().values["flips"][:15], simpson().target[:15])
    assert (table[0]["slope"], table[0]["intercept"], table[0]["r2"]) == pytest.approx((line.slope, line.intercept, line.rvalue**2))
    few = Study({"x": np.arange(5.0)}, np.arange(5.0), "e", tuple("abcde"), groups=("p", "p", "q", "q", "q"))
    small = per_group_table(few.batches()[0])
    assert (small[0]["status"], small[0]["reason"]) == ("skipped", "only 2 model(s)")
