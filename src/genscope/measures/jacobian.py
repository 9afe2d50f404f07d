"""How strongly the logits react to the input, at the data."""

from dataclasses import dataclass

import numpy as np

from genscope.core.catalogue import ingredient, measure
from genscope.core.estimate import Estimate
from genscope.core.status import Undefined
from genscope.measures.ingredients.subset import Subset
from genscope.measures.ingredients.types import Forward, Params


@dataclass(frozen=True)
class JacobianNorms:
    """Frobenius and spectral norm of ``∂f/∂x`` at each example of the subset."""

    frobenius: np.ndarray
    spectral: np.ndarray


@ingredient
def jacobian_norms(
    params: Params, forward: Forward, subset: Subset, *, jacobian_examples: int = 256, max_classes: int = 100
) -> JacobianNorms | Undefined:
    """Norms of the input–output Jacobian, one backward pass per class."""
    import torch

    frobenius, spectral = [], []
    for x, _ in subset.head(jacobian_examples):
        if not torch.is_tensor(x) or not x.is_floating_point():
            return Undefined("the inputs are integers or several tensors; a derivative with respect to them does not exist")
        x = x.detach().requires_grad_(True)
        logits = forward(params, x)
        if logits.shape[1] > max_classes:
            return Undefined(f"the network has {logits.shape[1]} outputs; Jacobians are computed up to {max_classes}")
        rows = [torch.autograd.grad(logits[:, c].sum(), x, retain_graph=True)[0].reshape(len(x), -1).double() for c in range(logits.shape[1])]
        jacobian = torch.stack(rows, dim=1)
        gram = jacobian @ jacobian.transpose(1, 2)
        frobenius.append(torch.diagonal(gram, dim1=1, dim2=2).sum(1).sqrt().cpu().numpy())
        spectral.append(torch.linalg.eigvalsh(gram)[:, -1].clamp_min(0).sqrt().cpu().numpy())
    return JacobianNorms(np.concatenate(frobenius), np.concatenate(spectral))


def _mean(values: np.ndarray) -> Estimate:
    mean = float(values.mean())
    half = 1.96 * float(values.std(ddof=1)) / np.sqrt(len(values)) if len(values) > 1 else None
    return Estimate(mean, None if half is None else mean - half, None if half is None else mean + half)


@measure(
    symbol=r"E\|\partial f/\partial x\|_F",
    unit="logits per input unit",
    expects="larger gap",
    source="Novak et al. 2018",
    invariant_to=("node_rescaling", "permutation"),
    cost="one backward per class",
)
def jacobian_frobenius_norm(jacobian_norms: JacobianNorms) -> Estimate:
    """The mean Frobenius norm of the input–output Jacobian at training examples.

    Formula:
        E‖∂f/∂x‖_F, with its 95 % interval.
    Reading:
        How strongly the outputs react to the input where the data are.
    Args:
        jacobian_norms: norms of the Jacobian at each example.
    Returns:
        A number with its interval; unit logits per input unit.
    Raises:
        Nothing; undefined for integer inputs and for very many classes.
    Invariances:
        Rescaling units (incoming times c, outgoing over c), permuting hidden units.
    Cost:
        One backward per class.
    Source:
        Novak et al. 2018.
    Example:
        >>> from genscope.measures.ingredients.worked_example import value_of
        >>> value_of("jacobian_frobenius_norm")
        2.121
    """
    return _mean(jacobian_norms.frobenius)


@measure(
    symbol=r"E\|\partial f/\partial x\|_2",
    unit="logits per input unit",
    expects="larger gap",
    source="Novak et al. 2018",
    invariant_to=("node_rescaling", "permutation"),
    cost="one backward per class",
)
def jacobian_spectral_norm(jacobian_norms: JacobianNorms) -> Estimate:
    """The mean spectral norm of the input–output Jacobian at training examples.

    Formula:
        E‖∂f/∂x‖₂, with its 95 % interval.
    Reading:
        How strongly the outputs react to the worst small change of the input.
    Args:
        jacobian_norms: norms of the Jacobian at each example.
    Returns:
        A number with its interval; unit logits per input unit.
    Raises:
        Nothing; undefined for integer inputs and for very many classes.
    Invariances:
        Rescaling units (incoming times c, outgoing over c), permuting hidden units.
    Cost:
        One backward per class.
    Source:
        Novak et al. 2018.
    Example:
        >>> from genscope.measures.ingredients.worked_example import value_of
        >>> value_of("jacobian_spectral_norm")
        2.121
    """
    return _mean(jacobian_norms.spectral)


@measure(
    symbol=r"\max\|\partial f/\partial x\|_2",
    unit="logits per input unit",
    expects="larger gap",
    source=r"Neyshabur et al. 2017, section 2.3",
    invariant_to=("node_rescaling", "permutation"),
    cost="one backward per class",
)
def lipschitz_lower_bound(jacobian_norms: JacobianNorms) -> float:
    """The largest spectral norm of the Jacobian seen.

    Formula:
        max_i ‖∂f/∂x(x_i)‖₂.
    Reading:
        The Lipschitz constant is at least this.
    Args:
        jacobian_norms: norms of the Jacobian at each example.
    Returns:
        A number; unit logits per input unit.
    Raises:
        Nothing; undefined for integer inputs and for very many classes.
    Invariances:
        Rescaling units (incoming times c, outgoing over c), permuting hidden units.
    Cost:
        One backward per class.
    Source:
        Neyshabur et al. 2017, section 2.3.
    Example:
        >>> from genscope.measures.ingredients.worked_example import value_of
        >>> value_of("lipschitz_lower_bound")
        2.828
    """
    return float(jacobian_norms.spectral.max())
