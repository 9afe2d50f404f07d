"""A small zoo of trained networks on scikit-learn's bundled digits: widths, label noise, over-training. No download."""

import csv
import io
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np
import torch
from torch import nn

from genscope.core.files import write_atomically
from genscope.core.seeds import generator_for
from genscope.errors import UnsupportedInput
from genscope.training.loop import Recipe, error_and_loss, fit, initialize
from genscope.training.models import mlp, small_conv

N_TRAIN = 1000
COLUMNS = ("model", "family", "width", "noise", "overtrained", "n_params", "epochs", "train_error", "train_loss", "test_error", "test_loss", "gap")


@dataclass(frozen=True)
class Member:
    """One network of the zoo: what it is and how it is trained."""

    family: str
    width: int
    noise: float
    overtrained: bool = False

    @property
    def name(self) -> str:
        """File stem, such as ``mlp-128-noise50`` or ``conv-16-true-overtrained``."""
        labels = "true" if self.noise == 0 else f"noise{self.noise:.0%}".rstrip("%")
        return f"{self.family}-{self.width}-{labels}{'-overtrained' if self.overtrained else ''}"

    def build(self) -> nn.Module:
        """The untrained network for 8×8 one-channel images."""
        if self.family == "mlp":
            return mlp((64, self.width, self.width, 10))
        return small_conv((self.width, 2 * self.width), in_channels=1, image_size=8, kernel=3)

    @property
    def recipe(self) -> Recipe:
        """Trained to a small loss; the over-trained twin goes on at ten times the rate without stopping early."""
        if self.overtrained:
            return Recipe(epochs=150, learning_rate=1e-2)
        return Recipe(epochs=300 if self.noise else 60, learning_rate=2e-3, stop_at_loss=0.01)


def zoo_members(sizes: Sequence[tuple[str, Sequence[int]]] = (("mlp", (32, 64, 128, 256)), ("conv", (8, 16, 32)))) -> list[Member]:
    """Every width with true labels, 50 % and 100 % random labels, and over-trained on true labels."""
    members = []
    for family, widths in sizes:
        for width in widths:
            members += [Member(family, width, noise) for noise in (0.0, 0.5, 1.0)]
            members.append(Member(family, width, 0.0, overtrained=True))
    return members


@dataclass(frozen=True)
class Digits:
    """The bundled digits: 1,000 training and 797 test images, [n, 1, 8, 8] in [0, 1]."""

    train_inputs: torch.Tensor
    train_labels: torch.Tensor
    test_inputs: torch.Tensor
    test_labels: torch.Tensor


def load_digits(seed: int = 0) -> Digits:
    """scikit-learn's digits in a seeded split.

    Raises:
        UnsupportedInput: scikit-learn is not installed.
    """
    try:
        from sklearn.datasets import load_digits as bundled
    except ImportError:
        raise UnsupportedInput("The digits come with scikit-learn; install genscope[digits].") from None
    images, labels = bundled(return_X_y=True)
    order = generator_for(seed, "digits", "split").permutation(len(images))
    inputs = torch.from_numpy((images[order] / 16.0).astype(np.float32)).reshape(-1, 1, 8, 8)
    targets = torch.from_numpy(labels[order].astype(np.int64))
    return Digits(inputs[:N_TRAIN], targets[:N_TRAIN], inputs[N_TRAIN:], targets[N_TRAIN:])


def corrupt(labels: torch.Tensor, noise: float, rng: np.random.Generator, n_classes: int = 10) -> torch.Tensor:
    """Each label is replaced by a uniformly random class with probability ``noise`` (so a share noise·(1 − 1/classes) changes)."""
    chosen = rng.random(len(labels)) < noise
    drawn = rng.integers(0, n_classes, len(labels))
    return torch.from_numpy(np.where(chosen, drawn, labels.numpy()))


def train_member(member: Member, folder: Path, seed: int = 0) -> dict[str, object]:
    """Train one network, save its initial and final weights as safetensors, and return its row of the table.

    ``train_error`` is measured on the labels it was trained on, ``test_error`` on true labels; ``gap`` is their difference.
    """
    from safetensors.torch import save

    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        digits = load_digits(seed)
        labels = corrupt(digits.train_labels, member.noise, generator_for(seed, "digits", "noise", str(member.noise)))
        model = initialize(member.build(), torch.Generator().manual_seed(seed))
        initial = save({name: value.detach().clone() for name, value in model.state_dict().items()})
        epochs = fit(model, digits.train_inputs, labels, member.recipe)
        train_error, train_loss = error_and_loss(model, digits.train_inputs, labels)
        test_error, test_loss = error_and_loss(model, digits.test_inputs, digits.test_labels)
    finally:
        torch.set_num_threads(threads)
    write_atomically(folder / "initial" / f"{member.name}.safetensors", initial)
    write_atomically(folder / f"{member.name}.safetensors", save({name: value.contiguous() for name, value in model.state_dict().items()}))
    n_params = sum(parameter.numel() for parameter in model.parameters())
    numbers = (epochs, train_error, train_loss, test_error, test_loss, test_error - train_error)
    return dict(zip(COLUMNS, (member.name, member.family, member.width, member.noise, int(member.overtrained), n_params, *numbers), strict=True))


def train_zoo(
    folder: str | Path,
    members: Sequence[Member] | None = None,
    *,
    seed: int = 0,
    jobs: int = 1,
    progress: Callable[[int, int, str, float], None] | None = None,
) -> Path:
    """Train the zoo into ``folder``: one ``.safetensors`` per network and ``table.csv`` with its errors.

    Args:
        folder: where files go; networks that are already there are not trained again.
        members: which networks (default: :func:`zoo_members`).
        seed: of split, noise, weights and order.
        jobs: networks at once, each in a process of its own.
        progress: called with (done, total, name, share done).

    Returns:
        The path of ``table.csv``.
    """
    from joblib import Parallel, delayed

    folder = Path(folder)
    members = list(members or zoo_members())
    table = folder / "table.csv"
    known = _read_rows(table)
    pending = [member for member in members if member.name not in known or not (folder / f"{member.name}.safetensors").is_file()]
    pool = Parallel(n_jobs=jobs, return_as="generator_unordered")
    for done, row in enumerate(pool(delayed(partial(train_member, folder=folder, seed=seed))(member) for member in pending), start=1):
        known[str(row["model"])] = row
        if progress:
            progress(done, len(pending), str(row["model"]), done / len(pending))
    text = io.StringIO()
    writer = csv.DictWriter(text, COLUMNS, lineterminator="\n")
    writer.writeheader()
    writer.writerows(known[member.name] for member in members)
    write_atomically(table, text.getvalue())
    return table


def _read_rows(table: Path) -> dict[str, dict[str, object]]:
    if not table.is_file():
        return {}
    with table.open(newline="", encoding="utf-8") as stream:
        return {row["model"]: dict(row) for row in csv.DictReader(stream)}
