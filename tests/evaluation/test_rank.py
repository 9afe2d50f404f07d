"""The whole ranking: planted truth is found, noise is not, too little data is said, and the JSON keeps its contract."""

import json
from pathlib import Path

import numpy as np
import pytest
from scipy import stats

from genscope.core.results import Result
from genscope.errors import GenscopeError, UsageError
from genscope.evaluation.rank import rank
from genscope.evaluation.ranking import rank_measures
from genscope.evaluation.study import RankOptions

CONTRACT = ("measure", "n", "kendall", "kendall_low", "kendall_high", "p_value", "spearman", "r2", "rmse", "loo_rmse", "status", "reason")


def columns(n: int = 48, seed: int = 0) -> dict[str, list]:
    """Depth and rate drive the error; ``truth`` knows it all, ``shadow`` only depth, the rest nothing."""
    rng = np.random.default_rng(seed)
    depth, rate = np.tile([2, 4, 6, 8], n // 4), np.repeat([0.1, 0.2, 0.4, 0.8], n // 4)
    error = 10 + depth + 8 * rate + rng.normal(size=n)
    found = {"model": [f"m{k}" for k in range(n)], "depth": depth, "rate": rate, "truth": error + 0.4 * rng.normal(size=n)}
    found |= {"shadow": depth + 0.2 * rng.normal(size=n)} | {f"noise{k}": rng.normal(size=n) for k in range(6)}
    found |= {"test_error": error, "flat": np.ones(n)}
    return {name: list(values) for name, values in found.items()}


def by_name(result: Result) -> dict[str, dict]:
    return {row["measure"]: dict(row) for row in result.rows}


@pytest.fixture(scope="module")
def planted() -> Result:
    return rank(columns(), axes=["depth", "rate"], n_bootstrap=300, n_permutations=500)


def test_the_planted_measure_is_found(planted: Result) -> None:
    assert planted.summary["best_measure"] == "truth" and "truth" in planted.summary["verdict"]
    rows = by_name(planted)
    ordering = [entry["measure"] for entry in planted.curves["ordering"]]
    assert ordering[0] == "truth"
    for statistic in ("kendall", "granulated_kendall", "cmi", "loo_r2"):
        assert rows["truth"][statistic] == max(row[statistic] for row in rows.values() if row[statistic] is not None)
    assert rows["truth"]["sign_error_mean"] < 0.2
    assert abs(rows["shadow"]["granulated_kendall_per_axis"]["rate"]) < 0.5 < rows["truth"]["granulated_kendall_per_axis"]["rate"]


def test_noise_is_not_found(planted: Result) -> None:
    rows = by_name(planted)
    assert sum(rows[f"noise{k}"]["p_adjusted"] <= 0.05 for k in range(6)) == 0
    null = rank({name: values for name, values in columns().items() if name.startswith(("model", "noise", "test"))}, n_bootstrap=100)
    assert "No measure follows test_error beyond chance" in null.summary["verdict"] and null.summary["n_significant"] == 0


def test_every_number_has_an_independent_twin(planted: Result) -> None:
    table = columns()
    x, y = np.array(table["truth"]), np.array(table["test_error"])
    row, line = by_name(planted)["truth"], stats.linregress(x, y)
    assert row["kendall"] == pytest.approx(stats.kendalltau(x, y).statistic)
    assert row["spearman"] == pytest.approx(stats.spearmanr(x, y).statistic)
    assert row["pearson"] == pytest.approx(line.rvalue)
    assert (row["slope"], row["intercept"], row["r2"]) == pytest.approx((line.slope, line.intercept, line.rvalue**2))
    assert row["rmse"] == pytest.approx(np.sqrt(np.mean((y - line.intercept - line.slope * x) ** 2)))
    for name in ("kendall", "spearman", "pearson", "r2", "slope", "loo_rmse", "granulated_kendall"):
        assert row[f"{name}_low"] <= row[name] <= row[f"{name}_high"]


def test_baselines_and_constant_columns(planted: Result) -> None:
    rows = by_name(planted)
    assert rows["depth"]["baseline"] and rows["depth"]["p_adjusted"] is None
    assert (rows["flat"]["status"], rows["flat"]["kendall"]) == ("skipped", None) and "same value for every model" in rows["flat"]["reason"]
    assert planted.summary["best_baseline"] == "depth"


def test_json_contract(planted: Result, tmp_path: Path) -> None:
    document = json.loads(planted.to_json(), parse_constant=pytest.fail)
    assert list(document)[:4] == ["n_models", "target", "options", "summary"] and document["n_models"] == 48
    for row in document["measures"]:
        assert set(CONTRACT) <= set(row)
        assert all(key not in row or row[key] is None or isinstance(row[key], float) for key in ("kendall", "rmse", "p_value"))
    planted.save(tmp_path)
    assert json.loads((tmp_path / "curves.json").read_text())["scatter"]["truth"]["labels"][0] == "m0"


def test_same_seed_same_bytes_and_company_does_not_matter() -> None:
    table = columns()
    first, second, other = (rank(table, n_bootstrap=60, n_permutations=60, seed=s) for s in (0, 0, 1))
    assert [dict(row) for row in first.rows] == [dict(row) for row in second.rows]
    assert by_name(first)["truth"]["kendall_low"] != by_name(other)["truth"]["kendall_low"]
    alone = by_name(rank(table, measures=["truth"], n_bootstrap=60, n_permutations=60))["truth"]
    shared = by_name(first)["truth"]
    assert {key: alone[key] for key in alone if not key.startswith(("p_adjusted", "verdict"))} == {
        key: shared[key] for key in shared if not key.startswith(("p_adjusted", "verdict"))
    }


def test_scale_and_shift_of_a_measure_change_nothing_but_the_line() -> None:
    table = columns()
    moved = {**table, "truth": list(1e6 * np.array(table["truth"]) - 3e7)}
    a, b = (by_name(rank(one, axes=["depth", "rate"], n_bootstrap=60, n_permutations=60))["truth"] for one in (table, moved))
    for name in a:
        if not name.startswith(("slope", "intercept")):
            assert b[name] == pytest.approx(a[name], rel=1e-6) if isinstance(a[name], float) else b[name] == a[name]


def test_accuracy_and_error_give_the_same_finding() -> None:
    table = columns()
    mirrored = {**{name: values for name, values in table.items() if name != "test_error"}, "accuracy": [100 - e for e in table["test_error"]]}
    error, accuracy = (by_name(rank(one, axes=["depth", "rate"], n_bootstrap=60)) for one in (table, mirrored))
    assert accuracy["truth"]["kendall"] == pytest.approx(-error["truth"]["kendall"])
    assert accuracy["truth"]["sign_error_mean"] == pytest.approx(error["truth"]["sign_error_mean"])
    assert "worse models (accuracy falls)" in accuracy["truth"]["verdict"] and "worse models (test_error rises)" in error["truth"]["verdict"]


@pytest.mark.parametrize(("n", "word"), [(3, "at least 5"), (4, "at least 5")])
def test_too_few_models_is_said(n: int, word: str) -> None:
    result = rank({"model": list("abcd")[:n], "x": list(range(n)), "test_error": list(range(n))}, n_bootstrap=50)
    row = result.rows[0]
    assert (row["status"], row["kendall"]) == ("doubtful", 1.0)
    assert f"too few models: n={n}" in row["reason"] and word in row["reason"]
    assert "It cannot be told yet" in result.summary["verdict"]
    assert row["kendall_low"] < 0 < row["kendall_high"]


def test_missing_numbers_are_counted_and_do_not_hurt_the_others() -> None:
    table = columns()
    holes = [None if k < 46 else value for k, value in enumerate(table["truth"])]
    few = [None if k < 10 else value for k, value in enumerate(table["shadow"])]
    rows = by_name(rank({**table, "truth": holes, "shadow": few}, n_bootstrap=50))
    assert (rows["truth"]["status"], rows["truth"]["n"], rows["truth"]["n_missing"]) == ("skipped", 2, 46)
    assert rows["shadow"]["n"] == 38 and "10 of 48 models left out" in rows["shadow"]["reason"]
    assert rows["noise0"]["n"] == 48 and rows["noise0"]["reason"] is None


def test_constant_target() -> None:
    rows = by_name(rank({"model": list("abcdef"), "x": list(range(6)), "test_error": [5] * 6}, n_bootstrap=50))
    assert rows["x"]["status"] == "skipped" and "test_error is the same for every model" in rows["x"]["reason"]


@pytest.mark.parametrize(
    ("table", "options", "sentence"),
    [
        ({"model": ["a", "b"], "x": [1, 2], "test_error": [1, 2]}, {}, r"Only 2 model\(s\) have a value of 'test_error'"),
        ({"model": ["a", "b", "c"], "x": [1, 2, 3]}, {}, "name one with --target"),
        ({"model": ["a", "b", "c"], "x": [1, 2, 3], "e": [1, 2, 3]}, {"target": "f"}, "has no target column 'f'"),
        ({"model": ["a", "b", "c"], "x": [1, 2, 3], "e": [1, 2, 3]}, {"target": "e", "axes": ["q"]}, "has no hyper-parameter column 'q'"),
        ({"model": ["a", "b", "c"], "x": [1, 2, 3], "e": [1, 2, 3]}, {"target": "e", "n_bootstrap": 1}, "At least 20"),
        ({"model": ["a", "b", "c"], "x": [1, 2, 3], "e": [1, 2, 3]}, {"target": "e", "level": 1.5}, "between 0.5 and 1"),
    ],
)
def test_bad_tables_are_one_sentence(table: dict, options: dict, sentence: str) -> None:
    with pytest.raises(GenscopeError, match=sentence) as caught:
        rank(table, **options)
    assert "\n" not in str(caught.value)


def test_usage_errors_end_with_two() -> None:
    assert UsageError.exit_code == 2
    with pytest.raises(UsageError):
        rank(columns(), target="nonsense")


def test_clusters_widen_the_interval() -> None:
    rng = np.random.default_rng(0)
    base = rng.normal(size=10)
    x, y = np.repeat(base, 8) + 0.01 * rng.normal(size=80), np.repeat(base + rng.normal(size=10), 8) + 0.01 * rng.normal(size=80)
    table = {"model": [f"m{k}" for k in range(80)], "run": np.repeat(range(10), 8).tolist(), "x": x, "test_error": y}
    plain, clustered = (by_name(rank(table, measures=["x"], cluster=c, n_bootstrap=300))["x"] for c in (None, "run"))
    assert clustered["kendall_high"] - clustered["kendall_low"] > 1.5 * (plain["kendall_high"] - plain["kendall_low"])
    assert (plain["n_independent"], clustered["n_independent"]) == (80, 10)
    assert clustered["p_value"] > plain["p_value"]


def test_copies_of_few_runs_are_few_runs() -> None:
    rng = np.random.default_rng(0)
    base, error = rng.normal(size=(2, 4))
    table = {"model": [f"m{k}" for k in range(80)], "run": np.repeat(list("abcd"), 20).tolist()}
    table |= {"x": np.repeat(base, 20) + 0.001 * rng.normal(size=80), "test_error": np.repeat(error, 20) + 0.001 * rng.normal(size=80)}
    row = by_name(rank(table, cluster="run", n_bootstrap=50))["x"]
    assert row["status"] == "doubtful" and "too few clusters: n=4" in row["reason"] and row["p_value"] >= 1 / 12


def test_p_values_of_clustered_noise_are_uniform() -> None:
    rng = np.random.default_rng(1)
    runs, noise = np.repeat(np.arange(12), 5), 0.1 * rng.normal(size=(60, 60))
    table = {"model": [f"m{k}" for k in range(60)], "run": runs.tolist(), "test_error": rng.normal(size=12)[runs]}
    table |= {f"x{k}": rng.normal(size=12)[runs] + noise[k] for k in range(60)}
    for cluster, honest in (("run", True), (None, False)):
        p = [row["p_value"] for row in rank(table, measures=[f"x{k}" for k in range(60)], cluster=cluster, n_bootstrap=20, n_permutations=200).rows]
        assert bool(np.mean(np.array(p) <= 0.05) < 0.15) is honest


def test_columns_in_memory() -> None:
    rng = np.random.default_rng(0)
    y = rng.normal(size=30)
    ranking = rank_measures({"x": y + 1}, y, target_name="gap", options=RankOptions(100, 100))
    with pytest.raises(UsageError, match="one value per model"):
        rank_measures({"x": y[1:]}, y)
    assert ranking.rows[0]["kendall"] == 1.0 and ranking.groups == ()


def test_many_models_fall_back_to_what_is_affordable() -> None:
    rng = np.random.default_rng(0)
    y = rng.normal(size=1200)
    result = rank({"model": [f"m{k}" for k in range(1200)], "x": y + rng.normal(size=1200), "test_error": y}, n_bootstrap=100)
    row = result.rows[0]
    assert row["p_value_method"] == "normal" and row["kendall_low"] > 0.4
