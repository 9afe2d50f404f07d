"""genscope measures, pictures, predicts and tests generalization in deep networks.

The names below load on first use, so that ``import genscope`` costs nothing.
"""

import importlib
from typing import Any

__version__ = "0.1.0"

_HOMES = {
    "GenscopeError": "genscope.errors",
    "Result": "genscope.core.results",
    "analyze": "genscope.sources.matrices",
    "compare": "genscope.verbs.compare",
    "describe": "genscope.sources.description",
    "explain": "genscope.sources.explanation",
    "flow": "genscope.verbs.flow",
    "ingredient": "genscope.core.catalogue",
    "landscape_basin": "genscope.verbs.landscape_basin",
    "landscape_path": "genscope.verbs.landscape_path",
    "landscape_plane": "genscope.verbs.landscape_plane",
    "landscape_slice": "genscope.verbs.landscape_slice",
    "landscape_boundary": "genscope.verbs.landscape_boundary",
    "landscape_trajectory": "genscope.verbs.landscape_trajectory",
    "load": "genscope.sources.store",
    "measure": "genscope.core.catalogue",
    "open_checkpoint": "genscope.checkpoints.open",
    "rank": "genscope.evaluation.rank",
    "reproduce": "genscope.experiments.reproduce",
    "Study": "genscope.experiments.study",
    "Trained": "genscope.experiments.trained",
    "study": "genscope.experiments.study",
    "smooth": "genscope.sources.smoothing",
    "assess": "genscope.sources.model",
    "watch": "genscope.verbs.watch",
    "approximate": "genscope.verbs.approximate",
}
__all__ = ["__version__", *sorted(_HOMES)]


def __getattr__(name: str) -> Any:
    if name in _HOMES:
        return getattr(importlib.import_module(_HOMES[name]), name)
    raise AttributeError(f"module 'genscope' has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted(__all__)
