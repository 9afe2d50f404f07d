"""The three systems of Poggio, Banburski & Liao 2020 as right-hand sides in logarithmic time.

The independent variable is ``τ = ln(1 + t)``, so that ``dW/dτ = (1 + t) dW/dt = -exp(τ + log L) ∇ log L``: the loss may be 1e-1000 and the
time 1e+1000, only their product appears, and it stays near one.
"""

import math
from dataclasses import dataclass

import numpy as np

from genscope.dynamics.homogeneous import Array, HomogeneousProblem
from genscope.dynamics.losses import check_loss
from genscope.errors import UsageError

SYSTEMS = ("A", "B", "C")
_LARGEST_EXPONENT = 690.0


@dataclass(frozen=True, eq=False)
class Flow:
    """One of the three systems on one problem.

    * ``A``: ρ fixed; ``dV_k/dt = -S_k ∂L/∂V_k`` on unit spheres, kept there by Lagrange multipliers (equations 2, 3).
    * ``B``: ρ and V together, which is weight normalization; ``dρ_k/dt = -∂L/∂ρ_k``, ``dV_k/dt = -S_k ∂L/∂V_k`` (equations 6, 7).
    * ``C``: ``dW/dt = -∂L/∂W``, plain training (equations 1, 13).

    Here ``W_k = ρ_k V_k``, ``‖V_k‖ = 1`` and ``S_k = I - V_k V_kᵀ``.

    Args:
        problem: network and data.
        system: ``A``, ``B`` or ``C``.
        loss: ``exponential``, ``logistic`` or ``cross_entropy``.
        rho: the fixed product of norms in ``A``.
        log_unit: ``-ln`` of the unit of time; with ``ln L`` of the start a huge first loss does not squeeze all events into no time.
    """

    problem: HomogeneousProblem
    system: str = "C"
    loss: str = "exponential"
    rho: float = 20.0
    log_unit: float = 0.0

    def __post_init__(self) -> None:
        if self.system not in SYSTEMS:
            raise UsageError(f"There is no system {self.system!r}; choose A (fixed ρ), B (ρ and V, weight normalization) or C (plain W).")
        if not 0 < self.rho < math.inf:
            raise UsageError(f"The fixed ρ of system A must be a positive number, not {self.rho}.")
        check_loss(self.loss)

    def start(self, weights: Array) -> Array:
        """The state that stands for ``weights``: V, (V, ρ) or W."""
        directions = self.problem.directions(weights)
        if self.system == "A":
            return directions
        return weights.copy() if self.system == "C" else np.concatenate([directions, self.problem.norms(weights)])

    def weights(self, state: Array) -> Array:
        """The weights W of a state; in ``A`` every layer has norm ρ^(1/K)."""
        if self.system == "C":
            return state
        n = self.problem.n_params
        return self.problem.scaled(self.problem.directions(state[:n]), self._norms(state))

    def derivative(self, tau: float, state: Array) -> Array:
        """``d state / dτ``."""
        log_loss, gradient = self.problem.log_loss_and_gradient(self.weights(state), self.loss)
        return math.exp(min(tau + log_loss - self.log_unit, _LARGEST_EXPONENT)) * self.field(state, gradient)

    def field(self, state: Array, gradient: Array) -> Array:
        """``(1/L) d state / dt`` from ``∇_W log L``."""
        if self.system == "C":
            return -gradient
        problem, norms = self.problem, self._norms(state)
        directions = problem.directions(state[: problem.n_params])
        turned, radial = np.empty(problem.n_params), np.empty(problem.depth)
        for k, part in enumerate(problem.slices):
            unit, slope = directions[part], gradient[part]
            radial[k] = unit @ slope
            turned[part] = -norms[k] * (slope - radial[k] * unit)
        return turned if self.system == "A" else np.concatenate([turned, -radial])

    def project(self, state: Array) -> tuple[Array, float]:
        """The state with its directions put back on their spheres, and how far they had left them."""
        if self.system == "C":
            return state, 0.0
        n = self.problem.n_params
        drift = float(np.abs(self.problem.norms(state[:n]) - 1).max())
        return np.concatenate([self.problem.directions(state[:n]), state[n:]]), drift

    def _norms(self, state: Array) -> Array:
        if self.system == "A":
            return np.full(self.problem.depth, self.rho ** (1 / self.problem.depth))
        return state[self.problem.n_params :]
