"""A homogeneous network and its data as one function of a flat float64 vector, layer by layer."""

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from itertools import pairwise
from typing import Any

import numpy as np
import torch
from torch import Tensor

from genscope.core.seeds import generator_for
from genscope.core.text import display_name
from genscope.dynamics.dense import ValueAndGradient, dense_gradient
from genscope.dynamics.losses import gaps, log_loss
from genscope.errors import UnsupportedInput
from genscope.networks.functional import Network, cast, wrap_module

Forward = Callable[[Mapping[str, Tensor], Tensor], Tensor]
Array = np.ndarray
_TOLERANCE = 1e-9
_FACTOR = 1.7


@dataclass(frozen=True, eq=False)
class HomogeneousProblem:
    """A network of degree one in each of its K layers, and the data it is trained on.

    Args:
        name: what to call it.
        forward: ``(params, x) -> logits``, ``[examples]`` or ``[examples, classes]``.
        layers: per layer, its parameters' names and shapes; a flat vector holds them in this order.
        x: inputs, float64.
        y: ±1 (float64) for one output, class numbers for several.
        initial: flat weights to start from.
        linear: the network is linear in ``x``.
        constant: value of constant inputs that follow the two coordinates of a plane (``None``: no plane to draw).
        story: one sentence on what the problem shows.
        fast: ``(weights, loss) -> (log L, ∇ log L)`` where there is a quicker way than autograd.
    """

    name: str
    forward: Forward
    layers: Mapping[str, tuple[tuple[str, tuple[int, ...]], ...]]
    x: Tensor
    y: Tensor
    initial: Array
    linear: bool = False
    constant: tuple[float, ...] | None = None
    story: str = ""
    fast: ValueAndGradient | None = None

    @property
    def depth(self) -> int:
        """K, the number of layers: the network's degree of homogeneity."""
        return len(self.layers)

    @property
    def n_examples(self) -> int:
        """N."""
        return len(self.y)

    @property
    def n_params(self) -> int:
        """Length of the flat vector."""
        return len(self.initial)

    @property
    def binary(self) -> bool:
        """One output and labels ±1."""
        return self.y.is_floating_point()

    @property
    def slices(self) -> list[slice]:
        """Where each layer lies in a flat vector."""
        found, start = [], 0
        for parts in self.layers.values():
            size = sum(math.prod(shape) for _, shape in parts)
            found.append(slice(start, start + size))
            start += size
        return found

    def params(self, flat: Tensor) -> dict[str, Tensor]:
        """The flat vector as named tensors (views)."""
        found, start = {}, 0
        for parts in self.layers.values():
            for name, shape in parts:
                size = math.prod(shape)
                found[name] = flat[start : start + size].view(shape)
                start += size
        return found

    def logits(self, flat: Tensor, x: Tensor | None = None) -> Tensor:
        """Outputs at a flat vector, ``[examples]`` for one output."""
        return self.forward(self.params(flat), self.x if x is None else x)

    def log_loss_and_gradient(self, weights: Array, loss: str) -> tuple[float, Array]:
        """``log L`` and its gradient in the weights; the gradient of L is their product ``L · ∇ log L``."""
        if self.fast is not None:
            return self.fast(weights, loss)
        flat = torch.from_numpy(weights.copy()).requires_grad_(True)
        value = log_loss(self.logits(flat), self.y, loss)
        (gradient,) = torch.autograd.grad(value, flat)
        return value.item(), gradient.numpy()

    def gaps(self, weights: Array) -> Array:
        """``q_n`` at these weights, ``[examples]``."""
        with torch.no_grad():
            return gaps(self.logits(torch.from_numpy(weights)), self.y).numpy()

    def norms(self, weights: Array) -> Array:
        """``ρ_k``, the Frobenius norm of each layer."""
        return np.array([np.linalg.norm(weights[part]) for part in self.slices])

    def directions(self, weights: Array) -> Array:
        """``V``: every layer divided by its norm.

        Raises:
            UnsupportedInput: a layer is zero.
        """
        return weights / np.concatenate(
            [np.full(part.stop - part.start, norm) for part, norm in zip(self.slices, self._positive_norms(weights), strict=True)]
        )

    def scaled(self, directions: Array, norms: Array) -> Array:
        """``W_k = ρ_k V_k`` as a flat vector."""
        return directions * np.repeat(norms, [part.stop - part.start for part in self.slices])

    def margin(self, weights: Array) -> float:
        """``γ = min_n q_n / Π_k ρ_k``, the smallest gap of the normalized network."""
        return float(self.gaps(self.directions(weights)).min())

    def _positive_norms(self, weights: Array) -> Array:
        norms = self.norms(weights)
        for layer, norm in zip(self.layers, norms, strict=True):
            if not norm > 0:
                raise UnsupportedInput(
                    f"{display_name(layer)}: all weights of this layer are zero, so it has no direction; start from other weights."
                )
        return norms


def homogeneous_problem(model: Any, x: Any, y: Any, *, name: str | None = None, seed: int = 0) -> HomogeneousProblem:
    """A user's bias-free module and its data as a :class:`HomogeneousProblem`, in float64; the module is not changed.

    ``f(c W_k) = c f(W_k)`` for each layer k and c > 0 is checked by number, at random weights, so that nothing that a flow may move
    (a bias that happens to be zero now) can break it later. A bias in the first layer is the weight of a constant input and is welcome.

    Args:
        model: an ``nn.Module`` with one output (binary) or one per class, or a :class:`Network`.
        x: inputs ``[examples, ...]``.
        y: ±1, or class numbers ``[examples]``.
        name: what to call it; default the module's class.
        seed: of the random weights of the check.

    Returns:
        The problem; ``initial`` holds the module's own weights.

    Raises:
        UnsupportedInput: one sentence on biases, normalization, smooth activations, a zero layer, one class, labels that do not fit.

    Cost: K + 3 forward passes. Source: Poggio, Banburski & Liao 2020, section 3.B.

    Example:
        >>> problem = homogeneous_problem(torch.nn.Linear(2, 1, bias=False), [[1.0, 0.0], [0.0, 1.0]], [1, -1])
        >>> problem.depth, problem.n_params, problem.linear
        (1, 2, True)
    """
    network = (model if isinstance(model, Network) else wrap_module(model)).to(torch.float64)
    inputs = cast(torch.as_tensor(np.asarray(x) if not isinstance(x, Tensor) else x).detach(), torch.float64)
    if not inputs.is_floating_point():
        inputs = inputs.double()
    layers: dict[str, list[tuple[str, tuple[int, ...]]]] = {}
    for key, tensor in network.params.items():
        layers.setdefault(key.rpartition(".")[0] or key, []).append((key, tuple(tensor.shape)))
    ordered = [key for parts in layers.values() for key, _ in parts]
    flat = np.concatenate([network.params[key].detach().cpu().numpy().reshape(-1) for key in ordered]) if ordered else np.zeros(0)
    if not ordered:
        raise UnsupportedInput("The model has no parameters, so there is nothing that could flow.")
    outputs = _call(network, inputs)
    one = outputs.ndim == 1 or outputs.shape[-1] == 1
    frozen = {key: tuple(parts) for key, parts in layers.items()}
    problem = HomogeneousProblem(name or network.name, _forward(network, one), frozen, inputs, _labels(y, outputs, one), flat.copy())
    _check_data(problem)
    _require_homogeneity(problem, network, seed)
    problem.directions(problem.initial)
    problem = replace(problem, fast=_dense_shortcut(problem, seed))
    return replace(problem, linear=is_linear(problem, seed), constant=() if inputs.ndim == 2 and inputs.shape[1] == 2 else None)


def is_linear(problem: HomogeneousProblem, seed: int = 0) -> bool:
    """Whether outputs are additive in the inputs, by number at random weights."""
    draw = generator_for(seed, "dynamics", "linear")
    flat = torch.from_numpy(draw.standard_normal(problem.n_params))
    with torch.no_grad():
        one = problem.x
        two = torch.from_numpy(draw.standard_normal(tuple(one.shape)))
        parts = problem.logits(flat, one) + problem.logits(flat, two)
        return relative_difference(problem.logits(flat, one + two) - parts, parts) < _TOLERANCE


def _dense_shortcut(problem: HomogeneousProblem, seed: int) -> ValueAndGradient | None:
    """The quick gradient where the module turns out to be a plain dense network, by number at random weights."""
    shapes = [parts[0][1] for parts in problem.layers.values() if len(parts) == 1]
    if problem.x.ndim != 2 or len(shapes) != problem.depth or any(len(shape) != 2 for shape in shapes):
        return None
    widths = [problem.x.shape[1], *(shape[0] for shape in shapes)]
    if any(shape != (rows, cols) for shape, (cols, rows) in zip(shapes, pairwise(widths), strict=True)):
        return None
    weights = generator_for(seed, "dynamics", "dense").standard_normal(problem.n_params)
    value, gradient = problem.log_loss_and_gradient(weights, "exponential")
    for activation in ("relu", "linear"):
        quick = dense_gradient(widths, activation, problem.x.numpy(), problem.y.numpy())
        other, slope = quick(weights, "exponential")
        if abs(other - value) <= 1e-10 * (1 + abs(value)) and np.allclose(slope, gradient, rtol=1e-8, atol=1e-10 * np.abs(gradient).max()):
            return quick
    return None


def relative_difference(difference: Tensor, reference: Tensor) -> float:
    """Largest entry of ``difference`` over the largest of ``reference``."""
    return (difference.abs().max() / reference.abs().max().clamp_min(1e-300)).item()


def _forward(network: Network, one: bool) -> Forward:
    return lambda params, x: network.forward(params, x).reshape(len(x)) if one else network.forward(params, x)


def _call(network: Network, inputs: Tensor) -> Tensor:
    if not len(inputs):
        raise UnsupportedInput("The data are empty.")
    try:
        with torch.no_grad():
            return network(inputs)
    except (RuntimeError, ValueError, TypeError, IndexError) as error:
        words = " ".join(str(error).split())[:200]
        raise UnsupportedInput(f"The model cannot be run on inputs of shape {tuple(inputs.shape)}: {words}.") from None


def _labels(y: Any, outputs: Tensor, one: bool) -> Tensor:
    labels = torch.as_tensor(np.asarray(y) if not isinstance(y, Tensor) else y).detach().reshape(-1)
    if len(labels) != len(outputs) or outputs.ndim > 2:
        raise UnsupportedInput(f"The model gives outputs of shape {tuple(outputs.shape)} for {len(labels)} labels; it must give one row per example.")
    kinds = sorted(set(labels.tolist()))
    if len(kinds) < 2:
        raise UnsupportedInput(f"All labels are {kinds[0] if kinds else 'missing'}: with one class there is no boundary to learn; give at least two.")
    if one:
        if len(kinds) > 2:
            raise UnsupportedInput(f"The model has one output and the labels have {len(kinds)} classes; give it one output per class.")
        return torch.where(labels == kinds[1], 1.0, -1.0).double()
    if any(kind != int(kind) or not 0 <= kind < outputs.shape[-1] for kind in kinds):
        low = f"{kinds[0]:g} to {kinds[-1]:g}"
        raise UnsupportedInput(
            f"The labels run from {low}, the model has {outputs.shape[-1]} outputs; class numbers must be 0 to {outputs.shape[-1] - 1}."
        )
    return labels.long()


def _check_data(problem: HomogeneousProblem) -> None:
    if not bool(torch.isfinite(problem.x).all()):
        raise UnsupportedInput("The inputs hold NaN or infinite numbers; remove or repair them.")
    if not np.isfinite(problem.initial).all():
        raise UnsupportedInput("The weights hold NaN or infinite numbers; start from finite weights.")


def _require_homogeneity(problem: HomogeneousProblem, network: Network, seed: int) -> None:
    """Refuse a network that is not of degree one in each layer, naming the layer."""
    draw = generator_for(seed, "dynamics", "homogeneity")
    weights = torch.from_numpy(draw.standard_normal(problem.n_params))
    with torch.no_grad():
        outputs = problem.logits(weights)
        for layer, part in zip(problem.layers, problem.slices, strict=True):
            scaled = weights.clone()
            scaled[part] *= _FACTOR
            error = relative_difference(problem.logits(scaled) - _FACTOR * outputs, _FACTOR * outputs)
            if not error < _TOLERANCE:
                raise UnsupportedInput(_refusal(layer, problem, network))


def _refusal(layer: str, problem: HomogeneousProblem, network: Network) -> str:
    modules = network.module.named_modules() if network.module is not None else ()
    norms = [f"{name or 'the whole'}: {type(module).__name__}" for name, module in modules if "Norm" in type(module).__name__]
    biases = [name for group in problem.layers.values() for name, shape in group if len(shape) <= 1 and name.rpartition(".")[2] == "bias"]
    found = f"normalization ({norms[0]})" if norms else f"a bias ({biases[-1]})" if biases else ""
    hint = f"; it has {display_name(found, 60)}" if found else ""
    return (
        f"The network is not positively homogeneous in layer {display_name(layer, 60)}{hint}: flows need f(c·W_k) = c·f(W_k) in each layer, so use "
        "bias=False after the first layer, no normalization, ReLU or linear activations, and no skip connections."
    )
