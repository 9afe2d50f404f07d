"""The options by which a command is given a trained model and its data, and what they open."""

from collections.abc import Callable
from typing import Any, TypeVar

import click

from genscope.cli.factories import call_factory, read_weights
from genscope.errors import UnsupportedInput

F = TypeVar("F", bound=Callable[..., Any])


def model_options(function: F) -> F:
    """Add ``--model --weights --data --normalize --limit --loss --device --seed``; ``--model`` arrives as ``model_text``."""
    for option in reversed(
        (
            click.option(
                "--model",
                "model_text",
                required=True,
                metavar="PACKAGE.MODULE:FACTORY",
                help="A function that returns the nn.Module, with literal arguments if it needs any: 'mine:net((64, 10), bias=False)'.",
            ),
            click.option("--weights", default=None, metavar="FILE", help="Checkpoint of the trained weights. [default: as the factory made them]"),
            click.option(
                "--data",
                required=True,
                metavar="DATA",
                help="digits, mnist:DIR, cifar10:DIR, cifar100:DIR, svhn:DIR, FILE.npz, FILE.csv or module:factory.",
            ),
            click.option("--normalize", nargs=2, default=None, metavar="MEAN STD", help="Per-channel mean and standard deviation, comma separated."),
            click.option("--limit", type=click.IntRange(1), default=None, metavar="N", help="Only the first N training examples."),
            click.option("--loss", default="cross_entropy", show_default=True, help="cross_entropy, logistic, exponential or squared."),
            click.option("--device", default=None, metavar="DEVICE", help="cpu, cuda, cuda:1, mps. [default: where the model is]"),
            click.option("--seed", type=int, default=0, show_default=True, help="Seed of every random draw."),
        )
    ):
        function = option(function)
    return function


def open_model(model_text: str, weights: str | None) -> Any:
    """The module that a factory makes, with the weights of a checkpoint if one is given.

    Raises:
        GenscopeError: one sentence on what does not fit.
    """
    import torch

    model = call_factory(model_text, "--model")
    if not isinstance(model, torch.nn.Module):
        raise UnsupportedInput(f"--model: {model_text} returns {type(model).__name__}; it must return a torch.nn.Module.")
    if weights:
        model.load_state_dict(read_weights(weights, model))
    return model.eval()  # a factory's module starts in training mode, and nobody asked for that here


def open_training_data(given: dict[str, Any]) -> tuple[Any, Any]:
    """Training data within ``--limit`` and test data (``None`` where ``--data`` has no test part)."""
    train, test = open_split(given["data"], given["normalize"], "--data")
    if given["limit"] and isinstance(train, tuple):
        train = tuple(part[: given["limit"]] for part in train)
    elif given["limit"]:
        raise click.UsageError("--limit works with data files, not with a data factory.")
    return train, test


def open_split(text: str, normalize: tuple[str, str] | None, option: str) -> tuple[Any, Any]:
    """Training and test data as (x, y), or whatever a factory returns."""
    from genscope.training.datasets.open import is_dataset, open_dataset

    if ":" in text and not is_dataset(text):
        if normalize:
            raise click.UsageError("--normalize works with data files, not with a data factory.")
        return call_factory(text, option), None
    split = open_dataset(text)
    parts = [split.train, split.test]
    if normalize:
        mean, std = (_numbers(value) for value in normalize)
        parts = [None if part is None else part.scaled(mean, std) for part in parts]
    train, test = (None if part is None else (part.x, part.y) for part in parts)
    return train, test


def _numbers(text: str) -> tuple[float, ...]:
    try:
        return tuple(float(part) for part in text.split(","))
    except ValueError:
        raise click.UsageError(f"--normalize: {text!r} is no list of numbers such as 0.485,0.456,0.406.") from None
