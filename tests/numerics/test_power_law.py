"""The tail fit: exactness against brute force, scale, degenerate spectra, bias on planted truth, agreement with other tools."""

import warnings

import numpy as np
import pytest
from tests import truth

from genscope.core.status import OK, SKIPPED
from genscope.errors import CorruptInput, UsageError
from genscope.numerics import ks_scan, power_law
from genscope.numerics.power_law import default_min_tail, finger_sensitivity, fit_power_law, hill_estimates


def random_spectrum(rng: np.random.Generator) -> np.ndarray:
    n = int(rng.integers(6, 160))
    kind = rng.integers(6)
    if kind == 0:
        return truth.planted_power_law(n, rng.uniform(1.2, 8.0), rng)
    if kind == 1:
        return truth.planted_tail_on_bulk(n, rng.uniform(1.5, 6.0), rng)
    if kind == 2:
        return truth.noise_eigenvalues(n, n + int(rng.integers(0, 100)), rng)
    if kind == 3:
        return np.round(truth.planted_power_law(n, 2.5, rng), 1)
    if kind == 4:
        return rng.choice(truth.planted_power_law(n, 3.0, rng), n)
    return rng.lognormal(0.0, rng.uniform(0.1, 3.0), n)


def test_scan_finds_what_brute_force_finds() -> None:
    rng = np.random.default_rng(0)
    fitted = 0
    for _ in range(70):
        values = random_spectrum(rng)
        fit = fit_power_law(values)
        if fit.alpha is None:
            continue
        fitted += 1
        alpha, xmin, n_tail, distance = truth.best_tail_by_brute_force(values, default_min_tail(fit.n))
        assert fit.ks_distance == pytest.approx(distance, abs=1e-12)
        assert (fit.alpha, fit.xmin, fit.n_tail) == (pytest.approx(alpha, rel=1e-9), pytest.approx(xmin, rel=1e-12), n_tail)
        assert fit.alpha_stderr == pytest.approx((alpha - 1.0) / n_tail**0.5, rel=1e-9)
    assert fitted > 50


@pytest.mark.parametrize("factor", [1e-30, 1e-4, 3.7, 1e30])
def test_scale_changes_nothing_but_xmin(factor: float) -> None:
    values = truth.planted_tail_on_bulk(400, 3.0, np.random.default_rng(1))
    plain, scaled = fit_power_law(values), fit_power_law(values * factor)
    assert scaled.alpha == pytest.approx(plain.alpha, rel=1e-9)
    assert scaled.ks_distance == pytest.approx(plain.ks_distance, rel=1e-9)
    assert scaled.n_tail == plain.n_tail
    assert scaled.xmin == pytest.approx(plain.xmin * factor, rel=1e-12)


@pytest.mark.parametrize("alpha", [2.0, 2.5, 3.0, 4.0, 6.0])
@pytest.mark.parametrize("n", [50, 200, 1000, 4000])
def test_planted_exponent_is_recovered(alpha: float, n: int) -> None:
    rng = np.random.default_rng([n, int(10 * alpha)])
    repeats = {50: 60, 200: 60, 1000: 30, 4000: 12}[n]
    logs = [np.log(fit_power_law(truth.planted_power_law(n, alpha, rng)).alpha - 1.0) for _ in range(repeats)]
    spread = 2.2 / n**0.5  # of one estimate: twice the error with xmin known
    assert abs(np.mean(logs) - np.log(alpha - 1.0)) < 3.0 * spread / repeats**0.5 + 1.5 / n


@pytest.mark.parametrize(
    ("values", "word"),
    [
        (np.ones(40), "equal"),
        (np.eye(30).diagonal() * (1.0 + 1e-14 * np.arange(30)), "equal"),
        (np.repeat([1.0, 2.0], 20), "two distinct"),
        (np.zeros(40), "0 eigenvalues"),
        (np.r_[1.0, np.zeros(40)], "1 eigenvalue "),
        (np.arange(1.0, 6.0), "at least 6"),
        (np.empty(0), "0 eigenvalues"),
    ],
)
def test_degenerate_spectra_are_skipped_with_a_reason(values: np.ndarray, word: str) -> None:
    fit = fit_power_law(values)
    assert (fit.alpha, fit.xmin, fit.ks_distance, fit.alpha_stderr, fit.n_tail, fit.status) == (None, None, None, None, 0, SKIPPED)
    assert word in fit.reason


def test_order_zeros_and_rounding_noise_do_not_matter() -> None:
    values = truth.planted_power_law(200, 3.0, np.random.default_rng(2))
    noisy = np.r_[values[::-1], np.zeros(5), 1e-17 * np.arange(9), -1e-18]
    assert fit_power_law(noisy) == fit_power_law(values)


@pytest.mark.parametrize("n", [6, 7, 8, 12, 20])
def test_small_spectra_get_an_honest_fit(n: int) -> None:
    fit = fit_power_law(truth.planted_power_law(n, 2.5, np.random.default_rng(n)))
    assert fit.status == OK
    assert fit.n_tail >= default_min_tail(n) >= 6
    assert fit.alpha_stderr > 0.2 * (fit.alpha - 1.0)


def test_fixed_xmin_and_xmax() -> None:
    values = truth.planted_power_law(500, 2.5, np.random.default_rng(3))
    fit = fit_power_law(values, xmin=2.0)
    tail = values[values >= 2.0]
    assert (fit.n_tail, fit.xmin) == (tail.size, tail.min())
    assert fit.alpha == pytest.approx(1.0 + tail.size / np.log(tail / tail.min()).sum(), rel=1e-12)
    assert fit_power_law(values, xmax=5.0) == fit_power_law(values[values <= 5.0])


def test_agrees_with_the_powerlaw_package_at_its_xmin() -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        powerlaw = pytest.importorskip("powerlaw")
        values = truth.planted_tail_on_bulk(400, 2.5, np.random.default_rng(4))
        theirs = powerlaw.Fit(values, xmin=float(np.sort(values)[330]), verbose=0)
        ours = fit_power_law(values, xmin=float(np.sort(values)[330]))
        assert ours.alpha == pytest.approx(theirs.power_law.alpha, rel=1e-9)
        assert ours.alpha_stderr == pytest.approx(theirs.power_law.sigma, rel=1e-9)


def quasi_random(n: int, alpha: float, kind: str) -> np.ndarray:
    u = ((np.arange(n) + 0.5) * 0.6180339887498949) % 1.0
    if kind == "bulk":
        return np.where(u < 0.7, 0.2 + u, 0.9 * ((1 - u) / 0.3) ** (-1 / (alpha - 1)))
    if kind == "uniform":
        return alpha * u + 0.01
    values = (1 - u) ** (-1 / (alpha - 1))
    return np.round(values, 1) if kind == "ties" else values


WEIGHTWATCHER = [  # n, alpha, kind; alpha, xmin, D, sigma of WWFit 0.7.7
    (300, 2.0, "pareto", 2.005241355104584, 1.0227520663914924, 0.005594049924751099, 0.05872682701838026),
    (300, 3.5, "bulk", 3.527151634184009, 0.8108630593568733, 0.012552520192079863, 0.23363525122879633),
    (64, 4.0, "bulk", 3.916748473605066, 0.8139686793720038, 0.0391833764715207, 0.5833496947210132),
    (1000, 2.5, "bulk", 2.500105106230036, 0.9035497014404158, 0.003095229721020276, 0.08675331824516327),
    (128, 3.0, "uniform", 31.382532240748002, 2.791152949374527, 0.17142602153888575, 9.607800296426293),
    (200, 3.0, "ties", 3.152962466213106, 2.5, 0.04023825179487828, 0.37478265947897577),
    (25, 2.2, "pareto", 2.3172449151096686, 1.0145810578460905, 0.05265616537212092, 0.2634489830219337),
    (18, 3.0, "pareto", 2.9350089137393085, 1.0087232939361834, 0.043957520190478494, 0.4560859748538268),
    (12, 2.5, "bulk", 2.4676117012245835, 0.5090169943749474, 0.10923589904148834, 0.5188790930423142),
    (9, 2.0, "pareto", 2.1198408661121055, 1.0175226837294638, 0.05675969050658691, 0.3732802887040352),
]


@pytest.mark.parametrize(("n", "planted", "kind", "alpha", "xmin", "distance", "sigma"), WEIGHTWATCHER)
def test_weightwatcher_convention(n: int, planted: float, kind: str, alpha: float, xmin: float, distance: float, sigma: float) -> None:
    fit = fit_power_law(quasi_random(n, planted, kind), convention="weightwatcher")
    assert (fit.alpha, fit.xmin, fit.ks_distance, fit.alpha_stderr) == pytest.approx((alpha, xmin, distance, sigma), rel=1e-9)


def test_weightwatcher_convention_cuts_at_an_absolute_value() -> None:
    values = quasi_random(300, 3.5, "bulk")
    assert fit_power_law(values * 1e-8, convention="weightwatcher").status == SKIPPED
    assert fit_power_law(np.r_[values, np.full(50, 1e-6)], convention="weightwatcher") == fit_power_law(values, convention="weightwatcher")


def test_wrong_calls_are_refused() -> None:
    with pytest.raises(UsageError, match="convention"):
        fit_power_law(np.arange(1.0, 50.0), convention="other")
    with pytest.raises(CorruptInput, match="finite"):
        fit_power_law(np.r_[np.arange(1.0, 50.0), np.inf])


def test_hill_curve_settles_on_a_power_law() -> None:
    curve = hill_estimates(truth.planted_power_law(4000, 3.0, np.random.default_rng(5)))
    assert curve.n_tails.tolist() == list(range(2, 4001))
    assert abs(curve.alphas[-1] - 3.0) < 0.1
    assert np.all(np.diff(curve.xmins) <= 0.0)
    assert hill_estimates(np.zeros(5)).alphas.size == 0


def test_a_finger_shows_in_the_sensitivity() -> None:
    values = np.r_[np.linspace(1.0, 2.0, 60) ** 0.5, 400.0]
    alphas = finger_sensitivity(values)
    assert len(alphas) == 5
    assert alphas[0] > fit_power_law(values).alpha + 1.0
    assert finger_sensitivity(np.arange(1.0, 9.0))[3:] == (None, None)


def test_the_scan_looks_at_few_candidates(monkeypatch: pytest.MonkeyPatch) -> None:
    looked = []
    exact = ks_scan.ks_distance
    monkeypatch.setattr(ks_scan, "ks_distance", lambda *args, **options: looked.append(1) or exact(*args, **options))
    power_law.fit_power_law(truth.planted_power_law(4000, 3.0, np.random.default_rng(6)))
    assert len(looked) < 200
