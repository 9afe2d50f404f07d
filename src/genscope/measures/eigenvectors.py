"""How localized the singular vectors are, in the tail and in the bulk of the spectrum."""

import numpy as np

from genscope.core.catalogue import ingredient, measure
from genscope.core.matrices import Matrix
from genscope.core.power_law_fit import PowerLawFit
from genscope.core.status import SKIPPED, Undefined
from genscope.numerics.localization import BulkAndTail, bulk_and_tail, localization, singular_vectors


@ingredient
def participation(matrix: Matrix, power_law: PowerLawFit, eigenvalue_scale: float) -> BulkAndTail | Undefined:
    """Participation ratio of the singular vectors over their length, below and from xmin on, over all pooled matrices."""
    if matrix.stack is None:
        return Undefined("the operator view has no singular vectors in the channels", SKIPPED)
    if power_law.xmin is None:
        return Undefined(power_law.reason or "no power law was fitted", SKIPPED)
    shares, values = [], []
    for piece in matrix.stack:
        eigenvalues, vectors = singular_vectors(piece)
        found = localization(vectors)
        shares.append(found.participation_ratio / found.size)
        values.append(eigenvalues * eigenvalue_scale)
    # another eigenvalue routine: xmin itself must not fall below the border by rounding
    return bulk_and_tail(np.concatenate(shares), np.concatenate(values), power_law.xmin * (1 - 1e-9))


@measure(
    symbol=r"\mathrm{PR}_{\mathrm{tail}}",
    unit="share of coordinates",
    expects="none",
    source="Plerou et al. 2002 (participation ratio of eigenvectors)",
    invariant_to=("scale",),
    when="vectors",
)
def participation_tail(participation: BulkAndTail) -> float | Undefined:
    """Share of coordinates that a singular vector of the tail lives on, on average.

    Formula:
        mean over eigenvalues from xmin on of 1 / (n Σ v⁴).
    Reading:
        1/3 for random vectors, 1/n for one coordinate; tail vectors of trained layers are usually more localized than bulk ones.
    Args:
        participation: participation ratios below and from xmin on.
    Returns:
        A share in (0, 1].
    Raises:
        Nothing; undefined when there is no vector in the tail.
    Invariances:
        Scale.
    Cost:
        A full symmetric eigenproblem, about five times the eigenvalues alone.
    Source:
        Plerou et al. 2002 (participation ratio of eigenvectors).
    Example:
        >>> found = BulkAndTail(0.33, 0.02, 0.25, 0.05, 80, 20)
        >>> participation_tail(found)
        0.25
    """
    if participation.tail_mean is None:
        return Undefined("there is no vector in the tail", SKIPPED)
    return participation.tail_mean


@measure(
    symbol=r"\mathrm{PR}_{\mathrm{bulk}}",
    unit="share of coordinates",
    expects="none",
    source="Plerou et al. 2002 (participation ratio of eigenvectors)",
    invariant_to=("scale",),
    when="vectors",
)
def participation_bulk(participation: BulkAndTail) -> float | Undefined:
    """Share of coordinates that a singular vector of the bulk lives on, on average.

    Formula:
        mean over eigenvalues below xmin of 1 / (n Σ v⁴).
    Reading:
        1/3 for random vectors, 1/n for one coordinate; tail vectors of trained layers are usually more localized than bulk ones.
    Args:
        participation: participation ratios below and from xmin on.
    Returns:
        A share in (0, 1].
    Raises:
        Nothing; undefined when there is no vector in the bulk.
    Invariances:
        Scale.
    Cost:
        A full symmetric eigenproblem, about five times the eigenvalues alone.
    Source:
        Plerou et al. 2002 (participation ratio of eigenvectors).
    Example:
        >>> found = BulkAndTail(0.33, 0.02, 0.25, 0.05, 80, 20)
        >>> participation_bulk(found)
        0.33
    """
    if participation.bulk_mean is None:
        return Undefined("there is no vector in the bulk", SKIPPED)
    return participation.bulk_mean
