"""How far a basin reaches along each ray: the first crossing of every cutoff, found with few evaluations of many rays at once.

Near a minimum the logarithm of the loss is almost linear in the logarithm of the radius, so the search runs in ``(ln r, ln L)``: an outward
scan finds the first evaluated point above the cutoff, Anderson and Björck's rule closes the bracket, finished rays leave the batch, and samples
inside the crossing test whether it was the first.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import numpy as np

from genscope.errors import UsageError

Field = Callable[[np.ndarray, np.ndarray], np.ndarray]
"""``(rays [k], radii [k]) -> values [k, criteria]``; not-a-number counts as above every cutoff."""

# A criterion below this times its cutoff counts as this: logarithms stay finite where the loss underflows.
_LEAST = 1e-30
# Log ratio past which a secant says nothing (infinite or exploding losses); such brackets are halved.
_WILD = 20.0


@dataclass(frozen=True)
class Cutoff:
    """The edge of a basin: the column of the field, the value that counts as outside, and whether the column moves in steps."""

    column: int
    value: float
    steps: bool = False


@dataclass(frozen=True)
class SearchSettings:
    """How the crossing is looked for.

    Args:
        rtol: relative accuracy of a radius.
        scan: factor between the radii of the outward scan.
        start: radius at which the first scan begins.
        smallest, largest: radii at which the search gives up; a ray below the cutoff at ``largest`` never crosses.
        n_check: samples inside the found radius of each ray.
    """

    rtol: float = 1e-3
    scan: float = 1.5
    start: float = 1.0
    smallest: float = 1e-12
    largest: float = 1e6
    n_check: int = 2

    def __post_init__(self) -> None:
        if not 0 < self.rtol < 1 or not self.scan > 1 or not 0 < self.smallest < self.start < self.largest:
            raise UsageError(
                f"A radius search needs 0 < rtol < 1, scan > 1 and smallest < start < largest; got rtol={self.rtol:g}, scan={self.scan:g}, "
                f"{self.smallest:g}, {self.start:g}, {self.largest:g}."
            )


@dataclass(frozen=True)
class Guess:
    """What earlier rays tell of the next ones, per cutoff: the median log radius and the slope ``d ln L / d ln r`` there."""

    log_radius: np.ndarray
    slope: np.ndarray


@dataclass(frozen=True)
class Crossings:
    """First crossings of a batch of rays.

    Args:
        radii: ``[rays, cutoffs]``; NaN where the ray never crosses.
        returns: ``[rays, cutoffs]`` whether an evaluated point beyond the crossing lies below the cutoff again.
        earlier: ``[rays, cutoffs]`` whether a check inside the crossing found first lay above the cutoff; ``radii`` holds the earlier one.
        n_evaluations: evaluations of each ray.
        not_finite: whether a value of the ray was infinite or not a number.
        guess: for the next batch.
    """

    radii: np.ndarray
    returns: np.ndarray
    earlier: np.ndarray
    n_evaluations: np.ndarray
    not_finite: np.ndarray
    guess: Guess | None


def first_crossings(
    field: Field, n_rays: int, cutoffs: Sequence[Cutoff], settings: SearchSettings, rng: np.random.Generator, guess: Guess | None = None
) -> Crossings:
    """The smallest radius at which each ray of a batch reaches each cutoff.

    All criteria of a point come from one evaluation, and every evaluated point narrows the bracket of every cutoff.

    Args:
        field: values along rays; the centre is below every cutoff.
        n_rays: rays of the batch, ``0 … n_rays − 1``.
        cutoffs: what is looked for; the cheapest order is ascending.
        settings: accuracy, scan and limits.
        rng: generator of the checks.
        guess: of an earlier batch; saves the scan.

    Returns:
        Radii in the field's own unit, and what was seen on the way.

    Cost: about 3 to 4 evaluations per ray and cutoff with a guess, plus ``n_check``.

    Example:
        >>> found = first_crossings(lambda rays, r: (r**2)[:, None], 3, [Cutoff(0, 0.25)], SearchSettings(), np.random.default_rng(0))
        >>> found.radii.round(3).ravel().tolist()
        [0.5, 0.5, 0.5]
    """
    search = _Search(field, n_rays, settings)
    results = [search.solve(cutoff, None if guess is None else (guess.log_radius[t], guess.slope[t])) for t, cutoff in enumerate(cutoffs)]
    before = np.stack(results, axis=1)
    search.check(np.where(np.isfinite(before), before, -np.inf).max(axis=1), rng)
    found = np.stack([search.solve(cutoff, None, known) for cutoff, known in zip(cutoffs, results, strict=True)], axis=1)
    earlier = found < before - 10 * settings.rtol
    returns = np.stack([search.returns(cutoff, found[:, t]) for t, cutoff in enumerate(cutoffs)], axis=1)
    radii = np.where(np.isfinite(found), np.exp(np.minimum(found, 700.0)), np.nan)
    return Crossings(radii, returns, earlier, search.count.copy(), search.not_finite, search.guess(cutoffs, found, guess))


class _Search:
    """Every evaluated point of every ray, and the brackets that follow from them."""

    def __init__(self, field: Field, n_rays: int, settings: SearchSettings) -> None:
        self.field, self.settings = field, settings
        self.count = np.zeros(n_rays, dtype=int)
        self.not_finite = np.zeros(n_rays, dtype=bool)
        self.x = np.full((n_rays, 16), np.inf)
        self.values = np.zeros((n_rays, 16, 0))
        self.slopes: dict[tuple[int, float], np.ndarray] = {}

    def evaluate(self, rows: np.ndarray, x: np.ndarray) -> np.ndarray:
        """Values at log radii ``x`` of ``rows``, remembered."""
        values = self.field(rows, np.exp(x))
        if self.values.shape[2] == 0:
            self.values = np.zeros((*self.x.shape, values.shape[1]))
        if self.count[rows].max(initial=0) >= self.x.shape[1]:
            self.x = np.pad(self.x, ((0, 0), (0, 16)), constant_values=np.inf)
            self.values = np.pad(self.values, ((0, 0), (0, 16), (0, 0)))
        place = self.count[rows]
        self.x[rows, place], self.values[rows, place] = x, values
        self.count[rows] += 1
        self.not_finite[rows] |= ~np.isfinite(values).all(axis=1)
        return values

    def bracket(self, rows: np.ndarray, cutoff: Cutoff) -> tuple[np.ndarray, ...]:
        """``(lo, hi, f(lo), f(hi))`` per row: the first evaluated point above and the last one before it, ±inf where there is none yet."""
        x = self.x[rows]
        if self.values.shape[2] == 0:
            nothing = np.full(len(rows), np.inf)
            return -nothing, nothing, -nothing, nothing
        f = _log_ratio(self.values[rows, :, cutoff.column], cutoff.value)
        known = np.isfinite(x)
        hi, high = _nearest(np.where(known & (f >= 0), x, np.inf), f, np.inf)
        lo, low = _nearest(np.where(known & (f < 0) & (x < hi[:, None]), -x, np.inf), f, -np.inf)
        return -lo, hi, low, high

    def solve(self, cutoff: Cutoff, expected: tuple[float, float] | None, known: np.ndarray | None = None) -> np.ndarray:
        """Log radius of the first crossing of each ray, ``inf`` where there is none."""
        rows = np.arange(len(self.count))
        found = np.full(len(rows), np.inf) if known is None else known.copy()
        if known is not None:  # only rays on which a point above the cutoff has turned up further in
            rows = rows[self.bracket(rows, cutoff)[1] < known - 2 * self.settings.rtol]
        rows, found = self._enclose(rows, cutoff, expected, found)
        return self._close(rows, cutoff, found)

    def _enclose(self, rows: np.ndarray, cutoff: Cutoff, expected: tuple[float, float] | None, found: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Evaluate until each row has a point below and one above; rows without a crossing are dropped."""
        s = self.settings
        smallest, largest, step = np.log(s.smallest), np.log(s.largest), np.log(s.scan)
        enclosed = [rows[:0]]
        while len(rows):
            lo, hi, low, high = self.bracket(rows, cutoff)
            done = np.isfinite(lo) & np.isfinite(hi)
            enclosed.append(rows[done])
            endless = np.isinf(hi) & (lo >= largest - 1e-9)
            found[rows[endless]] = np.inf
            crossed = np.isinf(lo) & (hi <= smallest + 1e-9)
            found[rows[crossed]] = smallest
            open_ = ~(done | endless | crossed)
            rows, lo, hi, low, high = rows[open_], lo[open_], hi[open_], low[open_], high[open_]
            if len(rows):
                x = _next_open(lo, hi, low, high, expected, np.log(s.start), step)
                self.evaluate(rows, np.clip(x, smallest, largest))
        return np.sort(np.concatenate(enclosed)), found

    def _close(self, rows: np.ndarray, cutoff: Cutoff, found: np.ndarray) -> np.ndarray:
        """Anderson and Björck's rule on brackets until the secant is accurate enough; halving where it does not pay."""
        lo, hi, low, high = self.bracket(rows, cutoff)
        slope = np.full(len(found), np.nan)
        side, width, since = np.zeros(len(rows)), hi - lo, np.zeros(len(rows), dtype=int)
        weight_low, weight_high = np.ones(len(rows)), np.ones(len(rows))
        while len(rows):
            x, halved = _secant(lo, hi, low * weight_low, high * weight_high)
            slow = cutoff.steps | halved | (since >= 3)
            x = np.where(slow, (lo + hi) / 2, x)
            width, since = np.where(slow | (hi - lo < width / 2), hi - lo, width), np.where(slow | (hi - lo < width / 2), 0, since + 1)
            f = _log_ratio(self.evaluate(rows, x)[:, cutoff.column], cutoff.value)
            above = f >= 0
            replaced = np.where(above, high, low)
            ratio = np.clip(1.0 - f / np.where(replaced == 0, 1.0, replaced), 0.0, 1.0)
            ratio = np.where(ratio > 0, ratio, 0.5)
            repeated = np.where(above, side == 1, side == -1) & ~slow
            weight_low = np.where(above, np.where(repeated, weight_low * ratio, 1.0), 1.0)
            weight_high = np.where(above, 1.0, np.where(repeated, weight_high * ratio, 1.0))
            side = np.where(above, 1.0, -1.0)
            lo, low = np.where(above, lo, x), np.where(above, low, f)
            hi, high = np.where(above, x, hi), np.where(above, f, high)
            root, wild = _secant(lo, hi, low, high)
            # The error of the next secant step is about the product of its two distances (times half the curvature, of order 1 here).
            near = ~wild & (not cutoff.steps) & ((root - lo) * (hi - root) <= self.settings.rtol / 3)
            done = near | (hi - lo <= self.settings.rtol)
            found[rows[done]] = np.where(wild | cutoff.steps, (lo + hi) / 2, root)[done]
            slope[rows[done]] = ((high - low) / np.maximum(hi - lo, 1e-300))[done]
            keep = ~done
            rows, lo, hi, low, high, side, width, since, weight_low, weight_high = (
                part[keep] for part in (rows, lo, hi, low, high, side, width, since, weight_low, weight_high)
            )
        self.slopes.setdefault((cutoff.column, cutoff.value), slope)
        return found

    def check(self, reach: np.ndarray, rng: np.random.Generator) -> None:
        """Evaluate ``n_check`` stratified points inside the largest crossing of each ray."""
        rows = np.flatnonzero(np.isfinite(reach))
        n = self.settings.n_check
        for part in range(n if len(rows) else 0):
            share = (part + rng.random(len(rows))) / n
            self.evaluate(rows, reach[rows] + np.log(np.clip(share, 1e-3, 1.0 - 2 * self.settings.rtol)))

    def returns(self, cutoff: Cutoff, found: np.ndarray) -> np.ndarray:
        """Whether an evaluated point clearly beyond the crossing is below the cutoff."""
        below = _log_ratio(self.values[:, :, cutoff.column], cutoff.value) < 0
        beyond = np.isfinite(self.x) & (self.x > found[:, None] + 2 * self.settings.rtol)
        return np.asarray((below & beyond).any(axis=1))

    def guess(self, cutoffs: Sequence[Cutoff], found: np.ndarray, earlier: Guess | None) -> Guess | None:
        """Medians of this batch; where nothing crossed, what was guessed before."""
        crossed = np.isfinite(found)
        if not crossed.any(axis=0).all():
            return earlier
        radius = np.array([np.median(found[crossed[:, t], t]) for t in range(len(cutoffs))])
        slopes = [self.slopes[(cutoff.column, cutoff.value)] for cutoff in cutoffs]
        slope = np.array([np.median(part[np.isfinite(part)]) if np.isfinite(part).any() else 2.0 for part in slopes])
        return replace(earlier or Guess(radius, slope), log_radius=radius, slope=np.clip(slope, 0.2, 20.0))


def _log_ratio(values: np.ndarray, cutoff: float) -> np.ndarray:
    """``ln(value / cutoff)``, finite: floored where the value vanishes, at most :data:`_WILD` + 1 where it is infinite or not a number."""
    with np.errstate(all="ignore"):
        logs = np.log(np.maximum(values / cutoff, _LEAST))
    return np.where(np.isfinite(logs), np.minimum(logs, _WILD + 1.0), _WILD + 1.0)


def _nearest(key: np.ndarray, f: np.ndarray, missing: float) -> tuple[np.ndarray, np.ndarray]:
    """The smallest key of each row and ``f`` there (``missing`` where every key is infinite)."""
    place = key.argmin(axis=1)
    rows = np.arange(len(key))
    best = key[rows, place]
    return best, np.where(np.isfinite(best), f[rows, place], missing)


def _next_open(
    lo: np.ndarray, hi: np.ndarray, low: np.ndarray, high: np.ndarray, expected: tuple[float, float] | None, start: float, step: float
) -> np.ndarray:
    """Where to look next on rays without a bracket: the guess first, then along the guessed slope with a little overshoot, else the scan."""
    fresh = np.isinf(lo) & np.isinf(hi)
    if expected is None:
        return np.where(fresh, start, np.where(np.isinf(hi), lo + step, hi - 3 * step))
    radius, slope = expected
    with np.errstate(invalid="ignore"):
        outward = lo + np.clip(-1.1 * low / slope + 0.03, 0.03, step)
        inward = hi - np.clip(1.1 * high / slope + 0.03, 0.03, 6 * step)
    return np.where(fresh, radius, np.where(np.isinf(hi), outward, inward))


def _secant(lo: np.ndarray, hi: np.ndarray, low: np.ndarray, high: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Where the chord crosses zero, and whether it says nothing because an end is wild."""
    with np.errstate(all="ignore"):
        x = lo + (hi - lo) * (-low / (high - low))
    bad = ~np.isfinite(x) | (high > _WILD)
    return np.where(bad, (lo + hi) / 2, np.clip(x, lo, hi)), bad
