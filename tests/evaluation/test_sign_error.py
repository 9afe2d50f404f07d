"""Robust sign errors against a loop written from the paper."""

import itertools

import numpy as np
import pytest

from genscope.evaluation.sign_error import hoeffding_weights, sign_errors
from genscope.evaluation.study import Batch, RankOptions, Study

OPTIONS = RankOptions(n_bootstrap=60, n_permutations=50)


def grid(repeats: int = 1, seed: int = 0, **more) -> Study:
    rng = np.random.default_rng(seed)
    settings = [setting for setting in itertools.product((1, 2, 3), (0.1, 0.2), (16, 32)) for _ in range(repeats)]
    depth, rate, batch = (np.array(column, dtype=float) for column in zip(*settings, strict=True))
    n = len(settings)
    error = depth + 5 * rate + 0.5 * rng.normal(size=n)
    values = {"good": error + 0.3 * rng.normal(size=n), "depth_only": depth, "noise": rng.normal(size=n)}
    axes = {name: tuple(map(str, column)) for name, column in (("depth", depth), ("rate", rate), ("batch", batch))}
    return Study(values, error, "test_error", tuple(f"m{k}" for k in range(n)), axes=axes, **more)


def whole(study: Study) -> Batch:
    return study.batches()[0]


@pytest.mark.parametrize("n_test", [None, 400])
def test_sign_errors_of_repeated_settings(n_test: int | None) -> None:
    study = grid(repeats=5)
    options = RankOptions(60, 50, n_test_examples=n_test)
    rows = sign_errors(whole(study), options)
    settings = list(zip(*study.axes.values(), strict=True))
    for name, x in study.values.items():
        losses = []
        for a, b in itertools.combinations(sorted(set(settings)), 2):
            if sum(u != v for u, v in zip(a, b, strict=True)) != 1:
                continue
            pairs = [(i, j) for i in range(60) for j in range(60) if settings[i] == a and settings[j] == b]
            delta = np.array([study.target[i] - study.target[j] for i, j in pairs])
            w = hoeffding_weights(delta / 100, n_test) if np.abs(study.target).max() > 1 else hoeffding_weights(delta, n_test)
            loss = np.array([(1 - np.sign(x[i] - x[j]) * np.sign(study.target[i] - study.target[j])) / 2 for i, j in pairs])
            if w.sum() > 0 and w.sum() ** 2 / (w**2).sum() >= 12:
                losses.append((w * loss).sum() / w.sum())
        assert rows[name]["n_environments"] == len(losses)
        if losses:
            assert rows[name]["sign_error_mean"] == pytest.approx(np.mean(losses))
            assert rows[name]["sign_error_worst"] == pytest.approx(max(losses))
            assert rows[name]["sign_error_mean_low"] <= rows[name]["sign_error_mean"] <= rows[name]["sign_error_mean_high"]
            assert rows[name]["sign_error_worst_low"] <= rows[name]["sign_error_worst"] <= rows[name]["sign_error_worst_high"]


def test_no_axes_no_number() -> None:
    study = grid()
    bare = Study(study.values, study.target, "test_error", study.models)
    assert sign_errors(whole(bare), OPTIONS)["good"]["sign_error_worst"] is None


def test_hoeffding_weights_by_hand() -> None:
    sure = 1 - 2 * np.exp(-2 * 10_000 * 0.02**2)
    assert hoeffding_weights(np.array([0.04, -0.04]), 10_000) == pytest.approx([sure**2 - 0.5] * 2)
    assert hoeffding_weights(np.array([0.005]), 10_000) == 0.0
    assert hoeffding_weights(np.array([0.0, 0.3]), None).tolist() == [0.0, 1.0]


def test_without_repeats_environments_are_changes_of_one_value() -> None:
    settings = list(itertools.product(range(2), range(15)))
    depth, other = zip(*settings, strict=True)
    error = np.array([10 * d + o for d, o in settings], dtype=float) / 100
    values = {"depth": np.array(depth, dtype=float), "wrong": -error}
    axes = {"depth": tuple(map(str, depth)), "other": tuple(map(str, other))}
    study = Study(values, error, "test_error", tuple(map(str, settings)), axes=axes)
    rows = sign_errors(whole(study), OPTIONS)
    assert rows["depth"]["n_environments"] == 1 and rows["depth"]["sign_error_worst"] == 0.0
    assert rows["wrong"]["sign_error_worst"] == 1.0 and rows["wrong"]["sign_error_worst_environment"] == "depth: 0 → 1"


def test_accuracy_targets_are_turned_into_errors() -> None:
    study = grid(repeats=5)
    turned = Study(study.values, 100 - study.target, "accuracy", study.models, higher_is_better=True, axes=study.axes)
    first, second = (sign_errors(whole(one), OPTIONS)["good"]["sign_error_mean"] for one in (turned, study))
    assert first == pytest.approx(second)
