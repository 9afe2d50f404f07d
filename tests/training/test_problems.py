import math

import numpy as np
import pytest

from genscope.errors import UsageError
from genscope.training.datasets.open import is_dataset, open_dataset
from genscope.training.problems import open_problem, rings, spirals, swiss_roll


def test_spirals_are_the_released_ones_in_three_parts():
    problem = spirals(3)
    parts = [problem.split.train, problem.unseen, problem.split.test]
    assert [len(part) for part in parts] == [132, 134, 134]
    x, y = np.concatenate([part.x for part in parts]), np.concatenate([part.y for part in parts])
    theta = 3 * math.pi / 200 * np.arange(200)
    arm = np.stack([5 * np.sqrt(theta) * np.cos(theta), 5 * np.sqrt(theta) * np.sin(theta)], 1)
    for label, expected in ((0, arm), (1, -arm)):
        found = x[y == label].astype(float)
        np.testing.assert_allclose(found[np.argsort(np.hypot(*found.T))], expected, atol=1e-5)
    assert y.sum() == 200
    assert np.array_equal(spirals(3).split.train.x, problem.split.train.x) and not np.array_equal(spirals(4).split.train.x, problem.split.train.x)


def test_swiss_roll_arms_are_mirrored_and_noisy():
    problem = swiss_roll(1, n=20000, noise=0.5)
    x, y = problem.split.train.x.astype(float), problem.split.train.y
    assert x.shape == (20000, 2) and y.sum() == 10000
    np.testing.assert_allclose(x[y == 0], -x[y == 1], rtol=0, atol=1e-6)
    # theta = sqrt(U)·600°: the squared radius is 2.25 θ² + noise, and θ² is uniform
    squared = (x[y == 0] ** 2).sum(1)
    top = 2.25 * math.radians(600) ** 2
    assert abs(squared.mean() - (top / 2 + 2 * 0.25)) < 0.03 * top
    exact = swiss_roll(1, n=400, noise=0.0).split.train
    first = exact.x[exact.y == 0].astype(float)
    theta = np.hypot(*first.T) / 1.5
    np.testing.assert_allclose(first, np.stack([-1.5 * np.cos(theta) * theta, 1.5 * np.sin(theta) * theta], 1), atol=1e-4)


def test_fresh_draws_differ_and_have_both_classes():
    rng = np.random.default_rng(0)
    for problem in (swiss_roll(), spirals(), rings()):
        one, other = problem.draw(101, rng), problem.draw(101, rng)
        assert len(one) == 101 and set(one.y) == {0, 1} and not np.array_equal(one.x, other.x)


def test_rings_have_the_pinched_gap():
    problem = rings(gap=0.001)
    x, y = problem.split.train.x.astype(float), problem.split.train.y
    radius = np.hypot(*x.T)
    assert [int((np.abs(radius - r) < 1e-5).sum()) for r in (0.401, 0.4, 0.95)] == [40, 10, 80]
    assert (y[np.abs(radius - 0.401) < 1e-5] == 1).all() and y.sum() == 40
    # the ten points of class 0 stand half-way between points of class 1
    inner = np.arctan2(x[np.abs(radius - 0.4) < 1e-5][:, 0], x[np.abs(radius - 0.4) < 1e-5][:, 1])
    np.testing.assert_allclose((np.degrees(inner) % 9), 4.5, atol=1e-3)


def test_names_with_options_open_them_and_wrong_words_are_refused():
    assert is_dataset("spirals") and is_dataset("rings:gap=0.2") and not is_dataset("package.module:swiss-roll")
    split = open_dataset("swiss-roll:n=40,seed=2,noise=0.1")
    np.testing.assert_array_equal(split.train.x, swiss_roll(2, n=40, noise=0.1).split.train.x)
    for text, words in (
        ("rings:gap=x", "is no number"),
        ("rings:depth=2", "no option"),
        ("rings:gap=-1", "must be positive"),
        ("spirals:seed=1.5", "whole number"),
    ):
        with pytest.raises(UsageError, match=words):
            open_dataset(text)
    with pytest.raises(UsageError, match="no built-in problem"):
        open_problem("moons")
