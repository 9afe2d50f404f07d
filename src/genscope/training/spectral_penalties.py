"""The stable rank and the weighted exponent of a network's weights as loss terms."""

from collections.abc import Callable, Iterable

import torch
from torch import Tensor, nn

from genscope.core.status import OK
from genscope.numerics.power_law import fit_power_law

_LAYERS = (nn.Linear, nn.Conv1d, nn.Conv2d, nn.Conv3d)


def weight_matrices(model: nn.Module) -> list[Tensor]:
    """Weights of linear and convolutional layers as matrices [outputs, inputs·positions], still attached to the graph."""
    return [module.weight.flatten(1) for module in model.modules() if isinstance(module, _LAYERS)]


def stable_rank_penalty(matrices: Iterable[Tensor]) -> Tensor:
    r"""Mean stable rank of the matrices, to add to a loss with a positive factor.

    .. math:: R_s(W) = \frac{\|W\|_F^2}{\|W\|_2^2}, \qquad
        \nabla R_s = \frac{2W}{\sigma_1^2} - \frac{2\|W\|_F^2}{\sigma_1^3}\,u_1v_1^\top

    Smaller is closer to rank one; the scale of a matrix does not matter. Differentiable where the largest singular value is simple; where it is not,
    PyTorch gives the derivative of one of the leading pairs.

    Args:
        matrices: [outputs, inputs] each; see :func:`weight_matrices`. Zero matrices are left out.

    Returns:
        A scalar ≥ 1 with a gradient; 0 without a non-zero matrix.

    Cost: the largest singular triple of every matrix, by its Gram matrix.

    Source: Martin & Mahoney, "a Stable Rank regularizer" below eq. 6.

    Example:
        >>> stable_rank_penalty([torch.diag(torch.tensor([2.0, 1.0, 1.0]))])
        tensor(1.5000)
    """
    found = [one.square().sum() / _gram_eigenvalues(one)[-1] for one in matrices if bool(one.detach().any())]
    return torch.stack(found).mean() if found else torch.zeros(())


class AlphaHatPenalty:
    r"""Mean of α·log₁₀ λ_max over the matrices, to add to a loss.

    .. math:: \hat\alpha = \frac1L\sum_l \alpha_l \log_{10}\lambda_l^{max}, \qquad
        \alpha = 1 + m \Big/ \sum_{i \le m} \ln(\lambda_i/\lambda_m)

    λ are the eigenvalues of WᵀW. The fit chooses the start of the tail by the Kolmogorov–Smirnov distance, and that choice jumps as the weights
    move: α is not even continuous there, so it has no gradient. Here the *size* m of each tail is held for ``refit_every`` calls and α is a smooth
    function of the m largest eigenvalues (while they differ), with xmin = λ_m moving along. Holding the value of xmin instead would let
    α fall by scaling W, which the true α does not. At every refit the value of the penalty may jump; the gradient between them is exact.

    Args:
        refit_every: calls between two choices of the tails.
        min_tail: smallest tail; see :func:`~genscope.numerics.power_law.fit_power_law`.

    Matrices whose fit fails (too few eigenvalues) are left out; ``n_left_out`` says how many.

    Cost: the eigenvalues of every Gram matrix per call, with gradient; a fit per matrix every ``refit_every`` calls.

    Source: Martin & Mahoney, eqs. 1 and 3, proposed as a regularizer in the same text.

    Example:
        >>> weights = torch.diag(torch.arange(1.0, 101.0) ** -0.25)
        >>> round(float(AlphaHatPenalty()([10 * weights])) / 2, 1)
        3.1
    """

    def __init__(self, refit_every: int = 20, min_tail: int | None = None) -> None:
        self.refit_every, self.min_tail = refit_every, min_tail
        self.n_left_out = 0
        self._calls = 0
        self._tails: list[int | None] = []

    def __call__(self, matrices: Iterable[Tensor]) -> Tensor:
        """The penalty, a scalar with a gradient; 0 where no matrix can be fitted."""
        spectra = [_gram_eigenvalues(one) for one in matrices]
        if self._calls % self.refit_every == 0 or len(spectra) != len(self._tails):
            self._tails = [self._tail_of(spectrum) for spectrum in spectra]
            self.n_left_out = sum(tail is None for tail in self._tails)
        self._calls += 1
        found = [alpha_of_tail(one, size) * one[-1].log10() for one, size in zip(spectra, self._tails, strict=True) if size is not None]
        return torch.stack(found).mean() if found else torch.zeros(())

    def _tail_of(self, spectrum: Tensor) -> int | None:
        fit = fit_power_law(spectrum.detach().double().cpu().numpy(), min_tail=self.min_tail)
        return fit.n_tail if fit.status == OK and fit.alpha is not None else None


def alpha_of_tail(eigenvalues: Tensor, size: int) -> Tensor:
    """The exponent 1 + m/Σ ln(λ_i/λ_m) of the ``size`` largest of ascending ``eigenvalues``, differentiable."""
    tail = eigenvalues[-size:]
    return 1 + size / (tail / tail[0]).log().sum()


def with_penalty(loss: Callable[..., Tensor], penalty: Callable[[], Tensor], weight: float) -> Callable[..., Tensor]:
    """``loss + weight · penalty()`` as a loss function of its own."""

    def total(*given: Tensor) -> Tensor:
        return loss(*given) + weight * penalty()

    return total


def _gram_eigenvalues(matrix: Tensor) -> Tensor:
    """Eigenvalues of WᵀW that can be non-zero, ascending; rounding below zero is cut."""
    gram = matrix @ matrix.T if matrix.shape[0] <= matrix.shape[1] else matrix.T @ matrix
    return torch.linalg.eigvalsh(gram).clamp_min(0)
