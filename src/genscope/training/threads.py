"""Small networks train best on one thread: two runs side by side use two cores better, and their numbers do not depend on the machine."""

import contextlib
from collections.abc import Iterator

import torch


@contextlib.contextmanager
def one_thread() -> Iterator[None]:
    """PyTorch computes on one thread inside the block; the number before is given back."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(before)
