"""Huang et al.: what is measured of a good or poisoned network: its basin, its slices, and its decision boundary."""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

from genscope.experiments.values import Outcome

if TYPE_CHECKING:
    from torch import Tensor, nn

    Pair = tuple[Tensor, Tensor]

CUTOFFS = (0.1, 0.5, 1.0)
SLICE_REACH, SLICE_POINTS, SLICE_DIRECTIONS = 1.0, 41, 4


def measured(model: "nn.Module", train: "Pair", test: "Pair", settings: Mapping[str, Any]) -> Outcome:
    """Accuracies, radii and volumes at several cutoffs, slices, and for two inputs the margins, the area of the wrong class and a map.

    All radii are in filter-normalized coordinates of the weights, biases held fixed, with the first crossing along rays that are uniform on the
    sphere of all coordinates.
    """
    from genscope.training.loop import error_and_loss

    error, loss = error_and_loss(_two(model), *train)
    numbers: dict[str, Any] = {"train_accuracy": 1 - error, "train_loss": loss, "test_accuracy": 1 - error_and_loss(_two(model), *test)[0]}
    numbers["gap"] = numbers["train_accuracy"] - numbers["test_accuracy"]
    seed = int(settings["seed"])
    arrays: dict[str, np.ndarray] = {}
    basin(model, train, settings["directions"], seed, numbers, arrays)
    slices(model, train, seed, numbers, arrays)
    if "map" in settings:
        boundary(model, train, test, settings["map"], seed, numbers, arrays)
    return Outcome(numbers, arrays)


def basin(model: "nn.Module", train: Any, directions: int, seed: int, numbers: dict[str, Any], arrays: dict[str, np.ndarray]) -> None:
    """First crossings of the cutoffs that the network lies below."""
    from genscope.landscape.volume import log_radius_statistics, log_volume_of
    from genscope.verbs.basin_options import BasinOptions
    from genscope.verbs.landscape_basin import landscape_basin

    cutoffs = [cutoff for cutoff in CUTOFFS if numbers["train_loss"] < cutoff]
    numbers["n_directions"] = directions
    if not cutoffs:
        return
    options = BasinOptions(layer_directions=0, n_profiles=0)
    found = landscape_basin(
        model, train, cutoffs=[f"loss:{one:g}" for one in cutoffs], directions=directions, estimators=["naive"], options=options, seed=seed
    )
    n = int(found.head["n_params"])
    numbers |= {"n_params": n, "n_params_total": int(found.head["n_params_total"]), "log_jacobian": float(found.head["log_jacobian"])}
    for index, cutoff in enumerate(cutoffs):
        key = f"{cutoff:g}"
        given = found.head["radii"] if index == 0 else found.tail["further_radii"][f"loss:{key}"]
        radii = np.array([np.nan if one is None else one for one in given], dtype=np.float64)
        statistics = log_radius_statistics(radii)
        numbers[f"never_{key}"] = int(np.isnan(radii).sum())
        arrays[f"radii_{key}"] = radii.astype(np.float32)
        if statistics is None:
            continue
        volume = log_volume_of(radii, n, np.random.default_rng(seed))
        numbers |= {
            f"log_radius_{key}": statistics.mean, f"log_radius_sem_{key}": statistics.sem, f"log_volume_{key}": volume.log_volume,
            f"effective_radius_{key}": volume.effective_radius, f"ess_{key}": volume.ess, f"refused_{key}": not volume.believed,
        }  # fmt: skip


def slices(model: "nn.Module", train: Any, seed: int, numbers: dict[str, Any], arrays: dict[str, np.ndarray]) -> None:
    """The loss along filter-normalized random lines, and its mean at a quarter, half and the whole of the filters' own norms."""
    from genscope.verbs.landscape_slice import landscape_slice

    found = landscape_slice(model, train, directions=SLICE_DIRECTIONS, radius=SLICE_REACH, points=SLICE_POINTS, seed=seed)
    losses = np.array([[np.nan if one is None else one for one in row] for row in found.curves["loss"]], dtype=np.float64)
    where = np.array(found.curves["t"], dtype=np.float64)
    arrays |= {"slice": losses.astype(np.float32), "slice_t": where.astype(np.float32)}
    for reach in (0.25, 0.5, 1.0):
        here = np.isclose(np.abs(where), reach, atol=0.5 * SLICE_REACH / SLICE_POINTS)
        numbers[f"slice_{reach:g}"] = float(np.nanmean(losses[:, here]))


def boundary(model: "nn.Module", train: Any, test: Any, points: int, seed: int, numbers: dict[str, Any], arrays: dict[str, np.ndarray]) -> None:
    """Distances of the training examples from the boundary, and the class map of the plane around them."""
    from genscope.core.grids import unpack_grid
    from genscope.verbs.landscape_boundary import landscape_boundary

    reach = 1.1 * float(max(train[0].abs().max(), test[0].abs().max()))
    window = (-reach, reach, -reach, reach)
    found = landscape_boundary(model, train, test=test, points=points, extent=window, frames=0, examples=min(100, len(train[0])), seed=seed)
    margins, area = found.head["margins"], found.head["wrong_class_area"]
    numbers |= {"margin_min": margins["min"], "margin_q05": margins["q05"], "margin_median": margins["median"], "wrong_area": area["value"]}
    numbers["reach"] = reach
    arrays["map"] = unpack_grid(found.curves["map"]["classes"]).astype(np.uint8)


def _two(model: "nn.Module") -> "nn.Module":
    """A network with one output as one with two logits, for the plain loss and error."""
    import torch
    from torch import nn

    from genscope.networks.outputs import two_logits

    class TwoLogits(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.inner = model

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            """Logits of both classes."""
            return two_logits(self.inner(x))

    return TwoLogits()
