"""Lemmas on where a flow goes: growth, margins, and the conditions that the limit meets."""

import math

import numpy as np

from genscope.core.seeds import generator_for
from genscope.core.status import OK, Undefined
from genscope.dynamics.growth import grown_margin
from genscope.dynamics.invariants import LARGEST_HESSIAN, scaled_hessian
from genscope.dynamics.limits import largest_decrease
from genscope.dynamics.margin_search import neighbours_with_larger_margin, smallest_norm
from genscope.dynamics.max_margin import MaxMargin
from genscope.errors import UsageError
from genscope.verbs.flow_evidence import FAILS, HOLDS, KKT_TOLERANCE, UNTESTED, Evidence, Row, judge, lemma_row, untested

GAIN = 0.005  # a neighbour whose margin is larger by this share is better


def norms_and_loss(evidence: Evidence) -> list[Row]:
    """ρ̇_k > 0 after separation, and the loss falls to zero (at fixed ρ: does not rise)."""
    rows, flow = evidence.separated, evidence.flow
    growing = ("norms grow", "section 3.B.3", "ρ̇_k > 0 after the data are separated, and no separating point at finite ρ is stationary")
    falling = ("loss falls to zero", "section 3.B.3", "L → 0")
    if not rows:
        reason = "the data are not separated by the end of this run"
        return [*untested(*growing, reason), *untested(*falling, reason)]
    smallest = min(row["radial"] for row in rows)
    words = "smallest ⟨W_k, -∂ log L/∂W_k⟩ after separation; system A balances it with its Lagrange multiplier"
    found = [lemma_row(*growing, max(0.0, -smallest), 0.0, HOLDS if smallest > 0 else FAILS, reason=f"{words}: {smallest:.4g}")]
    end = rows[-1]["log10_loss"]
    rise = largest_decrease([-row["log10_loss"] for row in evidence.run.rows])
    if flow.system == "A":
        note = f"ρ is fixed, so the loss ends at 1e{end:.3g}"
        return [*found, lemma_row("loss falls", "section 3.B.2", "L does not rise at fixed ρ", max(0.0, rise), 1e-8, judge(rise, 1e-8), reason=note)]
    verdict = HOLDS if rise <= 1e-8 and end < rows[0]["log10_loss"] else FAILS
    return [*found, lemma_row(*falling, max(0.0, rise), 1e-8, verdict, reason=f"residual: largest rise of log10 L; at the end L = 1e{end:.4g}")]


def margin_growth(evidence: Evidence) -> list[Row]:
    """Lemma 3 and the smoothed margin."""
    place, printed = "lemma 3", "the margin min y f(V; x) does not fall once one support vector dominates"
    corrected = "the smoothed margin log(1/NL)/ρ never falls after L < 1/N (Lyu & Li 2020)"
    if not evidence.below:
        return untested("margin grows", place, printed, "the loss is not below 1/N by the end of this run", corrected)
    tolerance = 1e-8
    plain = largest_decrease([row["margin"] for row in evidence.separated])
    smooth = largest_decrease([row["smoothed"] for row in evidence.below])
    if evidence.flow.system == "C":
        smooth = max(smooth, largest_decrease([row["smoothed_whole"] for row in evidence.below]))
    reason = f"largest fall of the margin itself {max(plain, 0):.2g}, of the smoothed margin {max(smooth, 0):.2g}"
    return [
        lemma_row(
            "margin grows",
            place,
            printed,
            max(0.0, plain),
            tolerance,
            judge(plain, tolerance),
            corrected=corrected,
            corrected_verdict=judge(smooth, tolerance),
            reason=reason,
        )
    ]


def hessian(evidence: Evidence) -> list[Row]:
    """Curvature along the run."""
    place, printed = "section 3.C.1", "the Hessian goes to zero as ρ → ∞; at finite ρ at least one eigenvalue is positive"
    flow = evidence.flow
    if flow.problem.n_params > LARGEST_HESSIAN:
        return untested("Hessian", place, printed, f"the network has more than {LARGEST_HESSIAN} weights, too many for a dense Hessian")
    if not evidence.separated:
        return untested("Hessian", place, printed, "the data are not separated by the end of this run")
    logs, positive = [], True
    for weights in evidence.samples()[-6:]:
        values = scaled_hessian(flow.problem, weights, flow.loss)
        log_loss = flow.problem.log_loss_and_gradient(weights, flow.loss)[0]
        logs.append(math.log10(max(np.abs(values).max(), 1e-300)) + log_loss / math.log(10))
        positive = positive and values[-1] > 0
    falls = flow.system == "A" or logs[-1] < logs[0]
    where = "a positive eigenvalue at each point" if positive else "no positive eigenvalue at one point"
    reason = f"largest curvature 1e{logs[0]:.1f} → 1e{logs[-1]:.1f}; {where}"
    return [lemma_row("Hessian", place, printed, 10 ** max(logs[-1], -300.0), None, HOLDS if positive and falls else FAILS, reason=reason)]


def growth_law(evidence: Evidence) -> list[Row]:
    """Theorem 4, item 6, against the law for balanced layers."""
    flow = evidence.flow
    place = "theorem 4, item 6"
    printed = "ρ ≈ log t for one layer; the product of the norms of several layers grows faster than logarithmically"
    corrected = "γρ = ln t + (2 - 2/K) ln ρ + ln(K γ²): only a term in ln ln t is added, ρ/ln t → 1/γ, and each ρ_k grows like (ln t)^(1/K)"
    last = evidence.run.rows[-1]
    if flow.system != "C" or not evidence.below or last["tau"] < 10:
        why = "the law is about plain weights (system C) after ln t = 10" if flow.system != "C" or last["tau"] < 10 else "the loss is not below 1/N"
        return untested("growth of norms", place, printed, why, corrected)
    product = float(np.prod(last["norms"]))
    gap = last["margin"] * product
    try:
        expected = grown_margin(last["tau"], flow.problem.depth, last["margin"])
    except UsageError as error:
        return untested("growth of norms", place, printed, str(error), corrected)
    # several examples share the loss: up to ln N, and the data enter through γ alone only near the limit
    allowance = (math.log(flow.problem.n_examples) + 2.0) / last["tau"]
    off = abs(gap - expected) / expected
    ratio = gap / last["tau"]
    printed_verdict = HOLDS if flow.problem.depth == 1 else FAILS
    reason = (
        f"γρ = {gap:.4g}, the law says {expected:.4g}; γρ/ln t = {ratio:.4g} goes to 1, while faster than logarithmically would let it grow for good"
    )
    if flow.problem.depth == 1:
        printed_verdict = judge(off, allowance)
    return [
        lemma_row(
            "growth of norms",
            place,
            printed,
            off,
            allowance,
            printed_verdict,
            corrected=corrected,
            corrected_verdict=judge(off, allowance),
            reason=reason,
        )
    ]


def support_vector_machine(evidence: Evidence) -> list[Row]:
    """The angle between a linear network and the hard margin."""
    place, printed = "section 3, after Soudry et al. 2018", "a linear network turns to the hard-margin support vector machine, at the rate 1/log t"
    if isinstance(evidence.truth, Undefined):
        return untested("support vector machine", place, printed, evidence.truth.reason)
    rows = [row for row in evidence.separated if row["tau"] >= 1]
    if len(rows) < 3 or rows[-1]["tau"] < 4:
        return untested("support vector machine", place, printed, "the run ends before ln t = 4")
    # the direction may pass the limit and come back, so the angle need not fall at every step: its rate has to stay bounded
    rates = [row["angle"] * (row["tau"] if evidence.flow.system != "A" else 1) for row in rows]
    early = [rate for rate, row in zip(rates, rows, strict=True) if row["tau"] <= rows[-1]["tau"] / 2] or rates[:1]
    shrinks = rows[-1]["angle"] < max(row["angle"] for row in rows)
    bounded = rates[-1] <= max(early) + 1e-6
    reason = f"angle {rows[-1]['angle']:.3g} rad at ln t = {rows[-1]['tau']:.3g}; margin {rows[-1]['margin']:.6g} of {evidence.truth.margin:.6g}"
    return [lemma_row("support vector machine", place, printed, rows[-1]["angle"], None, HOLDS if shrinks and bounded else FAILS, reason=reason)]


def kkt_conditions(evidence: Evidence) -> list[Row]:
    """The limit as a KKT point, and how many examples carry it."""
    place, printed = "lemma 2, theorem 4, item 7", "the limit satisfies Σ_n λ_n y_n ∂f/∂V_k ∥ V_k with λ on the examples of smallest margin"
    residuals = [found for found in evidence.clarke() if found is not None]
    if not residuals:
        return untested("KKT conditions", place, printed, "the data are not separated by the end of this run")
    last = evidence.separated[-1]
    value, n_support = residuals[-1]
    smooth = f"with the loss's own multipliers ε = {last['epsilon']:.3g}, δ = {last['delta']:.3g}"
    reason = f"best multipliers over the Clarke subdifferential: {residuals[0][0]:.3g} just after separation, {value:.3g} at the end; {smooth}"
    n_close = sum(gap <= last["margin"] * 1.05 for gap in last["gaps"])
    ties = f"{n_support} examples carry multipliers, {n_close} lie within 5% of the smallest margin"
    return [
        lemma_row("KKT conditions", place, printed, value, KKT_TOLERANCE, _arrived(residuals), reason=reason),
        lemma_row(
            "one support vector",
            "section 3.B.4",
            "a single example, B_1 = 0, decides the limit",
            float(n_support),
            1.0,
            HOLDS if n_support == 1 else FAILS,
            corrected="ties are the rule at a maximal margin: several support vectors",
            corrected_verdict=HOLDS if n_support > 1 else FAILS,
            reason=ties,
        ),
    ]


def _arrived(residuals: list[tuple[float, int]]) -> str:
    """The residual goes to zero like 1/log t: one that is still falling is no counterexample."""
    if not residuals:
        return UNTESTED
    if residuals[-1][0] <= KKT_TOLERANCE:
        return HOLDS
    return UNTESTED if residuals[-1][0] < residuals[0][0] else FAILS


def maximum_of_margin(evidence: Evidence) -> list[Row]:
    """Theorem 4, item 2, and what later work put in its place."""
    place, printed = "theorem 4, item 2", "the limit is a maximum of the margin"
    corrected = (
        "the direction converges (Ji & Telgarsky 2020) to a KKT point of the margin problem (Lyu & Li 2020), which need not even be a local maximum "
        "(Vardi, Shamir & Srebro 2022)"
    )
    if not evidence.separated:
        return untested("maximum of the margin", place, printed, "the data are not separated by the end of this run", corrected)
    reached = _arrived([found for found in evidence.clarke() if found is not None])
    found = neighbours_with_larger_margin(evidence.flow.problem, evidence.final(), generator_for(evidence.seed, "flow", "neighbours"))
    if isinstance(found, Undefined):
        return untested("maximum of the margin", place, printed, found.reason, corrected)
    gain = found.best / found.margin - 1
    reason = (
        f"{found.n_starts} searches within {found.radius:g} of the limit's weights: best margin {found.best:.5g}, at the limit {found.margin:.5g}"
        + ("" if gain > GAIN else "; no better neighbour found, which is no proof")
    )
    return [
        lemma_row(
            "maximum of the margin",
            place,
            printed,
            max(0.0, gain),
            GAIN,
            judge(gain, GAIN),
            corrected=corrected,
            corrected_verdict=reached,
            reason=reason,
        )
    ]


def smallest_norm_problem(evidence: Evidence) -> list[Row]:
    """Lemma 4 with its constant."""
    place, printed = "lemma 4", "max margin under ‖W_k‖ = 1 is equivalent to min ½‖W_k‖² for all k, subject to y f ≥ 1"
    corrected = "one problem of one number: min Σ_k ½‖W_k‖² = (K/2) γ*^(-2/K), at equal norms"
    problem = evidence.flow.problem
    if not evidence.separated:
        return untested("smallest norm", place, printed, "the data are not separated by the end of this run", corrected)
    found = smallest_norm(problem, evidence.final())
    if isinstance(found, Undefined):
        return untested("smallest norm", place, printed, found.reason, corrected)
    value, weights = found
    margin = evidence.truth.margin if isinstance(evidence.truth, MaxMargin) else problem.margin(weights)
    expected = problem.depth / 2 * margin ** (-2 / problem.depth)
    off = abs(value - expected) / expected
    spread = float(np.ptp(problem.norms(weights)) / problem.norms(weights).mean())
    whose = "the support vector machine" if isinstance(evidence.truth, MaxMargin) else "the same point"
    reason = f"quadratic programming ends at {value:.6g}; (K/2) γ^(-2/K) of {whose} is {expected:.6g}; norms differ by {spread:.1g}"
    one = problem.depth == 1
    verdict = judge(off, 1e-4)
    words = reason if one else f"as printed it is K problems at once, no scalar one; {reason}"
    return [
        lemma_row(
            "smallest norm",
            place,
            printed,
            off,
            1e-4,
            verdict if one else UNTESTED,
            corrected=corrected,
            corrected_verdict=verdict,
            status=OK,
            reason=words,
        )
    ]
