"""Hessians against dense ones, sharpness against closed forms, Jacobians and Fisher–Rao norms against definitions."""

import numpy as np
import pytest
import torch
from tests.measures.networks_by_hand import chain, compute, random_weights, roots_of

from genscope.core.estimate import Estimate
from genscope.core.status import Undefined
from genscope.measures.ingredients.hessian_operator import hessian_of
from genscope.measures.ingredients.losses import example_losses

WEIGHTS = random_weights((4, 5, 3))
ROOTS = roots_of(WEIGHTS)
X, Y = (torch.cat([batch[i] for batch in ROOTS["batches"]]) for i in range(2))


def dense_hessian() -> np.ndarray:
    shapes = [w.shape for w in WEIGHTS]

    def loss(flat: torch.Tensor) -> torch.Tensor:
        parts = flat.split([s.numel() for s in shapes])
        hidden = torch.relu(X @ parts[0].reshape(shapes[0]).T)
        return example_losses("cross_entropy", hidden @ parts[1].reshape(shapes[1]).T, Y).mean()

    return torch.func.hessian(loss)(torch.cat([w.flatten() for w in WEIGHTS])).numpy()


def test_hessian_products_are_the_dense_ones() -> None:
    operator = hessian_of(ROOTS["params"], ROOTS["forward"], "cross_entropy", tuple(ROOTS["batches"]))
    block = np.random.default_rng(0).standard_normal((operator.n, 11))
    np.testing.assert_allclose(operator(block), dense_hessian() @ block, atol=1e-12)
    np.testing.assert_allclose(operator(block[:, :1]), dense_hessian() @ block[:, :1], atol=1e-12)


def test_top_eigenvalue_and_trace_against_the_dense_hessian() -> None:
    dense = dense_hessian()
    found = compute(ROOTS, ["hessian_top_eigenvalue", "hessian_trace"], eigenvalue_tolerance=1e-8, trace_products=100)
    assert found["hessian_top_eigenvalue"].value == pytest.approx(np.linalg.eigvalsh(dense)[-1], rel=1e-6)
    assert found["hessian_trace"].value == pytest.approx(np.trace(dense), rel=1e-9)
    sampled = [compute(ROOTS, ["hessian_trace"], seed=s, trace_products=12)["hessian_trace"].value for s in range(20)]
    assert np.mean(sampled) == pytest.approx(np.trace(dense), rel=0.2)


def squared_roots() -> dict[str, object]:
    """A linear network with squared loss: every sharpness has a closed form."""
    return {**roots_of([WEIGHTS[0]]), "loss": "squared"}


def test_average_sharpness_of_a_quadratic() -> None:
    roots = squared_roots()
    x = torch.cat([x for x, _ in roots["batches"]])  # type: ignore[attr-defined]
    weight = WEIGHTS[0]
    # E‖(w+δ)x − y‖² − ‖wx − y‖² = Σ ρ² w_ij² E x_j².
    exact = 0.01 * float((weight**2 @ (x**2).mean(0)).sum())
    found = compute(roots, ["average_sharpness"], n_draws=4000)["average_sharpness"]
    assert found.low <= exact <= found.high
    assert found.value == pytest.approx(exact, rel=0.1)


def test_filter_normalized_noise_of_a_quadratic() -> None:
    roots = squared_roots()
    x = torch.cat([x for x, _ in roots["batches"]])  # type: ignore[attr-defined]
    weight = WEIGHTS[0]
    exact = 0.01 * float((weight**2).sum()) / weight.shape[1] * float((x**2).mean(0).sum())
    assert compute(roots, ["filter_normalized_sharpness"], n_draws=4000)["filter_normalized_sharpness"].value == pytest.approx(exact, rel=0.1)


def test_worst_case_of_a_one_weight_quadratic_is_exact() -> None:
    roots = {
        **roots_of([torch.tensor([[2.0]], dtype=torch.float64)]),
        "loss": "squared",
        "batches": [(torch.ones(4, 1).double(), torch.ones(4).long())],
    }
    roots |= {"n_examples": 4, "n_classes": 2}
    # (w − 1)² at w = 2; the worst point of |δ| ≤ ρ·2 is w = 2 + 2ρ.
    assert compute(roots, ["adaptive_sharpness"], rho=0.1)["adaptive_sharpness"].value == pytest.approx(1.2**2 - 1)
    keskar = compute(roots, ["keskar_sharpness"], alpha=0.01)["keskar_sharpness"].value
    assert keskar == pytest.approx((1.03**2 - 1) / 2)


def test_worst_case_is_at_least_the_average_and_grows_with_the_radius() -> None:
    values = [compute(ROOTS, ["adaptive_sharpness"], rho=rho, ascent_steps=30)["adaptive_sharpness"].value for rho in (0.01, 0.03, 0.1)]
    assert values[0] < values[1] < values[2]
    average = compute(ROOTS, ["average_sharpness"], rho_average=0.03, n_draws=200)["average_sharpness"]
    assert isinstance(average, Estimate) and values[1] > average.value


def test_bi_criteria_curve() -> None:
    found = compute(ROOTS, ["kl_at_sharpness"], n_draws=50, n_scales=9)
    curve = found["sharpness_curve"]
    weights = torch.cat([w.flatten() for w in WEIGHTS])
    sigma = 0.1 * (10 * weights.abs() + 1)
    assert curve.kl[-1] == pytest.approx(float((weights**2 / (2 * sigma**2)).sum()))
    assert np.all(np.diff(curve.kl) < 0)
    target = float(curve.sharpness[-1]) / 2
    inside = compute(ROOTS, ["kl_at_sharpness"], n_draws=50, n_scales=9, sharpness=target)["kl_at_sharpness"]
    assert inside.low <= inside.value <= inside.high
    outside = compute(ROOTS, ["kl_at_sharpness"], n_draws=50, n_scales=9, sharpness=1e6)["kl_at_sharpness"]
    assert isinstance(outside, Undefined) and "stays below" in outside.reason


def test_fisher_rao_identity_of_homogeneous_networks() -> None:
    found = compute(ROOTS, ["fisher_rao_norm", "fisher_rao_homogeneous"])
    assert found["fisher_rao_norm"] == pytest.approx(found["fisher_rao_homogeneous"], rel=1e-10)
    gradients = []
    for x, y in zip(X, Y, strict=True):
        net = chain(WEIGHTS)
        example_losses("cross_entropy", net(x[None]), y[None]).sum().backward()
        gradients.append(sum(float((p.detach() * p.grad).sum()) for p in net.parameters() if p.grad is not None))
    assert found["fisher_rao_norm"] == pytest.approx(np.mean(np.square(gradients)))


def test_jacobian_norms_against_autograd() -> None:
    net = chain(WEIGHTS)
    exact = [torch.autograd.functional.jacobian(net, x) for x in X]
    found = compute(ROOTS, ["jacobian_frobenius_norm", "jacobian_spectral_norm", "lipschitz_lower_bound", "log_prod_of_operator"])
    assert found["jacobian_frobenius_norm"].value == pytest.approx(float(torch.stack([j.norm() for j in exact]).mean()))
    spectral = torch.stack([torch.linalg.matrix_norm(j, 2) for j in exact])
    assert found["jacobian_spectral_norm"].value == pytest.approx(float(spectral.mean()))
    assert found["lipschitz_lower_bound"] == pytest.approx(float(spectral.max()))
    assert np.log(found["lipschitz_lower_bound"]) <= found["log_prod_of_operator"]
