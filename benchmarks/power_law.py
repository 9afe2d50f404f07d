"""The tail fit: milliseconds of the exact scan and of resampling, coverage of the interval, and how often a fit is believed.

OPENBLAS_NUM_THREADS=1 python benchmarks/power_law.py speed | coverage | belief
"""

import sys
from collections.abc import Callable

import numpy as np
from singular_values import milliseconds

from genscope.numerics.ks_scan import ks_distance, tail_exponents
from genscope.numerics.power_law import fit_power_law, log_eigenvalues
from genscope.numerics.power_law_bootstrap import bootstrap_power_law, goodness_of_fit
from genscope.numerics.tail_alternatives import compare_tail
from genscope.numerics.tail_belief import belief

ALPHAS = (2.0, 2.5, 3.0, 4.0, 6.0)
RNG = np.random.default_rng(0)


def pareto(n: int, alpha: float) -> np.ndarray:
    return np.exp(RNG.standard_exponential(n) / (alpha - 1.0))


def bulk_and_tail(n: int, alpha: float) -> np.ndarray:
    return np.concatenate((RNG.uniform(0.1, 1.0, n - n // 5), pareto(n // 5, alpha)))


def noise(n: int, aspect: float, uniform: bool) -> np.ndarray:
    shape = (n, int(n * aspect))
    weights = RNG.uniform(-1.0, 1.0, shape) if uniform else RNG.standard_normal(shape)
    return np.linalg.eigvalsh(weights @ weights.T)


def every_point_of_every_candidate(values: np.ndarray) -> float:
    logs = log_eigenvalues(values)
    candidates = np.arange(logs.size - 9)
    return min(ks_distance(logs, int(i), float(rate))[0] for i, rate in zip(candidates, tail_exponents(logs, candidates), strict=True))


def speed() -> None:
    for n in (64, 256, 512, 768, 1024, 4608, 15000):
        for name, values in (("power law", pareto(n, 3.0)), ("bulk + tail", bulk_and_tail(n, 3.0))):
            fit = fit_power_law(values)
            parts: dict[str, Callable[[], object]] = {
                "exact scan": lambda values=values: fit_power_law(values),
                "all points": lambda values=values: every_point_of_every_candidate(values),
                "bootstrap 200": lambda values=values, fit=fit: bootstrap_power_law(values, fit, rng=RNG),
                "goodness 200": lambda values=values, fit=fit: goodness_of_fit(values, fit, rng=RNG),
                "alternatives": lambda values=values, fit=fit: compare_tail(values, fit),
            }
            print(f"n = {n:5d} {name:12s} " + "  ".join(f"{part} {milliseconds(work, 1 if n > 5000 else 3):.2f}" for part, work in parts.items()))


def coverage() -> None:
    for name, draw in (("power law", pareto), ("bulk + tail", bulk_and_tail)):
        for n in (50, 200, 1000, 4000):
            row = []
            for alpha in ALPHAS:
                repeats = 200 if n < 4000 else 80
                fits = [(values, fit_power_law(values)) for values in (draw(n, alpha) for _ in range(repeats))]
                intervals = [bootstrap_power_law(values, fit, rng=RNG) for values, fit in fits]
                hit = np.mean([found.low <= alpha <= found.high for found in intervals])
                bias = np.mean([fit.alpha for _, fit in fits]) - alpha
                row.append(f"alpha {alpha:g}: {100 * hit:.0f} % bias {bias:+.3f}")
            print(f"{name:12s} n = {n:4d}  " + "  ".join(row))


def believed(values: np.ndarray, resampled: bool) -> bool:
    fit = fit_power_law(values)
    alternatives = compare_tail(values, fit)
    if not resampled:
        return belief(fit, alternatives=alternatives)[0] == "ok"
    found, p_value = bootstrap_power_law(values, fit, rng=RNG), goodness_of_fit(values, fit, rng=RNG)
    return belief(fit, p_value=p_value, low=found.low, high=found.high, alternatives=alternatives)[0] == "ok"


def share(draw: Callable[[], np.ndarray], repeats: int, resampled: bool = True) -> str:
    return f"{100 * np.mean([believed(draw(), resampled) for _ in range(repeats)]):.0f} %"


def belief_row(n: int) -> list[str]:
    repeats = 100 if n <= 200 else 12
    kinds = [(aspect, flat) for aspect in (1.0, 3.0, 10.0) if n * aspect <= 3000 for flat in (False, True)]
    noises = [f"{'uniform' if flat else 'Gaussian'} 1:{aspect:g} {share(lambda a=aspect, f=flat: noise(n, a, f), repeats)}" for aspect, flat in kinds]
    rows = ["noise:       " + "  ".join(noises)]
    rows.append("without resampling: Gaussian 1:1 " + share(lambda: noise(n, 1.0, False), repeats, resampled=False))
    rows.append("power law:   " + "  ".join(f"alpha {alpha:g} {share(lambda a=alpha: pareto(n, a), 100)}" for alpha in ALPHAS))
    rows.append("bulk + tail: " + "  ".join(f"alpha {alpha:g} {share(lambda a=alpha: bulk_and_tail(n, a), 100)}" for alpha in ALPHAS))
    return rows


def beliefs() -> None:
    for n in (50, 100, 200, 500, 1000):
        for row in belief_row(n):
            print(f"n = {n:4d} believed, {row}", flush=True)


if __name__ == "__main__":
    {"speed": speed, "coverage": coverage, "belief": beliefs}[sys.argv[1] if len(sys.argv) > 1 else "speed"]()
