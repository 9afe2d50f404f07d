"""A network small enough for pencil and paper, on which every measure's docstring shows its value.

``f(x) = W₂ relu(W₁ x)`` with ``W₁ = diag(2, 1)``, ``W₂ = [[1, −1], [−1, 1]]``, both initially the identity, on ``x = (1, 0)`` of class 0
and ``x = (0, 1)`` of class 1: outputs (2, −2) and (−1, 1), margins 4 and 2. The test data are the same points, the second one mislabelled.
"""

from functools import lru_cache
from typing import Any

from genscope.core.estimate import Estimate
from genscope.core.resolver import execute, plan
from genscope.core.status import Undefined
from genscope.measures.load import load_all_measures


@lru_cache(maxsize=1)
def worked_roots() -> dict[str, Any]:
    """The roots of the worked example."""
    import torch
    from torch import nn

    from genscope.networks.functional import wrap_module
    from genscope.networks.trace import trace

    net = nn.Sequential(nn.Linear(2, 2, bias=False), nn.ReLU(), nn.Linear(2, 2, bias=False)).double()
    net.load_state_dict({"0.weight": torch.tensor([[2.0, 0.0], [0.0, 1.0]]), "2.weight": torch.tensor([[1.0, -1.0], [-1.0, 1.0]])})
    network = wrap_module(net)
    x, y = torch.eye(2, dtype=torch.float64), torch.tensor([0, 1])
    return {
        "network": network,
        "graph": trace(network, x),
        "params": dict(network.params),
        "initial_params": {name: torch.eye(2, dtype=torch.float64) for name in network.params},
        "forward": network.forward,
        "loss": "cross_entropy",
        "batches": [(x, y)],
        "test_batches": [(x, torch.tensor([0, 0]))],
        "n_examples": 2,
        "n_classes": 2,
        "data_dependent_buffers": (),
    }


def value_of(name: str, **options: Any) -> Any:
    """The value of a measure on the worked example, to four digits: a number, one per layer, or the reason why there is none."""
    catalogue = load_all_measures()
    value = execute(plan([name], worked_roots(), catalogue), worked_roots(), options=options)[name]
    if isinstance(value, dict):
        return {layer: _rounded(item) for layer, item in value.items()}
    return _rounded(value)


def _rounded(value: Any) -> Any:
    if isinstance(value, Undefined):
        return value.reason
    if isinstance(value, Estimate):
        value = value.value
    return value if isinstance(value, int) else float(f"{value:.4g}")
