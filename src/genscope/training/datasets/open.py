"""One door to all data: ``mnist:PATH``, ``cifar10:PATH``, ``cifar100:PATH``, ``svhn:PATH``, ``digits``,
``spirals``, ``swiss-roll``, ``rings``, ``FILE.npz``, ``FILE.csv``."""

from collections.abc import Callable
from pathlib import Path

import numpy as np

from genscope.errors import UnsupportedInput, UsageError
from genscope.training.datasets.cifar import load_cifar10, load_cifar100
from genscope.training.datasets.idx import load_mnist
from genscope.training.datasets.labelled import Labelled, Split
from genscope.training.datasets.svhn import load_svhn
from genscope.training.datasets.tables import load_csv, load_npz
from genscope.training.problems import PROBLEMS, is_problem, open_problem

FORMATS: dict[str, Callable[[str], Split]] = {
    "mnist": load_mnist,
    "fashion-mnist": load_mnist,
    "cifar10": load_cifar10,
    "cifar100": load_cifar100,
    "svhn": load_svhn,
}


def is_dataset(text: str) -> bool:
    """Whether ``text`` names data that :func:`open_dataset` reads (and not a Python factory)."""
    return text == "digits" or is_problem(text) or text.partition(":")[0] in FORMATS or Path(text).suffix.lower() in {".npz", ".csv"}


def open_dataset(text: str) -> Split:
    """The data behind a short name; nothing is downloaded.

    Args:
        text: ``digits``, a built-in problem (``spirals``, ``swiss-roll``, ``rings:gap=0.1``), ``FORMAT:FOLDER`` or a file.

    Raises:
        UsageError: no such format.
        GenscopeError: files are missing or damaged.
    """
    if text == "digits":
        return load_digits()
    if is_problem(text):
        return open_problem(text).split
    word, colon, folder = text.partition(":")
    if colon and word in FORMATS:
        return FORMATS[word](folder)
    suffix = Path(text).suffix.lower()
    if suffix == ".npz":
        return load_npz(text)
    if suffix == ".csv":
        return load_csv(text)
    raise UsageError(
        f"There are no data {text!r}; give digits, {', '.join(PROBLEMS)}, {', '.join(f'{name}:FOLDER' for name in FORMATS)}, FILE.npz or FILE.csv."
    )


def load_digits(seed: int = 0) -> Split:
    """scikit-learn's 8×8 digits, ``[n, 1, 8, 8]`` in [0, 1], in the same seeded split as the zoo: 1,000 to train, 797 to test.

    Raises:
        UnsupportedInput: scikit-learn is not installed.
    """
    try:
        from genscope.training.zoo import load_digits as seeded
    except ImportError:  # torch is not there
        raise UnsupportedInput("The digits need torch and scikit-learn; install genscope[digits].") from None
    digits = seeded(seed)
    parts = [(digits.train_inputs, digits.train_labels), (digits.test_inputs, digits.test_labels)]
    train, test = (Labelled(np.asarray(x), np.asarray(y)) for x, y in parts)
    return Split(train, test)
