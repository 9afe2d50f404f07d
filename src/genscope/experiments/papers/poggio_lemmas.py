"""Poggio et al.: the lemmas of the dynamics of normalized weights as experiments."""

from genscope.experiments.papers.poggio_dynamics import (
    draw_angle,
    draw_changes,
    draw_growth,
    draw_kkt,
    draw_loss,
    draw_margin,
    draw_squares,
    judge_growth,
    judge_support,
    judge_svm,
)
from genscope.experiments.papers.poggio_flows import CONTROLS, FLOWS, lemma_judge
from genscope.experiments.values import Experiment

BOTH = (FLOWS, CONTROLS)
EXPERIMENTS = (
    Experiment(
        "S3-F3",
        "Poggio et al., Figure 3",
        "The margin grows while support vectors change",
        (
            "After separation the smallest margin never decreases; the support vector changes a few times (3 in the paper) and "
            "stabilizes; growth accelerates at each change."
        ),
        (FLOWS,),
        judge_support,
        draw_changes,
        "Training loss, margin and the index of the support vector over epochs; three changes, then none.",
        "Smallest normalized margin min y f(V; x) along one flow; dashed lines: changes of the support vector.",
        cost="T1",
    ),
    Experiment(
        "S3-T1",
        "Poggio et al., Section 3.B",
        "Structural lemma",
        "⟨W_k, ∂f/∂W_k⟩ = f for each layer k.",
        BOTH,
        lemma_judge(
            ("structural lemma",),
            "Euler's identity holds to rounding at every recorded point of every flow.",
            "euler_tanh",
        ),
        cost="T0",
    ),
    Experiment(
        "S3-T2",
        "Poggio et al., Lemma 1",
        "All layers grow at the same rate",
        "dρ_k²/dt is the same for every layer k, so differences of squared norms are conserved.",
        BOTH,
        lemma_judge(
            (
                "equal growth",
                "balance of layers",
            ),
            "The squared norms of all layers grow alike, whatever their shapes.",
            "growth_tanh",
        ),
        draw_squares,
        caption="ρ_k² of each layer along one flow: the curves are parallel.",
        errata=(("Before Lemma 1 the text prints ‖Ẇ_k‖² = 2 Σ y f e^{−yf}; the left side has to be d‖W_k‖²/dt, and the sum needs the factor 1/N."),),
        cost="T0",
    ),
    Experiment(
        "S3-T3",
        "Poggio et al., Equations 3, 6, 14 and Lemma 5",
        "Constrained and unconstrained dynamics",
        (
            "The equations of the directions with and without the unit-norm constraint differ only by a factor ρ², so they have the "
            "same stationary points."
        ),
        (FLOWS,),
        lemma_judge(
            (
                "direction dynamics",
                "constrained and unconstrained",
            ),
            ("Projected gradients match the printed equations; the factor between the two systems is each layer's own ρ_k², not the product of all."),
        ),
        cost="T0",
        errata=("Lemma 5 says 'a ρ² factor'; with several layers it is ρ_k² for layer k.",),
    ),
    Experiment(
        "S3-T4",
        "Poggio et al., Section 3.B.3",
        "Norms grow and the loss falls to zero",
        "After separation every ρ_k grows, no separating point at finite ρ is stationary, and the loss goes to zero.",
        (FLOWS,),
        lemma_judge(
            (
                "norms grow",
                "loss falls to zero",
            ),
            "Both hold at every recorded point.",
        ),
        draw_loss,
        caption="Logarithm of the loss along one flow per problem; losses far below the float range are kept as logarithms.",
        cost="T0",
        errata=("'For finite ρ the minimum is at the boundary': the sphere has no boundary; the infimum is not attained at finite ρ.",),
    ),
    Experiment(
        "S3-T5",
        "Poggio et al., Section 3.C.1",
        "The Hessian goes to zero",
        "The Hessian of the loss goes to zero as ρ goes to infinity; at finite ρ it has a positive eigenvalue.",
        (FLOWS,),
        lemma_judge(
            ("Hessian",),
            "Curvature vanishes with the loss, so flatness in the plain weights says nothing here.",
        ),
        cost="T0",
    ),
    Experiment(
        "S3-T6",
        "Poggio et al., Section 3, after Soudry et al. 2018",
        "One layer goes to the support vector machine",
        "For one linear layer the direction converges to the hard-margin support vector machine at the rate 1/log t.",
        (FLOWS,),
        judge_svm,
        draw_angle,
        caption="Angle between the flow's linear map and the exact hard margin, one line per seed.",
        cost="T0",
    ),
    Experiment(
        "S3-T7",
        "Poggio et al., Theorem 4, item 6",
        "How fast norms grow",
        "ρ grows as log t for one layer; the product of the norms of several layers diverges faster than logarithmically.",
        (FLOWS,),
        judge_growth,
        draw_growth,
        caption="Smallest gap minus ln t against ln t: the excess of deep networks is a term in ln ln t.",
        cost="T0",
        errata=("γρ = ln t + (2 − 2/K) ln ρ + ln(K γ²): only a term in ln ln t is added, and ρ/ln t goes to 1/γ.",),
    ),
    Experiment(
        "S3-T8",
        "Poggio et al., Lemma 3",
        "The margin does not fall",
        "Once one support vector dominates, the smallest margin of the normalized network does not decrease.",
        (FLOWS,),
        lemma_judge(
            ("margin grows",),
            "The margin and the smoothed margin of Lyu and Li.",
            shown=("one support vector",),
        ),
        draw_margin,
        caption="Margins over the last value of the margin, one flow per problem; the smoothed margin exists once the loss is below 1/N.",
        cost="T0",
        errata=(
            "The argument assumes one support vector (B₁ = 0); at the maximum margin ties are the rule.",
            "Lyu and Li 2020: the smoothed margin log(1/(N L))/ρ never decreases once L < 1/N, without that assumption.",
        ),
    ),
    Experiment(
        "S3-T9",
        "Poggio et al., Lemma 4",
        "Largest margin and smallest norm",
        "Maximizing the margin under unit norms is minimizing the norms under y f ≥ 1.",
        (FLOWS,),
        lemma_judge(
            ("smallest norm",),
            "A constrained solver started at the flow's end finds the constant of the corrected lemma.",
        ),
        cost="T0",
        errata=(
            ("'min ½‖W_k‖² for all k' is no scalar problem; min Σ ½‖W_k‖² = (K/2) γ*^(−2/K) is the right statement, with layers of equal norm."),
        ),
    ),
    Experiment(
        "S3-T10",
        "Poggio et al., Theorem 4, item 4",
        "Weight normalization is system B",
        "Weight normalization follows the dynamics of ρ and V with the unit-norm constraint.",
        (FLOWS,),
        lemma_judge(
            ("weight normalization",),
            "Autograd through g and v gives the equations of system B, and ‖v‖ is conserved.",
        ),
        cost="T0",
    ),
    Experiment(
        "S3-T11",
        "Poggio et al., Theorem 4, item 2",
        "The limit is a KKT point, not always a maximum",
        "The directions converge to maxima of the margin.",
        (FLOWS,),
        lemma_judge(
            ("maximum of the margin",),
            ("Residuals of the Karush–Kuhn–Tucker conditions along the flow, and a search for neighbours with a larger margin at its end."),
            shown=("KKT conditions",),
        ),
        draw_kkt,
        caption="Distance of W from the cone of the support vectors' gradients, over ‖W‖, one flow per problem.",
        cost="T0",
        errata=(
            (
                "'Maxima of the margin' is too strong: Lyu and Li 2020 prove convergence to KKT points, Ji and Telgarsky 2020 that "
                "the direction converges, and Vardi, Shamir and Srebro 2022 that a KKT point need not even be a local maximum."
            ),
        ),
    ),
)
