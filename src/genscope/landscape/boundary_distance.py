"""How far examples lie from the decision boundary: searched along gradients, refined, and exact where one linear region tells."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from genscope.core.seeds import generator_for
from genscope.errors import UsageError
from genscope.landscape.boundary import CHUNK, Logits
from genscope.networks.outputs import predictions, two_logits


@dataclass(frozen=True)
class Search:
    """How the boundary is searched.

    Args:
        rivals: classes whose gradient gives a direction, those with the largest logits after the predicted one.
        n_directions: further directions per example: random ones, or twice as many equally spaced angles for inputs of two values.
        steps: points per ray at which a first change of class is looked for; an island narrower than reach / steps may be missed.
        starts: shortest rays per example that are refined.
        refinements: rounds of turning the ray towards the foot of the perpendicular on the boundary found, and a little to both sides.
        rtol: relative precision of a crossing.
        seed: of the random directions.
        chunk: points per forward pass.
    """

    rivals: int = 3
    n_directions: int = 16
    steps: int = 32
    starts: int = 3
    refinements: int = 8
    rtol: float = 1e-4
    seed: int = 0
    chunk: int = CHUNK


@dataclass(frozen=True)
class Distances:
    """Where the boundary was found.

    Args:
        distance: ``[examples]`` float64 Euclidean distance to the nearest change of predicted class found (an upper bound on the nearest there
            is); infinite where none was found.
        nearest: ``[examples, …]`` input just beyond the boundary.
        n_rays: rays per example.
    """

    distance: np.ndarray
    nearest: Tensor
    n_rays: int


def boundary_distances(logits: Logits, inputs: Tensor, search: Search = Search(), others: Tensor | None = None) -> Distances:
    """The distance from each input to the decision boundary of its predicted class.

    Rays go down the gradient of the lead over each rival class, in further directions, and straight to the nearest input of another predicted
    class (on which there must be a crossing). The first change of class on each ray is bracketed and bisected; then the ray is turned towards the
    foot of the perpendicular on the boundary, as long as that shortens it.

    Args:
        logits: the network as a function of a batch of inputs, differentiable.
        inputs: ``[examples, …]``.
        search: how much is searched.
        others: further inputs that may serve as the nearest of another class.

    Returns:
        Distances in the units of the inputs. They are upper bounds; :func:`genscope.landscape.linear_region.linear_region` says where they are exact.

    Raises:
        UsageError: fewer than 2 steps.

    Cost: about ``(rivals + n_directions + 1 + 4 starts · refinements) · (steps + 14)`` forward passes per example.

    Source: the margin of Huang et al. 2019, section 4; the direction of the gradient as in Moosavi-Dezfooli et al. 2016 (DeepFool).

    Example:
        >>> found = boundary_distances(lambda x: torch.stack([x[:, 0], -x[:, 0]], dim=1), torch.tensor([[2.0, 5.0], [-0.5, 1.0]]))
        >>> found.distance.round(3).tolist()
        [2.0, 0.5]
    """
    if search.steps < 2:
        raise UsageError("A search along rays needs at least 2 steps.")
    shape, flat = inputs.shape[1:], inputs.reshape(len(inputs), -1)
    evaluate = _classes(logits, shape, search.chunk)
    own = evaluate(flat)
    pool = flat if others is None else torch.cat([flat, others.reshape(len(others), -1).to(flat)])
    target, reach = _nearest_of_another_class(flat, own, pool, own if others is None else evaluate(pool))
    rays = [*_gradients(logits, flat, shape, own, search), *_spread(flat, search), target - flat]
    shots = [_shot(evaluate, flat, own, ray, reach, search) for ray in rays]
    best, towards = _refined(logits, evaluate, flat, shape, own, shots, search)
    beyond = flat + torch.where(torch.isfinite(best), best, 0.0).to(flat)[:, None] * towards
    return Distances(best.cpu().numpy(), beyond.reshape(inputs.shape), len(rays) + 4 * search.starts * search.refinements)


def _refined(
    logits: Logits,
    evaluate: Callable[[Tensor], Tensor],
    flat: Tensor,
    shape: torch.Size,
    own: Tensor,
    shots: Sequence[tuple[Tensor, Tensor]],
    search: Search,
) -> tuple[Tensor, Tensor]:
    """The shortest rays of each example, turned towards their nearest point of the boundary; the best of them."""
    radii, order = torch.stack([found for found, _ in shots]).topk(min(search.starts, len(shots)), dim=0, largest=False)
    every = torch.stack([unit for _, unit in shots])
    starts, n = len(order), len(flat)
    best, towards = radii.flatten(), every[order, torch.arange(n, device=flat.device)].flatten(0, 1)
    crossed = torch.isfinite(best).nonzero().squeeze(1)
    x, mine = flat.repeat(starts, 1)[crossed], own.repeat(starts)[crossed]
    rng = generator_for(search.seed, "boundary", "refinement")
    for turn in range(search.refinements if len(crossed) else 0):
        now = towards[crossed]
        across = 0.4 * 0.5**turn * _tangent(now, rng)
        for ray in (*_perpendiculars(logits, x, shape, mine, best[crossed], now, search), now + across, now - across):
            found, unit = _shot(evaluate, x, mine, ray, best[crossed], search)
            shorter = found < best[crossed]
            best[crossed[shorter]], towards[crossed[shorter]] = found[shorter], unit[shorter]
    shortest, which = best.view(starts, n).min(0)
    return shortest, towards.view(starts, n, -1)[which, torch.arange(n, device=flat.device)]


def _classes(logits: Logits, shape: torch.Size, chunk: int) -> Callable[[Tensor], Tensor]:
    def evaluate(flat: Tensor) -> Tensor:
        with torch.no_grad():
            return torch.cat([predictions(logits(part.reshape(len(part), *shape))) for part in flat.split(chunk)])

    return evaluate


def _nearest_of_another_class(flat: Tensor, own: Tensor, pool: Tensor, classes: Tensor) -> tuple[Tensor, Tensor]:
    """The nearest input with another predicted class and its distance; where all are of one class, the farthest input stands in."""
    targets, reach = [], []
    for part, mine in zip(flat.split(256), own.split(256), strict=True):
        apart = torch.cdist(part.double(), pool.double())
        foreign = torch.where(classes[None] != mine[:, None], apart, torch.inf)
        distance, index = foreign.min(1)
        farthest, far_index = apart.max(1)
        none = torch.isinf(distance)
        targets.append(pool[torch.where(none, far_index, index)])
        reach.append(torch.where(none, farthest, distance))
    return torch.cat(targets), torch.cat(reach).clamp_min(1e-12)


def _gradients(logits: Logits, flat: Tensor, shape: torch.Size, own: Tensor, search: Search) -> list[Tensor]:
    """Directions of steepest descent of the lead over each of the strongest rivals."""
    rays: list[list[Tensor]] = []
    for part, mine in zip(flat.split(search.chunk), own.split(search.chunk), strict=True):
        x = part.detach().clone().requires_grad_()
        z = two_logits(logits(x.reshape(len(x), *shape)))
        top = z.detach().scatter(1, mine[:, None], -torch.inf).topk(min(search.rivals, z.shape[1] - 1), dim=1).indices
        leads = [z.gather(1, mine[:, None]).sum() - z.gather(1, top[:, k : k + 1]).sum() for k in range(top.shape[1])]
        rays.append([-torch.autograd.grad(one, x, retain_graph=True)[0] for one in leads])
    return [torch.cat(parts) for parts in zip(*rays, strict=True)]


def _spread(flat: Tensor, search: Search) -> list[Tensor]:
    n, size = flat.shape
    if size == 2:
        angles = np.pi * np.arange(2 * search.n_directions) / max(1, search.n_directions)
        return [torch.tensor([np.cos(angle), np.sin(angle)]).to(flat).expand(n, 2) for angle in angles]
    rng = generator_for(search.seed, "boundary", "directions")
    return [torch.from_numpy(rng.standard_normal((n, size))).to(flat) for _ in range(search.n_directions)]


def _tangent(unit: Tensor, rng: np.random.Generator) -> Tensor:
    """A unit vector across each ray: the one there is in two dimensions, a random one in more."""
    draw = torch.stack([-unit[:, 1], unit[:, 0]], 1) if unit.shape[1] == 2 else torch.from_numpy(rng.standard_normal(tuple(unit.shape))).to(unit)
    across = draw - (draw * unit).sum(1, keepdim=True) * unit
    return across / across.norm(dim=1, keepdim=True).clamp_min(1e-30)


def _perpendiculars(logits: Logits, flat: Tensor, shape: torch.Size, own: Tensor, best: Tensor, towards: Tensor, search: Search) -> list[Tensor]:
    """From each input: to the foot of its perpendicular on the boundary's tangent where the ray crossed it, and half way there."""
    rays: list[list[Tensor]] = []
    for part, mine, r, unit in zip(*(tensor.split(search.chunk) for tensor in (flat, own, best, towards)), strict=True):
        offset = r.to(part)[:, None] * unit
        x = (part + (1 + search.rtol) * offset).detach().requires_grad_()
        z = two_logits(logits(x.reshape(len(x), *shape)))
        rival = z.detach().scatter(1, mine[:, None], -torch.inf).argmax(1)
        (slope,) = torch.autograd.grad((z.gather(1, mine[:, None]) - z.gather(1, rival[:, None])).sum(), x)
        normal = slope / slope.norm(dim=1, keepdim=True).clamp_min(1e-30)
        foot = (offset * normal).sum(1, keepdim=True) * normal
        rays.append([foot, 0.5 * (foot + offset)])
    return [torch.cat(parts) for parts in zip(*rays, strict=True)] if rays else []


def _shot(evaluate: Callable[[Tensor], Tensor], flat: Tensor, own: Tensor, ray: Tensor, reach: Tensor, search: Search) -> tuple[Tensor, Tensor]:
    """Distance of the first change of class along each ray within ``reach`` (infinite without one), and the unit rays."""
    length = ray.double().norm(dim=1, keepdim=True)
    unit = torch.where(length > 0, ray.double() / length.clamp_min(1e-300), 0.0).to(flat)
    n, radii = len(flat), reach.double()
    # a little beyond the reach, where a target of another class lies exactly at its end
    fractions = torch.linspace(1 / search.steps, 1.0, search.steps, dtype=torch.float64, device=flat.device) * (1 + 1e-6)
    points = flat[:, None] + (radii[:, None] * fractions).to(flat)[:, :, None] * unit[:, None]
    changed = (evaluate(points.flatten(0, 1)).view(n, search.steps) != own[:, None]).int()
    crossed = changed.any(1)
    first = changed.argmax(1)
    high = radii * fractions[first]
    low = torch.where(first > 0, radii * fractions[(first - 1).clamp_min(0)], 0.0)
    for _ in range(int(np.ceil(np.log2(search.steps / search.rtol)))):
        middle = (low + high) / 2
        beyond = evaluate(flat + middle.to(flat)[:, None] * unit) != own
        high, low = torch.where(beyond, middle, high), torch.where(beyond, low, middle)
        if bool(((high - low) <= search.rtol * high)[crossed].all()):
            break
    return torch.where(crossed, high, torch.inf), unit
