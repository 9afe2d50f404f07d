"""Conditional mutual information against a loop over ordered pairs, and on planted tables."""

import itertools

import numpy as np
import pytest

from genscope.evaluation.conditional import conditional_mutual_informations
from genscope.evaluation.study import Batch, RankOptions, Study

OPTIONS = RankOptions(n_bootstrap=60, n_permutations=50)


def brute(study: Study, x: np.ndarray, chosen: tuple[str, ...]) -> float | None:
    counts: dict[tuple, np.ndarray] = {}
    n = len(x)
    for i, j in itertools.permutations(range(n), 2):
        key = tuple((study.axes[name][i], study.axes[name][j]) for name in chosen)
        cell = counts.setdefault(key, np.zeros((3, 3)))
        cell[int(np.sign(x[i] - x[j])) + 1, int(np.sign(study.target[i] - study.target[j])) + 1] += 1
    information = entropy = 0.0
    for cell in counts.values():
        p = cell / cell.sum()
        share = cell.sum() / (n * (n - 1))
        y = p.sum(axis=0)
        entropy -= share * sum(v * np.log(v) for v in y if v > 0)
        for a, b in itertools.product(range(3), range(3)):
            if p[a, b] > 0:
                information += share * p[a, b] * np.log(p[a, b] / (p[a].sum() * y[b]))
    return information / entropy if entropy > 1e-12 else None


def planted(n: int = 72, seed: int = 0) -> Study:
    rng = np.random.default_rng(seed)
    depth, rate = rng.integers(0, 2, n), rng.integers(0, 3, n)
    error = 2.0 * depth + rate + rng.normal(size=n)
    values = {"knows": error + 0.4 * rng.normal(size=n), "depth": depth + 0.001 * rng.normal(size=n)}
    values |= {"noise": rng.normal(size=n), "ties": np.round(error)}
    axes = {"depth": tuple(map(str, depth)), "rate": tuple(map(str, rate))}
    return Study(values, error, "test_error", tuple(map(str, range(n))), axes=axes)


def whole(study: Study) -> Batch:
    return study.batches()[0]


def test_equals_the_definition() -> None:
    study = planted()
    rows = conditional_mutual_informations(whole(study), OPTIONS)
    subsets = [(), ("depth",), ("rate",), ("depth", "rate")]
    for name, x in study.values.items():
        expected = {chosen: brute(study, x, chosen) for chosen in subsets}
        best = min(subsets, key=lambda chosen: expected[chosen])
        assert rows[name]["cmi"] == pytest.approx(expected[best])
        assert rows[name]["cmi_conditioned_on"] == list(best)


def test_only_the_measure_that_knows_more_than_depth_keeps_information() -> None:
    rows = conditional_mutual_informations(whole(planted()), OPTIONS)
    assert rows["knows"]["cmi"] > 0.3
    assert rows["depth"]["cmi"] < 0.05 and rows["noise"]["cmi"] < 0.05
    for row in rows.values():
        assert 0 <= row["cmi_low"] <= row["cmi"] <= row["cmi_high"] <= 1
    assert rows["knows"]["cmi_low"] > rows["noise"]["cmi_high"]


def test_a_perfect_measure_scores_one_and_so_does_its_negative() -> None:
    study = planted()
    both = Study({"same": study.target, "opposite": -study.target}, study.target, "e", study.models, axes=study.axes)
    rows = conditional_mutual_informations(whole(both), OPTIONS)
    assert rows["same"]["cmi"] == pytest.approx(1.0) and rows["opposite"]["cmi"] == pytest.approx(1.0)


def test_the_order_of_the_models_does_not_matter() -> None:
    study = planted(40)
    order = np.random.default_rng(1).permutation(40)
    axes = {name: tuple(labels[k] for k in order) for name, labels in study.axes.items()}
    turned = Study({name: x[order] for name, x in study.values.items()}, study.target[order], "test_error", study.models, axes=axes)
    first, second = (conditional_mutual_informations(whole(one), OPTIONS) for one in (study, turned))
    for name in study.values:
        assert first[name]["cmi"] == pytest.approx(second[name]["cmi"])


def test_sets_that_leave_too_few_pairs_are_not_conditioned_on() -> None:
    study = planted(6)
    rows = conditional_mutual_informations(whole(study), OPTIONS)
    assert rows["knows"]["cmi_conditioned_on"] in ([], None)


def test_without_axes_there_is_none() -> None:
    study = planted(10)
    bare = Study(study.values, study.target, "e", study.models)
    assert conditional_mutual_informations(whole(bare), OPTIONS)["knows"]["cmi"] is None
