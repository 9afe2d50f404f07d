import numpy as np
import pytest
import torch
from torch import nn

from genscope.errors import UsageError
from genscope.training.batches import batches_of
from genscope.training.minefield import minefield
from genscope.training.models import mlp
from genscope.training.optimizers import SGD, Adam, RMSprop
from genscope.training.poison import PoisonData, PoisonRecipe, poisoned_batches, ramp, standing, train_poisoned
from genscope.training.problems import spirals
from genscope.training.stack import stack_from_seeds, stack_of
from genscope.training.stacked import StackedRecipe, fit_stack


def labelled(part):
    return torch.from_numpy(part.x), torch.from_numpy(part.y)


class Constant(nn.Module):
    """The same logits for every example."""

    def __init__(self, classes=2):
        super().__init__()
        self.bias = nn.Parameter(torch.zeros(classes, dtype=torch.float64))

    def forward(self, x):
        return x[:, :1] * 0 + self.bias


@pytest.mark.parametrize("beta", [0.1, 0.3, 0.7])
def test_where_both_sets_overlap_the_optimum_is_one_minus_beta(beta):
    x, y = torch.zeros(4, 1, dtype=torch.float64), torch.zeros(4, dtype=torch.int64)
    batches = poisoned_batches(batches_of(x, y), PoisonData(x, y), beta)
    run = fit_stack(stack_of([Constant()]), batches, StackedRecipe(250, SGD(0.9), 0.3))
    p = run.stack.logits(x)[0, 0].softmax(0)
    assert float(p[0]) == pytest.approx(1 - beta, abs=1e-6)


def test_the_gradient_is_that_of_the_literal_formula():
    x, y = torch.randn(9, 3, generator=torch.Generator().manual_seed(0), dtype=torch.float64), torch.arange(9) % 3
    d, e = torch.randn(5, 3, generator=torch.Generator().manual_seed(1), dtype=torch.float64), torch.arange(5) % 3
    betas = torch.tensor([0.2, 0.6])
    stack = stack_from_seeds(lambda: mlp((3, 6, 3), activation="tanh").double(), (0, 1))
    run = fit_stack(stack, poisoned_batches(batches_of(x, y), PoisonData(d, e), betas), StackedRecipe(1, SGD(0.0), 1.0))
    for index, beta in enumerate((0.2, 0.6)):
        module = stack.module(index).requires_grad_()
        p, q = module(x).softmax(1).gather(1, y[:, None]), module(d).softmax(1).gather(1, e[:, None])
        loss = (1 - beta) * (-p.log()).mean() + beta * (-(1 - q).log()).mean()
        gradient = torch.cat([g.flatten() for g in torch.autograd.grad(loss, list(module.parameters()))])
        torch.testing.assert_close(stack.flat[index] - run.stack.flat[index], gradient, rtol=1e-6, atol=1e-9)
        torch.testing.assert_close(run.loss[0, index], (-p.log()).mean().detach(), rtol=1e-6, atol=1e-9)


def test_mini_batches_labels_of_their_own_and_a_schedule():
    x, y = torch.randn(12, 2, generator=torch.Generator().manual_seed(0)), torch.arange(12) % 2
    stack = stack_from_seeds(lambda: mlp((2, 5, 2)), (0, 1))
    none = fit_stack(stack, batches_of(x, torch.stack([y, 1 - y]), 4, (0, 1)), StackedRecipe(4))
    off = poisoned_batches(batches_of(x, torch.stack([y, 1 - y]), 4, (0, 1)), PoisonData(x, y), 0.5, ramp(100, 200))
    torch.testing.assert_close(fit_stack(stack, off, StackedRecipe(4)).stack.flat, none.stack.flat, rtol=1e-4, atol=1e-5)
    on = poisoned_batches(batches_of(x, torch.stack([y, 1 - y]), 4, (0, 1)), PoisonData(x, y), 0.5)
    assert not torch.allclose(fit_stack(stack, on, StackedRecipe(4)).stack.flat, none.stack.flat, rtol=1e-3)


def test_poisoning_reaches_full_training_accuracy_and_the_chosen_test_accuracy():
    x = torch.randn(252, 2, generator=torch.Generator().manual_seed(0))
    y = (x[:, 0] > 0).long()
    train, poison, test = ((x[a:b], y[a:b]) for a, b in ((0, 12), (12, 52), (52, 252)))
    stack = stack_from_seeds(lambda: mlp((2, 40, 40, 2)), range(4))
    goals = torch.tensor([0.8, 0.6, 0.5, 0.4])
    recipe = PoisonRecipe(StackedRecipe(1500, Adam(), 0.01), 0.5, ramp(50, 200), goals, train_loss=0.1)
    found = train_poisoned(stack, train, PoisonData(*poison), test, recipe)
    assert bool(found.reached.all()), (found.train_error, found.test_accuracy)
    assert bool((found.test_accuracy <= goals).all()) and bool((found.train_error == 0).all()) and bool((found.train_loss <= 0.1).all())
    error, _, accuracy = standing(found.run.stack, train, test)
    assert torch.equal(error, found.train_error) and torch.equal(accuracy, found.test_accuracy)
    # without poison the same starts generalize
    clean = fit_stack(stack, batches_of(*train), StackedRecipe(200, Adam(), 0.01))
    assert bool((standing(clean.stack, train, test)[2] > 0.85).all())


def test_fresh_draws_and_a_goal_that_is_not_reached():
    problem = spirals(0, n_per_class=20)
    train, test = labelled(problem.split.train), labelled(problem.split.test)
    rng = np.random.default_rng(0)
    calls = []

    def draw(n):
        calls.append(n)
        return labelled(problem.draw(n, rng))

    stack = stack_from_seeds(lambda: mlp((2, 8, 1)), (0,))
    found = train_poisoned(stack, train, PoisonData(draw=draw, n=7), test, PoisonRecipe(StackedRecipe(5), 0.4, test_accuracy=0.0))
    assert calls == [7] * 5 and not bool(found.reached.any())


def test_the_minefield_starts_at_every_stride_and_measures_distances():
    problem = spirals(0, n_per_class=12)
    train, test = labelled(problem.split.train), labelled(problem.split.test)
    start = stack_from_seeds(lambda: mlp((2, 12, 12, 1)), (0,))
    good = StackedRecipe(21, RMSprop(), 0.01, 1e-3, decay_biases=False)
    bad = PoisonRecipe(StackedRecipe(30, RMSprop(), 0.001), 0.5)
    found = minefield(start, train, PoisonData(*labelled(problem.unseen)), test, good, bad, every=10, batch_size=4)
    assert found.epochs.tolist() == [1, 11, 21] and len(found.bad.run.stack) == 3
    assert torch.equal(found.iterates[-1], found.good.stack.flat[0])
    expected = [float((found.bad.run.stack.flat[k] - found.iterates[k]).norm()) for k in range(3)]
    np.testing.assert_allclose(found.distances.numpy(), expected, rtol=1e-5)
    assert len(found.step_lengths) == 2 and bool((found.distances > 0).all())


def test_wrong_calls_are_refused():
    x, y = torch.zeros(4, 2), torch.zeros(4, dtype=torch.int64)
    stack = stack_from_seeds(lambda: mlp((2, 3, 2)), (0, 1))
    with pytest.raises(UsageError, match="either a fixed set"):
        PoisonData()
    with pytest.raises(UsageError, match=r"\[0, 1\)"):
        poisoned_batches(batches_of(x, y), PoisonData(x, y), 1.0)
    with pytest.raises(UsageError, match="3 test accuracies for 2 networks"):
        train_poisoned(stack, (x, y), PoisonData(x, y), (x, y), PoisonRecipe(StackedRecipe(1), test_accuracy=[0.1, 0.2, 0.3]))
