import copy

import pytest
import torch
from torch import nn

from genscope.errors import UnsupportedInput, UsageError
from genscope.networks.stacked import architecture_of
from genscope.training import optimizers
from genscope.training.batches import batches_of
from genscope.training.loop import Recipe, fit, initialize
from genscope.training.losses import cross_entropies, reverse_cross_entropies
from genscope.training.models import mlp, small_conv
from genscope.training.stack import stack_from_seeds, stack_of
from genscope.training.stacked import StackedRecipe, fit_stack

SEEDS = (3, 1, 4)


def problem(n=23, features=4, classes=3, seed=0):
    generator = torch.Generator().manual_seed(seed)
    x = torch.randn(n, features, generator=generator, dtype=torch.float64)
    return x, torch.randint(0, classes, (n,), generator=generator)


def build():
    return mlp((4, 7, 5, 3), activation="tanh").double()


def alone(module, x, y, optimizer, epochs, *, clip=None, decay_biases=True, decay=0.0):
    """The plain loop that everyone writes, full batch."""
    for _ in range(epochs):
        optimizer.zero_grad()
        loss = nn.functional.cross_entropy(module(x), y)
        loss.backward()
        if not decay_biases:
            for parameter in module.parameters():
                if parameter.ndim > 1:
                    parameter.grad += decay * parameter.detach()
        if clip is not None:
            nn.utils.clip_grad_norm_(module.parameters(), clip)
        optimizer.step()
    return torch.cat([p.detach().flatten() for p in module.parameters()])


RATES, DECAYS = (0.05, 0.02, 0.01), (0.0, 0.1, 0.01)
PAIRS = {
    "sgd": (optimizers.SGD(0.9), lambda p, lr, wd: torch.optim.SGD(p, lr=lr, momentum=0.9, weight_decay=wd)),
    "plain sgd": (optimizers.SGD(0.0), lambda p, lr, wd: torch.optim.SGD(p, lr=lr, weight_decay=wd)),
    "adam": (optimizers.Adam(), lambda p, lr, wd: torch.optim.Adam(p, lr=lr, weight_decay=wd)),
    "rmsprop": (optimizers.RMSprop(), lambda p, lr, wd: torch.optim.RMSprop(p, lr=lr, weight_decay=wd)),
}


@pytest.mark.parametrize("method", ["products", "vmap", "loop"])
@pytest.mark.parametrize("name", PAIRS)
def test_every_network_ends_as_if_it_had_been_trained_alone(name, method):
    x, y = problem()
    labels = torch.stack([y, (y + 1) % 3, y.flip(0)])
    ours, theirs = PAIRS[name]
    stack = stack_from_seeds(build, SEEDS, method=method)
    run = fit_stack(stack, batches_of(x, labels), StackedRecipe(12, ours, RATES, DECAYS))
    for index, seed in enumerate(SEEDS):
        module = initialize(build(), torch.Generator().manual_seed(seed))
        expected = alone(module, x, labels[index], theirs(module.parameters(), RATES[index], DECAYS[index]), 12)
        torch.testing.assert_close(run.stack.flat[index], expected, rtol=1e-9, atol=1e-11)


def test_mini_batches_follow_the_order_of_the_loop_for_one_network():
    x, y = problem()
    stack = stack_from_seeds(build, SEEDS)
    run = fit_stack(stack, batches_of(x, y, 5, SEEDS), StackedRecipe(6, learning_rate=0.02, weight_decay=1e-3))
    losses = []
    for index, seed in enumerate(SEEDS):
        module = initialize(build(), torch.Generator().manual_seed(seed))
        losses.append([])
        fit(module, x, y, Recipe(6, 0.02, 1e-3, 5, seed=seed), on_epoch=lambda epoch, loss, into=losses[-1]: into.append(loss))
        torch.testing.assert_close(run.stack.flat[index], torch.cat([p.detach().flatten() for p in module.parameters()]), rtol=1e-9, atol=1e-11)
    torch.testing.assert_close(run.loss.T, torch.tensor(losses, dtype=torch.float64), rtol=1e-9, atol=0)


def test_subsets_of_different_size_are_as_if_trained_on_the_subset_alone():
    x, y = problem()
    members = torch.zeros(3, len(x), dtype=torch.bool)
    for index, count in enumerate((5, 23, 12)):
        members[index, :count] = True
    for size in (None, 4):
        stack = stack_from_seeds(build, SEEDS)
        run = fit_stack(stack, batches_of(x, y, size, SEEDS, members), StackedRecipe(5, learning_rate=0.02))
        for index, seed in enumerate(SEEDS):
            module = initialize(build(), torch.Generator().manual_seed(seed))
            own = members[index]
            fit(module, x[own], y[own], Recipe(5, 0.02, batch_size=size or 99, seed=seed))
            torch.testing.assert_close(run.stack.flat[index], torch.cat([p.detach().flatten() for p in module.parameters()]), rtol=1e-9, atol=1e-11)


def test_clipping_and_decay_of_weights_only():
    x, y = problem()
    recipe = StackedRecipe(8, optimizers.SGD(0.9), 0.1, 0.05, decay_biases=False, clip_norm=0.2)
    run = fit_stack(stack_from_seeds(build, SEEDS), batches_of(x, y), recipe)
    for index, seed in enumerate(SEEDS):
        module = initialize(build(), torch.Generator().manual_seed(seed))
        optimizer = torch.optim.SGD(module.parameters(), lr=0.1, momentum=0.9)
        expected = alone(module, x, y, optimizer, 8, clip=0.2, decay_biases=False, decay=0.05)
        torch.testing.assert_close(run.stack.flat[index], expected, rtol=1e-9, atol=1e-11)


def test_convolutions_and_batch_norm_keep_their_own_statistics():
    generator = torch.Generator().manual_seed(0)
    x, y = torch.randn(12, 1, 6, 6, generator=generator).double(), torch.arange(12) % 3

    def conv():
        return small_conv((3, 4), in_channels=1, image_size=6, n_classes=3, kernel=3, batch_norm=True).double()

    stack = stack_from_seeds(conv, SEEDS)
    assert stack.architecture.method == "loop"
    run = fit_stack(stack, batches_of(x, y, 5, SEEDS), StackedRecipe(3, learning_rate=0.01))
    for index, seed in enumerate(SEEDS):
        module = initialize(conv(), torch.Generator().manual_seed(seed))
        fit(module, x, y, Recipe(3, 0.01, batch_size=5, seed=seed))
        for name, tensor in module.state_dict().items():
            torch.testing.assert_close(run.stack.state_dict(index)[name], tensor, rtol=1e-8, atol=1e-10)
        torch.testing.assert_close(run.stack.module(index)(x), module.eval()(x))


def test_a_network_that_ends_early_stays_and_the_others_do_not_notice():
    x, y = problem()
    stack = stack_from_seeds(build, SEEDS)
    full = fit_stack(stack, batches_of(x, y, 5, SEEDS), StackedRecipe(9, learning_rate=0.02))
    kept = {}

    def stop_second_after_three(progress):
        if progress.epoch == 3:
            kept["at three"] = progress.stack.flat.clone()
        return torch.tensor([False, progress.epoch == 3, False])

    run = fit_stack(stack, batches_of(x, y, 5, SEEDS), StackedRecipe(9, learning_rate=0.02), on_epoch=stop_second_after_three)
    assert run.epochs.tolist() == [9, 3, 9]
    assert torch.equal(run.stack.flat[1], kept["at three"][1])
    torch.testing.assert_close(run.stack.flat[[0, 2]], full.stack.flat[[0, 2]], rtol=1e-12, atol=1e-14)
    assert torch.equal(run.loss[2:, 1], run.loss[2, 1].expand(7))


def test_stopping_at_a_loss_and_at_an_error():
    x, y = problem(8)
    stack = stack_from_seeds(lambda: mlp((4, 30, 3)).double(), SEEDS)
    run = fit_stack(stack, batches_of(x, y), StackedRecipe(500, learning_rate=0.02, stop_at_loss=0.05))
    assert bool((run.epochs < 500).all()) and bool((run.loss[-1] < 0.05).all())
    run = fit_stack(stack, batches_of(x, y), StackedRecipe(500, learning_rate=0.02, stop_at_error=0.0))
    assert bool((run.epochs < 500).all()) and bool((run.error[-1] == 0).all())


def test_the_starting_stack_and_the_random_state_are_left_alone():
    x, y = problem()
    stack = stack_from_seeds(build, SEEDS)
    before, state = stack.flat.clone(), torch.get_rng_state()
    first = fit_stack(stack, batches_of(x, y, 4, SEEDS), StackedRecipe(3))
    again = fit_stack(stack, batches_of(x, y, 4, SEEDS), StackedRecipe(3))
    assert torch.equal(stack.flat, before) and torch.equal(torch.get_rng_state(), state)
    assert torch.equal(first.stack.flat, again.stack.flat) and not torch.equal(first.stack.flat, before)


def test_one_output_means_the_log_odds_of_class_one():
    z, y = torch.tensor([[2.0], [-1.0]], dtype=torch.float64), torch.tensor([1, 1])
    torch.testing.assert_close(cross_entropies(z, y), nn.functional.softplus(-z[:, 0]))
    torch.testing.assert_close(reverse_cross_entropies(z, y), nn.functional.softplus(z[:, 0]))


def test_reverse_cross_entropy_equals_its_literal_form_and_survives_certainty():
    generator = torch.Generator().manual_seed(1)
    logits, labels = torch.randn(50, 5, generator=generator, dtype=torch.float64), torch.arange(50) % 5
    p = logits.softmax(1).gather(1, labels[:, None])[:, 0]
    torch.testing.assert_close(reverse_cross_entropies(logits, labels), -torch.log1p(-p))
    certain = torch.tensor([[1e4, 0.0, 0.0]], requires_grad=True)
    loss = reverse_cross_entropies(certain, torch.tensor([0]))
    loss.sum().backward()
    assert float(loss.detach()) == pytest.approx(1e4, rel=1e-3)
    torch.testing.assert_close(certain.grad, torch.tensor([[1.0, -0.5, -0.5]]))


def test_chains_are_recognized_and_others_are_not():
    chain = nn.Sequential(nn.Flatten(), nn.Linear(4, 5), nn.ReLU(inplace=True), nn.Linear(5, 2))
    assert architecture_of(chain).method == "products" and chain[2].inplace
    assert architecture_of(nn.Sequential(nn.LayerNorm(4), nn.Linear(4, 2))).method == "vmap"
    assert architecture_of(nn.Sequential(nn.BatchNorm1d(4), nn.Linear(4, 2))).method == "loop"

    class Residual(nn.Module):
        def __init__(self):
            super().__init__()
            self.a, self.b = nn.Linear(4, 4), nn.Linear(4, 2)

        def forward(self, x):
            return self.b(x + self.a(x))

    module = Residual()
    stack = stack_of([module, copy.deepcopy(module)])
    x = torch.randn(6, 4, generator=torch.Generator().manual_seed(0))
    assert stack.architecture.method == "vmap"
    torch.testing.assert_close(stack.logits(x), module(x).detach().expand(2, 6, 2))
    for method in ("products", "vmap", "loop"):
        one = stack_of([chain, copy.deepcopy(chain)], method)
        torch.testing.assert_close(one.logits(x), chain(x).detach().expand(2, 6, 2))
        torch.testing.assert_close(one.logits(x.expand(2, 6, 4), shared=False), chain(x).detach().expand(2, 6, 2))


def test_what_cannot_be_stacked_is_refused_in_a_sentence():
    with pytest.raises(UnsupportedInput, match="dropout"):
        architecture_of(nn.Sequential(nn.Linear(2, 2), nn.Dropout(0.5)))
    with pytest.raises(UnsupportedInput, match="no parameters"):
        architecture_of(nn.ReLU())
    with pytest.raises(UsageError, match="no chain"):
        architecture_of(nn.Sequential(nn.LayerNorm(4)), "products")
    with pytest.raises(UsageError, match="no method"):
        architecture_of(nn.Linear(1, 1), "magic")
    with pytest.raises(UsageError, match="differs from the first"):
        stack_of([nn.Linear(2, 1), nn.Linear(3, 1)])
    with pytest.raises(UsageError, match="at least one network"):
        stack_of([])
    x, y = problem()
    with pytest.raises(UsageError, match="2 learning rates for 3 networks"):
        fit_stack(stack_from_seeds(build, SEEDS), batches_of(x, y), StackedRecipe(1, learning_rate=[0.1, 0.2]))
    with pytest.raises(UsageError, match="one seed per network"):
        batches_of(x, y, 4)
    with pytest.raises(UsageError, match="at least one training example"):
        batches_of(x, y, members=torch.zeros(3, len(x), dtype=torch.bool))
