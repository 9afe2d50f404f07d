import math

import pytest

from genscope.experiments.values import Check
from genscope.experiments.verdicts import check_above, check_below, check_true, check_within, judgement, runs_to_settle, untestable, verdict_of


@pytest.mark.parametrize(
    ("interval", "passed"), [((0.81, 0.99), True), ((0.1, 0.79), False), ((0.7, 0.9), None), (None, True), ((math.nan, 1.0), True)]
)
def test_an_interval_decides_only_as_a_whole(interval: tuple[float, float] | None, passed: bool | None) -> None:
    assert check_above("x", 0.85, 0.8, interval=interval).passed is passed


def test_below_and_within_mirror_above() -> None:
    assert check_below("x", 0.1, 0.5, interval=(0.0, 0.2)).passed is True
    assert check_below("x", 0.6, 0.5, interval=(0.51, 0.7)).passed is False
    assert check_within("slope", 1.0, (0.8, 1.1), interval=(0.9, 1.05)).passed is True
    assert check_within("slope", 1.0, (0.8, 1.1), interval=(0.7, 1.05)).passed is None
    assert check_within("slope", 1.3, (0.8, 1.1), interval=(1.2, 1.4)).passed is False


def test_missing_numbers_are_undecided() -> None:
    assert check_above("x", None, 0.0).passed is None and check_above("x", math.nan, 0.0).observed is None


def test_one_rule_for_all_verdicts() -> None:
    passes, fails, open_ = check_above("a", 1.0, 0.5), check_above("b", 0.0, 0.5), check_above("c", 0.6, 0.5, interval=(0.4, 0.8), n_runs=10)
    shown = check_above("d", 0.0, 0.5, decides=False)
    assert verdict_of([passes, shown]) == ("HOLDS", None)
    assert verdict_of([passes, fails, open_]) == ("FAILS", None)
    assert verdict_of([passes, open_]) == ("INCONCLUSIVE", 40)
    assert verdict_of([]) == ("INCONCLUSIVE", None) == verdict_of([shown])


def test_a_null_that_passes_everything_is_told_and_one_that_fails_somewhere_is_not() -> None:
    both = check_above("a", 1.0, 0.5, null=0.9)
    alone = check_above("b", 1.0, 0.5, null=0.1)
    assert verdict_of([both])[0] == "HOLDS-BUT-NULL-TOO"
    assert verdict_of([both, alone])[0] == "HOLDS"
    assert verdict_of([both, check_above("c", 1.0, 0.5)])[0] == "HOLDS-BUT-NULL-TOO"
    assert verdict_of([alone], null_passed=True)[0] == "HOLDS-BUT-NULL-TOO" and verdict_of([both], null_passed=False)[0] == "HOLDS"


def test_the_number_of_runs_shrinks_the_interval_to_the_threshold() -> None:
    needed = runs_to_settle(25, 0.9, (0.7, 1.05), (0.8, math.inf))
    assert needed == 100
    assert 0.2 * math.sqrt(25 / needed) == pytest.approx(0.1)
    assert runs_to_settle(25, 0.8001, (0.7, 0.9), (0.8, math.inf)) is None


def test_statements_and_untestable_claims() -> None:
    assert check_true("converged", True, null=False).null_passed is False
    judged = judgement([check_true("converged", True)], "fine", n_runs=3, departures=["digits"])
    assert (judged.verdict, judged.n_runs, judged.departures) == ("HOLDS", 3, ("digits",))
    left = untestable("says nothing of what would contradict it", [Check("x", "?", 1.0, passed=False)])
    assert left.verdict == "UNTESTABLE-AS-STATED" and left.checks[0].decides is False
