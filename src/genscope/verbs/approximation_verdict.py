"""The outcome of the approximation experiment in words: what was seen, and what cannot be concluded."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from genscope.core.seeds import generator_for
from genscope.numerics.few_seeds import SeedMean, mean_over_seeds

Row = Mapping[str, Any]


def approximation_summary(rows: Sequence[Row], exponents: Sequence[Row], optimization: Sequence[Row], seed: int) -> dict[str, Any]:
    """The largest n: exponents of trees and shallow networks, their difference by seed, and the verdict."""
    n = max((row["variables"] for row in rows), default=0)
    by_group = {(row["architecture"], row["variables"]): row for row in exponents if row["exponent"] is not None}
    tree = next((by_group[name, n] for name in ("tree_shared", "tree", "tree_built") if (name, n) in by_group), None)
    shallow = by_group.get(("shallow", n))
    summary: dict[str, Any] = {"n_networks": sum(row["n_seeds"] for row in rows), "variables": n}
    difference = None
    if tree is not None and shallow is not None:
        difference = _difference(tree, shallow, seed)
        summary |= {"tree_exponent": tree["exponent"], "shallow_exponent": shallow["exponent"]}
        if difference is not None:
            summary |= {
                "exponent_difference": difference.mean,
                "exponent_difference_low": difference.low,
                "exponent_difference_high": difference.high,
            }
    worst = max((row for row in optimization if row["excess"] is not None), key=lambda row: (row["excess_low"] or 0.0, row["excess"]), default=None)
    summary["n_inversions"] = sum(row["n_inversions"] for row in optimization)
    summary["largest_excess"] = worst["excess"] if worst else None
    summary["verdict"] = _verdict(n, tree, shallow, difference)
    summary["verdict_details"] = [*_on_dimension(by_group), *_on_optimization(optimization, worst)]
    return summary


def _difference(tree: Row, shallow: Row, seed: int) -> SeedMean | None:
    """Both were fitted to the same targets: seeds are paired."""
    return mean_over_seeds(np.array(tree["seed_exponents"]) - np.array(shallow["seed_exponents"]), generator_for(seed, "difference"))


def _verdict(n: int, tree: Row | None, shallow: Row | None, difference: SeedMean | None) -> str:
    if tree is None or shallow is None or difference is None:
        return "No exponents to compare: they need trees and shallow networks of at least three widths."
    both = f"as N^(-b) with b = {tree['exponent']:.2f} for trees and {shallow['exponent']:.2f} for shallow networks of N units"
    if difference.low is None or difference.high is None:
        return f"At n = {n} the error falls {both}; one seed gives no interval."
    interval = f"difference {difference.mean:+.2f}, 95% {difference.low:+.2f} to {difference.high:+.2f} over {difference.n} seeds"
    if difference.low > 0:
        return f"At n = {n} the error falls faster with units in trees, {both} ({interval}), as the theorem says it should."
    if difference.high < 0:
        return f"At n = {n} the error falls faster with units in shallow networks, {both} ({interval}), against what the theorem leads one to expect."
    return f"At n = {n} these trainings do not tell trees from shallow networks by their exponents: it falls {both} ({interval})."


def _on_dimension(by_group: Mapping[tuple[str, int], Row]) -> list[str]:
    """Does the exponent depend on n?"""
    told = []
    names = {
        "tree_shared": "trees with shared weights",
        "tree": "trees with free weights",
        "tree_built": "built trees",
        "shallow": "shallow networks",
    }
    for name, words in names.items():
        own = sorted((row for (architecture, _), row in by_group.items() if architecture == name), key=lambda row: row["variables"])
        if len(own) > 1:
            listed = ", ".join(f"{row['exponent']:.2f}{_interval(row)} at n = {row['variables']}" for row in own)
            theory = ", ".join(f"{row['theorem']:.2f}" for row in own)
            told.append(f"Exponents of {words}: {listed} (theorem: {theory}).")
    return told


def _interval(row: Row) -> str:
    return "" if row["low"] is None else f" [{row['low']:.2f}, {row['high']:.2f}]"


def _on_optimization(optimization: Sequence[Row], worst: Row | None) -> list[str]:
    inversions, steps = (sum(row[name] for row in optimization) for name in ("n_inversions", "n_steps"))
    told = [
        "Errors are those that training reached, so they are upper bounds of approximation errors; the theorems speak of the best weights. "
        f"In {inversions} of {steps} steps to the next width the wider network came out worse, which best approximations never do."
    ]
    if worst is not None:
        kind = "free" if worst["architecture"] == "tree" else "shared"
        ends = "" if worst["excess_low"] is None else f", 95% {worst['excess_low']:.2f} to {worst['excess_high']:.2f}"
        proven = "at least that factor of its error is optimization error" if (worst["excess_low"] or 0) > 1 else "no optimization error is proven"
        told.append(
            f"Trees with {kind} weights trained from random weights at n = {worst['variables']} end {worst['excess']:.2f} times{ends} "
            f"as far from the target as the same trees built node by node: {proven}."
        )
    return told
