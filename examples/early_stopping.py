"""Does stopping by the normalized loss give better networks than stopping by the plain validation loss, or than not stopping?

    python examples/early_stopping.py [--data digits | mnist:DIR | fashion-mnist:DIR] [--noise 0 0.4] [--seeds 20]

Each seed trains one network on noisy labels (the validation labels are as noisy) and records every epoch; each rule then says at which epoch it
would have stopped, and the test error (true labels) of its best epoch is compared, seed by seed, with that of the validation loss.
"""

import argparse
from pathlib import Path

import numpy as np
import torch
from scipy.stats import t
from torch.nn import functional as F

import genscope
from genscope.cli.columns import Column, fitted_table
from genscope.cli.output import console
from genscope.core.seeds import generator_for
from genscope.training.datasets.open import open_dataset
from genscope.training.early_stopping import StopOnNormalizedLoss
from genscope.training.loop import error_and_loss, initialize, shuffled_batches
from genscope.training.models import mlp
from genscope.training.zoo import corrupt

NEVER = "never (last epoch)"
RULES = {
    NEVER: None,
    "validation loss": ("loss", "validation"),
    "validation error": ("error", "validation"),
    "normalized validation loss": ("normalized_loss", "validation"),
    "normalized training loss": ("normalized_loss", "train"),
}
BASELINE = "validation loss"
Part = tuple[torch.Tensor, torch.Tensor]


def split_data(name: str, seed: int, sizes: tuple[int, int, int]) -> tuple[Part, Part, Part]:
    """Training, validation and test examples in a seeded order, flattened; labels are true."""
    data = open_dataset(name)
    parts = [data.train, data.test] if name == "digits" and data.test is not None else [data.train]
    inputs, labels = np.concatenate([part.x for part in parts]), np.concatenate([part.y for part in parts])
    order = generator_for(seed, name, "early stopping").permutation(len(inputs))
    cuts = np.cumsum(sizes)
    picks = [order[: cuts[0]], order[cuts[0] : cuts[1]], order[cuts[1] : cuts[2]]]
    return tuple((torch.tensor(inputs[p], dtype=torch.float32).flatten(1), torch.tensor(labels[p]).long()) for p in picks)  # type: ignore[return-value]


def trace_of(name: str, noise: float, seed: int, sizes: tuple[int, int, int], epochs: int, patience: int) -> dict[str, tuple[int, int, float]]:
    """Per rule: the epoch where it stops, its best epoch, and the test error there."""
    train, validation, test = split_data(name, seed, sizes)
    train = (train[0], corrupt(train[1], noise, generator_for(seed, "noise", "train")))
    validation = (validation[0], corrupt(validation[1], noise, generator_for(seed, "noise", "validation")))
    generator = torch.Generator().manual_seed(seed)
    model = initialize(mlp((train[0].shape[1], 256, 256, 10)), generator)
    optimizer = torch.optim.Adam(model.parameters(), lr=1e-3)
    rules = {rule: asked and StopOnNormalizedLoss(patience, metric=asked[0], split=asked[1]) for rule, asked in RULES.items()}
    stopped: dict[str, tuple[int, int, float]] = {}
    errors: list[float] = []
    with genscope.watch(model, out=False, every=10**6, layers_every=0, example=train[0]) as monitor:
        for epoch in range(1, epochs + 1):
            for picks in shuffled_batches(len(train[0]), 32, generator):
                optimizer.zero_grad()
                F.cross_entropy(model(train[0][picks]), train[1][picks]).backward()
                optimizer.step()
            record = monitor.epoch(train=train, validation=validation)
            errors.append(error_and_loss(model, *test)[0])
            for name_of_rule, rule in rules.items():
                if rule is not None and name_of_rule not in stopped and (rule.observe(record) or epoch == epochs):
                    stopped[name_of_rule] = (epoch, rule.best_epoch, errors[rule.best_epoch - 1])
    return stopped | {NEVER: (epochs, epochs, errors[-1])}


def interval(values: np.ndarray) -> tuple[float, float, float]:
    """Mean and 95 % interval over seeds (Student's t)."""
    half = float(t.ppf(0.975, len(values) - 1) * values.std(ddof=1) / len(values) ** 0.5)
    return float(values.mean()), float(values.mean()) - half, float(values.mean()) + half


def words(difference: np.ndarray) -> str:
    """What an interval of differences of test errors allows to say."""
    _, low, high = interval(difference)
    return "better" if high < 0 else "worse" if low > 0 else "neither better nor worse"


def compare(name: str, noise: float, given: argparse.Namespace) -> str:
    """Train all seeds, print the table, and say in a sentence what it shows."""
    sizes = (800, 200, 797) if name == "digits" else (2000, 500, 4000)
    traces = [trace_of(name, noise, seed, sizes, given.epochs, given.patience) for seed in range(given.seeds)]
    errors = {rule: np.array([trace[rule][2] for trace in traces]) for rule in RULES}
    lines = []
    for rule in RULES:
        mean, low, high = interval(errors[rule])
        against = "" if rule == BASELINE else "{:+.2%} ({:+.2%} … {:+.2%})".format(*interval(errors[rule] - errors[BASELINE]))
        epochs = [np.mean([trace[rule][place] for trace in traces]) for place in (0, 1)]
        lines.append([rule, f"{epochs[0]:.1f}", f"{epochs[1]:.1f}", f"{mean:.2%} ({low:.2%} … {high:.2%})", against])
    screen = console()
    screen.width = max(screen.width, 110)
    columns = [Column("rule", "left"), Column("stops at"), Column("best epoch"), Column("test error"), Column("minus validation loss")]
    shown = f"{Path(name).name if ':' in name else name}: {noise:.0%} random labels, {given.seeds} seeds, patience {given.patience}"
    screen.print(shown, style="bold")
    screen.print(fitted_table(columns, lines, screen.width))
    against = [
        f"{words(errors[rule] - errors[other])} than {told}"
        for rule, other, told in (
            ("normalized validation loss", BASELINE, "by the plain validation loss"),
            ("normalized validation loss", NEVER, "not at all"),
            ("normalized training loss", NEVER, "not at all"),
        )
    ]
    sentence = (
        f"Stopping by the normalized validation loss is {against[0]}, and {against[1]}. "
        f"Stopping by the normalized training loss, which needs no held-out data, is {against[2]}."
    )
    screen.print(sentence)
    screen.print()
    return sentence


def main(arguments: list[str] | None = None) -> list[str]:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", default="digits")
    parser.add_argument("--noise", type=float, nargs="+", default=[0.0, 0.4])
    parser.add_argument("--seeds", type=int, default=20)
    parser.add_argument("--epochs", type=int, default=60)
    parser.add_argument("--patience", type=int, default=5)
    given = parser.parse_args(arguments)
    return [compare(given.data, noise, given) for noise in given.noise]


if __name__ == "__main__":
    main()
