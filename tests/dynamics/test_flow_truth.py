"""Flows against independent truth: integrator orders, closed forms, the support vector machine, conserved quantities."""

import dataclasses
import math
from itertools import pairwise

import numpy as np
import pytest
import torch
from scipy.integrate import solve_ivp

from genscope.core.status import Undefined
from genscope.dynamics.descent import descent_gap, loss_based_descent
from genscope.dynamics.growth import grown_margin
from genscope.dynamics.integrate import DIVERGED, REACHED, STATIONARY, Ending, Plan, Point, integrate
from genscope.dynamics.invariants import POINTWISE, balance, equal_growth, scaled_hessian, weight_normalization
from genscope.dynamics.limits import clarke_residual, kkt_residuals, largest_decrease, smoothed_margins
from genscope.dynamics.losses import log_loss
from genscope.dynamics.margin_search import neighbours_with_larger_margin, smallest_norm
from genscope.dynamics.max_margin import angle, hard_margin, linear_map, linear_max_margin
from genscope.dynamics.problems import PROBLEMS, dense_problem, gaussian_weights, named_problem
from genscope.dynamics.systems import Flow


def run(flow: Flow, until: float, **settings: object) -> tuple[list[Point], Ending]:
    ending = Ending()
    return list(integrate(flow, Point(0.0, flow.start(flow.problem.initial)), Plan(until, **settings), ending)), ending  # type: ignore[arg-type]


@pytest.mark.parametrize(("depth", "expected"), [
    (1, (10.000, 20.000, 40.000, 60.000)), (2, (13.185, 23.819, 44.465, 64.849)),
    (3, (14.565, 25.353, 46.179, 66.678)), (5, (15.922, 26.807, 47.761, 68.345)),
])  # fmt: skip
def test_growth_law_gives_the_known_values(depth: int, expected: tuple[float, ...]) -> None:
    assert [grown_margin(log_time, depth) for log_time in (10, 20, 40, 60)] == pytest.approx(list(expected), abs=2e-3)


@pytest.mark.parametrize("depth", [1, 2, 3])
def test_growth_law_is_what_the_equation_of_motion_integrates_to(depth: int) -> None:
    # dρ/dτ = e^τ K ρ^{2-2/K} e^{-ρ}, integrated without the law
    found = solve_ivp(lambda tau, rho: math.exp(tau) * depth * rho ** (2 - 2 / depth) * np.exp(-rho), (0, 60), [1.0], method="LSODA", rtol=1e-10)
    assert found.y[0, -1] == pytest.approx(grown_margin(60, depth), abs=0.05)


def test_a_flow_follows_the_growth_law() -> None:
    # one datum, three scalar layers: the network of the law itself
    problem = dense_problem("scalar", (1, 1, 1, 1), np.ones((1, 1)), np.ones(1), initial=np.full(3, 0.9), activation="linear")
    points, _ = run(Flow(problem), 40)
    last = points[-1]
    assert problem.gaps(last.state)[0] == pytest.approx(grown_margin(last.tau, 3), abs=0.15)


@pytest.mark.parametrize(("method", "order"), [("RK23", 3), ("RK45", 5)])
def test_error_falls_with_the_order_of_the_method_when_the_step_is_halved(method: str, order: int) -> None:
    flow = Flow(named_problem("deep-line"), "C", "logistic")
    start = flow.start(flow.problem.initial)

    def end(h: float) -> np.ndarray:
        return solve_ivp(flow.derivative, (0, 1), start, method=method, rtol=1e9, atol=1e9, first_step=h, max_step=h).y[:, -1]

    truth = solve_ivp(flow.derivative, (0, 1), start, method="DOP853", rtol=1e-13, atol=1e-14).y[:, -1]
    errors = [float(np.abs(end(h) - truth).max()) for h in (0.1, 0.05, 0.025)]
    slopes = [math.log2(one / two) for one, two in pairwise(errors)]
    assert slopes[-1] == pytest.approx(order, abs=0.5)
    drift = [float(np.abs(balance(flow.problem, end(h))["products"] - balance(flow.problem, start)["products"]).max()) for h in (0.1, 0.05)]
    assert math.log2(drift[0] / drift[1]) > order - 0.7


@pytest.mark.parametrize("name", sorted(PROBLEMS))
@pytest.mark.parametrize("loss", ["exponential", "logistic"])
def test_identities_hold_to_rounding_at_any_weights(name: str, loss: str) -> None:
    problem = named_problem(name)
    for scale in (0.3, 1.0, 3.0):
        weights = scale * problem.initial
        for what, residual in POINTWISE.items():
            assert residual(problem, weights, loss) < 1e-10, what
        for system in "BC":
            flow = Flow(problem, system, loss)
            assert equal_growth(flow, flow.start(weights)) < 1e-10
        assert weight_normalization(problem, weights, loss, np.linspace(0.5, 2, problem.depth)) < 1e-10


def test_the_identities_can_fail() -> None:
    problem = named_problem("rings")
    broken = dataclasses.replace(problem, forward=lambda params, x: problem.forward(params, x) + 0.1, fast=None)
    assert POINTWISE["structural lemma"](broken, problem.initial, "exponential") > 1e-3
    assert POINTWISE["direction dynamics"](broken, problem.initial, "exponential") > 1e-4


@pytest.mark.parametrize("loss", ["exponential", "logistic", "cross_entropy"])
@pytest.mark.parametrize("name", ["rings", "three-classes", "deep-line"])
def test_quick_gradient_is_autograd(name: str, loss: str) -> None:
    problem = named_problem(name)
    slow = dataclasses.replace(problem, fast=None)
    for scale in (0.5, 20.0):
        (one, slope), (two, other) = (p.log_loss_and_gradient(scale * problem.initial, loss) for p in (problem, slow))
        assert one == pytest.approx(two, rel=1e-12)
        np.testing.assert_allclose(slope, other, atol=1e-11 * float(np.abs(other).max()))


def test_losses_far_below_floating_point() -> None:
    y = torch.tensor([1.0, -1.0], dtype=torch.float64)
    for loss in ("exponential", "logistic", "cross_entropy"):
        assert log_loss(torch.tensor([3000.0, -3000.0], dtype=torch.float64), y, loss).item() == pytest.approx(-3000.0, abs=1e-9)
    near = torch.tensor([0.7, 0.2], dtype=torch.float64)
    assert math.exp(log_loss(near, y, "logistic").item()) == pytest.approx(torch.nn.functional.softplus(-y * near).mean().item())
    logits = torch.randn(5, 3, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    classes = torch.tensor([0, 1, 2, 1, 0])
    assert math.exp(log_loss(logits, classes, "cross_entropy").item()) == pytest.approx(torch.nn.functional.cross_entropy(logits, classes).item())


def test_linear_limit_is_the_support_vector_machine() -> None:
    svm = pytest.importorskip("sklearn.svm", reason="scikit-learn is not installed")
    problem = named_problem("line")
    truth = linear_max_margin(problem)
    assert not isinstance(truth, Undefined)
    x, y = problem.x.numpy(), problem.y.numpy()
    # mirrored data have no intercept
    machine = svm.SVC(kernel="linear", C=1e9, tol=1e-8).fit(np.vstack([x, -x]), np.concatenate([y, -y]))
    assert angle(machine.coef_[0], truth.direction) < 1e-4
    for name in ("line", "deep-line"):
        flow = Flow(named_problem(name))
        points, _ = run(flow, 60)
        angles = [angle(linear_map(flow.problem, point.state), truth.direction) for point in points if point.tau > 3]
        assert all(later < earlier for earlier, later in pairwise(angles))
        assert angles[-1] < 0.01
        assert flow.problem.margin(points[-1].state) == pytest.approx(truth.margin, rel=0.05)


def test_no_hard_margin_where_no_line_separates() -> None:
    assert isinstance(hard_margin(np.array([[1.0, 0.0], [-1.0, 0.0]])), Undefined)


def test_hundreds_of_decades_of_loss_and_what_is_conserved() -> None:
    flow = Flow(named_problem("deep-line"))
    points, ending = run(flow, 1200.0, decades=400.0)
    log10_loss = flow.problem.log_loss_and_gradient(points[-1].state, "exponential")[0] / math.log(10)
    assert ending.word == REACHED and -405 < log10_loss <= -400
    before, after = (balance(flow.problem, point.state) for point in (points[0], points[-1]))
    for key in ("layers", "neurons", "products"):
        np.testing.assert_allclose(after[key], before[key], atol=1e-5 * float(flow.problem.norms(points[-1].state).max()) ** 2)
    kkt = kkt_residuals(flow.problem, points[-1].state, "exponential")
    # what balance conserves keeps the layers from one rank, and fades only like 1/ρ_k
    assert kkt is not None and kkt.epsilon < 0.1 and kkt.delta < 1e-3 and kkt.cosine > 0.998


@pytest.mark.parametrize(
    ("name", "system", "loss"), [("stuck", "C", "exponential"), ("deep-line", "B", "logistic"), ("three-classes", "C", "cross_entropy")]
)
def test_margins_do_not_fall_and_kkt_is_approached(name: str, system: str, loss: str) -> None:
    flow = Flow(named_problem(name), system, loss)
    points, _ = run(flow, 25)
    smoothed, whole = [], []
    for point in points:
        weights = flow.weights(point.state)
        value = flow.problem.log_loss_and_gradient(weights, loss)[0]
        if value + math.log(flow.problem.n_examples) < 0:
            one, two = smoothed_margins(flow, weights, value)
            smoothed.append(one)
            whole.append(two)
    assert len(smoothed) > 50 and largest_decrease(smoothed) < 1e-8
    assert system == "B" or largest_decrease(whole) < 1e-8
    assert smoothed[-1] <= flow.problem.margin(flow.weights(points[-1].state)) + 1e-12
    rng = np.random.default_rng(0)
    found = clarke_residual(flow.problem, flow.weights(points[-1].state), rng)
    assert found is not None and found[0] < 0.25


def test_weights_of_b_keep_their_spheres_and_a_its_rho() -> None:
    problem = named_problem("deep-line")
    points, _ = run(Flow(problem, "B"), 10)
    assert max(point.drift for point in points) < 1e-6
    np.testing.assert_allclose(problem.norms(points[-1].state[: problem.n_params]), 1.0, atol=1e-14)
    flow = Flow(problem, "A", "exponential", 15.0)
    points, ending = run(flow, 60)
    assert ending.word == STATIONARY
    assert float(np.prod(problem.norms(flow.weights(points[-1].state)))) == pytest.approx(15.0)


def test_fixed_rho_stops_where_the_lagrangian_is_stationary() -> None:
    flow = Flow(named_problem("line"), "A", "exponential", 30.0)
    points, _ = run(flow, 60)
    weights = flow.weights(points[-1].state)
    _, gradient = flow.problem.log_loss_and_gradient(weights, "exponential")
    # -∇L = λ V with λ > 0: the gradient is radial
    assert angle(weights, -gradient) < 1e-6


def test_hessian_is_that_of_finite_differences() -> None:
    problem = named_problem("stuck")
    # a little off the start, where one unit lies exactly on its kink
    weights, h = problem.initial * 1.1 + 0.01 * np.random.default_rng(0).standard_normal(problem.n_params), 1e-6

    def gradient(w: np.ndarray) -> np.ndarray:
        value, slope = problem.log_loss_and_gradient(w, "exponential")
        return math.exp(value) * slope

    dense = np.array([(gradient(weights + h * e) - gradient(weights - h * e)) / (2 * h) for e in np.eye(problem.n_params)])
    value = problem.log_loss_and_gradient(weights, "exponential")[0]
    np.testing.assert_allclose(
        scaled_hessian(problem, weights, "exponential"), np.linalg.eigvalsh((dense + dense.T) / 2) / math.exp(value), atol=1e-5
    )


def test_kkt_point_that_is_no_local_maximum() -> None:
    flow = Flow(named_problem("stuck"))
    points, _ = run(flow, 60)
    # by hand: cost Σ‖W‖²/2 per unit gap is 1/0.3 + 1 with one unit for both points, so γ = 1/(1/0.3 + 1)
    assert flow.problem.margin(points[-1].state) == pytest.approx(1 / (1 / 0.3 + 1), rel=0.01)
    found = neighbours_with_larger_margin(flow.problem, points[-1].state, np.random.default_rng(0))
    assert not isinstance(found, Undefined) and found.best > 1.01 * found.margin
    # two units, one per point, would cost 2/sqrt(1.09) + 1
    assert found.best < 1 / (2 / math.sqrt(1.09) + 1)


def test_smallest_norm_has_the_constant_of_depth() -> None:
    problem = named_problem("deep-line")
    reached = loss_based_descent(problem, "exponential", decades=20)
    truth = linear_max_margin(problem)
    assert not isinstance(reached, Undefined) and not isinstance(truth, Undefined)
    found = smallest_norm(problem, reached.weights)
    assert not isinstance(found, Undefined)
    assert found[0] == pytest.approx(1.5 * truth.margin ** (-2 / 3), rel=1e-6)


def test_descent_is_eulers_method() -> None:
    problem = named_problem("deep-line")
    whole, half = (descent_gap(problem, "exponential", step=step, n_steps=int(20 / step)) for step in (0.02, 0.01))
    assert not isinstance(whole, Undefined) and not isinstance(half, Undefined)
    assert max(whole.gap) / max(half.gap) == pytest.approx(2, rel=0.15)
    noisy = descent_gap(problem, "exponential", step=0.02, n_steps=400, batch=4, rng=np.random.default_rng(1))
    assert not isinstance(noisy, Undefined) and max(noisy.gap) > max(whole.gap)


def test_diverging_descent_is_a_sentence() -> None:
    found = descent_gap(named_problem("rings"), "exponential", step=1e6, n_steps=20)
    assert isinstance(found, Undefined) and "smaller step" in found.reason


def test_descent_in_the_loss_frame_reaches_any_loss() -> None:
    found = loss_based_descent(named_problem("stuck"), "logistic", decades=1000)
    assert not isinstance(found, Undefined)
    assert found.log10_loss[-1] <= -1000 + 5 and found.n_rollbacks > 0
    assert all(later < earlier for earlier, later in pairwise(found.log10_loss))


def test_a_step_that_fails_leaves_the_last_good_state() -> None:
    problem = named_problem("line")

    def fails(weights: np.ndarray, loss: str) -> tuple[float, np.ndarray]:
        value, slope = problem.fast(weights, loss) if problem.fast else (0.0, weights)
        return (value, slope) if value > -2 else (math.nan, slope * math.nan)

    flow = Flow(dataclasses.replace(problem, fast=fails))
    points, ending = run(flow, 40)
    assert ending.word == DIVERGED and ending.rollbacks >= 12
    assert np.isfinite(points[-1].state).all() and points[-1].tau > 1


def test_flow_on_data_that_no_line_separates_stands_still() -> None:
    rng = np.random.default_rng(0)
    x = rng.standard_normal((30, 2))
    y = np.where(x[:, 0] * x[:, 1] > 0, 1.0, -1.0)
    problem = dense_problem("crossed", (2, 1), x, y, initial=gaussian_weights(rng, (2, 1)))
    _, ending = run(Flow(problem), 60)
    assert ending.word == STATIONARY
