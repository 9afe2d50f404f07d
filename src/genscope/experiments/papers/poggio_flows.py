"""Poggio et al.: gradient flows on small problems, every lemma held against every run."""

from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from genscope.experiments.values import Cell, Check, Family, Judgement, Outcome, Size
from genscope.experiments.verdicts import check_below, check_true, judgement

if TYPE_CHECKING:
    from genscope.experiments.context import Context
    from genscope.experiments.runs import Runs

# problem, system, seeds
PLANS: dict[str, tuple[tuple[str, str, int], ...]] = {
    "smoke": (("line", "C", 2), ("deep-line", "C", 1), ("deep-line", "B", 1)),
    "small": (("line", "C", 6), ("deep-line", "C", 4), ("deep-line", "B", 2), ("rings", "C", 3), ("three-classes", "C", 1), ("stuck", "C", 1)),
    "full": (
        ("line", "C", 20), ("deep-line", "C", 20), ("deep-line", "B", 10), ("rings", "C", 20), ("rings", "B", 5), ("three-classes", "C", 10),
        ("three-classes", "B", 5), ("stuck", "C", 1), ("rings", "A", 5),
    ),
}  # fmt: skip
UNTIL = {"smoke": 14.0, "small": 40.0, "full": 60.0}
TRACES = ("tau", "log10_loss", "margin", "smoothed", "angle", "epsilon", "delta", "best_epsilon")
DEPARTURES = ("Small problems with a closed form or a solver beside them; the paper trains on pairs of CIFAR-10 classes.",)


def _cells(size: Size) -> list[Cell]:
    return [
        Cell(f"{problem}, system {system}, seed {seed}", {"problem": problem, "system": system, "seed": seed, "until": UNTIL[size]})
        for problem, system, n_seeds in PLANS[size]
        for seed in range(n_seeds)
    ]


def _run(cell: Cell, context: "Context") -> Outcome:  # noqa: ARG001
    from genscope.verbs.flow import flow

    settings = cell.settings
    result = flow(settings["problem"], system=settings["system"], until=settings["until"], seed=settings["seed"])
    lemmas = {row["lemma"]: {key: row[key] for key in ("residual", "tolerance", "verdict", "corrected_verdict", "reason")} for row in result.rows}
    trace = result.curves["trace"]
    arrays = {name: np.array([np.nan if value is None else value for value in trace[name]], dtype=np.float64) for name in TRACES}
    arrays["norms"] = np.array(result.curves["norms"]["values"], dtype=np.float64)
    law = result.curves["law"]
    if law:
        arrays |= {f"law_{name}": np.array(law[name], dtype=np.float64) for name in ("tau", "gap", "law")}
    numbers: dict[str, Any] = {"lemmas": lemmas, "depth": len(arrays["norms"]), "max_margin": result.curves["max_margin"]}
    numbers |= {name: result.summary[name] for name in ("margin", "log10_loss", "angle", "n_support_changes", "ended")}
    numbers["changes"] = [{key: change[key] for key in ("tau", "speed_before", "speed_after")} for change in result.tail["support_changes"]]
    return Outcome(numbers, arrays)


FLOWS = Family("poggio-flows", 1, _cells, _run)


def _control_cells(size: Size) -> list[Cell]:
    return [Cell(f"controls, seed {seed}", {"seed": seed}) for seed in range({"smoke": 1, "small": 4, "full": 20}[size])]


def _control_run(cell: Cell, context: "Context") -> Outcome:
    """The same residuals for networks that break the assumption: biases and a tanh, which is not homogeneous."""
    import torch

    rng = context.rng("poggio controls", cell.settings["seed"])
    x, y = torch.from_numpy(rng.standard_normal((32, 4))), torch.from_numpy(np.sign(rng.standard_normal(32)))
    found: dict[str, float] = {}
    for name, activation, biased in (("tanh", torch.tanh, False), ("biases", torch.relu, True)):
        layers = [torch.from_numpy(rng.standard_normal(shape) / np.sqrt(shape[1])).requires_grad_() for shape in ((6, 4), (5, 6), (1, 5))]
        shifts = [torch.from_numpy(rng.standard_normal(len(layer)) * float(biased)) for layer in layers]
        h = x
        for index, (layer, shift) in enumerate(zip(layers, shifts, strict=True)):
            h = h @ layer.T + shift
            h = activation(h) if index < 2 else h
        f = h[:, 0]
        slopes = torch.autograd.grad((f * y).sum(), layers, retain_graph=True)
        products = [float((layer * slope).detach().sum()) for layer, slope in zip(layers, slopes, strict=True)]
        whole = float((f * y).detach().sum())
        found[f"euler_{name}"] = max(abs(product - whole) for product in products) / max(abs(whole), 1e-12)
        pulled = torch.autograd.grad(torch.exp(-y * f).mean(), layers)
        rates = [-2.0 * float((layer * slope).detach().sum()) for layer, slope in zip(layers, pulled, strict=True)]
        found[f"growth_{name}"] = (max(rates) - min(rates)) / max(abs(rate) for rate in rates)
    return Outcome(found)


CONTROLS = Family("poggio-controls", 1, _control_cells, _control_run)


def lemma_table(runs: "Runs", lemma: str) -> list[tuple[Mapping[str, Any], Mapping[str, Any], Mapping[str, Any]]]:
    """(settings, numbers, the lemma's row) of all runs that tested it."""
    return [
        (settings, numbers, numbers["lemmas"][lemma])
        for settings, numbers in runs.table(FLOWS)
        if lemma in numbers["lemmas"]
        and "NOT TESTED" not in (numbers["lemmas"][lemma]["verdict"], numbers["lemmas"][lemma]["corrected_verdict"] or "HOLDS")
    ]


def lemma_checks(runs: "Runs", lemma: str, *, null: float | None = None, note: str = "", decides: bool = True) -> list[Check]:
    """As printed, as corrected, and the largest residual, over all runs that test the lemma."""
    rows = lemma_table(runs, lemma)
    printed = [row["verdict"] == "HOLDS" for *_, row in rows]
    corrected = [row["corrected_verdict"] == "HOLDS" for *_, row in rows if row["corrected_verdict"]]
    expected = f"in all {len(printed)} runs that test it"
    statement = f"{lemma}: share of runs in which it holds as printed"
    share = float(np.mean(printed)) if printed else None
    found = [Check(statement, expected, share, passed=all(printed) if printed else None, note=note, decides=decides)]
    if corrected:
        found.append(
            Check(f"{lemma}: the same as corrected by later work", expected, float(np.mean(corrected)), passed=all(corrected), decides=False)
        )
    bounded = [row for *_, row in rows if row["tolerance"] and row["residual"] is not None]
    if bounded:
        worst = max(bounded, key=lambda row: row["residual"] / row["tolerance"])
        found.append(check_below(f"{lemma}: largest residual", worst["residual"], worst["tolerance"] * (1 + 1e-9), null=null, decides=False))
    return found


def lemma_judge(lemmas: Sequence[str], meaning: str, control: str = "", shown: Sequence[str] = ()) -> Callable[["Runs"], Judgement]:
    """A judge of ``lemmas`` that tells the runs' own words after ``meaning``; the lemmas ``shown`` stand beside them and decide nothing."""

    def judge(runs: "Runs") -> Judgement:
        null = float(runs.column(CONTROLS, control).mean()) if control else None
        checks: list[Check] = []
        for lemma in lemmas:
            checks += lemma_checks(runs, lemma, null=null)
        for lemma in shown:
            checks += lemma_checks(runs, lemma, decides=False)
        if control:
            checks.append(
                check_true("a network that is not homogeneous breaks it", bool(null is not None and null > 1e-3), note=f"residual {null:.2g}")
            )
        tested = [lemma_table(runs, lemma) for lemma in lemmas]
        told = next((row["reason"] for rows in tested for *_, row in rows[-1:] if row["reason"]), "")
        words = f"{meaning} {told[:1].upper() + told[1:] + '.' if told else ''}".strip()
        return judgement(checks, words.replace("..", "."), n_runs=max(len(rows) for rows in tested), departures=DEPARTURES)

    return judge
