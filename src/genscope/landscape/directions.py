"""Directions through a network's parameters, each with the facts that make its coordinates mean something."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from genscope.core.seeds import generator_for
from genscope.errors import UnsupportedInput, UsageError
from genscope.landscape.points import Params, difference, length
from genscope.networks.functional import Network
from genscope.numerics.perturbation import noise_seeds, standard_noise

NORMALIZATIONS = ("filter", "layer", "whole", "weight", "none")
VECTORS = ("zero", "tensor")


@dataclass(frozen=True)
class Direction:
    """A direction and what is known of it.

    Args:
        tensors: by parameter name; parameters that it does not move are absent.
        kind: ``gaussian``, ``difference``, ``hessian`` or ``principal``.
        normalization: one of :data:`NORMALIZATIONS`.
        vectors: the rule for biases, normalization layers and other parameters with one dimension.
        n_perturbed: parameters that move.
        seed: of the draw, where there was one.
        label: for axes and tables.
        facts: what its kind adds (an eigenvalue, a share of variance).
    """

    tensors: Params
    kind: str
    normalization: str
    vectors: str
    n_perturbed: int
    seed: int | None = None
    label: str = ""
    facts: Mapping[str, float] | None = None

    def as_dict(self) -> dict[str, object]:
        """Everything but the tensors."""
        found: dict[str, object] = {"label": self.label, "kind": self.kind, "normalization": self.normalization, "one_dimensional": self.vectors}
        return found | {"n_perturbed": self.n_perturbed, "seed": self.seed, "length": length(self.tensors), **(self.facts or {})}


def gaussian_directions(network: Network, count: int, *, seed: int = 0, normalization: str = "filter", vectors: str = "zero") -> list[Direction]:
    """Independent normal directions, normalized against the weights.

    Formula:
        d_f = ε_f · ‖w_f‖/‖ε_f‖ per filter f (``filter``, Li et al. 2018), per tensor (``layer``) or over all that moves (``whole``);
        d_i = ε_i·|w_i| (``weight``, the geometry of ASAM); d = ε (``none``).
    Reading:
        One step of length 1 along a filter-normalized direction replaces each filter by as much again. A filter of zeros (a dead unit) does not
        move. Transposed convolutions hold their filters along the second axis, everything else along the first.
    Args:
        network: the parameters w; tied ones move together, once.
        count: number of directions, at least 1.
        seed: of the draws; direction k does not depend on how many are asked for.
        normalization: one of :data:`NORMALIZATIONS`.
        vectors: ``zero`` leaves biases, normalization parameters and everything else with fewer than two dimensions where they are;
            ``tensor`` moves each such tensor by a random vector of the tensor's own length.
    Returns:
        ``count`` directions.
    Raises:
        UsageError: an unknown rule. UnsupportedInput: nothing would move (all weights are zero or have one dimension).
    Cost:
        One normal number per parameter and direction.
    Source:
        Li et al. 2018, section 4; Kwon et al. 2021 (ASAM) for ``weight``.

    Example:
        >>> network = Network({"w": torch.tensor([[3.0, 4.0]]), "b": torch.ones(1)}, {}, lambda p, b, x: x)
        >>> direction = gaussian_directions(network, 1)[0]
        >>> round(length(direction.tensors), 6), direction.n_perturbed
        (5.0, 2)
    """
    _check(count, normalization, vectors)
    transposed = transposed_weights(network.module)
    moved = {name: value for name, value in network.params.items() if value.numel() and (value.ndim >= 2 or vectors == "tensor")}
    found = []
    for index in range(count):
        draw = noise_seeds(generator_for(seed, "direction", str(index)), 1)[0]
        tensors = normalized(standard_noise(moved, draw), moved, normalization, transposed)
        n = sum(int(torch.count_nonzero(tensor)) for tensor in tensors.values())
        if n == 0:
            words = "every weight that could move is zero" if moved else "the network has only parameters with one dimension"
            raise UnsupportedInput(f"{network.name}: a {normalization}-normalized direction is empty ({words}); use normalization none or tensor.")
        found.append(Direction(tensors, "gaussian", normalization, vectors, n, seed, f"random {index + 1}"))
    return found


def normalized(noise: Params, weights: Params, normalization: str, transposed: frozenset[str] = frozenset()) -> dict[str, Tensor]:
    """Noise in the scale of the weights; see :func:`gaussian_directions`."""
    if normalization == "none":
        return dict(noise)
    if normalization == "weight":
        return {name: tensor * weights[name].abs() for name, tensor in noise.items()}
    if normalization == "whole":
        factor = length(weights) / length(noise) if noise else 0.0
        return {name: factor * tensor for name, tensor in noise.items()}
    return {name: _in_scale(tensor, weights[name], normalization, name in transposed) for name, tensor in noise.items()}


def _in_scale(noise: Tensor, weight: Tensor, normalization: str, is_transposed: bool) -> Tensor:
    """Per filter or per tensor the length of the weights; vectors count as one filter."""
    if normalization == "layer" or weight.ndim < 2:
        dims = tuple(range(weight.ndim))
    else:
        dims = tuple(axis for axis in range(weight.ndim) if axis != (1 if is_transposed else 0))
    wanted = torch.linalg.vector_norm(weight, dim=dims, keepdim=True) if dims else weight.abs()
    drawn = torch.linalg.vector_norm(noise, dim=dims, keepdim=True) if dims else noise.abs()
    return torch.where(drawn > 0, noise * (wanted / drawn.clamp_min(torch.finfo(noise.dtype).tiny)), torch.zeros_like(noise))


def transposed_weights(module: nn.Module | None) -> frozenset[str]:
    """Names of the weights whose filters lie along the second axis."""
    kinds = (nn.ConvTranspose1d, nn.ConvTranspose2d, nn.ConvTranspose3d)
    names = module.named_modules() if module is not None else ()
    return frozenset(f"{name}.weight".lstrip(".") for name, part in names if isinstance(part, kinds))


def difference_direction(end: Params, start: Params, label: str = "difference") -> Direction:
    """``end − start``: from one checkpoint to another, every parameter included; coordinate 0 is ``start``, coordinate 1 is ``end``.

    Raises:
        UnsupportedInput: the two are the same point.

    Example:
        >>> difference_direction({"w": torch.ones(2)}, {"w": torch.zeros(2)}).n_perturbed
        2
    """
    tensors = difference(end, start)
    n = sum(int(torch.count_nonzero(tensor)) for tensor in tensors.values())
    if n == 0:
        raise UnsupportedInput(f"{label}: the two models have the same parameters, so there is no direction between them.")
    return Direction(tensors, "difference", "none", "moved", n, None, label)


def cosines(directions: Sequence[Direction]) -> list[list[float]]:
    """The cosine between each two directions (about n^-1/2 for random ones)."""
    from genscope.landscape.points import inner

    lengths = [length(one.tensors) for one in directions]
    return [
        [inner(one.tensors, other.tensors) / (a * b) if a * b > 0 else 0.0 for other, b in zip(directions, lengths, strict=True)]
        for one, a in zip(directions, lengths, strict=True)
    ]


def _check(count: int, normalization: str, vectors: str) -> None:
    if count < 1:
        raise UsageError("At least one direction is needed.")
    if normalization not in NORMALIZATIONS:
        raise UsageError(f"There is no normalization {normalization!r}; use one of {', '.join(NORMALIZATIONS)}.")
    if vectors not in VECTORS:
        raise UsageError(f"There is no rule {vectors!r} for parameters with one dimension; use one of {', '.join(VECTORS)}.")
