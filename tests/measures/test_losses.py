import math

import numpy as np
import pytest
import torch
from torch.nn import functional

from genscope.errors import UsageError
from genscope.measures.ingredients.losses import check_loss, example_errors, example_losses, margins_of

LOGITS = torch.randn(50, 4, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
LABELS = torch.arange(50) % 4


def test_cross_entropy_is_torchs() -> None:
    torch.testing.assert_close(example_losses("cross_entropy", LOGITS, LABELS), functional.cross_entropy(LOGITS, LABELS, reduction="none"))
    torch.testing.assert_close(example_losses("logistic", LOGITS, LABELS), example_losses("cross_entropy", LOGITS, LABELS))


def test_cross_entropy_of_a_huge_margin_does_not_round_to_zero() -> None:
    value = example_losses("cross_entropy", torch.tensor([[60.0, 0.0]], dtype=torch.float64), torch.tensor([0]))
    assert float(value) == pytest.approx(math.exp(-60), rel=1e-9)


def test_binary_losses_by_hand() -> None:
    logits, labels = torch.tensor([[2.0], [2.0]], dtype=torch.float64), torch.tensor([1, 0])
    np.testing.assert_allclose(example_losses("cross_entropy", logits, labels), [math.log1p(math.exp(-2)), math.log1p(math.exp(2))])
    np.testing.assert_allclose(example_losses("exponential", logits, labels), [math.exp(-2), math.exp(2)])
    np.testing.assert_allclose(example_losses("squared", logits, labels), [1.0, 9.0])
    assert example_errors(logits, labels).tolist() == [0.0, 1.0]
    assert margins_of(logits.numpy(), labels.numpy()).tolist() == [2.0, -2.0]


def test_multiclass_exponential_and_squared_by_hand() -> None:
    logits, labels = torch.tensor([[1.0, 0.0, -1.0]], dtype=torch.float64), torch.tensor([0])
    assert float(example_losses("exponential", logits, labels)) == pytest.approx(math.exp(-1) + math.exp(-2))
    assert float(example_losses("squared", logits, labels)) == pytest.approx(0 + 0 + 1)


def test_losses_are_differentiable_and_stackable() -> None:
    for loss in ("cross_entropy", "exponential", "squared"):
        gradient = torch.func.grad(lambda z, loss=loss: example_losses(loss, z, LABELS).sum())(LOGITS)
        assert torch.isfinite(gradient).all()
        stacked = torch.func.vmap(lambda z, loss=loss: example_losses(loss, z, LABELS))(torch.stack([LOGITS, 2 * LOGITS]))
        torch.testing.assert_close(stacked[1], example_losses(loss, 2 * LOGITS, LABELS))


def test_unknown_loss() -> None:
    with pytest.raises(UsageError, match="cross_entropy"):
        check_loss("hinge")
