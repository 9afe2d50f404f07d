"""Names for what the roots of a trained model hold; no tensor library is loaded to say them."""

from collections.abc import Callable, Iterable
from typing import Any, TypeAlias

Params: TypeAlias = dict[str, Any]
"""Parameter name to torch tensor."""

Forward: TypeAlias = Callable[[Params, Any], Any]
"""``forward(params, x) -> logits [examples, classes]``, a pure function."""

Batches: TypeAlias = Iterable[tuple[Any, Any]]
"""Re-iterable of ``(x, y)`` tensors in a fixed order."""
