"""Spectra of products of consecutive layers: what two linear maps in a row do together."""

import itertools
from collections.abc import Sequence

import numpy as np

from genscope.core.matrices import Matrix, MatrixSpec


def plan_products(matrices: Sequence[MatrixSpec]) -> list[MatrixSpec]:
    """One ``product`` per pair of neighbouring linear layers whose shapes fit: ``W_next · W``, rows of the next by columns of the first.

    Args:
        matrices: the plan's matrices in the order of the checkpoint.

    Returns:
        Specs whose ``layer`` is ``first * next``; layers in between that are no plain linear matrix (a convolution, an embedding, a
        gate) interrupt the chain.

    Example:
        >>> first, second = (MatrixSpec(n, "linear", "weight", *shape, 1, (n,)) for n, shape in (("a.weight", (5, 4)), ("b.weight", (3, 5))))
        >>> [(p.layer, p.rows, p.cols) for p in plan_products([first, second])]
        [('a.weight * b.weight', 3, 4)]
    """
    products = []
    for first, following in itertools.pairwise(matrices):
        plain = all(spec.kind == "linear" and spec.view == "weight" and spec.n_matrices == 1 for spec in (first, following))
        if plain and following.cols == first.rows:
            name = f"{first.layer} * {following.layer}"
            recipe = ("product", first, following)
            products.append(MatrixSpec(name, "product", "product", following.rows, first.cols, 1, (*first.tensors, *following.tensors), recipe))
    return products


def multiply(spec: MatrixSpec, first: Matrix, following: Matrix) -> Matrix:
    """The product of two built layers, in float64."""
    assert first.stack is not None and following.stack is not None
    return Matrix(spec, np.matmul(following.stack, first.stack, dtype=np.float64))


def is_product(spec: MatrixSpec) -> bool:
    """Whether a spec came from :func:`plan_products`."""
    return bool(spec.recipe) and spec.recipe[0] == "product"
