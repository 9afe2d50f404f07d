"""What holds exactly along a flow, as residuals: each function returns a relative difference that theory says is zero."""

import math
from collections.abc import Callable
from itertools import pairwise

import numpy as np
import torch

from genscope.dynamics.homogeneous import Array, HomogeneousProblem, relative_difference
from genscope.dynamics.losses import log_loss
from genscope.dynamics.systems import Flow

LARGEST_HESSIAN = 400
_LARGEST_JACOBIAN = 2_000_000


def euler_residuals(problem: HomogeneousProblem, weights: Array) -> Array:
    """For each layer, ``max_n |⟨W_k, ∂f/∂W_k⟩ - f| / max_n |f|`` (the structural lemma).

    Args:
        weights: flat weights ``[params]``.

    Returns:
        ``[layers]``, about 1e-15 where the lemma holds. Cost: one backward pass per output and example (one directional derivative per layer
        for large problems).

    Source: Poggio, Banburski & Liao 2020, section 3.B; Liang et al. 2019, lemma 2.1.
    """
    flat = torch.from_numpy(weights)
    outputs = problem.logits(flat).detach()
    products = []
    if outputs.numel() * len(flat) <= _LARGEST_JACOBIAN:
        jacobian = torch.autograd.functional.jacobian(problem.logits, flat, vectorize=problem.fast is not None)
        products = [jacobian[..., part] @ flat[part] for part in problem.slices]
    else:
        for part in problem.slices:
            tangent = torch.zeros_like(flat)
            tangent[part] = flat[part]
            products.append(torch.autograd.functional.jvp(problem.logits, flat, tangent)[1])
    return np.array([relative_difference(product - outputs, outputs) for product in products])


def radial_growth(problem: HomogeneousProblem, weights: Array, loss: str) -> tuple[Array, float]:
    """``⟨W_k, -∂ log L/∂W_k⟩`` for each layer, and the same number ``ν/L`` computed from the outputs alone.

    For the exponential loss ``ν = (1/N) Σ_n y_n f_n e^{-y_n f_n}``; in general ``ν = -Σ_n ⟨f_n, ∂L/∂f_n⟩``. By homogeneity all are equal, and
    ``dρ_k²/dt = 2ν``.

    Returns:
        Per layer ``[layers]``, and ``ν/L``. Source: Poggio, Banburski & Liao 2020, lemma 1.
    """
    _, gradient = problem.log_loss_and_gradient(weights, loss)
    per_layer = np.array([-weights[part] @ gradient[part] for part in problem.slices])
    with torch.enable_grad():
        outputs = problem.logits(torch.from_numpy(weights)).detach().requires_grad_(True)
        (slope,) = torch.autograd.grad(log_loss(outputs, problem.y, loss), outputs)
    return per_layer, -float((outputs.detach() * slope).sum())


def equal_growth(flow: Flow, state: Array) -> float:
    """Lemma 1: how far ``dρ_k²/dt`` of the system itself is from ``2ν``, over ``2ν`` (systems B and C).

    Source: Poggio, Banburski & Liao 2020, lemma 1 (Du, Hu & Lee 2018).
    """
    problem, weights = flow.problem, flow.weights(state)
    _, gradient = problem.log_loss_and_gradient(weights, flow.loss)
    velocity = flow.field(state, gradient)
    _, growth = radial_growth(problem, weights, flow.loss)
    norms = problem.norms(weights)
    if flow.system == "C":
        rates = np.array([2 * weights[part] @ velocity[part] for part in problem.slices])
    else:
        rates = 2 * norms * velocity[problem.n_params :]
    # the scale of what cancels, so that ν = 0 is no division by zero
    lengths = [float(np.linalg.norm(weights[part]) * np.linalg.norm(gradient[part])) for part in problem.slices]
    scale = max(abs(2 * growth), 2e-3 * max(lengths), _floor(problem) * float(norms.max()))
    return float(np.abs(rates - 2 * growth).max()) / scale


def balance(problem: HomogeneousProblem, weights: Array) -> dict[str, Array]:
    """The differences that system C conserves.

    * ``layers``: ``ρ_k² - ρ_1²`` (conserved by system B too);
    * ``neurons``: for consecutive dense layers, squared norm of what enters a unit minus that of what leaves it (Du, Hu & Lee 2018);
    * ``products``: for linear networks, ``W_{k+1}ᵀ W_{k+1} - W_k W_kᵀ`` (Arora, Cohen & Hazan 2018).

    Returns:
        Flat arrays; a key is missing where its structure is.
    """
    squares = problem.norms(weights) ** 2
    found = {"layers": squares[1:] - squares[0]}
    matrices = dense_chain(problem, weights)
    if matrices is not None and len(matrices) > 1:
        pairs = list(pairwise(matrices))
        found["neurons"] = np.concatenate([(one**2).sum(1) - (two**2).sum(0) for one, two in pairs])
        if problem.linear:
            found["products"] = np.concatenate([(two.T @ two - one @ one.T).reshape(-1) for one, two in pairs])
    return found


def dense_chain(problem: HomogeneousProblem, weights: Array) -> list[Array] | None:
    """The layers as matrices when each is one dense matrix that feeds the next and units can be rescaled, else ``None``."""
    parts = [group[0][1] for group in problem.layers.values() if len(group) == 1]
    if len(parts) != problem.depth or any(len(shape) != 2 for shape in parts) or any(one[0] != two[1] for one, two in pairwise(parts)):
        return None
    matrices = [weights[part].reshape(shape) for part, shape in zip(problem.slices, parts, strict=True)]
    scaled = [matrix.copy() for matrix in matrices]
    for one, two in pairwise(scaled):
        factors = np.linspace(0.5, 2.0, len(one))
        one *= factors[:, None]
        two /= factors
    with torch.no_grad():
        before = problem.logits(torch.from_numpy(np.ascontiguousarray(weights)))
        after = problem.logits(torch.from_numpy(np.concatenate([matrix.reshape(-1) for matrix in scaled])))
    return matrices if torch.allclose(before, after, rtol=1e-9, atol=1e-12 * float(before.abs().max())) else None


def projection_identities(problem: HomogeneousProblem, weights: Array) -> float:
    """``S² = S``, ``S w = 0``, ``∂v/∂w = S/ρ`` (the last by autograd), largest difference over the layers.

    Source: Poggio, Banburski & Liao 2020, section 3.B.5, relations 1 and 2. Cost: one Jacobian per layer; layers above 256 weights are
    checked along 32 fixed directions.
    """
    worst = 0.0
    for part in problem.slices:
        w = torch.from_numpy(weights[part])
        rho = w.norm()
        v = w / rho
        n = len(w)
        tangents = torch.eye(n, dtype=torch.float64) if n <= 256 else torch.linspace(-1, 1, 32 * n, dtype=torch.float64).sin().reshape(32, n)
        project = tangents - torch.outer(tangents @ v, v)
        twice = project - torch.outer(project @ v, v)
        moved = torch.stack([torch.autograd.functional.jvp(lambda u: u / u.norm(), w, tangent)[1] for tangent in tangents])
        worst = max(worst, (twice - project).abs().max().item(), (moved * rho - project).abs().max().item(), (v - (v @ v) * v).abs().max().item())
    return worst


def direction_dynamics(problem: HomogeneousProblem, weights: Array, loss: str) -> float:
    """The velocity of each direction, once by the chain rule through ``W/‖W‖`` and once by the paper's formula.

    ``V̇_k = (ρ/ρ_k²) (1/N) Σ_n e^{-ρ y_n f_n} y_n (∂f_n/∂V_k - V_k f_n)`` (exponential loss; in general the weights are ``-∂L/∂f_n``), and
    ``ρ̇_k = (ρ/ρ_k) (1/N) Σ_n e^{-ρ y_n f_n} y_n f_n``, both divided by L.

    Returns:
        Largest absolute difference over the largest velocity. Source: Poggio, Banburski & Liao 2020, equation 14 and the one after it.
    """
    _, gradient = problem.log_loss_and_gradient(weights, loss)
    directions, norms = problem.directions(weights), problem.norms(weights)
    slopes, pulled = _pull_back(problem, weights, directions, loss)
    product = float(np.prod(norms))
    with torch.no_grad():
        value = problem.logits(torch.from_numpy(directions))
    drive = float((slopes * value).sum())
    worst = scale = 0.0
    for k, part in enumerate(problem.slices):
        by_formula = product / norms[k] ** 2 * (pulled[part] - directions[part] * drive)
        w, move = torch.from_numpy(weights[part]), torch.from_numpy(-gradient[part])
        by_chain_rule = torch.autograd.functional.jvp(lambda u: u / u.norm(), w, move)[1].numpy()
        radial_formula = product / norms[k] * drive
        radial = -float(directions[part] @ gradient[part])
        worst = max(worst, float(np.abs(by_formula - by_chain_rule).max()), abs(radial_formula - radial))
        scale = max(scale, float(np.abs(gradient[part]).max()) / min(1.0, norms[k]), abs(radial))
    return worst / max(scale, _floor(problem))


def _floor(problem: HomogeneousProblem) -> float:
    """What a single example pulls with: at a stationary point the pulls cancel, and residuals are told relative to one of them."""
    return max(float(problem.x.abs().max()), 1e-12)


def _pull_back(problem: HomogeneousProblem, weights: Array, directions: Array, loss: str) -> tuple[torch.Tensor, Array]:
    """``-∂ log L/∂f`` at W, and its product with ``∂f/∂V`` at V."""
    outputs = problem.logits(torch.from_numpy(weights)).detach().requires_grad_(True)
    (slope,) = torch.autograd.grad(log_loss(outputs, problem.y, loss), outputs)
    flat = torch.from_numpy(directions.copy()).requires_grad_(True)
    (pulled,) = torch.autograd.grad(problem.logits(flat), flat, grad_outputs=-slope)
    return -slope, pulled.numpy()


def constrained_versus_unconstrained(problem: HomogeneousProblem, weights: Array, loss: str) -> float:
    """Lemma 5: ``V̇_k`` of system B is ``ρ_k²`` times that of system C, so both vanish at the same directions; largest relative difference.

    Source: Poggio, Banburski & Liao 2020, lemma 5 (the text says "a ρ² factor"; it is each layer's own ``ρ_k²``).
    """
    _, gradient = problem.log_loss_and_gradient(weights, loss)
    constrained = Flow(problem, "B", loss)
    state = constrained.start(weights)
    velocity = constrained.field(state, gradient)
    directions, norms = problem.directions(weights), problem.norms(weights)
    worst = 0.0
    for k, part in enumerate(problem.slices):
        plain = torch.autograd.functional.jvp(lambda u: u / u.norm(), torch.from_numpy(weights[part]), torch.from_numpy(-gradient[part]))[1].numpy()
        scale = norms[k] * max(float(np.linalg.norm(gradient[part])), _floor(problem))
        worst = max(worst, float(np.abs(velocity[part] - norms[k] ** 2 * plain).max()) / scale, abs(float(directions[part] @ velocity[part])) / scale)
    return worst


def weight_normalization(problem: HomogeneousProblem, weights: Array, loss: str, lengths: Array | None = None) -> float:
    """Weight normalization ``W = g v/‖v‖`` is system B: autograd through (g, v) against B, and ``d‖v‖²/dt = 0``.

    With ``‖v_k‖ = c_k`` the direction moves ``1/c_k²`` times as fast as in B, a change of the time scale per layer.

    Args:
        lengths: ``c_k``; default 1 for each layer.

    Returns:
        Largest relative difference. Source: Salimans & Kingma 2016; Poggio, Banburski & Liao 2020, theorem 4, item 4.
    """
    lengths = np.ones(problem.depth) if lengths is None else lengths
    v = torch.from_numpy(problem.scaled(problem.directions(weights), lengths)).requires_grad_(True)
    g = torch.from_numpy(problem.norms(weights)).requires_grad_(True)
    composed = torch.cat([g[k] * v[part] / v[part].norm() for k, part in enumerate(problem.slices)])
    down_v, down_g = torch.autograd.grad(log_loss(problem.logits(composed), problem.y, loss), (v, g))
    flow = Flow(problem, "B", loss)
    _, gradient = problem.log_loss_and_gradient(weights, loss)
    velocity = flow.field(flow.start(weights), gradient)
    directions, worst = problem.directions(weights), 0.0
    for k, part in enumerate(problem.slices):
        move = -down_v.numpy()[part]
        scale = max(float(np.linalg.norm(gradient[part])), _floor(problem)) * max(1.0, float(problem.norms(weights)[k]))
        turning = move / lengths[k]  # of the direction v/‖v‖
        worst = max(worst, float(np.abs(turning - velocity[part] / lengths[k] ** 2).max()) / scale, abs(float(directions[part] @ move)) / scale)
        worst = max(worst, abs(-down_g[k].item() - velocity[problem.n_params + k]) / scale)
    return worst


def scaled_hessian(problem: HomogeneousProblem, weights: Array, loss: str) -> Array:
    """Eigenvalues of ``∇²L / L``, ascending; the Hessian itself is this times the loss.

    ``∇²L = L (∇² log L + ∇ log L ∇ log Lᵀ)``, so nothing underflows.

    Raises:
        ValueError: more than :data:`LARGEST_HESSIAN` weights.

    Cost: one backward pass per weight.
    """
    if problem.n_params > LARGEST_HESSIAN:
        raise ValueError(f"more than {LARGEST_HESSIAN} weights")
    flat = torch.from_numpy(weights)

    def value(w: torch.Tensor) -> torch.Tensor:
        return log_loss(problem.logits(w), problem.y, loss)

    second = torch.autograd.functional.hessian(value, flat).numpy()
    _, gradient = problem.log_loss_and_gradient(weights, loss)
    whole = second + np.outer(gradient, gradient)
    return np.linalg.eigvalsh((whole + whole.T) / 2)


POINTWISE: dict[str, Callable[[HomogeneousProblem, Array, str], float]] = {
    "structural lemma": lambda problem, weights, _loss: float(euler_residuals(problem, weights).max()),
    "projections": lambda problem, weights, _loss: projection_identities(problem, weights),
    "direction dynamics": direction_dynamics,
    "constrained and unconstrained": constrained_versus_unconstrained,
    "weight normalization": weight_normalization,
}


def log_hessian_norm(eigenvalues: Array, log_loss_value: float) -> float:
    """``log10`` of the largest eigenvalue in absolute value of ``∇²L``, from those of ``∇²L / L``."""
    return math.log10(max(float(np.abs(eigenvalues).max()), 1e-300)) + log_loss_value / math.log(10)
