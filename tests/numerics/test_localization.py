"""Spread of vectors: closed forms, random vectors, and a planted localized direction."""

import numpy as np
import pytest

from genscope.errors import CorruptInput, UsageError
from genscope.numerics.localization import bulk_and_tail, localization, singular_vectors


@pytest.mark.parametrize("k", [1, 2, 5, 20])
def test_a_vector_on_k_of_n_coordinates(k):
    v = np.zeros((20, 1))
    v[:k] = -3.0
    found = localization(v)
    assert found.participation_ratio[0] == pytest.approx(k)
    assert found.localization_ratio[0] == pytest.approx(k)
    assert found.entropy[0] == pytest.approx(np.log(k) / np.log(20), abs=1e-12)


def test_gaussian_vectors():
    """E v⁴ = 3/n², entropy ln n + (ln 2 + γ − 2) for large n."""
    n = 4000
    found = localization(np.random.default_rng(0).standard_normal((n, 50)))
    assert found.participation_ratio.mean() / n == pytest.approx(1 / 3, rel=0.02)
    assert found.entropy.mean() == pytest.approx(1 + (np.log(2) + np.euler_gamma - 2) / np.log(n), abs=2e-3)


def test_invariances():
    rng = np.random.default_rng(1)
    v = rng.standard_normal((30, 4))
    a = localization(v)
    b = localization(-1e-200 * v[rng.permutation(30)])
    for name in ("participation_ratio", "localization_ratio", "entropy"):
        np.testing.assert_allclose(getattr(a, name), getattr(b, name), rtol=1e-12)
    assert localization(np.ones((1, 2))).entropy.tolist() == [0.0, 0.0]


def test_refusals():
    with pytest.raises(UsageError, match="zero"):
        localization(np.zeros((3, 1)))
    with pytest.raises(UsageError):
        localization(np.ones(3))
    with pytest.raises(UsageError):
        singular_vectors(np.ones((2, 2)), side="both")
    with pytest.raises(CorruptInput, match="1 NaN or infinite of 4"):
        singular_vectors(np.array([[1.0, np.inf], [0.0, 1.0]]))


@pytest.mark.parametrize("shape", [(20, 35), (35, 20)])
@pytest.mark.parametrize("factor", [1.0, 1e-140])
def test_vectors_are_those_of_the_svd(shape, factor):
    matrix = np.random.default_rng(2).standard_normal(shape) * factor
    left, values, right = np.linalg.svd(matrix / factor, full_matrices=False)
    short, long = (left, right.T) if shape[0] < shape[1] else (right.T, left)
    for side, exact in (("short", short), ("long", long)):
        found, vectors = singular_vectors(matrix, side=side)
        np.testing.assert_allclose(np.sqrt(found) / factor, values, rtol=1e-9)
        np.testing.assert_allclose(np.abs((vectors * exact).sum(axis=0)), 1, atol=1e-9)


def test_a_localized_direction_shows_in_the_tail():
    matrix = np.random.default_rng(3).standard_normal((100, 200))
    matrix[7, 9] += 60
    values, vectors = singular_vectors(matrix)
    found = localization(vectors)
    split = bulk_and_tail(found.participation_ratio, values, 2000.0)
    assert split.n_tail == 1 and split.tail_mean < 2 and split.bulk_mean > 25
    assert split.tail_std == 0.0 and split.n_bulk == 99
    assert bulk_and_tail(found.entropy, values, 1e9).tail_mean is None
    with pytest.raises(UsageError, match="do not match"):
        bulk_and_tail(found.entropy, values[:3], 1.0)
