"""What is recorded along a flow, one row of numbers per recorded time."""

import math
from typing import Any

import numpy as np

from genscope.core.status import Undefined
from genscope.dynamics.integrate import Point
from genscope.dynamics.invariants import balance, equal_growth, euler_residuals, radial_growth
from genscope.dynamics.limits import kkt_residuals, smoothed_margins
from genscope.dynamics.max_margin import MaxMargin, angle, linear_map
from genscope.dynamics.systems import Flow

_LN10 = math.log(10)


class Recorder:
    """Turns states into rows; remembers where the run began, so that drifts can be told.

    Args:
        flow: the system.
        truth: the hard margin that a linear network has to reach, or why there is none.
    """

    def __init__(self, flow: Flow, truth: MaxMargin | Undefined) -> None:
        self.flow = flow
        self.truth = truth
        self._initial = balance(flow.problem, flow.weights(flow.start(flow.problem.initial)))

    def row(self, point: Point) -> dict[str, Any]:
        """The numbers of one point.

        Returns:
            ``tau``; ``log10_loss``; ``norms`` (ρ_k); ``margin`` (γ), ``support`` (its example), ``gaps`` (all, normalized);
            ``smoothed`` and ``smoothed_whole`` (``None`` before L < 1/N); ``radial`` (smallest ⟨W_k, -∇_k log L⟩);
            ``turning`` (largest sine between a layer and minus its gradient); ``euler``, ``growth``, ``drift_layers`` … (residuals);
            ``angle`` (to the hard margin), ``epsilon``, ``delta``, ``best_epsilon`` (KKT; ``None`` before separation).
        """
        flow, problem = self.flow, self.flow.problem
        weights = flow.weights(point.state)
        log_loss, gradient = problem.log_loss_and_gradient(weights, flow.loss)
        norms = problem.norms(weights)
        normalized = problem.gaps(weights) / float(np.prod(norms))
        below = log_loss + math.log(problem.n_examples) < 0
        smoothed = smoothed_margins(flow, weights, log_loss) if below else (None, None)
        radial, _ = radial_growth(problem, weights, flow.loss)
        lengths = np.array([np.linalg.norm(gradient[part]) for part in problem.slices])
        cosines = np.clip(radial / np.maximum(norms * lengths, 1e-300), -1, 1)
        kkt = kkt_residuals(problem, weights, flow.loss)
        return {
            "tau": point.tau,
            "log10_loss": log_loss / _LN10,
            "norms": norms.tolist(),
            "margin": float(normalized.min()),
            "support": int(normalized.argmin()),
            "gaps": normalized.tolist(),
            "smoothed": smoothed[0],
            "smoothed_whole": smoothed[1],
            "radial": float(radial.min()),
            "turning": float(np.sqrt(1 - cosines**2).max()),
            "euler": float(euler_residuals(problem, weights).max()),
            "growth": None if flow.system == "A" else equal_growth(flow, point.state),
            "angle": angle(linear_map(problem, weights), self.truth.direction) if isinstance(self.truth, MaxMargin) else None,
            "epsilon": kkt.epsilon if kkt else None,
            "delta": kkt.delta if kkt else None,
            "best_epsilon": kkt.best_epsilon if kkt else None,
            "layer_cosine": min(kkt.layer_cosines) if kkt else None,
            "n_support": kkt.n_support if kkt else None,
            **self._drifts(weights, norms),
        }

    def _drifts(self, weights: np.ndarray, norms: np.ndarray) -> dict[str, float | None]:
        """How far what should be conserved has moved, relative to the largest ρ_k²."""
        conserved = {"A": (), "B": ("layers",), "C": ("layers", "neurons", "products")}[self.flow.system]
        now = balance(self.flow.problem, weights) if conserved else {}
        scale = float((norms**2).max())
        return {
            f"drift_{name}": float(np.abs(now[name] - self._initial[name]).max()) / scale if name in conserved and len(now.get(name, ())) else None
            for name in ("layers", "neurons", "products")
        }
