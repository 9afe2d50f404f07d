"""Neyshabur et al.: lemmas and identities that can be checked number by number, each beside a control that breaks its assumption."""

from typing import TYPE_CHECKING

import numpy as np

from genscope.experiments.papers.neyshabur_identities import FIXED, MOVING, STATEMENTS
from genscope.experiments.papers.neyshabur_statistics import mean_with_interval
from genscope.experiments.values import Cell, Experiment, Family, Judgement, Outcome, Size
from genscope.experiments.verdicts import check_above, check_below, check_within, judgement

if TYPE_CHECKING:
    from genscope.experiments.context import Context
    from genscope.experiments.runs import Runs

SEEDS = {"smoke": 2, "small": 12, "full": 100}
DRAWS = {"smoke": 2000, "small": 20_000, "full": 200_000}


def _family(row: str) -> Family:
    def cells(size: Size) -> list[Cell]:
        return [Cell(f"seed {seed}", {"draws": DRAWS[size], "seed": seed}) for seed in range(SEEDS[size])]

    def run(cell: Cell, context: "Context") -> Outcome:
        return Outcome(STATEMENTS[row](context.rng("neyshabur", row, cell.settings["seed"]), cell.settings["draws"]))

    return Family(f"neyshabur-{row}", 1, cells, run)


FAMILIES = {row: _family(row) for row in STATEMENTS}


def _values(runs: "Runs", row: str, name: str) -> np.ndarray:
    return runs.column(FAMILIES[row], name)


def _judge_t1(runs: "Runs") -> Judgement:
    square, interval = mean_with_interval(_values(runs, "T1", "square"))
    largest, control = float(_values(runs, "T1", "mean").max()), 1.0 + float(np.abs(_values(runs, "T1", "control") - 1.0).mean())
    checks = (
        check_below("E‖AνB‖_F over σ‖A‖_F‖B‖_F, the largest", largest, 1.0),
        check_within(
            "E‖AνB‖_F² over σ²‖A‖_F²‖B‖_F²",
            square,
            (0.98, 1.02),
            interval=interval,
            null=control,
            note="null: all entries of ν equal, 1 plus the mean distance from 1",
        ),
    )
    meaning = (
        "For independent Gaussian entries the second moment equals the product of the squared norms and the mean norm stays below its root, as "
        f"Lemma 3 says. With all entries equal the ratio is off by {control - 1.0:.2f} on average: independence is what the lemma needs."
    )
    return judgement(checks, meaning)


def _judge_t2(runs: "Runs") -> Judgement:
    worst = float(_values(runs, "T2", "ratio").max())
    meaning = f"On random ReLU networks the deviation under noise is at most {worst:.2g} of what Lemma 1 allows: the bound holds and is loose."
    return judgement([check_below("left over right side of Lemma 1, the largest", worst, 1.0)], meaning)


def _judge_t3(runs: "Runs") -> Judgement:
    worst = {name: max(float(_values(runs, "T3", f"{name}_{p}").max()) for p in (1, 2)) for name in ("enumeration", "rescaling", "attained")}
    least = min(float(_values(runs, "T3", f"least_{p}").min()) for p in (1, 2))
    control = float(_values(runs, "T3", "control").min())
    checks = (
        check_below("enumeration of all paths against the forward pass, relative", worst["enumeration"], 1e-10),
        check_below(
            "change under node rescaling, relative", worst["rescaling"], 1e-10, null=control, note="null: incoming weights of one unit scaled"
        ),
        check_below("product of ‖W_i‖_{p,∞} after balancing against the path norm, relative", worst["attained"], 1e-10),
        check_above("least product over random rescalings, over the path norm", least, 1.0 - 1e-12),
    )
    meaning = (
        "The path norm is the forward pass of |W|^p on ones, does not change when a hidden unit is rescaled, and is the least product of group norms "
        "over all rescalings, reached where every hidden unit's incoming weights have unit norm."
    )
    return judgement(checks, meaning)


def _judge_t4(runs: "Runs") -> Judgement:
    fixed = max(float(_values(runs, "T4", name).max()) for name in ("function", *FIXED))
    moved = {name: float(np.median(_values(runs, "T4", name))) for name in MOVING}
    checks = (
        check_below("largest change of the function and of the path norms", fixed, 1e-9, null=min(moved.values())),
        *(check_above(f"median change of {name}", change, 1e-3) for name, change in moved.items()),
    )
    meaning = (
        "Multiplying one hidden unit's incoming weights by 10 and dividing its outgoing ones leaves every output and the path norms as they are, "
        "while Frobenius and spectral norms and the sharpness move: they measure the parametrization too, not the function alone."
    )
    return judgement(checks, meaning)


def _judge_t5(runs: "Runs") -> Judgement:
    single, double = float(_values(runs, "T5", "float32").max()), float(_values(runs, "T5", "float64").max())
    control = float(_values(runs, "T5", "control").min())
    checks = (
        check_below("relative change of logits, float32", single, 1e-5, null=control, note="null: normalization left out"),
        check_below("relative change of logits, float64", double, 1e-12, null=control),
    )
    return judgement(checks, "Folding batch normalization into the convolution before it keeps the function to rounding.")


def _judge_t6(runs: "Runs") -> Judgement:
    largest, control = (float(np.abs(_values(runs, "T6", name)).max()) for name in ("z", "control"))
    relative = float(np.abs(_values(runs, "T6", "relative")).max())
    checks = (
        check_below(
            "closed form minus Monte Carlo, in standard errors, the largest", largest, 4.0, null=control, note="null: without the factor 1/2"
        ),
        check_below("largest relative difference", relative, 0.05),
    )
    meaning = (
        "Σ w²/(2σ²) is the divergence between N(w, σ²) and N(0, σ²). The appendix's formula without the factor 1/2 is off by hundreds of standard "
        "errors. For a prior of unit variance, which the text asks for, n/2·(σ² − 1 − ln σ²) has to be added."
    )
    return judgement(checks, meaning)


def _judge_t7(runs: "Runs") -> Judgement:
    largest, control = float(_values(runs, "T7", "largest").max()), float(_values(runs, "T7", "control").min())
    checks = [check_below("largest change of ln norm over margin", largest, 1e-9, null=control, note="null: the norm without the margin")]
    return judgement(checks, "Dividing by the margin takes out the scale of the last layer, for all four norms.")


_TITLES = {
    "T1": ("Lemma 3", "A Gaussian matrix between two matrices", "E‖AνB‖_F ≤ σ‖A‖_F‖B‖_F, and E‖AνB‖_F² = σ²‖A‖_F²‖B‖_F²."),
    "T2": (
        "Lemma 1",
        "Perturbation of a network with fixed activations",
        "Under C1, E‖f_{w+ν} − f_w‖ ≤ (∏(1 + γ_i) − 1)‖f_w‖ with γ_i = σ_i √(h_i h_{i−1})/(μ²‖W_i‖_F).",
    ),
    "T3": (
        "Section 2.2",
        "The path norm",
        "The path norm is a forward pass of |W|^p, invariant to node rescaling, and the least product of ‖W_i‖_{p,∞} over rescalings.",
    ),
    "T4": (
        "Section 2.4",
        "Rescaling moves norms and sharpness",
        "Node rescaling changes norms and sharpness but neither the function nor the path norm.",
    ),
    "T5": (
        "Appendix A",
        "Folding batch normalization",
        "A network with batch normalization can be written as one without, of the same function.",
    ),
    "T6": (
        "Section 2.4 and Appendix A",
        "The divergence of the posterior",
        "The KL divergence at the chosen prior is a weighted ℓ2 norm of the weights.",
    ),
    "T7": (
        "Section 2",
        "Norms over margin do not depend on scale",
        "All norms over the margin are unchanged when the last layer is multiplied by a constant.",
    ),
}
_ERRATA = {
    "T2": ("The proof of Theorem 1 cites this lemma as Lemma 8.",),
    "T6": (
        "The appendix prints α⁻² Σ (w/(10|w| + 1))², without the factor 1/2 of Equation 6.",
        "The text sets the prior's variance to 1, the formula shown belongs to a prior with the posterior's variance.",
        "A union bound over the grid of σ is missing: ln of the number of scales has to be added.",
    ),
}
_JUDGES = (_judge_t1, _judge_t2, _judge_t3, _judge_t4, _judge_t5, _judge_t6, _judge_t7)
EXPERIMENTS = tuple(
    Experiment(f"S4-{row}", f"Neyshabur et al., {where}", title, claim, (FAMILIES[row],), judge, errata=_ERRATA.get(row, ()), cost="T0")
    for (row, (where, title, claim)), judge in zip(_TITLES.items(), _JUDGES, strict=True)
)
