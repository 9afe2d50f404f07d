"""Patience, the best epoch, splits, restarts."""

import importlib.util
import math
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest

from genscope.errors import UsageError
from genscope.training.early_stopping import StopOnNormalizedLoss


def stops_at(losses: list[float | None], **chosen: float) -> int | None:
    stop = StopOnNormalizedLoss(**chosen)  # type: ignore[arg-type]
    return next((epoch for epoch, loss in enumerate(losses, start=1) if stop.update(loss)), None)


def test_patience_counts_epochs_since_the_best() -> None:
    assert stops_at([3.0, 2.0, 2.5, 2.4, 2.3], patience=3) == 5
    assert stops_at([3.0, 2.0, 2.5, 1.9, 2.3, 2.2], patience=3) is None
    assert stops_at([1.0, 1.0], patience=1) == 2


def test_small_improvements_may_not_count() -> None:
    assert stops_at([2.0, 1.99, 1.98, 1.97], patience=2, min_delta=0.5) == 3
    assert stops_at([2.0, 1.99, 1.98, 1.97], patience=2) is None


def test_undefined_values_do_not_improve_anything() -> None:
    assert stops_at([2.0, None, math.nan, 1.0], patience=2) == 3
    assert stops_at([None, None], patience=2) == 2


def test_validation_goes_before_training_unless_told_otherwise() -> None:
    record = {"train": {"normalized_loss": 1.0, "loss": 9.0}, "validation": {"normalized_loss": 2.0}}
    for chosen, expected in (({}, 2.0), ({"split": "train"}, 1.0), ({"split": "train", "metric": "loss"}, 9.0)):
        stop = StopOnNormalizedLoss(**chosen)
        stop.observe(record)
        assert stop.best == expected and stop.improved
    alone = StopOnNormalizedLoss()
    alone.observe({"train": {"normalized_loss": 1.0}, "validation": {}})
    assert alone.best == 1.0


def test_it_goes_on_after_a_restart() -> None:
    first, second = StopOnNormalizedLoss(patience=2), StopOnNormalizedLoss(patience=2)
    first.update(1.0)
    first.update(2.0)
    second.load_state_dict(first.state_dict())
    assert second.update(2.0) and second.best_epoch == 1


def test_impossible_rules_are_refused() -> None:
    for chosen in ({"patience": 0}, {"min_delta": -1.0}, {"split": "test"}):
        with pytest.raises(UsageError):
            StopOnNormalizedLoss(**chosen)


def test_the_example_measures_what_it_says(capsys: pytest.CaptureFixture[str]) -> None:
    pytest.importorskip("sklearn", reason="scikit-learn is not installed (genscope[digits])")
    example = _example()
    (sentence,) = example.main(["--noise", "0.4", "--seeds", "2", "--epochs", "3", "--patience", "1"])
    told = capsys.readouterr().out
    assert sentence.startswith("Stopping by the normalized validation loss is ") and "40% random labels, 2 seeds" in told
    assert all(rule in told for rule in example.RULES)
    assert example.words(np.array([-2.0, -2.1, -1.9])) == "better"
    assert example.words(np.array([2.0, 2.1, 1.9])) == "worse"
    assert example.words(np.array([-1.0, 1.0, 0.1])) == "neither better nor worse"


def _example() -> ModuleType:
    path = Path(__file__).parents[2] / "examples" / "early_stopping.py"
    spec = importlib.util.spec_from_file_location("early_stopping_example", path)
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module
