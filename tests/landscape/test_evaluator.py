"""One evaluator in many ways: all agree with a loop written out by hand, on networks of every kind, and the user's module stays as it was."""

import copy

import numpy as np
import pytest
import torch
from torch import nn

from genscope.errors import LimitExceeded, UsageError
from genscope.landscape.backends import Compiled
from genscope.landscape.directions import gaussian_directions
from genscope.landscape.evaluator import BACKENDS, Evaluator
from genscope.measures.ingredients.losses import scores_of
from genscope.networks.functional import wrap_module


def mlp() -> nn.Module:
    return nn.Sequential(nn.Flatten(), nn.Linear(12, 9), nn.ReLU(), nn.Linear(9, 7, bias=False), nn.Tanh(), nn.Dropout(0.3), nn.Linear(7, 4))


def conv(norm: bool = False) -> nn.Module:
    middle = nn.BatchNorm2d(6) if norm else nn.Identity()
    return nn.Sequential(nn.Conv2d(3, 6, 3, padding=1), middle, nn.ReLU(), nn.MaxPool2d(2), nn.Flatten(), nn.Linear(6 * 4, 4))


def problem(
    module: nn.Module, shape: tuple[int, ...], n: int = 90, seed: int = 0, **how: object
) -> tuple[nn.Module, torch.Tensor, torch.Tensor, Evaluator]:
    generator = torch.Generator().manual_seed(seed)
    for parameter in module.parameters():
        parameter.data.copy_(torch.randn(parameter.shape, generator=generator) * 0.5)
    x, y = torch.randn(n, *shape, generator=generator), torch.randint(4, (n,), generator=generator)
    return module.eval(), x, y, Evaluator(wrap_module(module), [(x, y)], scores_of("cross_entropy"), **how)  # type: ignore[arg-type]


def by_hand(module: nn.Module, x: torch.Tensor, y: torch.Tensor, moves: list[dict[str, torch.Tensor]], coordinates: np.ndarray) -> np.ndarray:
    """Loss, error and margin the slow way: a copy of the module with its weights set."""
    found = []
    for row in coordinates:
        moved = copy.deepcopy(module)
        for name, parameter in moved.named_parameters():
            parameter.data += sum(float(c) * move[name] for c, move in zip(row, moves, strict=True) if name in move)
        with torch.no_grad():
            logits = moved(x).double()
        right = logits[torch.arange(len(y)), y]
        others = logits.scatter(1, y[:, None], -torch.inf).amax(1)
        margins = np.sort((right - others).numpy())
        loss = nn.functional.cross_entropy(logits, y)
        found.append([float(loss), float((logits.argmax(1) != y).double().mean()), margins[int(np.ceil(0.05 * len(y))) - 1]])
    return np.array(found)


COORDINATES = np.array([[0.0, 0.0], [0.3, -0.2], [-1.0, 0.5], [0.0, 1.0], [2.0, 2.0]])


@pytest.mark.parametrize("backend", BACKENDS)
@pytest.mark.parametrize("kind", ["mlp", "conv", "batch norm"])
def test_every_back_end_gives_the_numbers_of_a_loop_by_hand(kind: str, backend: str) -> None:
    if backend == "compiled" and (kind != "conv" or not Compiled.possible(torch.device("cpu"))):
        pytest.skip("compiling takes seconds, and needs a C++ compiler: convolutions stand for all")
    module = mlp() if kind == "mlp" else conv(norm=kind == "batch norm")
    module, x, y, evaluator = problem(module, (12,) if kind == "mlp" else (3, 4, 4), bn_policy="frozen", micro_batch=32)
    if backend == "products" and kind != "mlp":
        with pytest.raises(UsageError, match="no chain of linear layers"):
            evaluator.with_backend(backend)
        return
    directions = [one.tensors for one in gaussian_directions(evaluator.network, 2, vectors="tensor")]
    evaluator = evaluator.with_backend(backend)
    found = evaluator.along(evaluator.network.params, directions, COORDINATES).array()
    np.testing.assert_allclose(found, by_hand(module, x, y, directions, COORDINATES), rtol=2e-5, atol=2e-5)


def test_points_given_whole_are_the_points_along_directions() -> None:
    _, _, _, evaluator = problem(mlp(), (12,))
    directions = [one.tensors for one in gaussian_directions(evaluator.network, 1)]
    points = {name: torch.stack([value, value + directions[0].get(name, 0.0)]) for name, value in evaluator.network.params.items()}
    along = evaluator.along(evaluator.network.params, directions, np.array([[0.0], [1.0]]))
    np.testing.assert_allclose(evaluator.at(points).array(), along.array(), rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("chunk", [1, 2, 5])
def test_chunks_do_not_change_the_numbers(chunk: int) -> None:
    _, _, _, whole = problem(mlp(), (12,))
    _, _, _, cut = problem(mlp(), (12,), chunk=chunk)
    directions = [one.tensors for one in gaussian_directions(whole.network, 2)]
    one = whole.along(whole.network.params, directions, COORDINATES).array()
    np.testing.assert_allclose(cut.along(cut.network.params, directions, COORDINATES).array(), one, rtol=1e-6, atol=1e-6)


@pytest.mark.parametrize("policy", ["recalibrate", "frozen", "batch"])
def test_the_users_module_stays_as_it_was_to_the_bit(policy: str) -> None:
    module, _, _, evaluator = problem(conv(norm=True), (3, 4, 4), bn_policy=policy)
    module.train()
    module[0].weight.requires_grad_(False)
    before = {name: tensor.clone() for name, tensor in module.state_dict().items()}
    modes = [(part.training, getattr(part, "momentum", None)) for part in module.modules()]
    random = torch.get_rng_state()
    evaluator.along(evaluator.network.params, [one.tensors for one in gaussian_directions(evaluator.network, 2)], COORDINATES)
    evaluator.centre()
    assert all(torch.equal(before[name], tensor) for name, tensor in module.state_dict().items())
    assert modes == [(part.training, getattr(part, "momentum", None)) for part in module.modules()]
    assert [parameter.requires_grad for parameter in module.parameters()] == [False, *[True] * 5]
    assert torch.equal(random, torch.get_rng_state())


def test_a_point_that_is_too_large_for_the_memory_is_refused() -> None:
    with pytest.raises(LimitExceeded, match="One point of Sequential takes"):
        problem(mlp(), (12,), memory=1000)


def test_unknown_words_are_refused() -> None:
    with pytest.raises(UsageError, match="no policy 'fresh'"):
        problem(conv(), (3, 4, 4), bn_policy="fresh")
    with pytest.raises(UsageError, match="no back-end 'magic'"):
        problem(conv(), (3, 4, 4), backend="magic")
