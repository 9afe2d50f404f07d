"""The batched, gridded fits of resamples against the exact scan of each resample."""

import numpy as np
import pytest
from tests.truth import planted_power_law, planted_tail_on_bulk

from genscope.numerics.power_law import default_min_tail, fit_power_law
from genscope.numerics.resampled_tails import fit_tails, semi_parametric, tail_sizes, with_replacement

N_ROWS = 80


def logs_of(values: np.ndarray) -> np.ndarray:
    return np.log(np.sort(values) / values.max())


@pytest.mark.parametrize("n", [50, 300, 1500])
@pytest.mark.parametrize("kind", ["pareto", "bulk"])
@pytest.mark.parametrize("how", ["replacement", "model"])
def test_the_grid_loses_little(n: int, kind: str, how: str) -> None:
    rng = np.random.default_rng(n)
    values = planted_power_law(n, 3.0, rng) if kind == "pareto" else planted_tail_on_bulk(n, 3.0, rng)
    logs, fit = logs_of(values), fit_power_law(values)
    samples = with_replacement(logs, N_ROWS, rng) if how == "replacement" else semi_parametric(logs, n - fit.n_tail, fit.alpha - 1.0, N_ROWS, rng)
    rate, size, distance = fit_tails(samples, tail_sizes(n, default_min_tail(n)))
    exact = [fit_power_law(np.exp(row.astype(np.float64))) for row in samples]
    their_rate = np.log([one.alpha - 1.0 for one in exact])
    difference = np.log(rate) - their_rate
    assert abs(np.median(difference)) < 0.02
    assert abs(np.mean(difference)) < 0.25 * their_rate.std()
    assert np.log(rate).std() == pytest.approx(their_rate.std(), rel=0.25)
    assert np.corrcoef(distance, [one.ks_distance for one in exact])[0, 1] > 0.85
    assert np.mean(distance / [one.ks_distance for one in exact]) == pytest.approx(1.0, abs=0.08)
    assert np.all((size >= default_min_tail(n)) & (size <= n))


def test_resamples_are_sorted_and_made_of_the_data() -> None:
    logs = logs_of(planted_power_law(300, 2.5, np.random.default_rng(0)))
    samples = with_replacement(logs, 400, np.random.default_rng(1))
    assert samples.shape == (400, 300)
    assert np.all(np.diff(samples, axis=1) >= 0.0)
    assert np.isin(samples, logs.astype(np.float32)).all()
    counts = np.array([(samples == value).sum() for value in logs.astype(np.float32)[::30]])
    assert np.all(np.abs(counts - 400) < 5 * 20)
    assert samples.mean() == pytest.approx(logs.mean(), abs=4 * logs.std() / (400 * 300) ** 0.5)


def test_the_model_has_the_fitted_tail_and_the_body_of_the_data() -> None:
    logs = logs_of(planted_tail_on_bulk(500, 3.0, np.random.default_rng(2)))
    start, rate = 400, 2.0
    samples = semi_parametric(logs, start, rate, 400, np.random.default_rng(3)).astype(np.float64)
    assert np.all(np.diff(samples, axis=1) >= 0.0)
    beyond = samples[samples >= np.float32(logs[start])] - logs[start]
    body = samples[samples < np.float32(logs[start])]
    assert beyond.size / samples.size == pytest.approx(0.2, abs=0.004)
    assert beyond.mean() == pytest.approx(1.0 / rate, rel=0.02)
    assert np.quantile(beyond, 0.9) == pytest.approx(np.log(10.0) / rate, rel=0.03)
    assert np.isin(body.astype(np.float32), logs[:start].astype(np.float32)).all()
    assert np.all(semi_parametric(logs, 0, rate, 5, np.random.default_rng(4)) >= np.float32(logs[0]))


def test_ties_move_the_start_to_their_first() -> None:
    row = np.log(np.repeat([1.0, 2.0, 3.0, 5.0], 5)).astype(np.float32)[None]
    rate, size, _ = fit_tails(row, np.array([12]))
    assert size.tolist() == [15]
    assert rate[0] == pytest.approx(15.0 / (5 * np.log(1.5) + 5 * np.log(2.5)), rel=1e-6)


def test_rows_without_spread_are_marked() -> None:
    rate, _, _ = fit_tails(np.zeros((2, 20), dtype=np.float32), tail_sizes(20, 10))
    assert rate.tolist() == [0.0, 0.0]
