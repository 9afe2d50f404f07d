"""Smoothing keeps what it says; trap removal takes the trap and leaves the planted signal."""

import numpy as np
import pytest

from genscope.core.status import Undefined
from genscope.errors import CorruptInput, UsageError
from genscope.numerics.low_rank import remove_correlation_traps, truncate
from genscope.numerics.marchenko_pastur import fit_marchenko_pastur
from genscope.numerics.marchenko_pastur_law import detection_limit
from genscope.numerics.randomized_twin import randomized_twin

ROWS, COLS = 120, 200


def scene(seed, strength=6.0, traps=((17, 30, 45.0), (60, 4, -60.0))):
    rng = np.random.default_rng(seed)
    u, v = rng.standard_normal(ROWS), rng.standard_normal(COLS)
    u, v = u / np.linalg.norm(u), v / np.linalg.norm(v)
    matrix = rng.standard_normal((ROWS, COLS)) + strength * detection_limit(ROWS, COLS) * np.outer(u, v)
    clean = matrix.copy()
    for i, j, value in traps:
        matrix[i, j] = value
    return matrix, clean, u, v


def twin_spikes(matrix, seed=3):
    values = np.linalg.svd(randomized_twin(matrix, rng=np.random.default_rng(seed)), compute_uv=False)
    return fit_marchenko_pastur(values, *matrix.shape).n_spikes


@pytest.mark.parametrize("rank", [0, 1, 7, 200])
def test_truncation_is_the_best_approximation(rank):
    stack = np.random.default_rng(0).standard_normal((2, 12, 20)).astype(np.float32)
    found = truncate(stack, rank=rank)
    kept = min(rank, 12)
    assert found.ranks == (kept, kept) and found.stack.dtype == np.float32 and found.stack.shape == stack.shape
    for matrix, copy in zip(stack, found.stack, strict=True):
        values = np.linalg.svd(matrix.astype(float), compute_uv=False)
        assert np.linalg.norm(matrix - copy) == pytest.approx(np.sqrt(np.square(values[kept:]).sum()), rel=1e-5, abs=1e-5)
    assert found.energy == pytest.approx(np.square(found.stack.astype(float)).sum() / np.square(stack.astype(float)).sum(), rel=1e-5)


def test_truncation_at_an_eigenvalue():
    matrix = np.diag([5.0, 4.0, 3.0, 1.0])
    assert truncate(matrix, eigenvalue=9.0).ranks == (3,)
    assert truncate(matrix, eigenvalue=9.1).stack.diagonal().round(12).tolist() == [5, 4, 0, 0]
    noisy, _, u, v = scene(1, traps=())
    bulk = fit_marchenko_pastur(np.linalg.svd(noisy, compute_uv=False), ROWS, COLS)
    smooth = truncate(noisy, eigenvalue=bulk.spike_threshold)
    assert smooth.ranks == (1,)
    truth = 6 * detection_limit(ROWS, COLS) * np.outer(u, v)
    assert np.linalg.norm(smooth.stack - truth) < 0.3 * np.linalg.norm(noisy - truth)
    for arguments in ({}, {"rank": 1, "eigenvalue": 2.0}, {"rank": -1}):
        with pytest.raises(UsageError):
            truncate(matrix, **arguments)


@pytest.mark.parametrize("seed", range(3))
def test_traps_go_and_the_signal_stays(seed):
    matrix, clean, u, v = scene(seed)
    before = matrix.copy()
    found = remove_correlation_traps(matrix, rng=np.random.default_rng(9))
    np.testing.assert_array_equal(matrix, before)
    assert [c[1:3] for c in found.changed] == [(60, 4), (17, 30)] and found.n_traps == 2
    for _, i, j, old, new in found.changed:
        assert old == before[i, j] and new == found.stack[i, j] and abs(new) < 8
    untouched = np.ones_like(matrix, dtype=bool)
    untouched[[60, 17], [4, 30]] = False
    np.testing.assert_array_equal(found.stack[untouched], before[untouched])
    assert twin_spikes(matrix, 50 + seed) >= 2 and twin_spikes(found.stack, 50 + seed) == 0
    # The planted component is what it would have been without the traps.
    assert u @ found.stack @ v == pytest.approx(u @ clean @ v, rel=0.01)
    assert np.linalg.norm(found.stack - clean, 2) < 0.2 * np.linalg.norm(matrix - clean, 2)


def test_a_large_entry_that_the_signal_explains_stays():
    """A strong, moderately localized component: its large entries are signal, not traps."""
    rng = np.random.default_rng(4)
    u, v = np.zeros(ROWS), np.zeros(COLS)
    u[:12], v[:12] = 1, 1
    matrix = rng.standard_normal((ROWS, COLS)) + 20 * np.outer(u, v)
    matrix[100, 100] = 70
    found = remove_correlation_traps(matrix, rng=np.random.default_rng(0))
    assert [c[1:3] for c in found.changed] == [(100, 100)]


def test_nothing_to_do_on_noise_or_pure_signal():
    for matrix in (np.random.default_rng(0).standard_normal((80, 90)), scene(5, traps=())[0]):
        found = remove_correlation_traps(matrix, rng=np.random.default_rng(1))
        assert found.changed == ()
        np.testing.assert_array_equal(found.stack, matrix)


def test_stacks_scale_and_dtype():
    stack = np.random.default_rng(6).standard_normal((3, 40, 60)).astype(np.float32)
    stack[1, 2, 3] = 50
    found = remove_correlation_traps(stack, rng=np.random.default_rng(0))
    assert [c[:3] for c in found.changed] == [(1, 2, 3)] and found.stack.dtype == np.float32
    small = remove_correlation_traps(stack.astype(float) * 1e-12, rng=np.random.default_rng(0))
    assert [c[:3] for c in small.changed] == [(1, 2, 3)]
    assert small.changed[0][4] == pytest.approx(found.changed[0][4] * 1e-12, rel=1e-5)
    assert isinstance(remove_correlation_traps(np.ones((30, 30)), rng=np.random.default_rng(0)), Undefined)


def test_broken_entries_are_refused_by_place():
    matrix = np.random.default_rng(0).standard_normal((20, 30))
    matrix[3, 7] = np.nan
    with pytest.raises(CorruptInput, match=r"1 of 600 entries NaN, first at \[3, 7\]"):
        truncate(matrix, rank=2)
    with pytest.raises(CorruptInput, match="NaN"):
        remove_correlation_traps(matrix, rng=np.random.default_rng(0))
    with pytest.raises(UsageError, match="shape"):
        truncate(np.zeros((0, 3)), rank=1)
