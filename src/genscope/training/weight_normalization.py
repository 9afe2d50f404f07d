"""Weight normalization: the length and the direction of a layer's weights as parameters of their own."""

from torch import nn
from torch.nn.utils import parametrizations, parametrize

from genscope.errors import UsageError

_LAYERS = (nn.Linear, nn.Conv1d, nn.Conv2d, nn.Conv3d)


def normalize_weights(model: nn.Module, per: str = "unit") -> list[str]:
    r"""Split the weights of every linear and convolutional layer of ``model`` into length and direction, in place.

    .. math:: W = g\,\frac{v}{\|v\|}, \qquad
        \dot g = -\frac{\langle v, \nabla_W L\rangle}{\|v\|}, \quad
        \dot v = -\frac{g}{\|v\|}\Big(I - \frac{vv^\top}{\|v\|^2}\Big)\nabla_W L

    The function does not change. The flow keeps ‖v‖; gradient steps lengthen v, which lowers the effective learning rate of the direction. With
    one g per layer this is the flow of ρ and V together in Poggio, Banburski & Liao, up to a time scale per layer.

    Args:
        model: changed in place; layers that already have a parametrized weight are left alone.
        per: ``unit``, one g per output unit (Salimans & Kingma), or ``layer``, one g per layer (Poggio et al.).

    Returns:
        Names of the layers.

    Raises:
        UsageError: another value of ``per``.

    Source: Salimans & Kingma 2016, eqs. 2 and 3; Poggio, Banburski & Liao, eqs. 6 and 7. The parametrization is PyTorch's own.

    Example:
        >>> import torch
        >>> model = nn.Sequential(nn.Linear(3, 4), nn.ReLU(), nn.Linear(4, 2))
        >>> x = torch.ones(1, 3)
        >>> before = model(x)
        >>> normalize_weights(model, per="layer")
        ['0', '2']
        >>> torch.allclose(before, model(x))
        True
    """
    if per not in ("unit", "layer"):
        raise UsageError(f"per is {per!r}; use 'unit' or 'layer'.")
    found = []
    for name, module in model.named_modules():
        if isinstance(module, _LAYERS) and not parametrize.is_parametrized(module, "weight"):
            parametrizations.weight_norm(module, "weight", dim=0 if per == "unit" else -1)  # -1: the whole tensor
            found.append(name)
    return found


def restore_weights(model: nn.Module) -> list[str]:
    """Undo :func:`normalize_weights`: plain weights g·v/‖v‖ again, the same function.

    Returns:
        Names of the layers.
    """
    found = []
    for name, module in model.named_modules():
        if parametrize.is_parametrized(module, "weight") and isinstance(module, _LAYERS):
            parametrize.remove_parametrizations(module, "weight", leave_parametrized=True)
            found.append(name)
    return found
