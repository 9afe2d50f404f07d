"""Huang et al., Figure 2 (right): one network under many optimizers, beside the linear model."""

from typing import TYPE_CHECKING, Any

import numpy as np

from genscope.experiments.papers.huang_linear import DEPARTURES, LINEAR, SWISS, accuracies_of, network_numbers, problem_data
from genscope.experiments.papers.neyshabur_statistics import mean_with_interval
from genscope.experiments.values import Cell, Experiment, Family, Judgement, Outcome, Size
from genscope.experiments.verdicts import check_above, judgement

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from genscope.experiments.context import Context
    from genscope.experiments.runs import Runs
    from genscope.figures.theme import Theme

OPTIMIZERS: dict[str, dict[str, Any]] = {
    "SGD": {"lr": 0.5}, "SGD, momentum": {"lr": 0.1, "momentum": 0.9}, "SGD, Nesterov": {"lr": 0.1, "momentum": 0.9, "nesterov": True},
    "ASGD": {"lr": 0.5}, "Adagrad": {"lr": 0.03}, "Adadelta": {"lr": 3.0}, "RMSprop": {"lr": 1e-3}, "Rprop": {"lr": 1e-3}, "Adam": {"lr": 3e-3},
    "AdamW": {"lr": 3e-3}, "Adamax": {"lr": 5e-3}, "NAdam": {"lr": 3e-3}, "RAdam": {"lr": 3e-3}, "LBFGS": {"lr": 0.3, "max_iter": 10},
}  # fmt: skip
OPTIMIZER_SEEDS = {"smoke": 1, "small": 3, "full": 3}


def _optimizer_cells(size: Size) -> list[Cell]:
    if size == "full":
        from genscope.experiments.papers.huang_cifar import VGG13

        shared = VGG13
    else:
        shared = SWISS[size]
    return [
        Cell(f"{name}, seed {seed}", {**shared, "optimizer": name, "options": options, "seed": seed})
        for name, options in OPTIMIZERS.items()
        for seed in range(OPTIMIZER_SEEDS[size])
    ]


def _run_optimizer(cell: Cell, context: "Context") -> Outcome:
    s = cell.settings
    if s["data"] == "cifar10":
        from genscope.experiments.papers.huang_cifar import run_cifar

        return run_cifar(cell, context)
    train, test = problem_data(s, context)
    return Outcome(network_numbers(train, test, s, s["optimizer"], s["options"]))


UNDER_OPTIMIZERS = Family("huang-optimizers", 1, _optimizer_cells, _run_optimizer)


def _judge_optimizers(runs: "Runs") -> Judgement:
    data = runs.cells(UNDER_OPTIMIZERS)[0].settings["data"]
    _, linear = accuracies_of(runs, data)
    names = list(dict.fromkeys(cell.settings["optimizer"] for cell in runs.cells(UNDER_OPTIMIZERS)))
    fitted = {name: float(runs.column(UNDER_OPTIMIZERS, "train_accuracy", optimizer=name).min()) for name in names}
    accuracy = {name: runs.column(UNDER_OPTIMIZERS, "test_accuracy", optimizer=name) for name in names}
    counted = [name for name in names if fitted[name] >= 0.99]
    worst = min(counted, key=lambda name: float(accuracy[name].mean()), default=None)
    checks = [check_above("optimizers that fit the training set", float(len(counted)), 0.75 * len(names), paper=13.0)]
    if worst is not None:
        ahead = accuracy[worst] - linear[: len(accuracy[worst])]
        mean, interval = mean_with_interval(ahead)
        null = float(np.abs(linear[:-1] - linear[1:]).mean()) if len(linear) > 1 else None
        statistic = f"test accuracy under the worst fitting optimizer ({worst}) minus that of the linear model"
        checks.append(
            check_above(statistic, mean, 0.05, interval=interval, null=null, n_runs=len(ahead), note="null: two linear models, other examples")
        )
    spread = [float(accuracy[name].mean()) for name in counted] or [float("nan")]
    left = ", ".join(f"{name} ({fitted[name]:.2f})" for name in names if name not in counted)
    meaning = (
        f"{len(counted)} of {len(names)} optimizers fit the training set; their test accuracies lie between {min(spread):.3f} and "
        f"{max(spread):.3f}, the linear model's at {linear.mean():.3f}. "
        + (f"Not fitted in the steps given: {left}. " if left else "")
        + ("The choice of the optimizer changes little" if max(spread) - min(spread) < 0.1 else "The choice of the optimizer matters")
        + (
            " and on average the network is ahead of the linear model under all of them."
            if min(spread) > linear.mean()
            else ", but on this task the network is not ahead of a linear model on smooth features under all of them."
        )
    )
    return judgement(checks, meaning, departures=() if runs.size == "full" else (*DEPARTURES[:2], _FEW_STEPS))


_FEW_STEPS = (
    "A perceptron on the swiss roll with full batches and 14 settings of torch.optim instead of VGG-13 on CIFAR-10; ProxProp is not in torch.optim."
)


def _draw_optimizers(runs: "Runs", theme: "Theme") -> "Figure":
    from genscope.figures.theme import new_figure, style_legend

    figure, axes = new_figure(theme, 7.2, 4.6)
    _, linear = accuracies_of(runs, runs.cells(UNDER_OPTIMIZERS)[0].settings["data"])
    names = list(dict.fromkeys(cell.settings["optimizer"] for cell in runs.cells(UNDER_OPTIMIZERS)))
    for place, name in enumerate(reversed(names)):
        values = runs.column(UNDER_OPTIMIZERS, "test_accuracy", optimizer=name)
        fits = runs.column(UNDER_OPTIMIZERS, "train_accuracy", optimizer=name).min() >= 0.99
        axes.scatter(values, np.full(len(values), place), color=theme.cycle[0], facecolors=theme.cycle[0] if fits else "none", s=26)
    axes.axvspan(linear.min(), linear.max(), color=theme.cycle[1], alpha=0.2, label="linear model, range over examples")
    axes.axvline(linear.mean(), color=theme.cycle[1], linewidth=1.2)
    axes.set_yticks(range(len(names)), names[::-1])
    axes.set(xlabel="test accuracy")
    style_legend(axes, theme, loc="lower left")
    return figure


EXPERIMENTS = (
    Experiment(
        "S2-F2b", "Huang et al., Figure 2 (right)", "One network under a dozen optimizers",
        "Whatever the optimizer, the network generalizes well above the linear model: the bias is not that of SGD alone.",
        (UNDER_OPTIMIZERS, LINEAR), _judge_optimizers, _draw_optimizers,
        "Test accuracy of VGG-13 under 13 optimizers, all well above the line of the linear model.",
        "One point per seed; open where a network does not fit its training set. Band: linear model.", cost="T1",
    ),
)  # fmt: skip
