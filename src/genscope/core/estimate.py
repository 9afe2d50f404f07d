"""A number with what is known about its error, for measures that are sampled, searched or doubtful."""

from dataclasses import dataclass

from genscope.core.status import OK


@dataclass(frozen=True)
class Estimate:
    """``value`` with an interval and a status: what a measure returns when a bare float would say too much.

    Args:
        value: the number.
        low: lower end of its interval, or ``None`` when there is none.
        high: upper end of its interval.
        status: ``ok``, or ``doubtful`` when the number exists but should not be believed as it stands.
        reason: the sentence that goes with ``doubtful``.
    """

    value: float
    low: float | None = None
    high: float | None = None
    status: str = OK
    reason: str = ""
