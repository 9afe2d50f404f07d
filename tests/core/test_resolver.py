import numpy as np
import pytest

from genscope.core.catalogue import Catalogue
from genscope.core.resolver import execute, plan
from genscope.core.status import FAILED, SKIPPED, Undefined
from genscope.errors import CorruptInput, UsageError


def catalogue() -> tuple[Catalogue, list[str]]:
    made, calls = Catalogue(), []
    made.root("rng", "generator")
    made.root("matrix", "a number here")
    made.root("loss", "never supplied here")

    def double(matrix: float) -> float:
        calls.append("double")
        return 2 * matrix

    def shifted(double: float, *, by: float = 1.0) -> float:
        return double + by

    def noisy(double: float, rng: np.random.Generator) -> float:
        return double + rng.random()

    def broken(double: float) -> float:
        raise CorruptInput("this layer is broken.")

    def after_broken(broken: float) -> float:
        return broken

    def infinite(matrix: float) -> float:
        return float("inf")

    def needs_loss(loss: float, double: float) -> float:
        return loss

    for function, kind in (
        (double, "ingredient"),
        (shifted, "measure"),
        (noisy, "measure"),
        (broken, "ingredient"),
        (after_broken, "measure"),
        (infinite, "measure"),
        (needs_loss, "measure"),
    ):
        made.add(function, kind, {})
    return made, calls


def run(names: list[str], **more: object) -> tuple[dict, list[str]]:
    made, calls = catalogue()
    return execute(plan(names, ["matrix"], made), {"matrix": 3.0}, **more), calls  # type: ignore[arg-type]


def test_ingredients_run_once_and_options_arrive() -> None:
    values, calls = run(["shifted", "noisy"], options={"by": 10.0})
    assert values["shifted"] == 16.0 and calls == ["double"]


def test_randomness_does_not_depend_on_company() -> None:
    alone = run(["noisy"], seed=4, subject="fc")[0]["noisy"]
    assert run(["shifted", "infinite", "noisy"], seed=4, subject="fc")[0]["noisy"] == alone
    assert run(["noisy"], seed=5, subject="fc")[0]["noisy"] != alone
    assert run(["noisy"], seed=4, subject="conv")[0]["noisy"] != alone


def test_a_failure_stays_with_what_is_made_of_it() -> None:
    values, _ = run(["after_broken", "shifted", "infinite"])
    assert values["after_broken"] == Undefined("this layer is broken.", FAILED)
    assert values["shifted"] == 7.0
    assert isinstance(values["infinite"], Undefined) and "not finite" in values["infinite"].reason


def test_a_missing_root_names_its_chain_and_loses_nothing_else() -> None:
    values, _ = run(["needs_loss", "shifted"])
    assert values["shifted"] == 7.0
    assert values["needs_loss"].status == SKIPPED and "'loss'" in values["needs_loss"].reason and "needs_loss <- loss" in values["needs_loss"].reason


def test_unknown_names_suggest_close_ones() -> None:
    made, _ = catalogue()
    with pytest.raises(UsageError, match="did you mean shifted"):
        plan(["shiftd"], ["matrix"], made)


def test_cycles_and_duplicate_names_are_refused() -> None:
    made = Catalogue()

    def first(second: float) -> float:
        return second

    def second(first: float) -> float:
        return first

    made.add(first, "measure", {})
    made.add(second, "measure", {})
    with pytest.raises(UsageError, match="cycle"):
        plan(["first"], [], made)

    def positional(matrix: float, option: float = 1.0) -> float:
        return option

    with pytest.raises(UsageError, match="keyword-only"):
        made.add(positional, "measure", {})
