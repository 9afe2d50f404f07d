"""Liao et al.: homogeneity, monotonicity, the first-order law and its null control."""

import math

import numpy as np
import pytest
import torch
from tests.measures.networks_by_hand import chain, compute, random_weights, roots_of
from torch.nn import functional

from genscope.measures.first_order_law import first_order_law, mean_centred_margin, null_control
from genscope.measures.ingredients.normalization import Normalization
from genscope.measures.ingredients.outputs import Outputs
from genscope.measures.normalized_loss import normalized_loss_of

WEIGHTS = random_weights()
ROOTS = roots_of(WEIGHTS)


def outputs(logits: np.ndarray, labels: np.ndarray) -> Outputs:
    return Outputs(logits, labels, np.zeros(len(labels)), np.zeros(len(labels)))


def logits_like_a_classifier(rng: np.random.Generator, n: int, strength: float, n_classes: int = 10) -> tuple[np.ndarray, np.ndarray]:
    labels = rng.integers(0, n_classes, n)
    logits = 10 * rng.standard_normal((n, n_classes))
    logits[np.arange(n), labels] += strength
    return logits, labels


def test_normalized_loss_is_the_loss_of_the_normalized_network() -> None:
    found = compute(ROOTS, ["log_rho", "normalized_train_loss", "log_margin_over_rho", "margin"])
    normalized = [w / w.norm() for w in WEIGHTS]
    assert found["log_rho"] == pytest.approx(sum(math.log(float(w.norm())) for w in WEIGHTS))
    x, y = (torch.cat([batch[i] for batch in ROOTS["batches"]]) for i in range(2))
    with torch.no_grad():
        logits = chain(normalized)(x)
        assert torch.equal(logits.argmax(1), chain(WEIGHTS)(x).argmax(1))
    assert found["normalized_train_loss"] == pytest.approx(float(functional.cross_entropy(logits, y)))
    assert found["log_margin_over_rho"] == pytest.approx(math.log(found["margin"].value) - found["log_rho"])


def test_cross_entropy_falls_monotonically_with_the_scale_of_separable_data() -> None:
    rng = np.random.default_rng(0)
    data = outputs(*logits_like_a_classifier(rng, 200, 80.0))
    assert np.all(data.logits.argmax(1) == data.labels)
    losses = [normalized_loss_of(data, Normalization(log_rho, "layers", ""), "cross_entropy") for log_rho in np.linspace(6, -1, 25)]
    assert np.all(np.diff(losses) < 0)
    assert losses[0] == pytest.approx(math.log(10), abs=0.2)


def test_first_order_law() -> None:
    rng = np.random.default_rng(1)
    points = []
    for _ in range(12):
        train = logits_like_a_classifier(rng, 4000, rng.uniform(20, 40))
        shrink = rng.uniform(0.75, 0.85)
        test = (train[0] * shrink, train[1])
        rho = rng.uniform(3e3, 9e3)
        losses = [normalized_loss_of(outputs(*data), Normalization(math.log(rho), "layers", ""), "cross_entropy") for data in (train, test)]
        points.append((*losses, mean_centred_margin(*train), mean_centred_margin(*test)))
    law = first_order_law(*np.array(points).T, 10)
    np.testing.assert_allclose(law.measured, law.predicted, rtol=0.01)
    assert abs(law.fixed_point - math.log(10)) < 0.03
    assert 0.7 < law.slope < 0.9


def test_published_fits_obey_the_fixed_point() -> None:
    for slope, intercept in ((0.8358, 0.3783), (0.836, 0.377)):
        assert abs(intercept / (1 - slope) - math.log(10)) < 0.03


def test_null_control_reaches_the_published_fit_without_any_relation() -> None:
    rng = np.random.default_rng(2)
    train, test = logits_like_a_classifier(rng, 1500, 35.0), logits_like_a_classifier(rng, 1500, 32.0)
    null = null_control(*train, *test, rng=rng, n_repeats=10)
    assert np.median(null.r_squared) > 0.99
    assert abs(np.median(null.spearman)) < 0.4
    ratio = mean_centred_margin(*test) / mean_centred_margin(*train)
    assert np.median(null.slope) == pytest.approx(ratio, rel=0.05)


def test_errors_intervals_and_gap() -> None:
    found = compute(ROOTS, ["train_error", "test_error", "gap", "train_loss", "predicted_slope"])
    assert (found["train_error"].value, found["train_error"].low) == (0.0, 0.0)
    assert found["train_error"].high == pytest.approx(1 - 0.025 ** (1 / 60))
    assert found["gap"].value == pytest.approx(found["test_error"].value)
    assert found["train_loss"].low < found["train_loss"].value < found["train_loss"].high
