"""Curvature of the training loss: the top eigenvalue and the trace of its Hessian, with their errors."""

import numpy as np

from genscope.core.catalogue import measure
from genscope.core.estimate import Estimate
from genscope.core.status import DOUBTFUL, OK
from genscope.measures.ingredients.hessian_operator import HessianOperator, QuadraticForms
from genscope.numerics.lanczos import TopEigenvalue
from genscope.numerics.trace import deflated_hutchinson, exact_trace


@measure(
    symbol=r"\lambda_{\max}(H)",
    unit="nats",
    expects="larger gap",
    source="Keskar et al. 2017; Wu & Simon 2000 (thick-restart Lanczos)",
    invariant_to=("permutation",),
    cost="about 10 Hessian products",
)
def hessian_top_eigenvalue(hessian_krylov: TopEigenvalue) -> Estimate:
    """The largest eigenvalue of the Hessian of the training loss.

    Formula:
        λ_max(∇²L̂) by Lanczos; the interval is λ ± ‖Hv − λv‖ and holds an exact eigenvalue (Weyl).
    Reading:
        Curvature in the sharpest direction; saturated losses hide it.
    Args:
        hessian_krylov: the Lanczos run, to a residual of eigenvalue_tolerance times the value.
    Returns:
        A number with its interval; unit nats.
    Raises:
        Nothing; undefined without parameters.
    Invariances:
        Permuting hidden units.
    Cost:
        About 10 Hessian products.
    Source:
        Keskar et al. 2017; Wu & Simon 2000 (thick-restart Lanczos).
    Example:
        >>> from genscope.measures.ingredients.worked_example import value_of
        >>> value_of("hessian_top_eigenvalue")
        0.2404
    """
    found = hessian_krylov
    reason = "" if found.converged else f"Lanczos did not converge in {found.n_products} products; the residual is {found.residual:.3g}"
    return Estimate(found.value, found.value - found.residual, found.value + found.residual, OK if found.converged else DOUBTFUL, reason)


@measure(
    symbol=r"\mathrm{tr}(H)",
    unit="nats",
    expects="larger gap",
    source="Meyer et al. 2021 (Hutch++, with the Lanczos space as its sketch)",
    invariant_to=("permutation",),
    cost="up to trace_products second derivatives, four forwards each",
)
def hessian_trace(
    hessian_operator: HessianOperator, hessian_krylov: TopEigenvalue, hessian_forms: QuadraticForms, rng: np.random.Generator,
    *, trace_products: int = 30, trace_tolerance: float = 0.02,
) -> Estimate:  # fmt: skip
    """The trace of the Hessian of the training loss.

    Formula:
        tr(∇²L̂) = tr(QᵀHQ) + E zᵀHz, z random signs outside the Lanczos space Q, with its 95 % interval; exact for tiny networks.
    Reading:
        Summed curvature; saturated losses hide it.
    Args:
        hessian_operator: the Hessian's action on vectors.
        hessian_krylov: the space that the top eigenvalue was found in.
        hessian_forms: second derivatives along directions.
        rng: the node's own generator.
        trace_products: most probes.
        trace_tolerance: standard error, relative to the trace, at which the probes stop.
    Returns:
        A number with its interval; unit nats.
    Raises:
        Nothing; undefined without parameters.
    Invariances:
        Permuting hidden units.
    Cost:
        Up to trace_products second derivatives of four forwards each.
    Source:
        Meyer et al. 2021 (Hutch++, with the Lanczos space as its sketch).
    Example:
        >>> from genscope.measures.ingredients.worked_example import value_of
        >>> value_of("hessian_trace")
        0.421
    """
    if hessian_operator.n <= max(trace_products, 32):
        found = exact_trace(hessian_operator, hessian_operator.n)
    else:
        found = deflated_hutchinson(
            hessian_forms, hessian_krylov.captured, hessian_krylov.basis, rng, max_probes=trace_products, tolerance=trace_tolerance
        )
    return Estimate(found.value, found.value - 1.96 * found.sem, found.value + 1.96 * found.sem)
