"""How far the fitted alpha of a random heavy-tailed matrix is from its asymptotic value, and that planted spectra are recovered.

Entries with a Pareto tail P(|w| > x) = x^(-mu) give eigenvalues of WᵀW whose density falls as λ^(-alpha) with alpha = 1 + mu/2 when the
matrix grows without end. At real sizes the fit says something else: this measures what. Two controls stand beside it: spectra drawn from
the power law itself (the estimator's own error) and Gaussian matrices (no power law at all).

    python experiments/heavy_tail_calibration.py --size smoke --out calibration-out

Every cell is one small JSON file, written atomically; cells that exist are not computed again, so a stopped run goes on where it was.
"""

import argparse
import json
import statistics
import sys
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass
from itertools import product
from pathlib import Path
from typing import Any

import numpy as np

import genscope
from genscope.core import strict_json
from genscope.core.files import write_atomically
from genscope.core.seeds import generator_for

VERSION = 1
TAILS = (1.0, 1.5, 2.0, 3.0, 4.0)
PLANTED_ALPHAS = (1.5, 2.0, 2.5, 3.0, 4.0)
KEPT = ("alpha", "alpha_low", "alpha_high", "alpha_stderr", "n_tail", "ks_distance", "p_value", "status", "reason")
HEADINGS = "| shape | asymptotic alpha | mean fitted alpha | range over seeds | median tail | 95% interval holds it | believed |"
BEGIN, END = "<!-- results: begin -->", "<!-- results: end -->"


@dataclass(frozen=True)
class Size:
    """How much is computed."""

    shapes: tuple[tuple[int, int], ...]
    tails: tuple[float, ...]
    alphas: tuple[float, ...]
    n_seeds: int
    resamples: int


SIZES = {
    "smoke": Size(((200, 400), (300, 150)), (1.0, 3.0), (2.0, 3.0), 2, 100),
    "small": Size(((500, 1000), (2000, 500), (4000, 1000)), TAILS, PLANTED_ALPHAS, 5, 200),
}


@dataclass(frozen=True)
class Cell:
    """One matrix: ``kind`` is ``pareto``, ``planted`` or ``gaussian``; ``parameter`` its mu, its alpha, or 0."""

    kind: str
    parameter: float
    rows: int
    cols: int
    seed: int

    @property
    def name(self) -> str:
        """File stem of the cell."""
        return f"v{VERSION}-{self.kind}-{self.parameter:g}-{self.rows}x{self.cols}-{self.seed}"

    @property
    def expected(self) -> float | None:
        """The exponent that an infinite matrix would have."""
        return {"pareto": 1.0 + self.parameter / 2.0, "planted": self.parameter, "gaussian": None}[self.kind]

    def draw(self) -> np.ndarray:
        """The matrix, [rows, cols]."""
        rng = generator_for(self.seed, "heavy_tail_calibration", self.name)
        if self.kind == "gaussian":
            return rng.standard_normal((self.rows, self.cols))
        if self.kind == "pareto":
            signs = rng.integers(0, 2, (self.rows, self.cols)) * 2.0 - 1.0
            return signs * (1.0 - rng.random((self.rows, self.cols))) ** (-1.0 / self.parameter)
        tall, thin = max(self.rows, self.cols), min(self.rows, self.cols)
        eigenvalues = (1.0 - rng.random(thin)) ** (-1.0 / (self.parameter - 1.0))
        directions = np.linalg.qr(rng.standard_normal((tall, thin)))[0]
        matrix = directions * np.sqrt(eigenvalues)
        return matrix if self.rows >= self.cols else matrix.T


def cells(size: Size) -> Iterator[Cell]:
    """All cells of a size, the cheap ones first."""
    for (rows, cols), seed in product(size.shapes, range(size.n_seeds)):
        yield from (Cell("pareto", tail, rows, cols, seed) for tail in size.tails)
        yield from (Cell("planted", alpha, rows, cols, seed) for alpha in size.alphas)
        yield Cell("gaussian", 0.0, rows, cols, seed)


def measure_cell(cell: Cell, resamples: int) -> dict[str, Any]:
    """The row that ``genscope.analyze`` gives for the matrix, and what was put in."""
    result = genscope.analyze({"layer.weight": cell.draw()}, resamples=resamples, seed=cell.seed, jobs=1)
    return {**asdict(cell), "expected": cell.expected, **{name: result.rows[0][name] for name in KEPT}}


def run(size: Size, folder: Path, say: Callable[[str], Any] = lambda _line: None) -> list[dict[str, Any]]:
    """Compute the cells that ``folder`` does not hold yet, and return all."""
    found = []
    for cell in cells(size):
        path = folder / f"{cell.name}.json"
        if not path.is_file():
            write_atomically(path, strict_json.dumps(measure_cell(cell, size.resamples), indent=1))
            say(cell.name)
        found.append(json.loads(path.read_text(encoding="utf-8")))
    return found


def summarize(found: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
    """One row per kind, parameter and shape: mean and range of alpha over the seeds, tail size, coverage, believed fits."""
    groups: dict[tuple[Any, ...], list[dict[str, Any]]] = {}
    for row in found:
        groups.setdefault((row["kind"], row["parameter"], row["rows"], row["cols"]), []).append(row)
    rows = []
    for (kind, parameter, n_rows, n_cols), members in groups.items():
        alphas = [row["alpha"] for row in members if row["alpha"] is not None]
        expected = members[0]["expected"]
        rows.append(
            {
                "kind": kind,
                "parameter": parameter,
                "rows": n_rows,
                "cols": n_cols,
                "n": len(members),
                "expected": expected,
                "mean": statistics.fmean(alphas) if alphas else None,
                "low": min(alphas, default=None),
                "high": max(alphas, default=None),
                "n_tail": statistics.median(row["n_tail"] for row in members),
                "covered": sum(_covers(row) for row in members) if expected is not None else None,
                "believed": sum(row["status"] == "ok" for row in members),
            }
        )
    order = ("pareto", "planted", "gaussian")
    return sorted(rows, key=lambda row: (order.index(row["kind"]), row["parameter"], row["rows"] * row["cols"]))


def _covers(row: dict[str, Any]) -> bool:
    return row["alpha_low"] is not None and row["alpha_low"] <= row["expected"] <= row["alpha_high"]


def markdown(rows: Sequence[dict[str, Any]]) -> str:
    """The results as Markdown tables, one per kind."""
    names = {"pareto": "Pareto entries, mu", "planted": "Planted spectrum, alpha", "gaussian": "Gaussian entries"}
    lines: list[str] = []
    for kind in names:
        chosen = [row for row in rows if row["kind"] == kind]
        if chosen:
            lines += [f"| {names[kind]} {HEADINGS}"]
            lines += ["|---|---|---|---|---|---|---|---|"]
            lines += [_markdown_row(row) for row in chosen] + [""]
    return "\n".join(lines).rstrip() + "\n"


def _markdown_row(row: dict[str, Any]) -> str:
    expected, covered = ("–", "–") if row["expected"] is None else (f"{row['expected']:.2f}", f"{row['covered']} of {row['n']}")
    fitted = ("–", "–") if row["mean"] is None else (f"{row['mean']:.2f}", f"{row['low']:.2f} – {row['high']:.2f}")
    parameter = "–" if row["kind"] == "gaussian" else f"{row['parameter']:g}"
    cells_ = (parameter, f"{row['rows']}×{row['cols']}", expected, *fitted, f"{row['n_tail']:g}", covered, f"{row['believed']} of {row['n']}")
    return "| " + " | ".join(cells_) + " |"


def draw(rows: Sequence[dict[str, Any]], path: Path) -> None:
    """Fitted against asymptotic alpha, one panel for Pareto entries and one for planted spectra."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(9.0, 4.2), dpi=110, layout="constrained")
    axes = figure.subplots(1, 2, sharey=True)
    diagonal = np.linspace(1.4, 4.1, 50)
    shapes = sorted({(row["rows"], row["cols"]) for row in rows}, key=lambda shape: shape[0] * shape[1])
    # colours that stay apart for colour-blind readers, with markers that stay apart in print
    looks = list(zip(("#0072b2", "#d55e00", "#009e73"), "os^", strict=True))
    for panel, kind, title in zip(axes, ("pareto", "planted"), ("iid Pareto entries", "spectrum drawn from the power law"), strict=True):
        panel.plot(diagonal, diagonal, color="0.5", linewidth=1, linestyle="--", label="asymptotic value")
        for index, (shape, (colour, marker)) in enumerate(zip(shapes, looks, strict=False)):
            chosen = [row for row in rows if row["kind"] == kind and (row["rows"], row["cols"]) == shape and row["mean"] is not None]
            x = [row["expected"] + 0.03 * (index - 1) for row in chosen]
            errors = [[row["mean"] - row["low"] for row in chosen], [row["high"] - row["mean"] for row in chosen]]
            y = [row["mean"] for row in chosen]
            panel.errorbar(x, y, yerr=errors, color=colour, marker=marker, capsize=3, linewidth=1, label=f"{shape[0]}×{shape[1]}")
        panel.set_yscale("log")
        panel.set_yticks([1.5, 2, 3, 4, 6, 10, 20], ["1.5", "2", "3", "4", "6", "10", "20"])
        panel.minorticks_off()
        panel.set(title=title, xlabel="asymptotic alpha" if kind == "pareto" else "planted alpha")
        panel.grid(alpha=0.25)
    axes[0].set_ylabel("fitted alpha (mean and range over seeds)")
    axes[0].legend(frameon=False)
    path.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path, metadata={"Software": None})


def main(arguments: Sequence[str] | None = None) -> None:
    """Run, then print the tables; with ``--page`` and ``--figure`` put them where the documentation shows them."""
    parser = argparse.ArgumentParser(description="Calibrate the fitted tail exponent on matrices whose exponent is known.")
    parser.add_argument("--size", choices=SIZES, default="smoke", help="smoke: seconds; small: minutes")
    parser.add_argument("--out", type=Path, default=Path("calibration-out"), help="folder of the cells; the same command resumes")
    parser.add_argument("--figure", type=Path, help="write the figure (PNG) here")
    parser.add_argument("--page", type=Path, help="replace the results in this Markdown page")
    given = parser.parse_args(arguments)
    rows = summarize(run(SIZES[given.size], given.out, lambda name: sys.stderr.write(f"{name}\n")))
    table = markdown(rows)
    sys.stdout.write(table)
    if given.figure:
        draw(rows, given.figure)
    if given.page:
        page = given.page.read_text(encoding="utf-8")
        head, _, rest = page.partition(BEGIN)
        write_atomically(given.page, f"{head}{BEGIN}\n\n{table}\n{END}{rest.partition(END)[2]}")


if __name__ == "__main__":
    main()
