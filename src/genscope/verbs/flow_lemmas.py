"""The lemmas of Poggio, Banburski & Liao 2020 as a table: what is printed, what later work says, the residual of this run, the verdict."""

import math
from collections.abc import Callable, Sequence

import numpy as np

from genscope.dynamics.invariants import POINTWISE, radial_growth
from genscope.dynamics.limits import support_changes
from genscope.verbs import flow_limits as limits
from genscope.verbs.flow_evidence import EXACT, FAILS, HOLDS, Evidence, Row, judge, lemma_row, untested


def lemma_rows(evidence: Evidence) -> list[Row]:
    """Every lemma as one row; one that cannot be tested says why."""
    return [row for test in _TESTS for row in test(evidence)]


def _identities(evidence: Evidence) -> list[Row]:
    told = {
        "structural lemma": ("section 3.B", "⟨W_k, ∂f/∂W_k⟩ = f for each layer k", ""),
        "projections": ("section 3.B.5, relations 1, 2", "S² = S, S w = 0, ∂v/∂w = S/ρ", ""),
        "direction dynamics": (
            "equation 14 and the next",
            "V̇_k = (ρ/ρ_k²) (1/N) Σ e^{-ρyf} y (∂f/∂V_k - V_k f), ρ̇_k = (ρ/ρ_k) (1/N) Σ e^{-ρyf} y f",
            "",
        ),
        "constrained and unconstrained": (
            "lemma 5",
            "the V equations with and without the constraint differ only by a ρ² factor",
            "the factor is each layer's own ρ_k²",
        ),
        "weight normalization": ("theorem 4, item 4", "weight normalization is dynamics (B)", ""),
    }
    found = []
    for name, (place, printed, corrected) in told.items():
        worst = max(float(POINTWISE[name](evidence.flow.problem, weights, evidence.flow.loss)) for weights in evidence.samples())
        if name == "structural lemma":
            worst = max(worst, max(row["euler"] for row in evidence.run.rows))
        verdict = judge(worst, EXACT)
        one_layer = evidence.flow.problem.depth == 1
        printed_verdict = verdict if not corrected or one_layer else judge(_other_factor(evidence), EXACT)
        found.append(
            lemma_row(name, place, printed, worst, EXACT, printed_verdict, corrected=corrected, corrected_verdict=verdict if corrected else "")
        )
    return found


def _other_factor(evidence: Evidence) -> float:
    """How far the whole ρ² is from ρ_k², relatively: the printed factor."""
    norms = evidence.flow.problem.norms(evidence.final())
    return float(np.abs(np.prod(norms) ** 2 / norms**2 - 1).max())


def _equal_growth(evidence: Evidence) -> list[Row]:
    place, printed = "lemma 1", "dρ_k²/dt = 2 (1/N) Σ ρ y f e^{-ρyf}, the same for each layer"
    values = [row["growth"] for row in evidence.run.rows if row["growth"] is not None]
    if not values:
        return untested("equal growth", place, printed, "the norms are fixed in system A")
    worst = max(values)
    found = [lemma_row("equal growth", place, printed, worst, EXACT, judge(worst, EXACT))]
    if evidence.flow.system != "C":
        return found
    problem, loss = evidence.flow.problem, evidence.flow.loss
    weights = evidence.samples()[len(evidence.samples()) // 2]
    _, gradient = problem.log_loss_and_gradient(weights, loss)
    _, growth = radial_growth(problem, weights, loss)
    log_loss = problem.log_loss_and_gradient(weights, loss)[0]
    # printed: ‖dW_k/dt‖² = 2 Σ y f e^{-yf}, without 1/N; both sides in units of the loss
    squares = np.array([gradient[part] @ gradient[part] for part in problem.slices]) * math.exp(max(min(log_loss, 600.0), -600.0))
    off = float(np.abs(squares / max(abs(2 * growth * problem.n_examples), 1e-300) - 1).max())
    corrected = "the left side must be d‖W_k‖²/dt, and the sum needs 1/N"
    found.append(
        lemma_row(
            "growth as printed before lemma 1",
            "before lemma 1",
            "‖Ẇ_k‖² = 2 Σ y f e^{-yf}",
            off,
            EXACT,
            judge(off, EXACT),
            corrected=corrected,
            corrected_verdict=judge(worst, EXACT),
        )
    )
    return found


def _conservation(evidence: Evidence) -> list[Row]:
    slides = evidence.run.ending.slides
    tolerance = 1e-3 if slides else 1e-6
    told = {
        "layers": ("balance of layers", "ρ_k² - ρ_j² is conserved"),
        "neurons": ("balance of units", "what enters a unit minus what leaves it is conserved (Du, Hu & Lee 2018)"),
        "products": ("balance of products", "W_{k+1}ᵀW_{k+1} - W_kW_kᵀ is conserved in linear networks (Arora, Cohen & Hazan 2018)"),
    }
    found = []
    for key, (name, printed) in told.items():
        values = [row[f"drift_{key}"] for row in evidence.run.rows if row[f"drift_{key}"] is not None]
        if values:
            note = "relative to the largest ρ_k²; an integrator conserves it to its own error" + (
                ", which is of first order at kinks" if slides else ""
            )
            found.append(lemma_row(name, "lemma 1", printed, max(values), tolerance, judge(max(values), tolerance), reason=note))
    return found


def _support_changes(evidence: Evidence) -> list[Row]:
    place, printed = "figure 3", "the growth of the margin accelerates when the support vector changes"
    corrected = "the margin is a minimum: where the support vector changes its slope can only fall, and any acceleration comes later"
    tau, support, margin = ([row[key] for row in evidence.run.rows] for key in ("tau", "support", "margin"))
    changes = support_changes(tau, support, margin)
    if not changes:
        return untested("support vectors change", place, printed, "the support vector does not change after separation", corrected)
    faster = sum(change.speed_after > change.speed_before for change in changes)
    verdict = HOLDS if faster == len(changes) else FAILS
    reason = f"{len(changes)} changes, the last at ln t = {changes[-1].tau:.3g}; the slope of the margin in ln t is larger after {faster} of them"
    row = lemma_row("support vectors change", place, printed, 1 - faster / len(changes), 0.0, verdict, corrected=corrected, reason=reason)
    return [row | {"corrected_verdict": HOLDS if not faster else FAILS}]


_TESTS: Sequence[Callable[[Evidence], list[Row]]] = (
    _identities,
    _equal_growth,
    _conservation,
    limits.norms_and_loss,
    limits.margin_growth,
    _support_changes,
    limits.growth_law,
    limits.support_vector_machine,
    limits.kkt_conditions,
    limits.maximum_of_margin,
    limits.smallest_norm_problem,
    limits.hessian,
)
