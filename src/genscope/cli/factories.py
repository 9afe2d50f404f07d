"""Things that only Python code can supply on the command line: ``package.module:factory`` for a model or for data, and its weights."""

import ast
import importlib
import sys
from pathlib import Path
from typing import Any

from genscope.core.text import display_name
from genscope.errors import GenscopeError, UnsupportedInput, UsageError

LONGEST_ARGUMENTS = 2000


def call_factory(text: str, option: str) -> Any:
    """Import ``package.module``, call its ``factory``, and return what it makes.

    ``package.module:factory`` is called without arguments, ``package.module:factory((64, 10), bias=False)`` with these; arguments are
    literals (numbers, strings, tuples, lists, dictionaries, True, False, None) and nothing in the brackets is run. The current folder is
    importable. The factory is the user's own code, and is run: that is what the option asks for.

    Raises:
        UsageError: the text has no such form, an argument is no literal, or the module or name does not exist.
        UnsupportedInput: the factory itself failed.
    """
    module_name, colon, rest = text.partition(":")
    name, bracket, _ = rest.partition("(")
    name = name.strip()
    if not colon or not module_name or not name:
        raise UsageError(f"{option} {display_name(text, 80)!r} is not of the form package.module:factory or package.module:factory(arguments).")
    positional, named = literal_arguments(rest[rest.index("(") :], option) if bracket else ((), {})
    target = _imported(module_name, name, option)
    if not callable(target) or _is_module(target):
        if bracket:
            raise UsageError(f"{option}: {module_name}:{name} is not a function, so it takes no arguments.")
        return target
    try:
        return target(*positional, **named)
    except GenscopeError:
        raise
    except Exception as error:
        shown = text if bracket else f"{text}()"
        sentence = f"{option}: {display_name(shown, 120)} fails with {type(error).__name__}: {' '.join(str(error).split())[:200]}."
        raise UnsupportedInput(sentence) from None


def literal_arguments(text: str, option: str) -> tuple[tuple[Any, ...], dict[str, Any]]:
    """Positional and keyword arguments of a call written as ``(1, "a", key=(2, 3))``, without running anything.

    Raises:
        UsageError: not one pair of brackets, or an argument that is not a literal.

    Example:
        >>> literal_arguments("((64, 10), bias=False)", "--model")
        (((64, 10),), {'bias': False})
    """
    shown = display_name(text, 80)
    if len(text) > LONGEST_ARGUMENTS:
        raise UsageError(f"{option}: the arguments are longer than {LONGEST_ARGUMENTS} characters.")
    try:
        call = ast.parse(f"f{text.strip()}", mode="eval").body
    except (SyntaxError, ValueError, MemoryError, RecursionError):
        raise UsageError(f"{option}: the arguments {shown} cannot be read; write them like ((64, 10), bias=False).") from None
    if not isinstance(call, ast.Call) or not isinstance(call.func, ast.Name) or any(keyword.arg is None for keyword in call.keywords):
        raise UsageError(f"{option}: the arguments {shown} are not one pair of brackets with values; write them like ((64, 10), bias=False).")
    return tuple(_literal(value, option) for value in call.args), {str(keyword.arg): _literal(keyword.value, option) for keyword in call.keywords}


def _literal(node: ast.expr, option: str) -> Any:
    try:
        return ast.literal_eval(node)
    except (ValueError, TypeError, SyntaxError, MemoryError, RecursionError):
        shown = display_name(ast.unparse(node), 60)
        raise UsageError(
            f"{option}: the argument {shown} is not a literal; only numbers, strings, tuples, lists and the like can be given."
        ) from None


def _imported(module_name: str, name: str, option: str) -> Any:
    """What ``name`` is in the module, which is imported."""
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
    return target


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
