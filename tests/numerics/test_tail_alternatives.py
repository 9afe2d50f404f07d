"""Other families for the tail: against the powerlaw package, numerical maximization, closed forms and planted families."""

import warnings

import numpy as np
import pytest
from scipy import integrate, optimize, stats
from tests.truth import planted_power_law

from genscope.numerics.power_law import fit_power_law
from genscope.numerics.tail_alternatives import ALTERNATIVES, compare_tail
from genscope.numerics.tail_families import (
    fit_exponential,
    fit_lognormal,
    fit_stretched_exponential,
    fit_truncated_power_law,
    truncated_power_law_survival,
)
from genscope.numerics.truncated_power_law import fit_truncated_tail


def planted(kind: str, rng: np.random.Generator) -> np.ndarray:
    if kind == "lognormal":
        return np.exp(rng.standard_normal(900))
    if kind == "exponential":
        return 1.0 + rng.standard_exponential(600)
    values = planted_power_law(9000, 1.5, rng)
    return values[rng.random(values.size) < np.exp(-0.2 * values)][:900]


@pytest.mark.parametrize("kind", ["lognormal", "truncated"])
def test_ratios_agree_with_the_powerlaw_package(kind: str) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        powerlaw = pytest.importorskip("powerlaw")
        values = np.sort(planted(kind, np.random.default_rng(0)))[-300:]
        fit = fit_power_law(values, xmin=values[0])
        theirs = powerlaw.Fit(values, xmin=values[0], verbose=0)
        ours = compare_tail(values, fit)
        assert tuple(ours) == ALTERNATIVES
        for name, one in ours.items():
            ratio, p_value = theirs.distribution_compare("power_law", name)
            score, _ = theirs.distribution_compare("power_law", name, normalized_ratio=True)
            assert one.log_likelihood_ratio == pytest.approx(ratio, rel=1e-4, abs=1e-4)
            assert one.normalized_ratio == pytest.approx(score, rel=1e-3, abs=1e-3)
            assert one.p_value == pytest.approx(p_value, rel=5e-3, abs=1e-6)


def numerical_maximum(z: np.ndarray, log_density, start: list[float]) -> float:
    def negative(parameters: np.ndarray) -> float:
        found = log_density(z, *parameters)
        return -float(np.sum(found)) if np.all(np.isfinite(found)) else 1e12

    return -min(
        optimize.minimize(negative, np.array(start) + shift, method="Nelder-Mead", options={"xatol": 1e-10, "fatol": 1e-12, "maxiter": 9000}).fun
        for shift in (0.0, 0.3)
    )


def samples_of_z() -> list[np.ndarray]:
    rng = np.random.default_rng(1)
    kinds = [np.abs(rng.standard_normal(n)) * scale for n in (12, 90, 500) for scale in (0.1, 1.0)]
    kinds += [np.log1p(rng.standard_exponential(n) * scale) for n in (12, 90, 500) for scale in (0.1, 3.0)]
    return [np.sort(z - z.min()) for z in kinds]


@pytest.mark.parametrize("index", range(12))
def test_fits_reach_the_maximum_of_the_likelihood(index: int) -> None:
    z = samples_of_z()[index]

    def lognormal(z: np.ndarray, mu: float, log_sigma: float) -> np.ndarray:
        sigma = np.exp(log_sigma)
        return stats.norm.logpdf(z, mu, sigma) - stats.norm.logsf(0.0, mu, sigma) - z

    def stretched(z: np.ndarray, log_rate: float, log_power: float) -> np.ndarray:
        power = np.exp(log_power)
        return log_rate + log_power + (power - 1.0) * z - np.exp(log_rate) * np.expm1(power * z)

    normal = fit_lognormal(z)
    assert normal is not None
    start = [normal.parameters["mu"], np.log(normal.parameters["sigma"])]
    assert normal.log_density.sum() == pytest.approx(lognormal(z, *start).sum(), rel=1e-9, abs=1e-9)
    assert normal.log_density.sum() >= numerical_maximum(z, lognormal, start) - 1e-6
    weibull = fit_stretched_exponential(z)
    assert weibull is not None
    start = [np.log(weibull.parameters["rate"]), np.log(weibull.parameters["power"])]
    assert weibull.log_density.sum() == pytest.approx(stretched(z, *start).sum(), rel=1e-9, abs=1e-9)
    assert weibull.log_density.sum() >= numerical_maximum(z, stretched, start) - 1e-5
    exponential = fit_exponential(z)
    assert exponential.log_density.sum() == pytest.approx(stats.expon.logpdf(np.expm1(z), scale=np.expm1(z).mean()).sum())


@pytest.mark.parametrize(("alpha", "cut"), [(2.5, 0.1), (1.5, 0.2), (-3.0, 4.0), (0.5, 1e-3), (5.0, 1e-6)])
def test_truncated_power_law_integrates_to_one(alpha: float, cut: float) -> None:
    z = np.linspace(0.0, 3.0, 15)

    def mass(low: float) -> float:
        high = np.log(50.0 / cut + 1.0)
        return integrate.quad(lambda u: np.exp((1.0 - alpha) * u - cut * np.expm1(u)), low, high, limit=500, epsabs=0.0, epsrel=1e-11)[0]

    assert truncated_power_law_survival(z, alpha, cut) == pytest.approx([mass(one) / mass(0.0) for one in z], rel=1e-8)


def test_truncated_power_law_beats_both_of_its_limits_and_its_neighbours() -> None:
    for z in samples_of_z()[6:]:
        family = fit_truncated_power_law(z)
        assert family is not None
        rate = 1.0 / z.mean()
        assert family.log_density.sum() >= np.sum(np.log(rate) - (rate + 1.0) * z) - 1e-9
        assert family.log_density.sum() >= fit_exponential(z).log_density.sum() - 1e-9
        alpha, cut = family.parameters["alpha"], family.parameters["cut_rate"]
        for other in ((alpha + 0.05, cut), (alpha - 0.05, cut), (alpha, 1.05 * cut), (alpha, 0.95 * cut)):
            total = integrate.quad(lambda u, a, c: np.exp((1.0 - a) * u - c * np.exp(u)), 0.0, 12.0, args=other, limit=300)[0]
            assert family.log_density.sum() > np.sum(-other[0] * z - other[1] * np.exp(z)) - z.size * np.log(total)


def test_families_that_contain_the_power_law_step_back_on_heavier_tails() -> None:
    z = np.sort(np.random.default_rng(2).standard_exponential(400) ** 1.5) / 4.0
    z -= z[0]
    assert fit_lognormal(z) is None
    assert fit_truncated_power_law(z) is None
    values = np.exp(z)
    found = compare_tail(values, fit_power_law(values, xmin=1.0))
    assert found["lognormal"].p_value == 1.0 == found["truncated_power_law"].p_value
    assert found["exponential"].log_likelihood_ratio > 0.0


@pytest.mark.parametrize("kind", ["lognormal", "exponential", "truncated"])
def test_the_true_family_is_preferred(kind: str) -> None:
    values = planted(kind, np.random.default_rng(3))
    found = compare_tail(values, fit_power_law(values, xmin=float(np.quantile(values, 0.2))))
    name = "truncated_power_law" if kind == "truncated" else kind
    assert found[name].log_likelihood_ratio < -2.0
    assert found[name].p_value < 0.05


def test_scores_do_not_change_with_scale_and_parameters_follow_it() -> None:
    values = planted("lognormal", np.random.default_rng(4))
    one = compare_tail(values, fit_power_law(values, xmin=1.0))
    two = compare_tail(values * 1e20, fit_power_law(values * 1e20, xmin=1e20))
    for name in ALTERNATIVES:
        assert two[name].normalized_ratio == pytest.approx(one[name].normalized_ratio, rel=1e-6)
    assert one["lognormal"].parameters["mu"] == pytest.approx(0.0, abs=0.5)
    assert two["lognormal"].parameters["mu"] - one["lognormal"].parameters["mu"] == pytest.approx(np.log(1e20), rel=1e-6)
    assert two["exponential"].parameters["rate"] == pytest.approx(one["exponential"].parameters["rate"] * 1e-20)
    assert two["truncated_power_law"].parameters["cut_rate"] == pytest.approx(one["truncated_power_law"].parameters["cut_rate"] * 1e-20, rel=1e-4)


def test_without_a_fit_there_is_nothing_to_compare() -> None:
    assert compare_tail(np.ones(40), fit_power_law(np.ones(40))) == {}


@pytest.mark.parametrize("start", ["ks", "peak", 1.0])
def test_truncated_tail_recovers_planted_parameters(start: float | str) -> None:
    rng = np.random.default_rng(5)
    values = planted_power_law(40_000, 1.5, rng)
    values = 7.0 * values[rng.random(values.size) < np.exp(-0.2 * values)][:4000]
    fit = fit_truncated_tail(values, xmin=start if isinstance(start, str) else 7.0 * start)
    assert fit.alpha == pytest.approx(1.5, abs=0.2)
    assert fit.cut_rate == pytest.approx(0.2 / 7.0, rel=0.25)
    assert fit.ks_distance < 0.05
    assert fit.n_tail == np.count_nonzero(values >= fit.xmin * (1.0 - 1e-12))


def test_truncated_tail_of_a_pure_power_law_or_of_nothing() -> None:
    values = np.exp(np.sort(np.random.default_rng(6).standard_exponential(300) ** 1.4) / 4.0)
    heavy = fit_truncated_tail(values, xmin=float(values[0]))
    assert (heavy.cut_rate, heavy.alpha) == (0.0, pytest.approx(fit_power_law(values, xmin=float(values[0])).alpha))
    flat = fit_truncated_tail(np.ones(50))
    assert (flat.alpha, flat.status) == (None, "skipped")
    assert fit_truncated_tail(np.arange(1.0, 4.0)).alpha is None
