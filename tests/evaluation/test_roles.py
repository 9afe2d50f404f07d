"""Which column is what: usual names found, ambiguity refused, misspellings answered."""

import pytest

from genscope.errors import GenscopeError, UsageError
from genscope.evaluation.roles import assign_roles, guess_target, higher_is_better
from genscope.evaluation.table import read_table


def table(**columns: list[float]):
    return read_table({"model": ["a", "b", "c"], **columns})


N = [1.0, 2.0, 3.0]


@pytest.mark.parametrize(
    ("names", "expected"),
    [
        (["alpha", "test_error", "gap"], "test_error"),
        (["accuracy", "error"], "error"),
        (["top1_error", "top5_error"], "top1_error"),
        (["alpha", "generalization_gap"], "generalization_gap"),
        (["Accuracy", "alpha"], "Accuracy"),
        (["alpha", "cifar_top1"], "cifar_top1"),
    ],
)
def test_target_is_guessed_and_said(names: list[str], expected: str) -> None:
    goal, notes = guess_target(table(**dict.fromkeys(names, N)), None)
    assert goal == expected and expected in notes[0]


def test_ambiguity_is_refused() -> None:
    with pytest.raises(UsageError, match=r"several columns.*\(error, top1_error\)|several columns.*\(top1_error, error\)"):
        guess_target(table(error=N, top1_error=N), None)
    with pytest.raises(UsageError, match="no column that is named error"):
        guess_target(table(alpha=N), None)


def test_a_misspelt_column_is_answered_with_close_ones() -> None:
    with pytest.raises(UsageError, match="did you mean test_error"):
        guess_target(table(test_error=N), "tset_error")
    assert guess_target(table(test_error=N), "Test_Error")[0] == "test_error"
    with pytest.raises(UsageError, match="does not hold numbers"):
        guess_target(read_table({"model": ["a", "b"], "x": [1, 2], "family": ["v", "w"]}), "family")


@pytest.mark.parametrize(
    ("name", "up"),
    [("accuracy", True), ("test_acc", True), ("top1", True), ("top1_error", False), ("acc_gap", False), ("test_loss", False)],
)
def test_direction(name: str, up: bool) -> None:
    assert higher_is_better(name) is up


def test_parts() -> None:
    roles = assign_roles(table(alpha=N, norm=N, depth=N, params=N, train_error=N, top1=N, seed=N, error=N), None, None)
    assert roles.target == "error" and not roles.higher_is_better
    assert roles.measures == ("alpha", "norm") and roles.baselines == ("depth", "params")
    assert any("train_error, top1" in note for note in roles.notes)
    named = assign_roles(table(alpha=N, depth=N, error=N), None, ["depth"])
    assert named.measures == ("depth",) and named.baselines == ()


def test_impossible_parts() -> None:
    with pytest.raises(UsageError, match="cannot be its own measure"):
        assign_roles(table(error=N), None, ["error"])
    with pytest.raises(GenscopeError, match="no column holds a measure"):
        assign_roles(table(error=N), None, None)
