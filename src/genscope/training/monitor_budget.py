"""What watching may cost: a share of the time that training has taken, kept as an account."""

import time
from collections.abc import Iterator
from contextlib import contextmanager

SETTLED = 3  # first steps are slow (allocations, caches): they say little about the pace


class Account:
    """Seconds spent on watching against seconds of training.

    Args:
        share: what may be spent, as a share of the time since the account was opened; ``None`` allows everything.
    """

    def __init__(self, share: float | None) -> None:
        self.share = share
        self._spent, self._open_since, self._depth = 0.0, 0.0, 0
        self._began = time.perf_counter()
        self._steps = 0
        self._paced_from: tuple[int, float, float] | None = None

    @property
    def elapsed(self) -> float:
        """Seconds since the account was opened, watching included."""
        return time.perf_counter() - self._began

    @property
    def spent(self) -> float:
        """Seconds spent on watching, up to now."""
        return self._spent + (time.perf_counter() - self._open_since if self._depth else 0.0)

    def tick(self) -> None:
        """One training step has passed."""
        self._steps += 1
        if self._steps == SETTLED:
            self._paced_from = (self._steps, time.perf_counter(), self.spent)

    @contextmanager
    def charge(self) -> Iterator[None]:
        """Everything in the block is time spent on watching; blocks may nest."""
        if not self._depth:
            self._open_since = time.perf_counter()
        self._depth += 1
        try:
            yield
        finally:
            self._depth -= 1
            if not self._depth:
                self._spent += time.perf_counter() - self._open_since

    def step_seconds(self) -> float | None:
        """Mean seconds of a training step without the watching, once some have passed."""
        if self._paced_from is None or self._steps <= self._paced_from[0]:
            return None
        steps, since, spent = self._paced_from
        return max(1e-9, (time.perf_counter() - since - (self.spent - spent)) / (self._steps - steps))

    def allows(self, seconds: float) -> bool:
        """Whether ``seconds`` more would keep within the share of the time so far."""
        return self.share is None or self.spent + seconds <= self.share * (self.elapsed + seconds)

    def stride(self, least: int, seconds: float) -> int:
        """Steps until the next measurement: at least ``least``, more where ``seconds`` each would exceed the share."""
        pace = self.step_seconds()
        if self.share is None or pace is None:
            return least
        return max(least, min(100 * least, int(seconds / (self.share * pace)) + 1))
