"""Granulated Kendall against a loop written from the paper."""

import itertools

import numpy as np
import pytest

from genscope.evaluation.environments import granulated_kendall
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


def brute_psi(study: Study, x: np.ndarray, axis: str) -> float:
    names = list(study.axes)
    others = [name for name in names if name != axis]
    taus = []
    for rest in {tuple(study.axes[name][k] for name in others) for k in range(len(x))}:
        members = [k for k in range(len(x)) if tuple(study.axes[name][k] for name in others) == rest]
        pairs = [(i, j) for i in members for j in members if study.axes[axis][i] != study.axes[axis][j]]
        if pairs:
            taus.append(np.mean([np.sign(x[i] - x[j]) * np.sign(study.target[i] - study.target[j]) for i, j in pairs]))
    return float(np.mean(taus))


@pytest.mark.parametrize("repeats", [1, 3])
def test_granulated_kendall_is_the_papers_sum(repeats: int) -> None:
    study = grid(repeats)
    rows = granulated_kendall(whole(study), OPTIONS)
    for name, column in study.values.items():
        expected = {axis: brute_psi(study, column, axis) for axis in study.axes}
        assert rows[name]["granulated_kendall_per_axis"] == pytest.approx(expected)
        assert rows[name]["granulated_kendall"] == pytest.approx(np.mean(list(expected.values())))
        assert rows[name]["granulated_kendall_low"] <= rows[name]["granulated_kendall"] <= rows[name]["granulated_kendall_high"]


def test_a_measure_of_depth_alone_gets_nothing_on_other_axes() -> None:
    per_axis = granulated_kendall(whole(grid()), OPTIONS)["depth_only"]["granulated_kendall_per_axis"]
    assert per_axis["depth"] > 0.5 and per_axis["rate"] == per_axis["batch"] == 0.0


def test_no_axes_no_number() -> None:
    study = grid()
    bare = Study(study.values, study.target, "test_error", study.models)
    assert granulated_kendall(whole(bare), OPTIONS)["good"]["granulated_kendall"] is None
