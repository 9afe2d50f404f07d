"""Judges of Liao et al. on tables with known answers: the claim true, only the null true, and too little to tell."""

import math
from typing import Any

import numpy as np
import pytest

from genscope.core.seeds import generator_for
from genscope.experiments.papers import liao_capacity, liao_first_order, liao_histogram, liao_resnet, liao_same_loss, liao_samples, liao_slope_one
from genscope.experiments.papers.liao_fits import (
    converged,
    expanded_loss,
    fixed_point,
    law_deviation,
    line_through,
    random_scale_null,
    rank_correlation,
    shuffled_rank_correlation,
)
from genscope.experiments.papers.liao_measurements import cross_entropy
from genscope.experiments.values import Judgement

PANELS = {panel.id: panel for panel in liao_slope_one.PANELS}
RELATIONS = {relation.id: relation for relation in liao_capacity.RELATIONS}


def network(margin: float, ratio: float, log_rho: float, error: float, **own: Any) -> dict[str, Any]:
    """A network whose losses are what its two moments say, with 10 classes."""
    losses = {
        part: float(expanded_loss(np.array([m]), np.array([0.5 * m * m]), np.array([log_rho]), 10)[0])
        for part, m in (("train", margin), ("test", ratio * margin))
    }
    return {
        "data": "cifar10", "network": "three-layer-64", "random_labels": False, "std": log_rho, "corruption": error, "seed": 0, "n_params": 1000,
        "train_error": 0.0, "test_error": error, "train_loss": 0.01, "test_loss": 3.0, "train_loss_printed_sign": 20.0, "log_rho": log_rho,
        "train_margin": margin, "test_margin": ratio * margin, "train_spread": 0.5 * margin**2, "test_spread": 0.5 * (ratio * margin) ** 2,
        "train_loss_normalized": losses["train"], "test_loss_normalized": losses["test"], "test_error_biases_left": error,
        "normalized_margin_50": margin * math.exp(-log_rho), "reference_loss": 0.01, **own,
    }  # fmt: skip


def unrelated(n: int, ratio: float, seed: int = 0, loose: float = 0.002) -> list[dict[str, Any]]:
    """Networks with one kind of outputs, errors in no order, and norms that have nothing to do with either."""
    rng = generator_for(seed, "test", "unrelated")
    return [network(12 + rng.normal(), ratio * (1 + loose * rng.normal()), rng.uniform(6, 8), rng.uniform(0.2, 0.4)) for _ in range(n)]


def verdict(judged: Judgement) -> str:
    assert len(judged.meaning) > 40
    return judged.verdict


def test_moments_give_the_loss_to_second_order() -> None:
    rng = generator_for(0, "test", "moments")
    logits, labels = 3 * rng.standard_normal((500, 10)), rng.integers(0, 10, 500)
    margin = np.mean(logits[np.arange(500), labels] - logits.mean(axis=1))
    spread = logits.var(axis=1).mean()
    for scale in (10.0, 100.0):
        exact = cross_entropy(logits / scale, labels)
        found = expanded_loss(np.array([margin]), np.array([spread]), np.array([math.log(scale)]), 10)[0]
        assert abs(found - exact) < 20 / scale**3


def test_a_line_is_recovered_with_its_interval() -> None:
    x = np.linspace(1, 2, 20)
    line = line_through(x, 0.3 + 0.8 * x)
    assert line is not None
    assert line.slope == pytest.approx(0.8) and line.r2 == pytest.approx(1.0) and fixed_point(line) == pytest.approx(1.5)
    assert line.slope_interval == pytest.approx((0.8, 0.8))
    assert line_through(np.ones(5), x[:5]) is None


def test_the_published_lines_meet_the_diagonal_at_ln_10() -> None:
    found = {figure: intercept / (1 - slope) for figure, slope, intercept, _, _ in liao_first_order.PUBLISHED}
    assert found["9"] == pytest.approx(2.3039, abs=5e-5)
    assert found["10"] == pytest.approx(2.2988, abs=5e-5)
    assert found["15"] == pytest.approx(2.320, abs=5e-4)
    assert found["16"] == pytest.approx(2.3012, abs=5e-5)


def test_a_line_that_the_null_has_too_is_called_so() -> None:
    judged = liao_slope_one.judge_normalized(PANELS["S1-F15"], unrelated(20, 0.95), "small")
    assert verdict(judged) == "HOLDS-BUT-NULL-TOO"
    slope = judged.checks[0]
    assert slope.observed == pytest.approx(0.95, abs=0.02) and slope.null == pytest.approx(slope.observed, abs=0.02)


def test_a_slope_far_from_one_fails_and_few_networks_decide_nothing() -> None:
    assert verdict(liao_slope_one.judge_normalized(PANELS["S1-F10"], unrelated(20, 0.5), "small")) == "FAILS"
    judged = liao_slope_one.judge_normalized(PANELS["S1-F10"], unrelated(4, 0.95), "small")
    assert judged.verdict == "INCONCLUSIVE" and judged.runs_needed == 6


def test_random_labels_off_the_line_fail() -> None:
    nets = unrelated(20, 0.95, loose=0.01)
    near = network(12, 0.0, 12.0, 0.9, random_labels=True)  # a huge norm puts it onto (ln C, ln C)
    far = network(12, 0.0, 6.0, 0.9, random_labels=True)
    assert verdict(liao_slope_one.judge_normalized(PANELS["S1-F16"], [*nets, near], "small")) == "HOLDS-BUT-NULL-TOO"
    assert verdict(liao_slope_one.judge_normalized(PANELS["S1-F16"], [*nets, far], "small")) == "FAILS"


def test_raw_losses_related_and_unrelated() -> None:
    rng = generator_for(1, "test", "raw")
    loose = [{**net, "train_loss": rng.uniform(), "test_loss": rng.uniform()} for net in unrelated(40, 0.95)]
    tight = [{**net, "train_loss": k / 40, "test_loss": 2 + k / 40} for k, net in enumerate(loose)]
    assert verdict(liao_slope_one.judge_raw(loose, "small")) == "HOLDS"
    assert verdict(liao_slope_one.judge_raw(tight, "small")) == "FAILS"


def test_the_null_keeps_the_law_and_loses_the_order() -> None:
    nets = unrelated(24, 0.92)
    null = random_scale_null(nets, 10)
    assert null.slope == pytest.approx(0.92, abs=0.02) and null.r2 > 0.99
    assert abs(null.rank) < 0.25 < null.rank_above
    assert law_deviation(nets, 10) < 0.05
    assert shuffled_rank_correlation(20) == pytest.approx(0.447, abs=0.05)  # tabulated 2.5% point of Spearman's ρ for n = 20


@pytest.mark.parametrize(("identifier", "shuffled", "expected"), [("S1-F4c", False, "HOLDS"), ("S1-F4c", True, "FAILS"), ("S1-F14", False, "HOLDS")])
def test_relations_with_the_error(identifier: str, shuffled: bool, expected: str) -> None:
    rng = generator_for(2, "test", "relation")
    order = rng.permutation(24) if shuffled else np.arange(24)
    nets = [network(12, 0.9, 5 + 0.1 * k, 0.2 + 0.01 * order[k]) for k in range(24)]
    assert verdict(liao_capacity.judge_relation(RELATIONS[identifier], nets, "small")) == expected


def test_loss_against_norm_holds_for_any_norm() -> None:
    nets = [network(12, 0.9, 5 + 0.1 * k, 0.3) for k in range(24)]
    judged = liao_capacity.judge_relation(RELATIONS["S1-F4a"], nets, "small")
    assert verdict(judged) == "HOLDS-BUT-NULL-TOO"


def test_equal_loss_unequal_error() -> None:
    def nets(slope: float, n: int = 20) -> list[dict[str, Any]]:
        return [
            network(12, 0.9, 7, 0.3, corruption=k / n, matched_train_loss=0.01, matched_train_error=0.0,
                    matched_test_error=0.3 + slope * k, matched_test_loss=2 + slope * k) for k in range(n)
        ]  # fmt: skip

    words = ("corruption", "share of labels", "small")
    assert verdict(liao_same_loss.judge_same_loss(nets(0.01), *words)) == "HOLDS"
    assert verdict(liao_same_loss.judge_same_loss(nets(-0.01), *words)) == "FAILS"
    assert verdict(liao_same_loss.judge_same_loss(nets(0.01, 4), *words)) == "INCONCLUSIVE"
    away = [{**net, "matched_train_loss": 0.02} for net in nets(0.01)]
    assert not liao_same_loss.matched(away)


def samples(final_gap: float, random_fitted: bool = True) -> list[dict[str, Any]]:
    rows = []
    for random in (False, True):
        for k, n in enumerate((50, 100, 200, 400, 800, 1600, 3200)):
            gap = 0.6 + (final_gap - 0.6) * k / 6
            train = 0.0 if random_fitted or not random else 0.5
            train = train if n <= 200 else 0.1 * k
            error = 0.9 if random else train + gap
            rows.append(network(12, 0.9, 6 + 0.2 * k, error, n_train=n, train_error=train, random_labels=random, n_params=2000))
    return rows


def test_a_gap_that_shrinks_for_random_labels_too() -> None:
    assert verdict(liao_samples.judge_natural(samples(0.05), "small")) in {"HOLDS", "HOLDS-BUT-NULL-TOO"}
    assert verdict(liao_samples.judge_natural(samples(0.9), "small")) == "FAILS"
    assert verdict(liao_samples.judge_random(samples(0.05), "small")) == "HOLDS"
    assert verdict(liao_samples.judge_random(samples(0.05, random_fitted=False), "small")) == "FAILS"
    assert verdict(liao_samples.judge_loss_gap(samples(0.05), "small")) in {"HOLDS", "FAILS", "HOLDS-BUT-NULL-TOO", "INCONCLUSIVE"}


def test_wider_networks() -> None:
    def nets(slope: float) -> list[dict[str, Any]]:
        return [network(12, 0.9, 7, 0.5 + slope * k, n_params=100 * 2**k, n_train=150, untrained_error=0.9) for k in range(12)]

    assert verdict(liao_samples.judge_widths(nets(-0.02), "small")) == "HOLDS"
    assert verdict(liao_samples.judge_widths(nets(0.02), "small")) == "FAILS"


def test_small_outputs_say_nothing_beyond_a_large_divisor() -> None:
    net = network(
        12, 0.9, math.log(2270), 0.1, data="mnist", top_mean=60.6, top_sd=16.2, top_mean_normalized=60.6 / 2270, top_sd_normalized=16.2 / 2270
    )
    judged = liao_histogram.judge_histogram([net] * 4, "small")
    assert verdict(judged) == "HOLDS-BUT-NULL-TOO"
    assert judged.checks[2].paper == pytest.approx(1.0, abs=1e-3)  # the printed mean and standard deviation share one factor, 2,270


def test_simulated_figures_match_the_published_fit() -> None:
    settings = {"errors": [0.07, 0.09], "scales": [1e3, 5e3], "n": 4000}
    found = liao_first_order.simulate_figure(settings, generator_for(0, "test", "figure"))
    line = line_through(found["train"], found["test"])
    assert line is not None and line.r2 > 0.999 and line.rmse < 1e-4 and 0.88 < line.slope < 0.96
    logits, labels = liao_first_order.simulated_logits(4000, 0.2, generator_for(1, "test", "logits"))
    assert np.mean(logits.argmax(1) != labels) == pytest.approx(0.2, abs=0.03)


def test_the_law_and_its_failure() -> None:
    judged = liao_first_order.judge_law(np.full(6, math.log(10) + 0.002), np.full(6, 0.001), 0.4, 4.0)
    assert verdict(judged) == "HOLDS"
    assert verdict(liao_first_order.judge_law(np.full(6, 2.4), np.full(6, 0.001), 0.4, 4.0)) == "FAILS"


def test_networks_that_do_not_fit_are_left_out() -> None:
    nets = [network(12, 0.9, 7, 0.3, train_error=0.0 if k < 5 else 0.2) for k in range(8)]
    assert len(converged(nets)) == 5 and len(converged(nets[3:])) == 5


def test_undefined_rank_correlations_are_nan() -> None:
    assert math.isnan(rank_correlation(np.ones(5), np.arange(5.0))[0])


@pytest.mark.data
def test_the_authors_own_histories(real_data: Any) -> None:
    from genscope.experiments.context import Context

    context = Context(data={"": str(real_data)})
    found = {cell.settings["batch"]: liao_resnet.HISTORIES.run(cell, context).arrays for cell in liao_resnet.HISTORIES.cells("smoke")}
    judged = liao_resnet.judge_normalized(found[liao_resnet.SHOWN], found[liao_resnet.SECOND], None)
    assert judged.verdict == "HOLDS"  # without its null
    slope, r2, offset, _, again = judged.checks
    assert slope.observed == pytest.approx(1.0089, abs=5e-5) and r2.observed == pytest.approx(0.9984, abs=5e-5)
    assert offset.observed == pytest.approx(-0.0050, abs=5e-5) and again.observed == pytest.approx(0.48, abs=0.02)
    raw = liao_resnet.judge_raw(found[liao_resnet.SHOWN])
    assert raw.verdict == "HOLDS" and raw.checks[0].observed == pytest.approx(0.125, abs=5e-4)
