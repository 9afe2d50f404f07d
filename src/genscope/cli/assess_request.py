"""From the options of ``genscope assess`` to the arguments of the function."""

from typing import Any

import click

from genscope.cli.factories import call_factory, read_weights
from genscope.errors import UnsupportedInput


def assess_request(model_text: str, given: dict[str, Any]) -> dict[str, Any]:
    """Build the model, read its weights, open the data.

    Raises:
        GenscopeError: one sentence on what does not fit.
    """
    import torch

    model = call_factory(model_text, "--model")
    if not isinstance(model, torch.nn.Module):
        raise UnsupportedInput(f"--model: {model_text} returns {type(model).__name__}; it must return a torch.nn.Module.")
    initial = read_weights(given["initial"], model) if given["initial"] else None
    if given["weights"]:
        model.load_state_dict(read_weights(given["weights"], model))
    model.eval()  # a factory's module starts in training mode, and nobody asked for that here
    train, test = _data(given["data"], given["normalize"], "--data")
    if given["test_data"]:
        test, _ = _data(given["test_data"], given["normalize"], "--test-data")
    if given["limit"] and isinstance(train, tuple):
        train = tuple(part[: given["limit"]] for part in train)
    elif given["limit"]:
        raise click.UsageError("--limit works with data files, not with a data factory.")
    chosen = {name: given[name] for name in ("loss", "budget", "device", "seed")}
    return {"model": model, "train": train, "test": test, "initial": initial, "measures": list(given["measures"]) or None, **chosen}


def _data(text: str, normalize: tuple[str, str] | None, option: str) -> tuple[Any, Any]:
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
