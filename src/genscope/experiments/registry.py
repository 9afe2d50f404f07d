"""All experiments: the modules under ``papers``, one file per figure or group, each with a tuple ``EXPERIMENTS``."""

import difflib
import functools
import importlib
import importlib.abc
import importlib.util
import pkgutil
import re

from genscope.errors import UsageError
from genscope.experiments import papers
from genscope.experiments.values import Experiment


@functools.cache
def experiments() -> dict[str, Experiment]:
    """Every experiment by its id, in the order of papers, figures, claims and theorems.

    Raises:
        UsageError: two experiments have the same id.
    """
    found: dict[str, Experiment] = {}
    for module in sorted(pkgutil.iter_modules(papers.__path__), key=lambda module: module.name):
        name = f"{papers.__name__}.{module.name}"
        if not _offers_experiments(name):
            continue
        for experiment in getattr(importlib.import_module(name), "EXPERIMENTS", ()):
            if experiment.id in found:
                raise UsageError(f"Two experiments are called {experiment.id}.")
            found[experiment.id] = experiment
    return dict(sorted(found.items(), key=lambda item: _order(item[0])))


def _offers_experiments(name: str) -> bool:
    """Whether the module says ``EXPERIMENTS = …``; what only holds shared runs is not imported for the list."""
    spec = importlib.util.find_spec(name)
    source = spec.loader.get_source(name) if spec is not None and isinstance(spec.loader, importlib.abc.InspectLoader) else None
    return source is None or re.search(r"^EXPERIMENTS\b", source, re.MULTILINE) is not None


def find_experiment(text: str) -> Experiment:
    """The experiment with this id, whatever its letters' case.

    Raises:
        UsageError: there is none; close ids are suggested.
    """
    known = experiments()
    by_fold = {name.casefold(): name for name in known}
    name = by_fold.get(text.strip().casefold())
    if name is None:
        close = difflib.get_close_matches(text.casefold(), by_fold, n=3, cutoff=0.6)
        hint = f"did you mean {' or '.join(by_fold[one] for one in close)}?" if close else "`genscope reproduce --list` shows all."
        raise UsageError(f"There is no experiment {text!r}; {hint}")
    return known[name]


_KINDS = {"F": 0, "C": 1, "T": 2, "A": 3}


def _order(name: str) -> tuple[str, int, int, str]:
    match = re.fullmatch(r"(S\d+)-([A-Z])(\d+)(.*)", name)
    return (match[1], _KINDS.get(match[2], 9), int(match[3]), match[4]) if match else (name, 9, 0, "")
