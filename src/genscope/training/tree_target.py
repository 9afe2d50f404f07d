"""Compositional target functions on binary trees: what deep, local networks are said to approximate better than shallow ones."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from genscope.errors import UsageError

OCTAVES = 4
_CALIBRATION = 4096


@dataclass(frozen=True)
class TreeTarget:
    """A stack of functions of ``variables`` inputs, each one a binary tree of functions of two inputs.

    .. math:: g(x) = h_\\ell(h_{\\ell-1}(\\ldots), h_{\\ell-1}(\\ldots)), \\qquad
        h(u) = \\frac{1}{s}\\Big(\\sum_j a_j \\cos(\\omega_j\\cdot u + \\varphi_j) - c\\Big)

    All nodes of one level hold the same constituent, so that networks with shared and with free weights can both represent the graph.
    Octave k has 2^(k+2) random directions of frequency about 2^k, with amplitudes 2^(-k(m+1/2)) each: the k-th octave adds about 2^(-km), so
    every constituent has smoothness m in the range of scales that small networks resolve, and is no sum of few ridge functions.

    Args:
        frequencies: per level, [stack, 2, terms].
        phases: per level, [stack, 1, terms].
        amplitudes: [terms].
        offsets, scales: per level, [stack, 1]; they bring the values of a level into [-1, 1] on uniform inputs.
    """

    variables: int
    frequencies: tuple[Tensor, ...]
    phases: tuple[Tensor, ...]
    amplitudes: Tensor
    offsets: tuple[Tensor, ...]
    scales: tuple[Tensor, ...]

    def __call__(self, inputs: Tensor) -> Tensor:
        """Values [stack, examples] at ``inputs`` [examples, variables] in [-1, 1], computed in float64 and returned as float32."""
        values = inputs.double().expand(len(self.scales[0]), *inputs.shape)
        for level in range(len(self.scales)):
            values = self.level(level, values)
        return values.squeeze(-1).float()

    def repeated(self, times: int) -> "TreeTarget":
        """The stack with every target ``times`` times in a row."""
        frequencies, phases, offsets, scales = (
            tuple(part.repeat_interleave(times, 0) for part in parts) for parts in (self.frequencies, self.phases, self.offsets, self.scales)
        )
        return TreeTarget(self.variables, frequencies, phases, self.amplitudes, offsets, scales)

    def level(self, level: int, values: Tensor) -> Tensor:
        """The constituent of ``level`` (0 at the leaves) on neighbouring pairs: [stack, examples, 2k] to [stack, examples, k], float64."""
        return (self.unscaled_level(level, values) - self.offsets[level].unsqueeze(-1)) / self.scales[level].unsqueeze(-1)

    def unscaled_level(self, level: int, values: Tensor) -> Tensor:
        """:meth:`level` before its offset and scale."""
        stack, examples, width = values.shape
        pairs = values.reshape(stack, examples * (width // 2), 2)
        terms = torch.cos(torch.baddbmm(self.phases[level], pairs, self.frequencies[level]))
        return (terms @ self.amplitudes).reshape(stack, examples, width // 2)


def levels_of(variables: int) -> int:
    """The depth of the binary tree over ``variables`` leaves.

    Raises:
        UsageError: not a power of two from 2 to 64.
    """
    level = max(1, int(variables).bit_length() - 1)
    if variables != 2**level or not 2 <= variables <= 64:
        raise UsageError(f"A binary tree needs 2, 4, 8, 16, 32 or 64 variables, not {variables}.")
    return level


def uniform_inputs(examples: int, variables: int, generator: torch.Generator) -> Tensor:
    """Points [examples, variables], uniform in [-1, 1]."""
    return torch.rand(examples, variables, generator=generator) * 2 - 1


def tree_targets(variables: int, generators: Sequence[torch.Generator], smoothness: float = 2.0) -> TreeTarget:
    """Draw one target over ``variables`` inputs from each generator; a target does not depend on its company.

    Args:
        variables: a power of two.
        generators: seeded, one per target.
        smoothness: m > 0; the theorems say error N^(-m/2) for trees, N^(-m/n) for shallow networks of N units.

    Returns:
        A :class:`TreeTarget`; its values lie in about [-1, 1].

    Raises:
        UsageError: no binary tree over so many variables, or no smoothness.

    Source: the binary trees of Poggio, Banburski & Liao, figure 1; constituents ours.

    Example:
        >>> target = tree_targets(4, [torch.Generator().manual_seed(seed) for seed in range(3)])
        >>> target(torch.zeros(5, 4)).shape
        torch.Size([3, 5])
    """
    if not 0 < smoothness < 10:
        raise UsageError(f"smoothness is {smoothness}; it has to lie between 0 and 10.")
    levels = levels_of(variables)
    octaves = torch.repeat_interleave(torch.arange(OCTAVES), torch.tensor([2 ** (octave + 2) for octave in range(OCTAVES)])).double()
    drawn = [[_constituent(octaves, generator) for _ in range(levels)] for generator in generators]
    frequencies, phases = (tuple(torch.stack([one[level][part] for one in drawn]) for level in range(levels)) for part in (0, 1))
    values = torch.stack([uniform_inputs(_CALIBRATION, variables, generator) for generator in generators]).double()
    amplitudes = 2.0 ** (-octaves * (smoothness + 0.5))
    offsets: tuple[Tensor, ...] = ()
    scales: tuple[Tensor, ...] = ()
    for level in range(levels):
        raw = TreeTarget(variables, frequencies, phases, amplitudes, offsets, scales).unscaled_level(level, values)
        low, high = raw.amin((1, 2)).unsqueeze(1), raw.amax((1, 2)).unsqueeze(1)
        offsets, scales = (*offsets, (low + high) / 2), (*scales, (high - low) / 2)
        values = TreeTarget(variables, frequencies, phases, amplitudes, offsets, scales).level(level, values)
    return TreeTarget(variables, frequencies, phases, amplitudes, offsets, scales)


def _constituent(octaves: Tensor, generator: torch.Generator) -> tuple[Tensor, Tensor]:
    """Frequencies [2, terms], each within its octave, and phases [1, terms]."""
    angle, within, phase = torch.rand(3, len(octaves), generator=generator, dtype=torch.float64)
    size = 2.0 ** (octaves + within)
    return torch.stack((torch.cos(2 * math.pi * angle) * size, torch.sin(2 * math.pi * angle) * size)), 2 * math.pi * phase.unsqueeze(0)
