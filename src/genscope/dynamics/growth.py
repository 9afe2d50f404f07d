"""How fast norms grow: the law for balanced layers and one effective margin."""

import math

from scipy.integrate import quad
from scipy.optimize import brentq

from genscope.errors import UsageError

_BEGIN = 1.0  # gρ at t = 0; forgotten as soon as t is large


def grown_margin(log_time: float, depth: int, margin: float = 1.0) -> float:
    """``g ρ`` at time t for K balanced layers and an effective margin g.

    ``ρ̇ = K g ρ^{2-2/K} e^{-gρ}``, integrated from gρ = 1. For late times ``gρ = ln t + (2 - 2/K) ln ρ + ln(K g²)`` up to terms that
    vanish: "faster than logarithmically" is only the additive term in ``ln ln t``, ``ρ / ln t → 1/g``, and each layer grows like
    ``(ln t)^{1/K}``.

    Args:
        log_time: ``ln t``, at least 3.
        depth: K ≥ 1.
        margin: g > 0.

    Returns:
        ``g ρ`` (the smallest gap of the network, in logits).

    Raises:
        UsageError: depth or margin out of range, or so early a time.

    Cost: a few dozen one-dimensional integrals. Source: Poggio, Banburski & Liao 2020, theorem 4, item 6, made exact.

    Example:
        >>> [round(grown_margin(40, depth), 2) for depth in (1, 2, 3, 5)]
        [40.0, 44.46, 46.18, 47.76]
    """
    if depth < 1 or not margin > 0:
        raise UsageError("The growth law needs at least one layer and a positive margin.")
    power = 2 - 2 / depth
    target = log_time + math.log(depth) + (2 - power) * math.log(margin)
    if target < 1.5:
        raise UsageError(f"The growth law says nothing at ln t = {log_time:g}: it describes late times only.")
    return float(brentq(lambda x: _log_integral(x, power) - target, _BEGIN + 1e-6, target + power * math.log(target + 10) + 10, xtol=1e-10))


def _log_integral(end: float, power: float) -> float:
    """``ln ∫_1^end e^x x^{-power} dx``."""
    value, _ = quad(lambda u: math.exp(-u) * (end - u) ** -power, 0.0, min(end - _BEGIN, 60.0), epsabs=0.0, epsrel=1e-11, limit=200)
    return end + math.log(value)
