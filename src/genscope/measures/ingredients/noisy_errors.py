"""Training errors of the network with Gaussian noise on its weights, for certificates: a cheap pilot, and independent draws that count."""

import numpy as np

from genscope.core.catalogue import ingredient
from genscope.measures.ingredients.points import loss_and_error_sums
from genscope.measures.ingredients.subset import Subset, gather, joined, take
from genscope.measures.ingredients.types import Batches, Forward, Params
from genscope.numerics.perturbation import noise_seeds, perturbed_points

# The pilot only guides the choice of σ: a few draws, each on its own examples, the same at every σ.
_PILOT_DRAWS, _PILOT_EXAMPLES = 8, 32


class NoisyErrors:
    """Errors at a scale σ, kept so that two priors that ask for the same scale share them (each bound holds by itself)."""

    def __init__(self, params: Params, forward: Forward, loss: str, batches: Batches, n_examples: int, rng: np.random.Generator, n_each: int) -> None:
        self.params, self.batches, self.n_examples, self.rng = params, batches, n_examples, rng
        self.statistic = loss_and_error_sums(forward, loss)
        self.n_each = min(n_each, n_examples)
        self.pilot_groups = self._groups(_PILOT_DRAWS, min(_PILOT_EXAMPLES, n_examples))
        self.pilot_seeds, self.pilot_pool = noise_seeds(rng, _PILOT_DRAWS), self._pool(self.pilot_groups)
        self._pilots: dict[float, float] = {}
        self._draws: dict[tuple[float, int], np.ndarray] = {}

    def pilot(self, sigma: float) -> float:
        """A rough mean training error at σ, with common random numbers."""
        if sigma not in self._pilots:
            self._pilots[sigma] = float(self._errors(sigma, self.pilot_pool, self.pilot_groups, self.pilot_seeds).mean())
        return self._pilots[sigma]

    def draws(self, sigma: float, count: int) -> np.ndarray:
        """``count`` independent errors: each draw of weights meets its own random examples, so its error is an unbiased sample of the mean."""
        if (sigma, count) not in self._draws:
            groups = self._groups(count, self.n_each)
            self._draws[sigma, count] = self._errors(sigma, self._pool(groups), groups, noise_seeds(self.rng, count))
        return self._draws[sigma, count]

    def _groups(self, count: int, size: int) -> list[np.ndarray]:
        return [self.rng.choice(self.n_examples, size, replace=False) for _ in range(count)]

    def _pool(self, groups: list[np.ndarray]) -> Subset:
        return gather(self.batches, np.unique(np.concatenate(groups)), self.n_examples)

    def _errors(self, sigma: float, pool: Subset, groups: list[np.ndarray], seeds: list[int]) -> np.ndarray:
        import torch

        index = np.unique(np.concatenate(groups))
        x, y = joined([part for part, _ in pool.batches]), joined([part for _, part in pool.batches])
        errors = []
        with torch.no_grad():
            for point, group in zip(perturbed_points(self.params, dict.fromkeys(self.params, 1.0), seeds, sigma), groups, strict=True):
                rows = np.searchsorted(index, group)
                errors.append(float(self.statistic(point, take(x, rows), take(y, rows))[1]) / len(group))
        return np.array(errors)


@ingredient
def noisy_errors(
    params: Params, forward: Forward, loss: str, batches: Batches, n_examples: int, rng: np.random.Generator, *, certificate_examples: int = 32
) -> NoisyErrors:
    """Draws are made when a certificate asks for them."""
    return NoisyErrors(params, forward, loss, batches, n_examples, rng, certificate_examples)
