"""Weight normalization, unit spheres, spectral penalties and sharpness-aware steps against hand values, autograd and a kept peer."""

import copy

import numpy as np
import pytest
import torch
from torch import nn
from torch.nn import functional as F

from genscope.errors import UsageError
from genscope.numerics.power_law import fit_power_law
from genscope.training.sharpness_aware import SharpnessAware
from genscope.training.spectral_penalties import AlphaHatPenalty, alpha_of_tail, stable_rank_penalty, weight_matrices, with_penalty
from genscope.training.unit_norm import UnitNorm, unit_layers
from genscope.training.weight_normalization import normalize_weights, restore_weights


def net(seed: int = 0, bias: bool = True, double: bool = True) -> nn.Sequential:
    generator = torch.Generator().manual_seed(seed)
    model = nn.Sequential(nn.Linear(6, 12, bias=bias), nn.ReLU(), nn.Linear(12, 3, bias=bias))
    model = model.double() if double else model
    with torch.no_grad():
        for value in model.parameters():
            value.copy_(torch.randn(value.shape, generator=generator, dtype=value.dtype) * 0.5)
    return model


def batch(seed: int = 1, double: bool = True) -> tuple[torch.Tensor, torch.Tensor]:
    generator = torch.Generator().manual_seed(seed)
    x = torch.randn(32, 6, generator=generator, dtype=torch.float64 if double else torch.float32)
    return x, torch.randint(3, (32,), generator=generator)


# ---- weight normalization


@pytest.mark.parametrize("per", ["unit", "layer"])
def test_weight_normalization_keeps_the_function_there_and_back(per: str) -> None:
    model, (x, _) = net(), batch()
    before, names = model(x), [name for name, _ in model.named_parameters()]
    assert normalize_weights(model, per) == ["0", "2"] and normalize_weights(model, per) == []
    torch.testing.assert_close(model(x), before)
    assert restore_weights(model) == ["0", "2"]
    torch.testing.assert_close(model(x), before)
    assert sorted(name for name, _ in model.named_parameters()) == sorted(names)
    with pytest.raises(UsageError, match=r"unit.*layer"):
        normalize_weights(model, "matrix")


def test_the_gradients_of_length_and_direction_are_the_formulas() -> None:
    model, (x, y) = net(), batch()
    F.cross_entropy(model(x), y).backward()
    weight, gradient = model[0].weight.detach().clone(), model[0].weight.grad.clone()
    normalize_weights(model, "layer")
    model.zero_grad()
    F.cross_entropy(model(x), y).backward()
    g, v = (model[0].parametrizations.weight[0] and getattr(model[0].parametrizations.weight, name) for name in ("original0", "original1"))
    torch.testing.assert_close(g.detach().reshape(()), weight.norm())
    unit = weight / weight.norm()
    torch.testing.assert_close(g.grad.reshape(()), (unit * gradient).sum())
    torch.testing.assert_close(v.grad, (g.detach() / v.detach().norm()) * (gradient - (unit * gradient).sum() * unit))
    assert abs(float((v.grad * v.detach()).sum())) < 1e-12  # the flow keeps the length of v


# ---- unit spheres


def test_steps_stay_on_the_spheres_and_multipliers_are_those_of_the_paper() -> None:
    model, (x, y) = net(bias=False), batch()
    sign = (y > 0).double() * 2 - 1
    before = model(x).detach()
    matrices, rho = unit_layers(model)
    optimizer = UnitNorm(torch.optim.SGD(model.parameters(), lr=0.002), matrices)
    torch.testing.assert_close(rho * model(x), before)
    losses = []
    for _ in range(40):
        optimizer.zero_grad()
        f = model(x)[:, 0]
        loss = torch.exp(-rho * sign * f).mean()
        loss.backward()
        expected = rho / 2 * (torch.exp(-rho * sign * f) * sign * f).mean().detach()  # equal for all layers
        optimizer.step()
        for found in optimizer.multipliers:
            torch.testing.assert_close(found, expected)
        losses.append(float(loss.detach()))
        assert all(abs(float(value.detach().norm()) - 1) < 1e-12 for value in matrices)
    assert losses[-1] < losses[0]


def test_the_error_against_the_flow_falls_with_the_square_of_the_step() -> None:
    # one step of size h against many tiny ones
    def after(h: float, n: int) -> torch.Tensor:
        model, (x, y) = net(bias=False), batch()
        matrices, rho = unit_layers(model)
        optimizer = UnitNorm(torch.optim.SGD(model.parameters(), lr=h / n), matrices)
        for _ in range(n):
            optimizer.zero_grad()
            F.cross_entropy(rho * model(x), y).backward()
            optimizer.step()
        return torch.cat([value.detach().ravel() for value in matrices])

    errors = [float((after(h, 1) - after(h, 256)).norm()) for h in (4e-3, 2e-3)]
    assert 3.3 < errors[0] / errors[1] < 4.7


def test_a_zero_layer_has_no_direction() -> None:
    value = torch.zeros(2, 2, requires_grad=True)
    with pytest.raises(UsageError, match="no direction"):
        UnitNorm(torch.optim.SGD([value], lr=0.1), [value])
    with pytest.raises(UsageError, match="no weight matrix"):
        unit_layers(nn.ReLU())


# ---- spectral penalties


def test_the_gradient_of_the_stable_rank_is_the_formula() -> None:
    weight = torch.randn(5, 8, generator=torch.Generator().manual_seed(3), dtype=torch.float64, requires_grad=True)
    stable_rank_penalty([weight]).backward()
    with torch.no_grad():
        u, s, v = torch.linalg.svd(weight, full_matrices=False)
        expected = 2 * weight / s[0] ** 2 - 2 * weight.square().sum() / s[0] ** 3 * torch.outer(u[:, 0], v[0])
    torch.testing.assert_close(weight.grad, expected)
    assert abs(float((weight.grad * weight.detach()).sum())) < 1e-10  # no gradient along the scale
    assert float(stable_rank_penalty([torch.zeros(3, 3)])) == 0.0


def test_alpha_hat_is_the_fitted_one_and_its_gradient_is_that_of_finite_differences() -> None:
    weight = torch.randn(30, 60, generator=torch.Generator().manual_seed(4), dtype=torch.float64)
    weight = weight * torch.logspace(0, -1, 30, dtype=torch.float64)[:, None]
    fit = fit_power_law(torch.linalg.svdvals(weight).square().numpy())
    penalty = AlphaHatPenalty(refit_every=10**6)
    assert fit.alpha is not None
    assert float(penalty([weight])) == pytest.approx(fit.alpha * float(torch.linalg.svdvals(weight)[0].square().log10()), rel=1e-9)
    assert torch.autograd.gradcheck(lambda one: penalty([one]), weight.requires_grad_())


def test_alpha_does_not_depend_on_scale_while_the_tail_is_held() -> None:
    values = torch.linspace(1, 5, 40, dtype=torch.float64)
    assert float(alpha_of_tail(values, 12)) == pytest.approx(float(alpha_of_tail(9 * values, 12)))
    assert float(alpha_of_tail(values, 12)) == pytest.approx(1 + 12 / float(np.log((values[-12:] / values[-12]).numpy()).sum()))


def test_a_matrix_too_small_to_fit_is_left_out() -> None:
    penalty = AlphaHatPenalty()
    assert float(penalty([torch.eye(3)])) == 0.0 and penalty.n_left_out == 1


def test_a_step_on_the_penalty_lowers_it() -> None:
    for penalty in (stable_rank_penalty, AlphaHatPenalty(refit_every=1000)):
        model = nn.Sequential(nn.Linear(40, 50), nn.Conv2d(3, 30, 3))
        with torch.no_grad():
            for place, value in enumerate(model.parameters()):
                value.copy_(torch.randn(value.shape, generator=torch.Generator().manual_seed(place)))
        total = with_penalty(lambda one: one, lambda penalty=penalty, model=model: penalty(weight_matrices(model)), 1.0)  # type: ignore[misc]
        optimizer = torch.optim.SGD(model.parameters(), lr=1e-3)
        values = []
        for _ in range(5):
            optimizer.zero_grad()
            loss = total(torch.zeros(()))
            loss.backward()
            optimizer.step()
            values.append(float(loss.detach()))
        assert values == sorted(values, reverse=True) and values[0] > values[-1]


# ---- sharpness-aware steps


@pytest.mark.parametrize("adaptive", [False, True])
def test_steps_are_those_of_the_formula(adaptive: bool) -> None:
    model, (x, y) = net(), batch()
    rho, lr, by_hand = 0.3, 0.1, copy.deepcopy(model)
    loss = SharpnessAware(model, torch.optim.SGD(model.parameters(), lr=lr), rho, adaptive=adaptive).step(lambda: F.cross_entropy(model(x), y))
    start = F.cross_entropy(by_hand(x), y)
    torch.testing.assert_close(loss, start.detach())
    weights = list(by_hand.parameters())
    first = torch.autograd.grad(start, weights)
    scaled = [weight.abs() * one if adaptive else one for weight, one in zip(weights, first, strict=True)]
    length = torch.cat([one.ravel() for one in scaled]).norm().detach()
    before = [weight.detach().clone() for weight in weights]
    with torch.no_grad():
        for weight, one in zip(weights, scaled, strict=True):
            weight.add_(rho / length * (weight.abs() * one if adaptive else one))
    second = torch.autograd.grad(F.cross_entropy(by_hand(x), y), weights)
    for found, old, one in zip(model.parameters(), before, second, strict=True):
        torch.testing.assert_close(found.detach(), old - lr * one, atol=1e-6, rtol=1e-6)


@pytest.mark.parametrize("adaptive", [False, True])
def test_a_kept_library_takes_the_same_steps(adaptive: bool) -> None:
    peer = pytest.importorskip("pytorch_optimizer", reason="pytorch_optimizer is not installed")
    ours, (x, y) = net(double=False), batch(double=False)
    theirs = copy.deepcopy(ours)
    sam = SharpnessAware(ours, torch.optim.SGD(ours.parameters(), lr=0.1, momentum=0.9), 0.2, adaptive=adaptive)
    other = peer.SAM(theirs.parameters(), torch.optim.SGD, rho=0.2, adaptive=adaptive, lr=0.1, momentum=0.9)

    def closure() -> torch.Tensor:
        loss = F.cross_entropy(theirs(x), y)
        loss.backward()
        return loss

    for _ in range(5):
        sam.step(lambda: F.cross_entropy(ours(x), y))
        other.zero_grad()
        closure()
        other.step(closure)
    for one, two in zip(ours.parameters(), theirs.parameters(), strict=True):
        torch.testing.assert_close(one, two, atol=1e-5, rtol=1e-5)


@pytest.mark.parametrize("momentum", [0.1, None])
def test_batch_statistics_are_counted_once(momentum: float | None) -> None:
    model = nn.Sequential(nn.Linear(6, 8), nn.BatchNorm1d(8, momentum=momentum), nn.ReLU(), nn.Linear(8, 3)).double().train()
    x, y = batch()
    expected = copy.deepcopy(model)
    expected(x)
    SharpnessAware(model, torch.optim.SGD(model.parameters(), lr=0.1), 0.5).step(lambda: F.cross_entropy(model(x), y))
    for (name, found), (_, once) in zip(model.named_buffers(), expected.named_buffers(), strict=True):
        torch.testing.assert_close(found, once, msg=name)


def test_mixed_precision_unscales_once_and_skips_overflow() -> None:
    scaler = torch.amp.GradScaler("cpu", init_scale=2.0**10)
    plain, (x, y) = net(double=False), batch(double=False)
    scaled = copy.deepcopy(plain)
    one = SharpnessAware(plain, torch.optim.SGD(plain.parameters(), lr=0.1), 0.2)
    two = SharpnessAware(scaled, torch.optim.SGD(scaled.parameters(), lr=0.1), 0.2)
    for clip in (None, 0.1):
        one.step(lambda: F.cross_entropy(plain(x), y), max_grad_norm=clip)
        two.step(lambda: F.cross_entropy(scaled(x), y), scaler=scaler, max_grad_norm=clip)
    for left, right in zip(plain.parameters(), scaled.parameters(), strict=True):
        torch.testing.assert_close(left, right, atol=1e-6, rtol=1e-5)
    before = copy.deepcopy(scaled.state_dict())
    calls: list[int] = []

    def overflow(in_call: int) -> torch.Tensor:
        calls.append(1)
        return F.cross_entropy(scaled(x), y) * (float("inf") if len(calls) == in_call else 1.0)

    for in_call, n_calls in ((1, 1), (2, 2)):  # an overflow in the first pass ends the step, one in the second undoes it
        calls.clear()
        scale = scaler.get_scale()
        two.step(lambda in_call=in_call: overflow(in_call), scaler=scaler)  # type: ignore[misc]
        assert scaler.get_scale() == scale / 2 and len(calls) == n_calls
        assert all(torch.equal(value, before[name]) for name, value in scaled.state_dict().items())


def test_an_exception_in_the_second_pass_leaves_the_weights() -> None:
    model, (x, y) = net(), batch()
    before, calls = copy.deepcopy(model.state_dict()), []

    def closure() -> torch.Tensor:
        calls.append(1)
        if len(calls) == 2:
            raise KeyboardInterrupt
        return F.cross_entropy(model(x), y)

    with pytest.raises(KeyboardInterrupt):
        SharpnessAware(model, torch.optim.Adam(model.parameters()), 0.5).step(closure)
    assert all(torch.equal(value, before[name]) for name, value in model.state_dict().items())


def test_radius_zero_is_the_optimizer_itself_and_negative_is_refused() -> None:
    model, (x, y) = net(), batch()
    plain, calls = copy.deepcopy(model), []
    optimizer = torch.optim.Adam(plain.parameters())
    F.cross_entropy(plain(x), y).backward()
    optimizer.step()
    SharpnessAware(model, torch.optim.Adam(model.parameters()), 0.0).step(lambda: calls.append(1) or F.cross_entropy(model(x), y))  # type: ignore[func-returns-value]
    assert len(calls) == 1 and all(torch.equal(a, b) for a, b in zip(model.parameters(), plain.parameters(), strict=True))
    with pytest.raises(UsageError, match="radius"):
        SharpnessAware(model, optimizer, -1.0)
