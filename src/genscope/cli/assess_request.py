"""From the options of ``genscope assess`` to the arguments of the function."""

from typing import Any

from genscope.cli.factories import read_weights
from genscope.cli.model_options import open_model, open_split, open_training_data


def assess_request(model_text: str, given: dict[str, Any]) -> dict[str, Any]:
    """Build the model, read its weights, open the data.

    Raises:
        GenscopeError: one sentence on what does not fit.
    """
    model = open_model(model_text, given["weights"])
    initial = read_weights(given["initial"], model) if given["initial"] else None
    train, test = open_training_data(given)
    if given["test_data"]:
        test, _ = open_split(given["test_data"], given["normalize"], "--test-data")
    chosen = {name: given[name] for name in ("loss", "budget", "device", "seed")}
    return {"model": model, "train": train, "test": test, "initial": initial, "measures": list(given["measures"]) or None, **chosen}
