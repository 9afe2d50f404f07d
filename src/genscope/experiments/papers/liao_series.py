"""The series of networks behind the figures of Liao et al.: one family of runs per series, shared by all figures that show it."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from functools import partial
from typing import TYPE_CHECKING, Any

from genscope.experiments.papers.liao_protocols import DESIGNS, Schedule
from genscope.experiments.values import Cell, Family, Outcome, Size

if TYPE_CHECKING:
    from genscope.experiments.context import Context

# Appendix B. The paper's smallest widths start on the plateau around zero weights; the small size leaves them out.
PRINTED_STDS = (
    *(round(1e-4 * k, 4) for k in range(1, 11)), 0.0016, 0.0032, 0.0064, 0.0128, 0.0256, 0.0512,
    0.06, 0.07, 0.08, 0.09, 0.1, 0.1024, 0.11, 0.12, 0.14,
)  # fmt: skip
FULL_DATA = {
    "cifar10": {"n_train": 50_000, "n_test": 10_000, "image_size": 32},
    # all that the published files hold; a shortened copy gives what it has
    "cifar100": {"n_train": 50_000, "n_test": 10_000, "image_size": 32},
    "mnist": {"n_train": 50_000, "n_test": 10_000, "image_size": 28},
}
SMALL_DATA = {
    "cifar10": {"data": "cifar10", "n_train": 1000, "n_test": 1000, "image_size": 16},
    "cifar100": {"data": "cifar100", "n_train": 1000, "n_test": 1000, "image_size": 16},
    "mnist": {"data": "mnist", "n_train": 1000, "n_test": 1000, "image_size": 14},
}
SMOKE_DATA = {"data": "digits", "n_train": 100, "n_test": 100, "image_size": 8}
SMALL_DEPARTURES = (
    "The first 1,000 training and 1,000 test images, averaged over 2×2 pixels, instead of 50,000 at full size.",
    "Fewer filters per layer (the networks still have several parameters per training image), batches of 40 instead of 256, and training ends "
    "when the mean loss of an epoch falls below the stated value instead of after 200 to 800 epochs.",
)
SMOKE_DEPARTURES = ("100 of scikit-learn's 8×8 digits and very narrow networks: this size shows that the code runs, not what the paper claims.",)


def departures_of(size: Size) -> tuple[str, ...]:
    """How a size departs from the printed protocol."""
    return {"smoke": SMOKE_DEPARTURES, "small": SMALL_DEPARTURES, "full": ()}[size]


def train_cell(cell: Cell, context: "Context") -> Outcome:
    """See :func:`genscope.experiments.papers.liao_runs.train_and_measure`."""
    from genscope.experiments.papers.liao_runs import train_and_measure

    return train_and_measure(cell, context)


def settings_for(name: str, network: str, size: Size, **own: Any) -> dict[str, Any]:
    """Data, network and schedule of a size; ``own`` settings win."""
    full: dict[str, Any] = {"data": name, **FULL_DATA[name]}
    chosen: dict[str, Any] = {"full": full, "small": SMALL_DATA[name], "smoke": SMOKE_DATA}[size]
    design = DESIGNS[network]
    widths = design.widths
    settings: dict[str, Any] = {**chosen, "network": network, "widths": list(widths), "seed": 0}
    if size != "full":
        shrink = {"three-layer-24": (10, 10), "three-layer-34": (10, 10), "three-layer-64": (16, 16), "five-layer-bn": (12, 16, 16, 32)}
        settings["widths"] = list(shrink[network] if size == "small" else [max(3, width // 4) for width in shrink[network]])
        settings["kernel"] = 3 if size == "smoke" or chosen["image_size"] < 16 else 5
    return {**settings, **own}


def schedule_for(size: Size, epochs: int, **own: Any) -> dict[str, Any]:
    """SGD of the released code at full size; small batches and an early end otherwise."""
    if size == "full":
        return asdict(Schedule(epochs=epochs, **own))
    epochs, rate, batch = (6, 0.03, 10) if size == "smoke" else (120, 0.01, 40)
    return asdict(Schedule(epochs=epochs, learning_rate=rate, batch_size=batch, stop_at_loss=0.004))


def initialization_cells(name: str, network: str, epochs: int, stds: Sequence[float], random_stds: Sequence[float], size: Size) -> list[Cell]:
    """Networks that differ in the standard deviation of their initial weights, and networks trained on random labels."""
    if size == "smoke":
        stds, random_stds = (0.1, 0.4), (0.2,)
    schedule = schedule_for(size, epochs)
    if network == "three-layer-64" and size == "full":
        # "learning rate (0.01, 0.01, 0.001, 0.0001)" over 200 epochs, stopped at zero training error
        schedule = schedule_for(size, epochs, batch_size=128, drops=(100, 150))
    base = settings_for(name, network, size, schedule=schedule, reference_loss=0.006 if size == "full" else 0.01)
    cells = [Cell(f"std {std:g}", {**base, "std": std, "random_labels": False}) for std in stds]
    return cells + [Cell(f"random labels, std {std:g}", {**base, "std": std, "random_labels": True}) for std in random_stds]


def pretraining_cells(
    name: str, network: str, epochs: int, shares: Sequence[float], random_std: float | None, reference: float, size: Size
) -> list[Cell]:
    """Networks first trained for 30 epochs on labels of which a share is random, then on the true ones."""
    if size == "smoke":
        shares = (0.0, 1.0)
    base = settings_for(name, network, size, schedule=schedule_for(size, epochs), reference_loss=reference if size == "full" else 0.01)
    base["pretrain_epochs"] = {"full": 30, "small": 20, "smoke": 4}[size]
    cells = [Cell(f"corruption {share:g}", {**base, "corruption": share, "std": None, "random_labels": False}) for share in shares]
    if random_std is not None:
        alone = {**base, "pretrain_epochs": 0, "corruption": 1.0, "std": random_std if size == "full" else None, "random_labels": True}
        cells.append(Cell("random labels", alone))
    return cells


def _by_size(makers: Mapping[Size, Any], size: Size) -> list[Cell]:
    return makers[size](size)


def _initialization(name: str, network: str, epochs: int, full: Sequence[float], small: Sequence[float], random: tuple[float, float]) -> Any:
    make = partial(initialization_cells, name, network, epochs)
    makers: dict[Size, Any] = {
        "full": partial(make, full, (random[0],)),
        "small": partial(make, small, (random[1],)),
        "smoke": partial(make, small, ()),
    }
    return partial(_by_size, makers)


def _pretraining(name: str, network: str, epochs: int, full: Sequence[float], small: Sequence[float], std: float | None, reference: float) -> Any:
    make = partial(pretraining_cells, name, network, epochs)
    makers: dict[Size, Any] = {
        "full": partial(make, full, std, reference),
        "small": partial(make, small, std, reference),
        "smoke": partial(make, small, std, reference),
    }
    return partial(_by_size, makers)


SHARES = tuple(round(0.1 * k, 1) for k in range(11))
SMALL_STDS = tuple(round(0.02 + 0.01 * k, 2) for k in range(16))
MNIST_STDS = tuple(round(0.05 + 0.02 * k, 2) for k in range(14))
BN_STDS = (0.01, 0.02, 0.05, 0.1, 0.2, 0.3, 0.5, 0.8, 1.2, 2.0)

# Figures 2a, 2b and 4.
INITIALIZATION = Family("liao-initialization", 1, _initialization("cifar10", "three-layer-64", 200, PRINTED_STDS, SMALL_STDS, (0.1, 0.1)), train_cell)
# Figures 9, 10, 13 and 14.
PRETRAINING = Family("liao-pretraining", 1, _pretraining("cifar10", "three-layer-24", 300, SHARES, SHARES, None, 0.0044), train_cell)
# Figures 15, 16 and 20.
MNIST = Family("liao-mnist", 1, _initialization("mnist", "three-layer-34", 800, MNIST_STDS, MNIST_STDS, (0.1, 0.1)), train_cell)
# Figures 5 and 11, 6 and 12, 7 and 17, 8 and 18.
FIVE_LAYER = {
    ("cifar10", "pretraining"): Family(
        "liao-bn-cifar10-pretraining", 1, _pretraining("cifar10", "five-layer-bn", 80, SHARES, SHARES, 0.05, 0.006), train_cell
    ),
    ("cifar10", "initialization"): Family(
        "liao-bn-cifar10-initialization", 1, _initialization("cifar10", "five-layer-bn", 80, BN_STDS, BN_STDS, (0.05, 0.05)), train_cell
    ),
    ("cifar100", "pretraining"): Family(
        "liao-bn-cifar100-pretraining", 1, _pretraining("cifar100", "five-layer-bn", 80, SHARES, SHARES[::2], 0.05, 0.006), train_cell
    ),
    ("cifar100", "initialization"): Family(
        "liao-bn-cifar100-initialization", 1, _initialization("cifar100", "five-layer-bn", 80, BN_STDS, BN_STDS[1:8], (0.05, 0.05)), train_cell
    ),
}
