"""Information against scikit-learn and by hand."""

import numpy as np
import pytest
from sklearn.metrics import mutual_info_score

from genscope.numerics.mutual_information import conditional_information, oriented_cells, sign_counts


def test_equals_scikit_learn_in_each_cell() -> None:
    rng = np.random.default_rng(0)
    x, y, cell = rng.integers(-1, 2, 500), rng.integers(-1, 2, 500), rng.integers(0, 4, 500)
    y = np.where(rng.random(500) < 0.4, x, y)
    counts = np.zeros((4, 3, 3))
    np.add.at(counts, (cell, x + 1, y + 1), 1)
    information, entropy = conditional_information(counts)
    expected = sum(np.mean(cell == c) * mutual_info_score(x[cell == c], y[cell == c]) for c in range(4))
    expected_entropy = sum(np.mean(cell == c) * mutual_info_score(y[cell == c], y[cell == c]) for c in range(4))
    assert (information, entropy) == pytest.approx((expected, expected_entropy))


def test_a_measure_explained_by_the_condition_knows_nothing_more() -> None:
    # Given the cell, both signs are fixed: information 0 with the cell, one bit without.
    counts = np.array([[[8, 0], [0, 0]], [[0, 0], [0, 8]]])
    assert conditional_information(counts)[0] == pytest.approx(0.0)
    assert conditional_information(counts.sum(axis=0)[None])[0] == pytest.approx(np.log(2))


def test_batches_and_empty_tables() -> None:
    counts = np.random.default_rng(0).integers(0, 9, (5, 2, 3, 3))
    together = conditional_information(counts)
    assert together[0] == pytest.approx([float(conditional_information(one)[0]) for one in counts])
    assert conditional_information(np.zeros((1, 3, 3))) == (0.0, 0.0)


def test_orientation_does_not_depend_on_which_model_comes_first() -> None:
    left, right = np.array([0, 2, 1, 1]), np.array([2, 0, 1, 2])
    cell, turn, size = oriented_cells(left, right)
    assert size == 3 and cell[0] == cell[1] and turn.tolist() == [1, -1, 0, 1]
    x, y = np.array([1, -1, 1, 1]), np.array([-1, 1, 1, -1])
    forward = sign_counts(x, y, cell, turn, size)
    backward = sign_counts(-x, -y, *oriented_cells(right, left))
    assert forward == pytest.approx(backward)
    assert forward.sum() == 4
