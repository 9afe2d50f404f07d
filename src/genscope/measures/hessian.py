"""Curvature of the training loss: the top eigenvalue and the trace of its Hessian, with their errors."""

import numpy as np

from genscope.core.catalogue import measure
from genscope.core.estimate import Estimate
from genscope.core.status import DOUBTFUL, OK
from genscope.measures.ingredients.hessian_operator import HessianOperator
from genscope.numerics.lanczos import top_eigenvalue
from genscope.numerics.trace import exact_trace, hutch_plus_plus


@measure(
    symbol=r"\lambda_{\max}(H)",
    unit="nats",
    expects="larger gap",
    source="Keskar et al. 2017; Lanczos (ARPACK)",
    invariant_to=("permutation",),
    cost="about 21 Hessian products",
)
def hessian_top_eigenvalue(hessian_operator: HessianOperator, rng: np.random.Generator, *, eigenvalue_tolerance: float = 1e-3) -> Estimate:
    """The largest eigenvalue of the Hessian of the training loss.

    Formula:
        λ_max(∇²L̂) by Lanczos; the interval is λ ± ‖Hv − λv‖ and holds an exact eigenvalue (Weyl).
    Reading:
        Curvature in the sharpest direction; saturated losses hide it.
    Args:
        hessian_operator: the Hessian's action on vectors.
        rng: the node's own generator.
        eigenvalue_tolerance: relative accuracy asked of Lanczos.
    Returns:
        A number with its interval; unit nats.
    Raises:
        Nothing; undefined without parameters.
    Invariances:
        Permuting hidden units.
    Cost:
        About 21 Hessian products.
    Source:
        Keskar et al. 2017; Lanczos (ARPACK).
    Example:
        >>> from genscope.measures.ingredients.worked_example import value_of
        >>> value_of("hessian_top_eigenvalue")
        0.2404
    """
    found = top_eigenvalue(hessian_operator, hessian_operator.n, rng, tolerance=eigenvalue_tolerance)
    reason = "" if found.converged else f"Lanczos did not converge to {eigenvalue_tolerance:g} in {found.n_products} products"
    return Estimate(found.value, found.value - found.residual, found.value + found.residual, OK if found.converged else DOUBTFUL, reason)


@measure(
    symbol=r"\mathrm{tr}(H)",
    unit="nats",
    expects="larger gap",
    source="Meyer et al. 2021 (Hutch++)",
    invariant_to=("permutation",),
    cost="trace_products Hessian products",
)
def hessian_trace(hessian_operator: HessianOperator, rng: np.random.Generator, *, trace_products: int = 30) -> Estimate:
    """The trace of the Hessian of the training loss.

    Formula:
        tr(∇²L̂) by Hutch++, with its 95 % interval; exact for tiny networks.
    Reading:
        Summed curvature; saturated losses hide it.
    Args:
        hessian_operator: the Hessian's action on vectors.
        rng: the node's own generator.
        trace_products: Hessian products.
    Returns:
        A number with its interval; unit nats.
    Raises:
        Nothing; undefined without parameters.
    Invariances:
        Permuting hidden units.
    Cost:
        Trace_products Hessian products.
    Source:
        Meyer et al. 2021 (Hutch++).
    Example:
        >>> from genscope.measures.ingredients.worked_example import value_of
        >>> value_of("hessian_trace")
        0.421
    """
    if hessian_operator.n <= trace_products:
        found = exact_trace(hessian_operator, hessian_operator.n)
    else:
        found = hutch_plus_plus(hessian_operator, hessian_operator.n, trace_products, rng)
    return Estimate(found.value, found.value - 1.96 * found.sem, found.value + 1.96 * found.sem)
