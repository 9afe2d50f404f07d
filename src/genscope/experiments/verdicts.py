"""One rule for all verdicts: an interval on one side decides, one that straddles does not; a null control that passes too is told."""

import math
from collections.abc import Iterable, Sequence
from dataclasses import replace

from genscope.experiments.values import Check, Judgement, Verdict


def check_above(
    statistic: str,
    observed: float | None,
    threshold: float,
    *,
    interval: tuple[float, float] | None = None,
    null: float | None = None,
    paper: float | None = None,
    n_runs: int | None = None,
    note: str = "",
    decides: bool = True,
) -> Check:
    """``observed`` should lie above ``threshold``; with an interval, all of it.

    Args:
        statistic: what is measured, in words.
        observed: its value; ``None`` or NaN leaves the check undecided.
        threshold: the rule.
        interval: 95% interval of the statistic.
        null: the same statistic of the null control.
        paper: the paper's number.
        n_runs: independent runs behind the interval; gives the number that would settle an undecided check.
        note: a sentence.
        decides: ``False`` to show it without deciding.

    Example:
        >>> check_above("Spearman correlation", 0.9, 0.8, interval=(0.7, 0.97), n_runs=10).passed is None
        True
    """
    expected = f"> {threshold:g}"
    return _check(statistic, expected, observed, (threshold, math.inf), interval, null, paper, n_runs, note, decides)


def check_below(
    statistic: str,
    observed: float | None,
    threshold: float,
    *,
    interval: tuple[float, float] | None = None,
    null: float | None = None,
    paper: float | None = None,
    n_runs: int | None = None,
    note: str = "",
    decides: bool = True,
) -> Check:
    """``observed`` should lie below ``threshold``; see :func:`check_above`."""
    return _check(statistic, f"< {threshold:g}", observed, (-math.inf, threshold), interval, null, paper, n_runs, note, decides)


def check_within(
    statistic: str,
    observed: float | None,
    bounds: tuple[float, float],
    *,
    interval: tuple[float, float] | None = None,
    null: float | None = None,
    paper: float | None = None,
    n_runs: int | None = None,
    note: str = "",
    decides: bool = True,
) -> Check:
    """``observed`` should lie between ``bounds``; see :func:`check_above`."""
    return _check(statistic, f"in [{bounds[0]:g}, {bounds[1]:g}]", observed, bounds, interval, null, paper, n_runs, note, decides)


def check_true(statistic: str, holds: bool | None, *, expected: str = "yes", null: bool | None = None, note: str = "", decides: bool = True) -> Check:
    """A statement that is true, false or (``None``) undecided; shown as 1 or 0."""
    observed, shown_null = (None if value is None else float(value) for value in (holds, null))
    return Check(statistic, expected, observed, null=shown_null, passed=holds, null_passed=null, note=note, decides=decides)


def verdict_of(checks: Sequence[Check], null_passed: bool | None = None) -> tuple[Verdict, int | None]:
    """The verdict that ``checks`` amount to, and for INCONCLUSIVE how many runs would settle it.

    FAILS when one check fails for certain; else INCONCLUSIVE when one is undecided; else HOLDS, or HOLDS-BUT-NULL-TOO when the null
    control passes every check that has one.

    Args:
        checks: those with ``decides=False`` are ignored.
        null_passed: whether the null control passes the claim as a whole; found from the checks when ``None``.

    Example:
        >>> verdict_of([check_above("slope", 1.0, 0.8, interval=(0.9, 1.1), null=0.92)])
        ('HOLDS-BUT-NULL-TOO', None)
    """
    deciding = [check for check in checks if check.decides]
    if any(check.passed is False for check in deciding):
        return "FAILS", None
    undecided = [check for check in deciding if check.passed is None]
    if undecided or not deciding:
        return "INCONCLUSIVE", max((check.runs_needed for check in undecided if check.runs_needed is not None), default=None)
    if null_passed is None:
        controlled = [check.null_passed for check in deciding if check.null_passed is not None]
        null_passed = bool(controlled) and all(controlled)
    return ("HOLDS-BUT-NULL-TOO" if null_passed else "HOLDS"), None


def judgement(
    checks: Iterable[Check], meaning: str, *, null_passed: bool | None = None, n_runs: int = 0, departures: Sequence[str] = ()
) -> Judgement:
    """Checks and a paragraph to a judgement by :func:`verdict_of`."""
    checks = tuple(checks)
    verdict, runs_needed = verdict_of(checks, null_passed)
    return Judgement(verdict, checks, meaning, n_runs, tuple(departures), runs_needed)


def untestable(reason: str, checks: Iterable[Check] = (), *, n_runs: int = 0, departures: Sequence[str] = ()) -> Judgement:
    """The claim cannot be tested as it is stated; ``reason`` says why, ``checks`` what was measured instead."""
    return Judgement("UNTESTABLE-AS-STATED", tuple(replace(check, decides=False) for check in checks), reason, n_runs, tuple(departures))


def _check(
    statistic: str,
    expected: str,
    observed: float | None,
    bounds: tuple[float, float],
    interval: tuple[float, float] | None,
    null: float | None,
    paper: float | None,
    n_runs: int | None,
    note: str,
    decides: bool,
) -> Check:
    observed = None if observed is None or math.isnan(observed) else float(observed)
    if interval is not None and not all(math.isfinite(end) for end in interval):
        interval = None
    low, high = (float(interval[0]), float(interval[1])) if interval is not None else (None, None)
    passed = None if observed is None else _inside(low if low is not None else observed, high if high is not None else observed, bounds)
    needed = None
    if passed is None and observed is not None and low is not None and high is not None and n_runs:
        needed = runs_to_settle(n_runs, observed, (low, high), bounds)
    null = None if null is None or math.isnan(null) else float(null)
    null_passed = None if null is None else bounds[0] <= null <= bounds[1]
    return Check(statistic, expected, observed, low, high, null, passed, null_passed, paper, note, decides, needed)


def _inside(low: float, high: float, bounds: tuple[float, float]) -> bool | None:
    if bounds[0] <= low and high <= bounds[1]:
        return True
    if high < bounds[0] or low > bounds[1]:
        return False
    return None


def runs_to_settle(n_runs: int, observed: float, interval: tuple[float, float], bounds: tuple[float, float]) -> int | None:
    """Runs at which the interval, shrinking as 1/√n around ``observed``, would no longer touch the nearest threshold.

    Example:
        >>> runs_to_settle(10, 0.9, (0.7, 1.1), (0.8, math.inf))
        40
    """
    distance, reach = min((abs(observed - end), interval[0 if end < observed else 1]) for end in bounds if math.isfinite(end))
    half = abs(observed - reach)
    if distance <= 0.02 * half:
        return None  # on the threshold itself no affordable number settles it
    return max(n_runs + 1, math.ceil(n_runs * (half / distance) ** 2 - 1e-9))
