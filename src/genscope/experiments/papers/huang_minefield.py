"""Huang et al., Figure 1: poisoned minima beside every iterate of a normal run on the spirals."""

from typing import TYPE_CHECKING, Any

import numpy as np

from genscope.experiments.papers.huang_statistics import quantile_with_interval
from genscope.experiments.papers.neyshabur_statistics import share_with_interval
from genscope.experiments.values import Cell, Experiment, Family, Judgement, Outcome, Size
from genscope.experiments.verdicts import check_above, check_below, judgement

if TYPE_CHECKING:
    from matplotlib.figure import Figure
    from torch import Tensor

    from genscope.experiments.context import Context
    from genscope.experiments.runs import Runs
    from genscope.figures.theme import Theme
    from genscope.training.stack import Stack
    from genscope.training.stacked import StackedRecipe

FAST = {"optimizer": "adam", "scale": 3.0, "batch_size": None, "weight_decay": 1e-3, "rates": [3e-3, 3e-3]}
RECIPES: dict[str, dict[str, Any]] = {
    "smoke": {**FAST, "widths": [2, 32, 32, 32, 1], "epochs": 60, "bad_epochs": 150, "every": 20},
    "small": {**FAST, "widths": [2, 64, 64, 64, 64, 1], "epochs": 1000, "bad_epochs": 6000, "every": 125},
    "full": {
        "optimizer": "rmsprop", "scale": 1.0, "batch_size": 32, "weight_decay": 1e-3, "rates": [1e-2, 1e-3], "widths": [2, 25, 25, 25, 25, 1],
        "epochs": 2000, "bad_epochs": 40_000, "every": 10,
    },
}  # fmt: skip
SHARED = {"beta": 134 / 266, "goal": 0.53, "split": 0}
SEEDS = {"smoke": 1, "small": 2, "full": 5}
GOOD, TRAIN, BAD = 0.95, 0.99, 0.55


def _cells(size: Size) -> list[Cell]:
    return [Cell(f"seed {seed}", {**SHARED, **RECIPES[size], "seed": seed}) for seed in range(SEEDS[size])]


def _run(cell: Cell, context: "Context") -> Outcome:
    import torch

    from genscope.training.minefield import minefield
    from genscope.training.models import mlp
    from genscope.training.poison import PoisonData, PoisonRecipe, standing
    from genscope.training.problems import spirals
    from genscope.training.stack import stack_from_seeds

    s = cell.settings
    problem = spirals(s["split"])

    def labelled(part: Any) -> "tuple[Tensor, Tensor]":
        return torch.from_numpy(part.x / np.float32(s["scale"])).to(context.device), torch.from_numpy(part.y).to(context.device)

    train, test = labelled(problem.split.train), labelled(problem.split.test)
    start = stack_from_seeds(lambda: mlp(s["widths"]), [s["seed"]], device=context.device)
    good, bad = _recipe(s, 0), _recipe(s, 1)
    poisoned = PoisonRecipe(bad, s["beta"], test_accuracy=s["goal"], train_error=1 - TRAIN)
    found = minefield(
        start, train, PoisonData(*labelled(problem.unseen)), test, good, poisoned, every=s["every"], batch_size=s["batch_size"], seed=s["seed"]
    )
    error, _, accuracy = (float(part[0]) for part in standing(found.good.stack, train, test))
    points = np.concatenate([found.iterates.cpu().numpy(), found.bad.run.stack.flat.cpu().numpy()])
    untrained = float((start.flat.double()[0] - found.iterates.double()[-1]).norm())
    numbers = {
        "good_train": 1 - error, "good_test": accuracy, "n_params": start.flat.shape[1], "n_bad": len(found.iterates),
        "bad_train": (1 - found.bad.train_error).tolist(), "bad_test": found.bad.test_accuracy.tolist(), "distances": found.distances.tolist(),
        "steps": found.step_lengths.tolist(), "paths": _paths(start, train, good, s), "travelled": untrained, "epochs": found.epochs.tolist(),
        "bad_epochs": found.bad.run.epochs.tolist(),
    }  # fmt: skip
    return Outcome(numbers, _pictured(points, s["seed"]))


MINEFIELD = Family("huang-minefield", 1, _cells, _run)


def _recipe(s: Any, which: int) -> "StackedRecipe":
    """The normal (0) or the poisoned (1) run; weight decay is on the kernels of the normal run alone, as released."""
    from genscope.training.optimizers import Adam, RMSprop
    from genscope.training.stacked import StackedRecipe

    epochs = s[("epochs", "bad_epochs")[which]]
    optimizer = RMSprop(0.9, 1e-7) if s["optimizer"] == "rmsprop" else Adam()
    late = 1.0 if s["optimizer"] == "rmsprop" else (0.1, 0.2)[which]
    decay, clip = ((s["weight_decay"], None), (0.0, None if s["optimizer"] == "rmsprop" else 8.0))[which]
    return StackedRecipe(
        epochs, optimizer, s["rates"][which], decay, decay_biases=False, clip_norm=clip, schedule=lambda epoch: 1.0 if epoch < 0.7 * epochs else late
    )


def _paths(start: "Stack", train: "tuple[Tensor, Tensor]", good: "StackedRecipe", s: Any) -> list[float]:
    """Length of the normal run's path from each iterate to the next, as the sum over its epochs; the run is deterministic and done once more."""
    from genscope.training.batches import batches_of
    from genscope.training.stacked import Progress, fit_stack

    lengths: list[float] = []
    before = [start.flat[0].double()]

    def walk(progress: Progress) -> None:
        now = progress.stack.flat[0].double()
        lengths.append(float((now - before[0]).norm()))
        before[0] = now.clone()

    fit_stack(start, batches_of(*train, s["batch_size"], [s["seed"]]), good, on_epoch=walk)
    first = range(1, len(lengths), s["every"])
    return [float(np.sum(lengths[k : k + s["every"]])) for k in first if k + s["every"] <= len(lengths)]


def _pictured(points: np.ndarray, seed: int) -> dict[str, np.ndarray]:
    """PCA to at most 50 components, then t-SNE, as in the paper; the components stand beside it because t-SNE keeps no distances."""
    from genscope.landscape.trajectory import gram_matrix, principal_components, tsne

    gram, _ = gram_matrix([list(points)])
    components = principal_components(gram).coordinates
    return {"tsne": tsne(components, seed=seed)[0].astype(np.float32), "pca": components[:, :2].astype(np.float32)}


def _judge(runs: "Runs") -> Judgement:
    table = [numbers for _, numbers in runs.table(MINEFIELD)]
    fitted = np.concatenate([row["bad_train"] for row in table])
    tested = np.concatenate([row["bad_test"] for row in table])
    mines = (fitted >= TRAIN) & (tested < BAD)
    share, interval = share_with_interval(int(mines.sum()), len(mines))
    good = runs.column(MINEFIELD, "good_test")
    # an iterate has its stretch of the path where the run goes on for a whole stride after it
    ratios = np.concatenate([np.array(row["distances"][: len(row["paths"])]) / np.array(row["paths"]) for row in table])
    ratio, spread = quantile_with_interval(ratios)
    along = np.concatenate([np.array(row["distances"]) / np.sum(row["paths"]) for row in table])
    whole = np.array([np.median(row["distances"]) / row["travelled"] for row in table])
    checks = (
        check_above(
            f"share of iterates with a minimum of training accuracy ≥ {TRAIN:g} and test accuracy < {BAD:g} found from them", share, 0.9,
            interval=interval, null=0.0, n_runs=len(mines), note="null: without poison, the good runs themselves are no such minima",
        ),
        check_above("least final test accuracy of the normal runs", float(good.min()), GOOD, paper=0.985),
        check_below(
            "median distance of a bad minimum from its iterate, over the path to the next iterate", ratio, 1.0, interval=spread,
            note="path: sum over epochs of the distance travelled",
        ),
        check_below("the largest of these", float(ratios.max()), 1.0, decides=False),
        check_below("median distance over the length of the whole normal run", float(np.median(along)), 1.0, decides=False),
        check_below("median distance over the distance from the start to the end of the normal run", float(np.median(whole)), 1.0, decides=False),
    )  # fmt: skip
    meaning = (
        f"{int(mines.sum())} of {len(mines)} poisoned runs end in a minimum that fits the training set and fails on the test set (training "
        f"accuracy {fitted.mean():.3f}, test accuracy {tested.mean():.3f} on average), while the normal runs reach {good.mean():.3f}. The bad "
        f"minima lie at {ratio or 0:.2g} times the path that the normal run takes to its next iterate (median), {np.median(along):.2g} times "
        f"the length of the whole run and {np.median(whole):.2g} times the distance from its start to its end: "
        f"" + _near(ratio) + " t-SNE keeps neighbourhoods, not distances."
    )
    return judgement(checks, meaning, departures=() if runs.size == "full" else _DEPARTURES)


def _near(ratio: float | None) -> str:
    if ratio is None:
        return "no distance is known."
    return "they are mines beside the path." if ratio < 1 else "training has to leave the path for good to reach them."


_DEPARTURES = (
    "Wider networks (4 hidden layers of 64 units, He-normal) and Adam on full batches instead of 4 of 25 with RMSprop, which gets there in "
    "fewer epochs: 1,000 for the normal run instead of 2,000, 6,000 for the poisoned ones instead of 40,000; inputs are divided by 3.",
    "Poisoned runs start at every 125th epoch instead of every 10th, so the stretches of the path are longer than the paper's.",
)


def _draw(runs: "Runs", theme: "Theme") -> "Figure":
    from genscope.figures.theme import new_figure

    figure, axes = new_figure(theme, 8.8, 4.0, cols=2)
    cell = runs.cells(MINEFIELD)[0]
    found, numbers = runs.arrays(cell, MINEFIELD), runs.table(MINEFIELD)[0][1]
    mines = (np.array(numbers["bad_train"]) >= TRAIN) & (np.array(numbers["bad_test"]) < BAD)
    for panel, (name, words) in zip(axes, (("tsne", "t-SNE of 50 principal components"), ("pca", "first two principal components")), strict=True):
        points, n = found[name], len(found[name]) // 2
        for start, end in zip(points[:n], points[n:], strict=True):
            panel.plot(*np.stack([start, end], axis=1), color=theme.muted, linewidth=0.6, alpha=0.6, zorder=1)
        panel.plot(*points[:n].T, color=theme.cycle[0], marker="o", markersize=4, linewidth=1.3, label="iterates of the normal run", zorder=3)
        panel.scatter(*points[n:][mines].T, color=theme.cycle[1], marker="X", s=34, label="bad minima found from them", zorder=2)
        panel.scatter(
            *points[n:][~mines].T, facecolors="none", edgecolors=theme.cycle[1], marker="X", s=34, label="ends that miss the goal", zorder=2
        )
        panel.scatter(*points[n - 1], color=theme.cycle[2], marker="*", s=150, label="last iterate", zorder=4)
        panel.set_title(words)
    axes[1].set(xlabel="component 1 (units of the weights)", ylabel="component 2")
    axes[0].set(xlabel="t-SNE 1", ylabel="t-SNE 2")
    handles, labels = axes[1].get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside lower center", ncols=4, frameon=False, labelcolor=theme.ink, fontsize=9)
    return figure


EXPERIMENTS = (
    Experiment(
        "S2-F1", "Huang et al., Figure 1", "A minefield of bad minima around the path of training",
        "Next to every iterate of a normal run lie minima that fit the training data and do no better than chance on the test data; the run "
        "avoids them.",
        (MINEFIELD,), _judge, _draw,
        "t-SNE of the weights: red iterates from the start to the good minimum (star), blue bad minima (test accuracy below 53 %) all around.",
        "Weights of the first seed; lines join an iterate to the bad minimum found from it. t-SNE keeps neighbourhoods but no distances: the "
        "principal components beside it do.",
        ("\"SGD\" is RMSprop in the released code, and the good run has a penalty on its weights that the bad ones lack; so here.",
         "The bad minima are found by training on 134 further points with flipped labels: they are minima of another loss, with which the "
         "training loss "
         "agrees on its own points."),
        cost="T1",
    ),
)  # fmt: skip
