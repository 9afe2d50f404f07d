import numpy as np
import torch

from genscope.numerics.perturbation import evaluate_points, noise_seeds, perturbed_points, stack_size, standard_noise

PARAMS = {"a": torch.randn(4, 3, generator=torch.Generator().manual_seed(0), dtype=torch.float64), "b": torch.zeros(4, dtype=torch.float64)}
BATCHES = [(torch.randn(7, 3, generator=torch.Generator().manual_seed(i), dtype=torch.float64), torch.arange(7) % 4) for i in range(2)]


def statistic(params: dict[str, torch.Tensor], x: torch.Tensor, y: torch.Tensor) -> torch.Tensor:
    logits = x @ params["a"].T + params["b"]
    return torch.stack([torch.logsumexp(logits, 1).sum(), (logits.argmax(1) != y).double().sum()])


def test_stacked_equals_loop() -> None:
    seeds = noise_seeds(np.random.default_rng(0), 10)
    runs = [evaluate_points(statistic, perturbed_points(PARAMS, {"a": 1.0, "b": 2.0}, seeds, 0.3), BATCHES, stack=stack) for stack in (1, 4, 64)]
    np.testing.assert_allclose(runs[0], runs[1], rtol=1e-12)
    np.testing.assert_allclose(runs[0], runs[2], rtol=1e-12)
    assert runs[0].shape == (10, 2)


def test_common_random_numbers_and_widths() -> None:
    (one,) = perturbed_points(PARAMS, {"a": 1.0, "b": 2.0}, [5], 0.1)
    (two,) = perturbed_points(PARAMS, {"a": 1.0, "b": 2.0}, [5], 0.2)
    torch.testing.assert_close(2 * (one["a"] - PARAMS["a"]), two["a"] - PARAMS["a"])
    torch.testing.assert_close(one["b"], 0.2 * standard_noise(PARAMS, 5)["b"])


def test_the_standard_deviation_is_a_standard_deviation() -> None:
    big = {"w": torch.zeros(100_000, dtype=torch.float64)}
    (point,) = perturbed_points(big, {"w": 3.0}, [1], 0.5)
    assert abs(float(point["w"].std()) - 1.5) < 0.02


def test_what_cannot_be_stacked_is_looped() -> None:
    def branching(params: dict[str, torch.Tensor], x: torch.Tensor, y: torch.Tensor) -> torch.Tensor:
        value = statistic(params, x, y)
        return value if float(params["b"].sum()) > 0 else -value  # data-dependent: vmap refuses it

    points = list(perturbed_points(PARAMS, {"a": 1.0, "b": 1.0}, [1, 2, 3], 0.1))
    np.testing.assert_allclose(evaluate_points(branching, points, BATCHES, stack=8), evaluate_points(branching, points, BATCHES, stack=1))


def test_stacks_are_for_small_matrices_only() -> None:
    assert stack_size(PARAMS) == 64
    assert stack_size({"conv": torch.zeros(2, 2, 3, 3)}) == 1
    assert stack_size({"w": torch.zeros(3000, 3000)}) == 1
    assert stack_size({}) == 1
