"""Numbers that do not exist, and why. Never a sentinel, never a silent NaN."""

from dataclasses import dataclass

OK = "ok"
DOUBTFUL = "doubtful"
SKIPPED = "skipped"
FAILED = "failed"
STATUSES = (OK, DOUBTFUL, SKIPPED, FAILED)


@dataclass(frozen=True)
class Undefined:
    """Stands where a value would be: ``status`` is ``skipped`` or ``failed``, ``reason`` a sentence for a person."""

    reason: str
    status: str = SKIPPED

    def __bool__(self) -> bool:
        return False
