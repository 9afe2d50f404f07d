"""Margins and norms against hand values, enumerations and formulas written out a second time."""

import itertools
import math
from typing import Any

import numpy as np
import pytest
import torch
from tests.measures.networks_by_hand import compute, random_weights, roots_of

from genscope.core.estimate import Estimate
from genscope.core.status import Undefined
from genscope.measures.ingredients.layers import norms_of, spectral_norm
from genscope.measures.margins import order_statistic

W1, W2 = (
    torch.tensor([[3.0, 0.0], [-1.0, 1.0], [1.0, -2.0]], dtype=torch.float64),
    torch.tensor([[1.0, -2.0, 0.5], [0.0, 1.0, 1.0]], dtype=torch.float64),
)
ROOTS = roots_of([W1, W2])


def value(name: str, **options: Any) -> float:
    found = compute(ROOTS, [name], **options)[name]
    assert not isinstance(found, Undefined), found
    return found.value if isinstance(found, Estimate) else found


def paths(power: float) -> float:
    a, b = W1.numpy(), W2.numpy()
    return sum(abs(b[k, j] * a[j, i]) ** power for i, j, k in itertools.product(range(2), range(3), range(2)))


def test_margin_is_the_fifth_percentile_of_the_definition() -> None:
    x = torch.cat([x for x, _ in ROOTS["batches"]])
    y = torch.cat([y for _, y in ROOTS["batches"]])
    logits = torch.relu(x @ W1.T) @ W2.T
    by_hand = sorted(float(row[label] - row[1 - label]) for row, label in zip(logits, y, strict=True))
    assert value("margin") == pytest.approx(by_hand[2])  # ceil(.05 * 60) = 3rd smallest
    assert value("hard_margin") == pytest.approx(by_hand[0])
    assert value("margin", quantile=0.5) == pytest.approx(by_hand[29])


@pytest.mark.parametrize(("quantile", "rank"), [(0.0, 1), (0.05, 5), (0.051, 6), (1.0, 100)])
def test_order_statistic_is_numpys_inverted_cdf(quantile: float, rank: int) -> None:
    values = np.random.default_rng(0).permutation(100) + 1.0
    assert order_statistic(values, quantile) == rank


def test_a_negative_margin_is_a_status_and_never_an_absolute_value() -> None:
    roots = roots_of([W1, W2], teacher=[W1, -W2])
    found = compute(roots, ["margin", "inverse_margin", "l2_over_margin", "golowich_form", "n_params"])
    assert found["margin"].value < 0
    for name in ("inverse_margin", "l2_over_margin", "golowich_form"):
        assert isinstance(found[name], Undefined)
        assert "nothing can be divided by it" in found[name].reason
    assert found["n_params"] == 12


def test_norms_over_margin_by_hand() -> None:
    gamma = value("margin")
    fro = float((W1**2).sum() * (W2**2).sum())
    spec = np.linalg.svd(W1.numpy())[1][0] ** 2 * np.linalg.svd(W2.numpy())[1][0] ** 2
    over = -2 * math.log(gamma)
    assert value("l2_over_margin") == pytest.approx(math.log(fro) + over)
    assert value("l2_capacity") == pytest.approx(math.log(16 * fro) + over)
    assert value("spectral_over_margin") == pytest.approx(math.log(spec) + over)
    assert value("spectral_capacity") == pytest.approx(math.log(3 * 2 * spec) + over)
    assert value("l1_path_over_margin") == pytest.approx(2 * math.log(paths(1)) + over)
    assert value("l1_path_capacity") == pytest.approx(2 * math.log(4 * paths(1)) + over)
    assert value("l2_path_over_margin") == pytest.approx(math.log(paths(2)) + over)
    assert value("l2_path_capacity") == pytest.approx(math.log(16 * 6 * paths(2)) + over)
    assert value("l1_inf_over_margin") == pytest.approx(2 * math.log(3.0 * 3.5) + over)
    assert value("golowich_form") == pytest.approx(math.log(math.sqrt(2 * fro / 60) / gamma))


def test_products_and_sums_by_hand() -> None:
    fro = [float((w**2).sum()) for w in (W1, W2)]
    spec = [np.linalg.svd(w.numpy())[1][0] ** 2 for w in (W1, W2)]
    assert value("log_prod_of_fro") == pytest.approx(math.log(fro[0] * fro[1]))
    assert value("log_sum_of_fro") == pytest.approx(math.log(2 * math.sqrt(fro[0] * fro[1])))
    assert value("fro_over_spec") == pytest.approx(fro[0] / spec[0] + fro[1] / spec[1])
    assert value("param_norm") == pytest.approx(sum(fro))
    assert value("vc_form") == 24
    assert value("log_prod_of_group_norm", p=2.0, q=2.0) == pytest.approx(0.5 * math.log(fro[0] * fro[1]))
    assert value("log_prod_of_group_norm", p=1.0, q=2.0) == pytest.approx(math.log(math.sqrt(9 + 4 + 9) * math.sqrt(3.5**2 + 4)))


def test_distances_and_pac_bayes_spectral_forms_by_hand() -> None:
    start = list(ROOTS["initial_params"].values())
    spec = [np.linalg.svd(w.numpy())[1][0] ** 2 for w in (W1, W2)]
    moved = [float(((w - s) ** 2).sum()) for w, s in zip((W1, W2), start, strict=True)]
    assert value("l2_dist") == pytest.approx(sum(moved))
    by_hand = math.log(spec[0] * spec[1] * (moved[0] / spec[0] + moved[1] / spec[1])) - 2 * math.log(value("margin"))
    assert value("log_spec_init_main") == pytest.approx(by_hand)


def test_spectral_complexity_written_out() -> None:
    total, product = 0.0, 1.0
    for w in (W1.numpy(), W2.numpy()):
        sigma = np.linalg.svd(w)[1][0]
        # ‖Wᵀ‖_{2,1}: the ℓ2 norms of the columns of Wᵀ, summed.
        total += (np.linalg.norm(w.T, axis=0).sum() / sigma) ** (2 / 3)
        product *= sigma
    assert value("log_spectral_complexity") == pytest.approx(math.log(product * total**1.5))


def test_deep_products_stay_finite_in_logarithms() -> None:
    weights = [1e30 * torch.eye(3, dtype=torch.float64)] * 12
    assert compute(roots_of(weights), ["log_prod_of_fro"])["log_prod_of_fro"] == pytest.approx(12 * math.log(3e60))


def test_path_norms_of_a_deeper_net_by_enumeration() -> None:
    weights = random_weights((2, 3, 3, 2))
    roots = roots_of(weights)
    arrays = [w.numpy() for w in weights]
    total = {1: 0.0, 2: 0.0}
    for i, j, k, m in itertools.product(range(2), range(3), range(3), range(2)):
        product = abs(arrays[0][j, i] * arrays[1][k, j] * arrays[2][m, k])
        total[1] += product
        total[2] += product**2
    found = compute(roots, ["log_path_norm_l1", "log_path_norm_l2"])
    assert found["log_path_norm_l1"] == pytest.approx(math.log(total[1]))
    assert found["log_path_norm_l2"] == pytest.approx(0.5 * math.log(total[2]))


def test_spectral_norms_of_all_sizes() -> None:
    rng = np.random.default_rng(0)
    for shape in ((1, 1), (5, 300), (300, 5)):
        matrix = rng.standard_normal(shape) * 1e200
        assert spectral_norm(matrix) == pytest.approx(np.linalg.svd(matrix / 1e200)[1][0] * 1e200)
    assert spectral_norm(np.zeros((3, 4))) == 0.0
    assert norms_of("w", np.array([[3.0, -4.0], [0.0, 1.0]])).l21 == pytest.approx(6.0)
