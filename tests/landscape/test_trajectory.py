import numpy as np
import pytest
from sklearn.decomposition import PCA

from genscope.errors import UsageError
from genscope.landscape import trajectory
from genscope.landscape.trajectory import gram_matrix, principal_components, random_walks, tsne


def checkpoints(t=14, n=400, seed=0):
    rng = np.random.default_rng(seed)
    return 5.0 + np.cumsum(rng.standard_normal((t, n)), axis=0) @ np.diag(np.linspace(0.1, 2, n))


def test_components_equal_a_full_pca(monkeypatch):
    monkeypatch.setattr(trajectory, "CHUNK", 300)  # many chunks
    points = checkpoints()
    gram, n = gram_matrix([list(points[:, :150].reshape(14, 10, 15)), list(points[:, 150:])])
    found = principal_components(gram, 5)
    peer = PCA(5).fit(points)
    assert n == 400
    np.testing.assert_allclose(found.explained, peer.explained_variance_ratio_, rtol=1e-10)
    np.testing.assert_allclose(np.abs(found.coordinates), np.abs(peer.transform(points)), rtol=1e-8, atol=1e-9)
    centred = points - points.mean(0)
    np.testing.assert_allclose(found.distance, np.linalg.norm(centred, axis=1), rtol=1e-10)
    inside = centred @ peer.components_[:2].T @ peer.components_[:2]
    np.testing.assert_allclose(found.off_plane, np.linalg.norm(centred - inside, axis=1), rtol=1e-8)


def test_close_checkpoints_far_from_the_origin_do_not_cancel():
    rng = np.random.default_rng(1)
    step = rng.standard_normal((6, 50))
    gram, _ = gram_matrix([list(1e4 + 1e-4 * step)])
    exact = step - step.mean(0)
    np.testing.assert_allclose(gram, 1e-8 * exact @ exact.T, rtol=1e-4, atol=1e-12)


def test_a_random_walk_explains_what_theory_says():
    # Antognini & Sohl-Dickstein: component k explains 6/(π k)² of an infinite walk
    walks = random_walks(np.ones(400), 10**7, walks=4)
    np.testing.assert_allclose(walks.explained[:, 0], 6 / np.pi**2, rtol=0.02)
    np.testing.assert_allclose(walks.explained[:, 1], 6 / np.pi**2 / 4, rtol=0.02)


def test_the_walk_drawn_through_its_law_is_like_one_drawn_in_full():
    lengths, n = np.linspace(0.5, 2, 12), 40
    quick = random_walks(lengths, n, walks=600).explained
    rng, full = np.random.default_rng(5), []
    for _ in range(600):
        steps = rng.standard_normal((12, n))
        path = np.vstack([np.zeros(n), np.cumsum(lengths[:, None] * steps / np.linalg.norm(steps, axis=1, keepdims=True), axis=0)])
        full.append(PCA(2).fit(path).explained_variance_ratio_)
    spread = np.std(full, axis=0) / np.sqrt(600)
    assert (np.abs(quick.mean(0) - np.mean(full, axis=0)) < 5 * spread).all()
    np.testing.assert_allclose(quick.std(0), np.std(full, axis=0), rtol=0.2)
    assert random_walks(lengths, 5, walks=3).explained.shape == (3, 2)  # fewer dimensions than steps


def test_tsne_keeps_clusters_apart_and_repeats():
    rng = np.random.default_rng(0)
    points = np.concatenate([rng.standard_normal((20, 8)), 30 + rng.standard_normal((20, 8))])
    found, used = tsne(points, perplexity=5, seed=1)
    again, _ = tsne(points, perplexity=5, seed=1)
    assert used == 5.0 and np.array_equal(found, again)
    apart = np.linalg.norm(found[:, None] - found[None], axis=2) + np.diag(np.full(40, np.inf))
    nearest = apart.argmin(1)
    assert ((nearest < 20) == (np.arange(40) < 20)).all()
    assert tsne(points[:7], perplexity=30)[1] == 2.0


@pytest.mark.parametrize(
    ("gram", "words"),
    [(np.eye(2), "at least 3"), (np.zeros((4, 4)), "are the same"), (np.full((4, 4), np.nan), "NaN or infinite")],
)
def test_what_has_no_components_is_refused(gram, words):
    with pytest.raises(UsageError, match=words):
        principal_components(gram)


def test_tsne_of_too_little_is_refused():
    with pytest.raises(UsageError, match="at least 4"):
        tsne(np.zeros((3, 2)))
    with pytest.raises(UsageError, match="perplexity must be positive"):
        tsne(np.zeros((5, 2)), perplexity=0)
