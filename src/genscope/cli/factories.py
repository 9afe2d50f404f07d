"""Things that only Python code can supply on the command line: ``package.module:factory`` for a model or for data, and its weights."""

import importlib
import sys
from pathlib import Path
from typing import Any

from genscope.core.text import display_name
from genscope.errors import GenscopeError, UnsupportedInput, UsageError


def call_factory(text: str, option: str) -> Any:
    """Import ``package.module``, call its ``factory`` without arguments, and return what it makes.

    The current folder is importable. This runs the user's own code: that is what the option asks for.

    Raises:
        UsageError: the text has no such form, or the module or name does not exist.
        UnsupportedInput: the factory itself failed.
    """
    module_name, colon, name = text.partition(":")
    if not colon or not module_name or not name:
        raise UsageError(f"{option} {display_name(text, 80)!r} is not of the form package.module:factory.")
    if "" not in sys.path and str(Path.cwd()) not in sys.path:
        sys.path.insert(0, str(Path.cwd()))
    try:
        target = importlib.import_module(module_name)
    except ModuleNotFoundError as error:
        raise UsageError(f"{option}: there is no module {error.name!r}; install it or run from the folder that holds it.") from None
    except Exception as error:
        raise UnsupportedInput(
            f"{option}: importing {module_name} fails with {type(error).__name__}: {' '.join(str(error).split())[:200]}."
        ) from None
    for part in name.split("."):
        if not hasattr(target, part):
            raise UsageError(f"{option}: {module_name} has no {name!r}.")
        target = getattr(target, part)
    try:
        return target() if callable(target) and not _is_module(target) else target
    except GenscopeError:
        raise
    except Exception as error:
        raise UnsupportedInput(f"{option}: {text}() fails with {type(error).__name__}: {' '.join(str(error).split())[:200]}.") from None


def _is_module(target: Any) -> bool:
    torch = sys.modules.get("torch")
    return torch is not None and isinstance(target, torch.nn.Module)


def read_weights(path: str, model: Any) -> dict[str, Any]:
    """The tensors of a checkpoint that a model's ``state_dict`` asks for, in the model's types.

    Raises:
        UnsupportedInput: a tensor is missing or has another shape, or none fits.
    """
    import torch

    from genscope.checkpoints.open import open_checkpoint

    wanted = model.state_dict()
    checkpoint = open_checkpoint(path)
    try:
        held = {spec.name: spec.shape for spec in checkpoint.specs} | {alias: spec.shape for spec in checkpoint.specs for alias in spec.aliases}
        owner = {alias: spec.name for spec in checkpoint.specs for alias in spec.aliases}
        file = Path(path).name
        state = {}
        for name, tensor in wanted.items():
            if name not in held:
                if name.endswith("num_batches_tracked"):
                    state[name] = tensor
                    continue
                raise UnsupportedInput(f"{file}: has no tensor {name!r}, which the model needs; the weights belong to another architecture.")
            if tuple(held[name]) != tuple(tensor.shape):
                raise UnsupportedInput(f"{file}: tensor {name!r} has shape {tuple(held[name])}, the model needs {tuple(tensor.shape)}.")
            state[name] = torch.tensor(checkpoint.read(owner.get(name, name))).reshape(tensor.shape).to(tensor.dtype)
        return state
    finally:
        checkpoint.close()
