"""Further models of the same architecture, as parameters under the names of the first: modules, state dicts, or checkpoint files."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from genscope.checkpoints.open import open_checkpoint
from genscope.core.text import display_name
from genscope.errors import UnsupportedInput
from genscope.networks.functional import Network


class CheckpointState(Mapping[str, Any]):
    """A checkpoint file as a mapping from names to arrays; a tensor is read when it is asked for, and not kept."""

    def __init__(self, path: str | Path) -> None:
        self._checkpoint = open_checkpoint(path)
        self._owner = {name: spec.name for spec in self._checkpoint.specs for name in (spec.name, *spec.aliases)}

    def __getitem__(self, name: str) -> Any:
        return self._checkpoint.read(self._owner[name])

    def __iter__(self) -> Iterator[str]:
        return iter(self._owner)

    def __len__(self) -> int:
        return len(self._owner)


def state_of(other: Any, what: str) -> Mapping[str, Any]:
    """A module, a state dict or the path of a checkpoint as a mapping from names to values.

    Raises:
        UnsupportedInput: anything else. GenscopeError: the file cannot be read.
    """
    if isinstance(other, str | Path):
        return CheckpointState(other)
    state = other.state_dict() if isinstance(other, nn.Module) else other
    if not isinstance(state, Mapping):
        raise UnsupportedInput(f"{what} is {type(other).__name__}; give a module, a state_dict or the path of a checkpoint.")
    return state


def params_of(other: Any, network: Network, what: str) -> dict[str, Tensor]:
    """The parameters of another model, in the order, type and place of ``network``'s.

    Args:
        other: a module, a mapping from names to tensors or arrays, or the path of a checkpoint.
        network: the first model.
        what: how to call the other one in a message.

    Raises:
        UnsupportedInput: no such thing, or a tensor is missing or has another shape.
    """
    state = state_of(other, what)
    return {name: _tensor(state, name, network, what) for name in network.params}


def trajectory_reader(checkpoints: Sequence[Any], network: Network) -> Callable[[int, str], Tensor]:
    """``(checkpoint, name) -> tensor``; of files, one tensor at a time is in memory."""
    states = [state_of(one, f"Checkpoint {index + 1}") for index, one in enumerate(checkpoints)]
    return lambda t, name: _tensor(states[t], name, network, f"Checkpoint {t + 1}")


def _tensor(state: Mapping[str, Any], name: str, network: Network, what: str) -> Tensor:
    wanted = network.params[name]
    known = (f"{prefix}{one}" for one in (name, *network.aliases.get(name, ())) for prefix in ("", "module."))
    key = next((one for one in known if one in state), None)
    if key is None:
        raise UnsupportedInput(f"{what}: has no tensor {display_name(name)!r}; it must be of the same architecture as {network.name}.")
    value = torch.as_tensor(state[key]).detach()
    if value.shape != wanted.shape:
        raise UnsupportedInput(
            f"{what}: tensor {display_name(name)!r} has shape {tuple(value.shape)}, the model needs {tuple(wanted.shape)}; "
            f"it must be of the same architecture as {network.name}."
        )
    return value.to(wanted)
