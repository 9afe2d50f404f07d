"""How fast norms grow: the law for balanced layers and one effective margin."""

import math

from genscope.errors import UsageError


def grown_margin(log_time: float, depth: int, margin: float = 1.0) -> float:
    """``g ρ`` at time t for K balanced layers and an effective margin g.

    ``ρ̇ = K g ρ^{2-2/K} e^{-gρ}``, hence ``gρ = ln t + (2 - 2/K) ln ρ + ln(K g²)`` up to terms that vanish; this solves the latter.
    The product of norms grows like ``ln t`` plus a term in ``ln ln t``: "faster than logarithmically" is only that additive term, and
    ``ρ / ln t → 1/g``. Each layer grows like ``(ln t)^{1/K}``.

    Args:
        log_time: ``ln t``, above ``ln`` of about 3 for several layers.
        depth: K ≥ 1.
        margin: g > 0.

    Returns:
        ``g ρ`` (the smallest gap of the network, in logits).

    Raises:
        UsageError: depth or margin out of range, or no solution at so early a time.

    Cost: a few dozen additions. Source: Poggio, Banburski & Liao 2020, theorem 4, item 6, made exact.

    Example:
        >>> [round(grown_margin(40, depth), 3) for depth in (1, 2, 3, 5)]
        [40.0, 44.465, 46.179, 47.761]
    """
    if depth < 1 or not margin > 0:
        raise UsageError("The growth law needs at least one layer and a positive margin.")
    power = 2 - 2 / depth
    value = max(log_time, power, 1.0)
    for _ in range(500):
        # a contraction where gρ > 2 - 2/K
        new = log_time + power * math.log(value / margin) + math.log(depth * margin**2)
        if not new > 0:
            raise UsageError(f"The growth law has no solution at ln t = {log_time:g}: it describes late times only.")
        if abs(new - value) <= 1e-14 * new:
            return new
        value = new
    if value <= power:
        raise UsageError(f"The growth law has no solution at ln t = {log_time:g}: it describes late times only.")
    return value
