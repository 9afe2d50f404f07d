"""Before anything is measured: does the same input give the same output, whatever its company, and does the data stand still?"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from genscope.core.text import display_name
from genscope.errors import UnsupportedInput
from genscope.networks.functional import Network, wrap_module

DROPOUT = (nn.Dropout, nn.Dropout1d, nn.Dropout2d, nn.Dropout3d, nn.AlphaDropout, nn.FeatureAlphaDropout)
BATCH_TOLERANCE = 1e-3


@dataclass(frozen=True)
class Finding:
    """One reason why a measurement would not be repeatable: the module (or ``data``) and a sentence."""

    module: str
    sentence: str


def module_findings(model: nn.Module, *, training: bool | None = None) -> tuple[Finding, ...]:
    """What can be read off the modules: dropout that is on, batch normalization that uses its batch.

    Args:
        model: a module.
        training: judge as if the whole model were in this mode; ``None`` takes each module's own.

    Returns:
        Findings in order of the modules; empty if there is nothing to say.

    Example:
        >>> [f.module for f in module_findings(nn.Sequential(nn.Dropout(0.5)).train())]
        ['0']
    """
    found = []
    for name, module in model.named_modules():
        title = display_name(name or type(module).__name__)
        mode = module.training if training is None else training
        if isinstance(module, DROPOUT) and mode and module.p > 0:
            found.append(Finding(title, f"{title}: dropout ({module.p:g}) is on; call model.eval() before measuring."))
        elif isinstance(module, nn.modules.batchnorm._BatchNorm) and module.running_mean is None:
            words = "keeps no running statistics, so that the output depends on the batch; measure with track_running_stats=True"
            found.append(Finding(title, f"{title}: batch normalization {words}."))
        elif isinstance(module, nn.modules.batchnorm._BatchNorm) and mode:
            found.append(Finding(title, f"{title}: batch normalization is in training mode and uses its batch; call model.eval() before measuring."))
    return tuple(found)


def output_findings(network: Network, x: Any) -> tuple[Finding, ...]:
    """What only running shows: outputs that change from call to call, that depend on the rest of the batch, or are not finite.

    The random state is left as it was.

    Returns:
        At most one finding for each; a change from call to call names the first module whose output changed.
    """
    state = torch.get_rng_state()
    cuda = torch.cuda.get_rng_state_all() if network.device.type == "cuda" else None
    try:
        with torch.no_grad():
            before = {name: tensor.clone() for name, tensor in network.buffers.items()}
            first, second = network(x), network(x)
            changed = [name for name, tensor in network.buffers.items() if not torch.equal(tensor, before[name])]
            for name in changed:
                network.buffers[name].copy_(before[name])
            return (*_repeat(network, x, first, second), *_written(changed), *_company(network, x, first), *_finite(network, first))
    finally:
        torch.set_rng_state(state)
        if cuda is not None:
            torch.cuda.set_rng_state_all(cuda)


def loader_findings(data: Any) -> tuple[Finding, ...]:
    """Whether two passes over a ``DataLoader`` see the same examples.

    Shuffling alone is harmless; shuffling with ``drop_last`` leaves out other examples on each pass, and random augmentation
    changes the examples themselves.

    Example:
        >>> from torch.utils.data import DataLoader
        >>> [f.module for f in loader_findings(DataLoader(torch.zeros(5, 1), batch_size=2, shuffle=True, drop_last=True))]
        ['data']
    """
    if not isinstance(data, torch.utils.data.DataLoader):
        return ()
    found = []
    steady = (torch.utils.data.SequentialSampler, torch.utils.data.SubsetRandomSampler)
    n = len(data.dataset) if hasattr(data.dataset, "__len__") else 0
    shuffles = data.sampler is not None and not isinstance(data.sampler, steady[0])
    if data.drop_last and shuffles and n % (data.batch_size or 1):
        words = f"the loader shuffles and drops the last {n % (data.batch_size or 1)} of {n} examples, other ones on each pass"
        found.append(Finding("data", f"data: {words}; use drop_last=False or shuffle=False."))
    if n and hasattr(data.dataset, "__getitem__"):
        state = torch.get_rng_state()
        once, again = data.dataset[0], data.dataset[0]
        torch.set_rng_state(state)
        if not _same(once, again):
            found.append(
                Finding("data", "data: the data set returns another value each time (random augmentation); measure on data without augmentation.")
            )
    return tuple(found)


def require_deterministic(model: nn.Module | Network, x: Any, data: Any = None) -> Network:
    """The network, if it is fit to be measured in evaluation mode on ``data``.

    Args:
        model: a module or network; modules are measured in evaluation mode, whatever mode they are in.
        x: a batch.
        data: the loader that will be measured on, if there is one.

    Returns:
        The wrapped network.

    Raises:
        UnsupportedInput: one sentence with everything found, each part naming its module.

    Example:
        >>> require_deterministic(nn.Sequential(nn.Linear(1, 2), nn.Dropout(0.5)), torch.ones(2, 1)).n_params
        4
    """
    network = wrap_module(model) if isinstance(model, nn.Module) else model
    static = module_findings(network.module, training=False) if network.module is not None else ()
    found = (*static, *(output_findings(network, x) if not static else ()), *loader_findings(data))
    if found:
        raise UnsupportedInput(" ".join(dict.fromkeys(finding.sentence for finding in found)))
    return network


def _repeat(network: Network, x: Any, first: Tensor, second: Tensor) -> tuple[Finding, ...]:
    if torch.equal(first, second) or not bool(torch.isfinite(first).all()):
        return ()
    title = _first_changing_module(network, x)
    return (Finding(title, f"{title}: the same input gives another output on each call; switch its randomness off before measuring."),)


def _first_changing_module(network: Network, x: Any) -> str:
    """The first module, in order of completion, whose output differs between two calls."""
    if network.module is None:
        return network.name
    records: list[list[tuple[str, Any]]] = [[], []]
    for record in records:
        handles = [
            module.register_forward_hook(lambda _m, _i, out, name=name, record=record: record.append((name, out)))
            for name, module in network.module.named_modules()
        ]
        try:
            network(x)
        finally:
            for handle in handles:
                handle.remove()
    for (name, one), (_, two) in zip(*records, strict=False):
        if not _same(one, two):
            return display_name(name) or network.name
    return network.name


def _written(changed: list[str]) -> tuple[Finding, ...]:
    return tuple(
        Finding(
            display_name(name.rpartition(".")[0]),
            f"{display_name(name)}: the model writes this buffer on every call even in evaluation mode; freeze it.",
        )
        for name in changed
    )


def _company(network: Network, x: Any, full: Tensor) -> tuple[Finding, ...]:
    """Whether the first half of the batch gets the same logits alone."""
    size = len(full)
    if size < 2 or not bool(torch.isfinite(full).all()):
        return ()
    half = _rows(x, size // 2, size)
    alone = network(half)
    tolerance = max(BATCH_TOLERANCE, 16 * torch.finfo(full.dtype).eps) * float(full.abs().max())  # half precision rounds by batch size
    if alone.shape != full[: size // 2].shape or float((alone - full[: size // 2]).abs().max()) > tolerance:
        return (
            Finding(network.name, f"{network.name}: an example's output depends on the rest of its batch; per-example measures do not exist for it."),
        )
    return ()


def _finite(network: Network, logits: Tensor) -> tuple[Finding, ...]:
    if bool(torch.isfinite(logits).all()):
        return ()
    return (Finding(network.name, f"{network.name}: the logits of the first batch are not finite; check weights and inputs for NaN and infinity."),)


def _rows(x: Any, n: int, size: int) -> Any:
    if isinstance(x, Tensor):
        return x[:n] if x.ndim and len(x) == size else x
    if isinstance(x, Mapping):
        return {key: _rows(value, n, size) for key, value in x.items()}
    return tuple(_rows(value, n, size) for value in x) if isinstance(x, list | tuple) else x


def _same(one: Any, two: Any) -> bool:
    if isinstance(one, Tensor) and isinstance(two, Tensor):
        return one.shape == two.shape and bool(torch.equal(torch.nan_to_num(one), torch.nan_to_num(two)))
    if isinstance(one, Mapping) and isinstance(two, Mapping):
        return all(_same(one[key], two.get(key)) for key in one)
    if isinstance(one, list | tuple) and isinstance(two, list | tuple):
        return all(_same(a, b) for a, b in zip(one, two, strict=False))
    return True
