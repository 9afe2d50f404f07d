"""Huang et al., Figure 2: neural networks against a linear model with as many parameters, and one network under many optimizers."""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

from genscope.experiments.papers.neyshabur_statistics import mean_with_interval
from genscope.experiments.values import Cell, Check, Experiment, Family, Judgement, Outcome, Size
from genscope.experiments.verdicts import check_above, judgement

if TYPE_CHECKING:
    from matplotlib.figure import Figure
    from torch import Tensor, nn

    from genscope.experiments.context import Context
    from genscope.experiments.runs import Runs
    from genscope.figures.theme import Theme

# examples, degree of the polynomial features, network, steps
SWISS: dict[str, dict[str, Any]] = {
    "smoke": {"data": "swiss-roll", "n_train": 60, "degree": 12, "widths": [2, 32, 32, 2], "steps": 200},
    "small": {"data": "swiss-roll", "n_train": 120, "degree": 22, "widths": [2, 64, 64, 64, 2], "steps": 2000},
}
DIGITS: dict[str, dict[str, Any]] = {
    "smoke": {"data": "digits", "n_train": 100, "degree": 2, "widths": [64, 32, 10], "steps": 100},
    "small": {"data": "digits", "n_train": 300, "degree": 2, "widths": [64, 64, 64, 10], "steps": 400},
}
SEEDS = {"smoke": 2, "small": 6, "full": 3}
STOP = 1e-3


def _cells(size: Size) -> list[Cell]:
    if size == "full":
        from genscope.experiments.papers.huang_cifar import LINEAR_MODEL, RESNET

        settings = [("ResNet-20", RESNET), ("linear", LINEAR_MODEL)]
        return [Cell(f"CIFAR-10, {word}, seed {seed}", {**plan, "seed": seed}) for word, plan in settings for seed in range(SEEDS[size])]
    return [
        Cell(f"{plan['data']}, {model}, seed {seed}", {**plan, "model": model, "seed": seed})
        for plan in (SWISS[size], DIGITS[size])
        for model in ("network", "linear")
        for seed in range(SEEDS[size])
    ]


def _run(cell: Cell, context: "Context") -> Outcome:
    s = cell.settings
    if s["data"] == "cifar10":
        from genscope.experiments.papers.huang_cifar import run_cifar

        return run_cifar(cell, context)
    train, test = problem_data(s, context)
    if s["model"] == "linear":
        return Outcome(_least_norm(train, test, s["degree"]))
    return Outcome(network_numbers(train, test, s, "Adam", {"lr": 3e-3}))


LINEAR = Family("huang-linear", 1, _cells, _run)


def problem_data(settings: Mapping[str, Any], context: "Context") -> tuple[tuple[np.ndarray, np.ndarray], tuple[np.ndarray, np.ndarray]]:
    """Training and test examples; every seed has training examples of its own."""
    from genscope.training.problems import swiss_roll

    if settings["data"] == "swiss-roll":
        split = swiss_roll(settings["seed"], n=settings["n_train"]).split
        assert split.test is not None
        return (split.train.x / 16.0, split.train.y), (split.test.x / 16.0, split.test.y)
    split = context.dataset("digits")
    assert split.test is not None
    picks = context.rng("huang linear", "digits", settings["seed"]).permutation(len(split.train))[: settings["n_train"]]
    flat = split.train.x.reshape(len(split.train), -1)
    return (flat[picks], split.train.y[picks]), (split.test.x.reshape(len(split.test), -1), split.test.y)


def polynomial_features(x: np.ndarray, degree: int) -> np.ndarray:
    """For two inputs all products of Legendre polynomials up to ``degree``, which span the monomials; for more, the inputs and their products.

    Example:
        >>> polynomial_features(np.zeros((1, 2)), 3).shape, polynomial_features(np.zeros((1, 64)), 2).shape
        ((1, 10), (1, 2144))
    """
    if x.shape[1] == 2:
        from numpy.polynomial.legendre import legvander

        across, up = (legvander(np.clip(x[:, k].astype(np.float64), -1.2, 1.2), degree) for k in (0, 1))
        return np.stack([across[:, i] * up[:, j] for i in range(degree + 1) for j in range(degree + 1 - i)], axis=1)
    rows, columns = np.triu_indices(x.shape[1])
    wide = x.astype(np.float64)
    return np.concatenate([wide, wide[:, rows] * wide[:, columns]], axis=1)


def _least_norm(train: tuple[np.ndarray, np.ndarray], test: tuple[np.ndarray, np.ndarray], degree: int) -> dict[str, Any]:
    """The interpolating linear model of least norm: what gradient descent on squared errors comes to from zero."""
    features = polynomial_features(train[0], degree)
    n_classes = int(train[1].max()) + 1
    targets = np.eye(n_classes)[train[1]] - 1.0 / n_classes
    weights = np.linalg.lstsq(features, targets, rcond=1e-10)[0]
    scores = (features @ weights, polynomial_features(test[0], degree) @ weights)
    right = [float((score.argmax(1) == labels).mean()) for score, labels in zip(scores, (train[1], test[1]), strict=True)]
    return {"train_accuracy": right[0], "test_accuracy": right[1], "n_parameters": int(weights.size), "n_features": features.shape[1]}


def network_numbers(
    train: tuple[np.ndarray, np.ndarray], test: tuple[np.ndarray, np.ndarray], s: Mapping[str, Any], name: str, options: Mapping[str, Any]
) -> dict[str, Any]:
    """One perceptron on full batches until its training loss is below :data:`STOP` or the steps are over."""
    import torch

    from genscope.training.loop import error_and_loss, initialize
    from genscope.training.losses import cross_entropies
    from genscope.training.models import mlp

    model = initialize(mlp(s["widths"]), torch.Generator().manual_seed(s["seed"]))
    x, y = torch.from_numpy(train[0].astype(np.float32)), torch.from_numpy(train[1])
    optimizer = optimizer_of(name, options, model)

    def closure() -> "Tensor":
        optimizer.zero_grad(set_to_none=True)
        loss = cross_entropies(model(x), y).mean()
        loss.backward()
        return loss

    taken = 0
    while taken < s["steps"]:
        taken += 1
        loss = float(optimizer.step(closure).detach())
        if not loss > STOP:  # also where it is not a number
            break
    error, loss = error_and_loss(model, x, y)
    tested, _ = error_and_loss(model, torch.from_numpy(test[0].astype(np.float32)), torch.from_numpy(test[1]))
    n = sum(parameter.numel() for parameter in model.parameters())
    return {"train_accuracy": 1 - error, "train_loss": loss, "test_accuracy": 1 - tested, "n_parameters": n, "steps_taken": taken}


def optimizer_of(name: str, options: Mapping[str, Any], model: "nn.Module") -> Any:
    """The class of ``torch.optim`` named before any comma."""
    import torch

    return getattr(torch.optim, name.partition(",")[0])(model.parameters(), **options)


def accuracies_of(runs: "Runs", data: str) -> tuple[np.ndarray, np.ndarray]:
    """Test accuracies of networks and of linear models on the same examples."""
    return tuple(runs.column(LINEAR, "test_accuracy", data=data, model=model) for model in ("network", "linear"))  # type: ignore[return-value]


def _judge_linear(runs: "Runs") -> Judgement:
    checks: list[Check] = []
    told = []
    for data in dict.fromkeys(cell.settings["data"] for cell in runs.cells(LINEAR)):
        network, linear = accuracies_of(runs, data)
        mean, interval = mean_with_interval(network - linear)
        half = len(network) // 2
        null = float(np.abs(network[:half] - network[half : 2 * half]).mean())
        fitted = min(float(runs.column(LINEAR, "train_accuracy", data=data, model=model).min()) for model in ("network", "linear"))
        statistic = f"{data}: test accuracy of the network minus that of the linear model"
        checks.append(check_above(statistic, mean, 0.1, interval=interval, null=null, paper=0.43, n_runs=len(network), note="null: two networks"))
        checks.append(check_above(f"{data}: least training accuracy of both", fitted, 0.99))
        told.append(f"{network.mean():.3f} against {linear.mean():.3f} on {data}")
    wide = [f"{data} {mean:+.2f}" for data, mean in ((check.statistic.partition(":")[0], check.observed or 0.0) for check in checks[::2])]
    meaning = (
        "Test accuracy of the network against that of a linear model on polynomial features with more parameters than examples: "
        f"{'; '.join(told)}. The differences are {', '.join(wide)}. Both fit the training set, so the number of parameters does not tell them "
        "apart"
        + (". " if min(check.observed or 0.0 for check in checks[::2]) > 0.1 else "; yet here the linear model does not fall far behind. ")
        + "How far it does depends on how well products of inputs suit the task: a plane and small digits better than natural images."
    )
    return judgement(checks, meaning, departures=() if runs.size == "full" else DEPARTURES)


DEPARTURES = (
    "The claim is about CIFAR-10; what is found on other tasks says whether it carries over, not whether it is right there.",
    "The swiss roll (120 points; products of Legendre polynomials up to degree 22, 276 features) and 300 of scikit-learn's digits (64 pixels "
    "and their 2,080 products) stand in for CIFAR-10 with 298,368 features; perceptrons stand in for the ResNet.",
    "The linear model is the interpolant of least norm, the limit of gradient descent on squared errors from zero, instead of SGD with weight decay.",
)


def _draw_linear(runs: "Runs", theme: "Theme") -> "Figure":
    from genscope.figures.theme import MARKERS, new_figure, style_legend

    figure, axes = new_figure(theme, 6.4, 3.8)
    data = list(dict.fromkeys(cell.settings["data"] for cell in runs.cells(LINEAR)))
    for index, model in enumerate(("network", "linear")):
        for place, name in enumerate(data):
            values = runs.column(LINEAR, "test_accuracy", data=name, model=model)
            x = place + (-0.12, 0.12)[index] + np.linspace(-0.05, 0.05, len(values))
            axes.scatter(x, values, marker=MARKERS[index], color=theme.cycle[index], label=None if place else f"{model} model" if index else model)
    axes.set_xticks(range(len(data)), data)
    axes.set(ylabel="test accuracy", xlim=(-0.5, len(data) - 0.5))
    style_legend(axes, theme, loc="lower right")
    return figure


EXPERIMENTS = (
    Experiment(
        "S2-F2a", "Huang et al., Figure 2 (left)", "A neural network against a linear model with as many parameters",
        "A network and an overparametrized linear model both fit the training data, but the network generalizes far better (92 % against 49 %).",
        (LINEAR,), _judge_linear, _draw_linear, "Bars of training and test accuracy: both reach 100 % on training data; on test data 92 % and 49 %.",
        "One point per seed; every seed has training examples of its own, the same for both models.",
        ("\"Nearly 6x the number of training images\" is 269,722/50,000 = 5.4 times.",
         "298,369 counts the parameters of one class; the model of ten classes has "
         "2,983,690.", "\"SGD\" is Adam or RMSprop in parts of the released code."),
        cost="T1",
    ),
)  # fmt: skip
