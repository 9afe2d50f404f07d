"""The published tables behind Martin & Mahoney's figures, read once: exponents per matrix, metrics per model, reported errors."""

import csv
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from genscope.core.seeds import generator_for
from genscope.errors import CorruptInput
from genscope.experiments.values import Cell, Family, Outcome, Size
from genscope.numerics.bootstrap import correlation_interval, percentile_interval, resampling_weights
from genscope.numerics.rank_correlation import kendall_tau, spearman_rho, weighted_correlations
from genscope.numerics.regression import LineFit, fit_line, weighted_lines

if TYPE_CHECKING:
    from genscope.experiments.context import Context
    from genscope.experiments.runs import Runs

DATA = "tables/ww-trends-2020"
SMALLEST = 50  # "We only include layer matrices or feature maps with M >= 50"
SERIES_COLUMNS = ("top1_error", "top5_error", "log_norm", "log_spectral_norm", "alpha", "alpha_weighted")
ZOO_COLUMNS = {"error": "reported_error_pct", "top1": "top1_err_pct_imagenet", "alpha": "alpha", "alpha_weighted": "alpha_weighted",
               "log_spectral_norm": "logspectralnorm", "log_norm": "lognorm", "params": "params"}  # fmt: skip
# For segmentation sets the table holds a code, not an error.
CLASSIFICATION = ("imagenet1k", "cifar10", "cifar100", "svhn", "cub")


def architecture_of(name: str) -> str:
    """The class of architectures that a model belongs to, from its name.

    Example:
        >>> architecture_of("bn_vgg16b"), architecture_of("resnetbc26b"), architecture_of("efficientnet_b7c")
        ('vgg', 'resnet', 'efficientnet')
    """
    found = re.match(r"(?:bn_|dia)?([a-z]+?)(?:bc|v)?(?=[0-9_]|$)", name)
    return found.group(1) if found else name


def _rows(path: Path) -> list[dict[str, str]]:
    try:
        with path.open(newline="", encoding="utf-8") as stream:
            return list(csv.DictReader(stream))
    except (OSError, UnicodeDecodeError, csv.Error):
        raise CorruptInput(f"{path.name}: cannot be read as a table; get the published tables again.") from None


def _number(text: str | None) -> float:
    try:
        return float(text or "nan")
    except ValueError:
        return float("nan")


def _read(_cell: Cell, context: "Context") -> Outcome:
    folder = context.folder(DATA)
    series = _rows(folder / "derived" / "series_metrics_and_top1.csv")
    arrays = {f"series_{name}": np.array([_number(row[name]) for row in series]) for name in SERIES_COLUMNS}
    alphas, owners = [], []
    for index, row in enumerate(series):
        place = folder / "resnet-1k" if row["series"] == "ResNet-1K" else folder
        for entry in _rows(place / f"{row['model']}.csv"):
            if entry["level"] == "LEVEL.SLICE" and min(_number(entry["N"]), _number(entry["M"])) >= SMALLEST:
                alphas.append(_number(entry["alpha"]))
                owners.append(index)
    arrays |= {"matrix_alpha": np.array(alphas), "matrix_model": np.array(owners, dtype=np.int32)}
    zoo = [row for row in _rows(folder / "joined_metrics_accuracy.csv") if row["dataset"] in CLASSIFICATION]
    arrays |= {f"zoo_{name}": np.array([_number(row[column]) for row in zoo]) for name, column in ZOO_COLUMNS.items()}
    numbers = {
        "series": [row["series"] for row in series],
        "models": [row["model"] for row in series],
        "zoo_models": [row["modelname"] for row in zoo],
        "zoo_datasets": [row["dataset"] for row in zoo],
    }
    return Outcome(numbers, arrays)


def _cells(_size: Size) -> list[Cell]:
    return [Cell("published tables", {"smallest": SMALLEST})]


TABLES = Family("martin-mahoney-tables", 1, _cells, _read, needs=(DATA,))


@dataclass(frozen=True)
class Tables:
    """What the tables hold: ``names`` are lists of text, ``arrays`` columns of numbers."""

    names: Mapping[str, list[str]]
    arrays: Mapping[str, np.ndarray]

    def in_series(self, name: str) -> np.ndarray:
        """Indices of the models of a series (VGG, ResNet, DenseNet, ResNet-1K)."""
        return np.array([index for index, series in enumerate(self.names["series"]) if series == name])

    def imagenet(self) -> np.ndarray:
        """Indices of the ImageNet models of the zoo."""
        return np.array([index for index, data in enumerate(self.names["zoo_datasets"]) if data == "imagenet1k"])

    def classes(self, fewest: int, imagenet_only: bool = False) -> dict[str, np.ndarray]:
        """Indices per data set and class of architectures with at least ``fewest`` models."""
        found: dict[str, list[int]] = {}
        for index, (model, data) in enumerate(zip(self.names["zoo_models"], self.names["zoo_datasets"], strict=True)):
            if data == "imagenet1k" or not imagenet_only:
                stem = re.sub(rf"_?({'|'.join(CLASSIFICATION)})$", "", model)
                found.setdefault(f"{data}/{architecture_of(stem)}", []).append(index)
        return {name: np.array(held) for name, held in found.items() if len(held) >= fewest}


def tables_of(runs: "Runs") -> Tables:
    """The tables from the store."""
    cell = runs.cells(TABLES)[0]
    return Tables(dict(runs.table(TABLES)[0][1]), runs.arrays(cell, TABLES))


@dataclass(frozen=True)
class Association:
    """A line and rank correlations of y on x, with 95% bootstrap intervals."""

    n: int
    line: LineFit
    slope: tuple[float, float]
    r2: tuple[float, float]
    kendall: float
    kendall_interval: tuple[float, float]
    spearman: float
    spearman_interval: tuple[float, float]


def associate(x: np.ndarray, y: np.ndarray, seed: int = 0) -> Association:
    """Line, Kendall's τ-b and Spearman's ρ of y on x over models where both are known.

    Raises:
        CorruptInput: fewer than three models, or a constant column.
    """
    good = np.isfinite(x) & np.isfinite(y)
    x, y = x[good], y[good]
    line = fit_line(x, y)
    if line is None:
        raise CorruptInput("The tables hold fewer than three usable models, or one value only; get them again.")
    weights = resampling_weights(len(x), 2000, generator_for(seed, "martin mahoney"))
    slopes, r = weighted_lines(weights.astype(np.float64), x, y)
    taus, rhos = weighted_correlations(weights, x[None], y)
    tau, rho = kendall_tau(x, y) or 0.0, spearman_rho(x, y) or 0.0
    unknown = (float("nan"), float("nan"))
    return Association(
        len(x), line, percentile_interval(slopes) or unknown, percentile_interval(r * r) or unknown,
        tau, correlation_interval(tau, taus[0], len(x)) or unknown, rho, correlation_interval(rho, rhos[0], len(x)) or unknown,
    )  # fmt: skip
