"""Twins keep the entries, distances have known values, and traps are told from signal and from a mean."""

import numpy as np
import pytest
from scipy.spatial.distance import jensenshannon
from scipy.stats import wasserstein_distance as scipy_wasserstein

from genscope.core.status import Undefined
from genscope.errors import UsageError
from genscope.numerics.marchenko_pastur_law import detection_limit
from genscope.numerics.randomized_twin import compare_with_twin, jensen_shannon_distance, randomized_twin, trap_entries, wasserstein_distance

ROWS, COLS = 120, 200


def values(matrix):
    return np.linalg.svd(matrix, compute_uv=False)


def compared(matrix, seed=1):
    stack = matrix[None] if matrix.ndim == 2 else matrix
    twin = randomized_twin(stack, rng=np.random.default_rng(seed))
    return compare_with_twin(values(stack), values(twin), rows=stack.shape[1], cols=stack.shape[2], means=stack.mean(axis=(1, 2)))


def noise(seed=0):
    return np.random.default_rng(seed).standard_normal((ROWS, COLS))


def signal(strength, seed=5):
    rng = np.random.default_rng(seed)
    u, v = rng.standard_normal(ROWS), rng.standard_normal(COLS)
    return strength * detection_limit(ROWS, COLS) * np.outer(u, v) / np.linalg.norm(u) / np.linalg.norm(v)


def test_a_twin_keeps_each_matrix_entries_and_the_input():
    stack = np.random.default_rng(0).standard_normal((3, 5, 7)).astype(np.float32)
    stack[1] *= 100
    before = stack.copy()
    twin = randomized_twin(stack, rng=np.random.default_rng(3))
    np.testing.assert_array_equal(stack, before)
    assert twin.dtype == np.float32 and not np.array_equal(twin, stack)
    np.testing.assert_array_equal(np.sort(twin.reshape(3, -1)), np.sort(stack.reshape(3, -1)))
    np.testing.assert_array_equal(twin, randomized_twin(stack, rng=np.random.default_rng(3)))
    transposed = randomized_twin(np.asfortranarray(stack[0]).T, rng=np.random.default_rng(3))
    assert sorted(transposed.ravel()) == sorted(stack[0].ravel())
    with pytest.raises(UsageError):
        randomized_twin(np.zeros(3), rng=np.random.default_rng(0))


def test_distances_of_noise_and_of_structure():
    plain, structured = compared(noise()), compared(noise() + signal(8))
    assert plain.wasserstein < 0.02 and plain.jensen_shannon < 0.2 and plain.largest_ratio == pytest.approx(1, abs=0.06)
    assert structured.wasserstein > 3 * plain.wasserstein and structured.largest_ratio < 0.3
    assert plain.n_traps == structured.n_traps == plain.n_mean_spikes == 0
    heavy = compared(noise() * np.exp(np.linspace(-3, 3, ROWS))[:, None])
    assert heavy.wasserstein > 0.5 and heavy.jensen_shannon > 0.4


def test_wasserstein_is_that_of_scipy():
    rng = np.random.default_rng(2)
    a, b = rng.pareto(3, 300), rng.pareto(2, 300)
    assert wasserstein_distance(a, b) == pytest.approx(scipy_wasserstein(a, b) / a.mean(), rel=1e-12)
    assert wasserstein_distance(a, rng.permutation(a)) == 0 and wasserstein_distance(np.zeros(3), np.zeros(3)) == 0


def test_jensen_shannon_is_that_of_the_histograms():
    rng = np.random.default_rng(3)
    a, b = rng.lognormal(0, 1, 500), rng.lognormal(0.5, 1, 500)
    edges = np.linspace(np.log(min(a.min(), b.min())), np.log(max(a.max(), b.max())) + 1e-9, 21)
    p, q = (np.histogram(np.log(x), bins=edges)[0] for x in (a, b))
    assert jensen_shannon_distance(a, b, bins=20) == pytest.approx(jensenshannon(p, q, base=2), rel=1e-9)
    assert jensen_shannon_distance(a * 1e-9, b * 1e-9, bins=20) == pytest.approx(jensen_shannon_distance(a, b, bins=20), rel=1e-6)
    assert jensen_shannon_distance(np.zeros(4), np.zeros(4)) == 0
    assert jensen_shannon_distance(np.array([0.0, 1.0]), np.array([0.5, 1.0])) > 0.3  # a zero is not a small number


def test_the_stated_noise_floor_of_the_jensen_shannon_distance():
    rng = np.random.default_rng(4)
    found = [jensen_shannon_distance(rng.uniform(1, np.e, 4000), rng.uniform(1, np.e, 4000), bins=32) for _ in range(50)]
    assert np.sqrt(np.mean(np.square(found))) == pytest.approx(np.sqrt(0.36 * 32 / 4000), rel=0.1)


def test_a_trap_is_counted_and_located_and_is_not_the_signal():
    matrix = noise() + signal(6)
    matrix[17, 30], matrix[60, 4] = 45.0, -60.0
    found = compared(matrix)
    assert found.n_traps == 2 and found.n_mean_spikes == 0
    entries = trap_entries(matrix, found.bulk)
    assert [e[1:3] for e in entries.entries] == [(60, 4), (17, 30)] and entries.n_entries == 2
    assert detection_limit(ROWS, COLS) < entries.limit < 20
    assert trap_entries(noise(), compared(noise()).bulk).n_entries == 0


def test_a_mean_is_no_trap():
    found = compared(noise() + 0.5)
    assert (found.n_traps, found.n_mean_spikes) == (0, 1)


def test_pure_noise_has_traps_at_the_level_only():
    alarms = [compared(noise(seed)[:50, :90]).n_traps for seed in range(40)]
    assert sum(n > 0 for n in alarms) <= 3


def test_reproducible_and_scale_free():
    first, second = compared(noise() + signal(3)), compared(1e-20 * (noise() + signal(3)))
    assert first.wasserstein == pytest.approx(second.wasserstein, rel=1e-9)
    assert first.jensen_shannon == pytest.approx(second.jensen_shannon, rel=1e-9)
    assert compared(noise()).wasserstein == compared(noise()).wasserstein


def test_pooled_matrices_keep_their_own_scales():
    rng = np.random.default_rng(6)
    stack = rng.standard_normal((4, 40, 60))
    assert compared(stack).n_traps == 0
    stack[2, 5, 5] = 40
    found = compared(stack)
    assert found.n_traps == 1 and trap_entries(stack, found.bulk).entries[0][:3] == (2, 5, 5)


def test_degenerate():
    found = compared(np.ones((20, 30)))
    assert found.n_traps is None and isinstance(found.bulk, Undefined) and found.wasserstein == pytest.approx(0, abs=1e-9)
    with pytest.raises(UsageError, match="cannot be compared"):
        compare_with_twin(np.ones(3), np.ones(4), rows=4, cols=4, means=np.zeros(1))
