"""From a module and its data to the roots that the measures of a trained model are made of."""

from dataclasses import dataclass, replace
from typing import Any

import torch
from torch import Tensor, nn

from genscope.core.status import SKIPPED, Undefined
from genscope.errors import GenscopeError, UnsupportedInput
from genscope.measures.ingredients.losses import check_loss
from genscope.networks.determinism import Finding, loader_findings, module_findings, output_findings
from genscope.networks.fold_batch_norm import fold_batch_norm
from genscope.networks.functional import Network, wrap_module
from genscope.networks.graph import Graph
from genscope.networks.trace import trace
from genscope.sources.model_data import Data, Profile, open_data, profile


@dataclass(frozen=True)
class Prepared:
    """Roots by name, what was learned of the data, and sentences for the user."""

    roots: dict[str, Any]
    train: Profile
    notes: tuple[str, ...]
    network: Network


def prepare(model: Any, train: Any, test: Any, initial: Any, *, loss: str, device: str | None) -> Prepared:
    """Wrap, trace and fold the model, open and check the data, and name the roots.

    Raises:
        UnsupportedInput: the model or the data cannot be used; one sentence says why.
        UsageError: an unknown loss.
    """
    examined = examine(model, train, loss=loss, device=device)
    network, data, seen, n_outputs = examined.network, examined.data, examined.seen, examined.n_outputs
    network, graph, notes = _folded(network, seen.first[0])
    roots: dict[str, Any] = {
        "network": network,
        "graph": graph,
        "params": dict(network.params),
        "forward": network.forward,
        "loss": loss,
        "batches": data,
        "n_examples": seen.n_examples,
        "n_classes": max(2, n_outputs),
        "data_dependent_buffers": tuple(name for name in network.buffers if name.endswith(("running_mean", "running_var"))),
    }
    notes = (*examined.notes, *notes)
    if initial is not None:
        roots["initial_params"] = _initial(initial, network, model, seen.first[0], device)
    if test is not None:
        held_out = open_data(test, name="test", dtype=network.dtype, device=network.device)
        _check_labels(profile(held_out), n_outputs, "test")
        roots["test_batches"], notes = held_out, (*notes, *held_out.notes)
    return Prepared(roots, seen, notes, network)


@dataclass(frozen=True)
class Examined:
    """A network and its data that were shown to fit each other and to give the same numbers twice."""

    network: Network
    data: Data
    seen: Profile
    n_outputs: int
    notes: tuple[str, ...]


def examine(model: Any, train: Any, *, loss: str, device: str | None) -> Examined:
    """Wrap the model as it is (nothing folded), open the data, and check both.

    Raises:
        UnsupportedInput: the model or the data cannot be used; one sentence says why.
        UsageError: an unknown loss.
    """
    check_loss(loss)
    network = model if isinstance(model, Network) else wrap_module(model)
    if device is not None:
        network = _moved(network, device)
    data = open_data(train, name="training", dtype=network.dtype, device=network.device)
    if network.module is not None:
        _refuse(module_findings(network.module, training=False))
    _refuse(loader_findings(data.source))
    seen = profile(data)
    notes = (*network.notes, *data.notes)
    if len(seen.labels) == 1:
        notes = (*notes, f"all training examples are of class {int(seen.labels[0])}; margins and errors say little")
    return Examined(network, data, seen, _probe(network, seen), notes)


def _moved(network: Network, device: str) -> Network:
    try:
        return network.to(device=torch.device(device))
    except (RuntimeError, AssertionError) as error:
        raise UnsupportedInput(f"The device {device!r} cannot be used here ({' '.join(str(error).split())[:120]}).") from None


def _probe(network: Network, seen: Profile) -> int:
    """The number of outputs, after checking that the model accepts the data, gives class scores, and gives the same ones twice."""
    x, y = seen.first
    try:
        with torch.no_grad():
            logits = network(x)
    except GenscopeError:
        raise
    except Exception as error:  # whatever a user's module raises on data it cannot take
        shapes = tuple(x.shape) if isinstance(x, Tensor) else type(x).__name__
        raise UnsupportedInput(
            f"The model {network.name} does not accept the training data of shape {shapes}: {' '.join(str(error).split())[:200]}."
        ) from None
    if logits.ndim == 1 and len(logits) == len(y):
        raise UnsupportedInput(
            f"The model {network.name} returns one number per example as a vector; give it shape [examples, 1] for a binary classifier."
        )
    if logits.ndim != 2 or len(logits) != len(y):
        raise UnsupportedInput(
            f"The model {network.name} returns shape {tuple(logits.shape)} for {len(y)} examples; logits [examples, classes] are needed."
        )
    if torch.isfinite(logits).all():
        _refuse(output_findings(network, x))
    _check_labels(seen, logits.shape[1], "training")
    return int(logits.shape[1])


def _check_labels(seen: Profile, n_outputs: int, name: str) -> None:
    top = int(seen.labels.max())
    if top >= max(2, n_outputs):
        raise UnsupportedInput(f"The {name} labels go up to {top}, but the model has {n_outputs} outputs (classes 0 to {max(2, n_outputs) - 1}).")


def _refuse(findings: tuple[Finding, ...]) -> None:
    """One sentence for each reason why measuring twice would not give the same numbers."""
    if findings:
        raise UnsupportedInput(" ".join(dict.fromkeys(finding.sentence for finding in findings)))


def _folded(network: Network, x: Any) -> tuple[Network, Graph | Undefined, tuple[str, ...]]:
    """The network with BatchNorm folded where it has any, its graph, or the sentence why there is none."""
    if network.module is None:
        return network, Undefined(f"{network.name} has no module to trace", SKIPPED), ()
    try:
        graph = trace(network, x)
    except GenscopeError as error:
        return network, Undefined(f"the network could not be traced: {error}", SKIPPED), (f"not traced: {error}",)
    if not any(node.kind == "batch_norm" for node in graph.nodes):
        return replace(network, graph=graph), graph, ()
    try:
        folded = fold_batch_norm(graph, x)
    except GenscopeError as error:
        return network, graph, (f"BatchNorm is not folded: {error}",)
    note = f"BatchNorm folded into {len(folded.folded)} layers, {len(folded.kept)} kept as diagonal layers; logits agree to {folded.error_exact:.0e}"
    return replace(folded.network, module=None, graph=folded.graph), folded.graph, (note,)


def _initial(initial: Any, network: Network, model: Any, x: Any, device: str | None) -> dict[str, Tensor] | Undefined:
    """Initial parameters under the names of the (folded) network."""
    if isinstance(initial, nn.Module):
        wrapped = wrap_module(initial)
    elif isinstance(initial, Network):
        wrapped = initial
    elif isinstance(model, nn.Module) and hasattr(initial, "items"):
        wrapped = _loaded(wrap_module(model), dict(initial))
    else:
        raise UnsupportedInput(f"The initial weights are {type(initial).__name__}; give a module or a state_dict.")
    wrapped = wrapped if device is None else _moved(wrapped, device)
    if network.module is None:  # the trained network was folded, so its initialization is too
        wrapped, _, _ = _folded(wrapped, x)
    differing = [name for name, value in network.params.items() if name not in wrapped.params or wrapped.params[name].shape != value.shape]
    if differing:
        return Undefined(f"the initial weights do not fit the model: {differing[0]!r} is missing or has another shape")
    return {name: wrapped.params[name].to(value) for name, value in network.params.items()}


def _loaded(network: Network, state: dict[str, Any]) -> Network:
    """The same structure with the tensors of a state_dict."""
    state = {name.removeprefix("module."): torch.as_tensor(value) for name, value in state.items()}
    missing = [name for name, value in network.params.items() if name not in state or state[name].shape != value.shape]
    if missing:
        raise UnsupportedInput(f"The initial weights do not fit the model: {missing[0]!r} is missing or has another shape.")
    params = {name: state[name].to(value) for name, value in network.params.items()}
    buffers = {name: state[name].to(value) if name in state else value for name, value in network.buffers.items()}
    return replace(network, params=params, buffers=buffers)
