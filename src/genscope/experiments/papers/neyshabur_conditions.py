"""Neyshabur et al., Figures 5 to 8: the conditions C1 to C3 of Theorem 1, before and after training."""

from typing import TYPE_CHECKING, Any

import numpy as np

from genscope.experiments.papers.neyshabur_statistics import mean_with_interval
from genscope.experiments.values import Cell, Check, Experiment, Family, Judgement, Outcome, Size
from genscope.experiments.verdicts import check_below, check_within, judgement

if TYPE_CHECKING:
    from matplotlib.figure import Figure
    from torch import Tensor, nn

    from genscope.experiments.context import Context
    from genscope.experiments.runs import Runs
    from genscope.figures.theme import Theme

STATES = ("initial", "trained", "heavy-tailed")
NAMES = {"initial": "random initialization", "trained": "learned weights", "heavy-tailed": "heavy-tailed control"}
SIZES: dict[str, dict[str, Any]] = {
    "smoke": {"data": "digits", "side": 8, "width": 32, "epochs": 15, "n_inputs": 3},
    "small": {"data": "digits", "side": 8, "width": 256, "epochs": 60, "n_inputs": 8},
    "full": {"data": "mnist", "side": 32, "width": 1000, "epochs": 100, "n_inputs": 64},
}
SEEDS = {"smoke": 2, "small": 6, "full": 6}
DEPTH = 10
RANGES = {"c1": 4.0, "c2": 5.0, "c3": 3.0}
DELTAS = np.geomspace(1e-4, 1.0, 41)
DEPARTURES = (
    "10 hidden layers of 256 units on scikit-learn's digits instead of 1,000 units on MNIST; trained with learning rate 0.01 and momentum 0.9.",
)


def _cells(size: Size) -> list[Cell]:
    return [
        Cell(f"{NAMES[state]}, seed {seed}", {**SIZES[size], "depth": DEPTH, "state": state, "seed": seed})
        for state in STATES
        for seed in range(SEEDS[size])
    ]


def _run(cell: Cell, context: "Context") -> Outcome:
    """C1 to C3 of one bias-free perceptron at training images of unit norm."""
    from genscope.measures.ingredients.mlp import ReluChain
    from genscope.measures.ingredients.relu_conditions import condition_one_constants, condition_three, condition_two, masked_weights

    settings = cell.settings
    images = _images(settings, context)[0][: settings["n_inputs"]].double().numpy()
    model = _network(settings, context)
    weights = tuple(parameter.detach().double().cpu().numpy() for parameter in model.parameters())
    chain = ReluChain(tuple(f"l{index}" for index in range(1, len(weights) + 1)), weights, images / np.linalg.norm(images, axis=1, keepdims=True))
    inverse_mu, inner, c2, c3, ratios, flips, outputs = [], [], [], [], [], [], []
    for x in chain.inputs:
        masked, hidden = masked_weights(chain, x), chain.preactivations(x)
        for (a, c, b), mu in condition_one_constants(masked, x).items():
            inverse_mu.append(1.0 / mu)
            inner.append(float(a < c < b - 1))
        c2 += [condition_two(values, 0.05) for values in hidden[:-1]]
        c3 += [condition_three(weight, mask) for weight, mask in zip(weights, masked, strict=True)]
        flips.append(np.mean([(np.abs(values)[:, None] <= DELTAS).mean(axis=0) for values in hidden[:-1]], axis=0))
        for weight, mask in zip(weights[:-1], masked[:-1], strict=True):
            ratios.append(np.sqrt(len(weight)) * np.linalg.norm(weight, axis=1) / np.linalg.norm(mask))
        outputs.append(hidden[-1])
    constants = {"c1": np.array(inverse_mu), "c2": np.array(c2), "c3": np.array(c3)}
    numbers: dict[str, Any] = {f"{name}_max": float(values.max()) for name, values in constants.items()}
    numbers |= {f"{name}_median": float(np.median(values)) for name, values in constants.items()}
    numbers |= {"n_params": int(sum(weight.size for weight in weights)), "train_error": _train_error(model, settings, context)}
    kept = {"c1": constants["c1"], "inner": np.array(inner), "c3": np.quantile(np.concatenate(ratios), np.linspace(0, 1, 201))}
    return Outcome(numbers, {**kept, "flips": np.mean(flips, axis=0), "outputs": np.concatenate(outputs)})


def _images(settings: Any, context: "Context") -> "tuple[Tensor, Tensor]":
    """Flat training images and labels; MNIST is padded to 32×32 pixels, which gives the paper's more than 10,000,000 parameters."""
    import torch
    from torch.nn import functional as F

    train = context.dataset(settings["data"]).train
    x = torch.from_numpy(train.x)
    margin = (settings["side"] - x.shape[-1]) // 2
    return torch.flatten(F.pad(x, (margin,) * 4), 1), torch.from_numpy(train.y)


def _network(settings: Any, context: "Context") -> "nn.Module":
    import torch

    from genscope.training.loop import Recipe, fit, initialize
    from genscope.training.models import mlp

    widths = (settings["side"] ** 2, *(settings["width"],) * settings["depth"], 10)
    model = initialize(mlp(widths, bias=False), torch.Generator().manual_seed(settings["seed"]))
    if settings["state"] == "heavy-tailed":
        rng = context.rng("neyshabur heavy tails", settings["width"], settings["seed"])
        with torch.no_grad():
            for parameter in model.parameters():
                drawn = torch.from_numpy(rng.standard_t(1.2, tuple(parameter.shape))).float()
                parameter.copy_(drawn * (parameter.norm() / drawn.norm()))
    if settings["state"] != "trained":
        return model

    def trained() -> "dict[str, Tensor]":
        x, y = _images(settings, context)
        moved = model.to(context.device)
        fit(moved, x.to(context.device), y.to(context.device), Recipe(settings["epochs"], 0.01, 0.0, 64, 1e-3, settings["seed"], momentum=0.9))
        return moved.state_dict()

    model.load_state_dict(context.trained({"family": "neyshabur-conditions", **settings}, trained))
    return model.cpu()


def _train_error(model: "nn.Module", settings: Any, context: "Context") -> float:
    from genscope.training.loop import error_and_loss

    return error_and_loss(model, *_images(settings, context))[0]


CONDITIONS = Family("neyshabur-conditions", 1, _cells, _run)


def _columns(runs: "Runs", name: str) -> dict[str, np.ndarray]:
    return {state: runs.column(CONDITIONS, name, state=state) for state in STATES}


def _range_check(runs: "Runs", name: str, words: str) -> Check:
    values = _columns(runs, f"{name}_max")
    mean, interval = mean_with_interval(values["trained"])
    note = f"null: untrained random weights; heavy-tailed weights reach {values['heavy-tailed'].mean():.1f}"
    return check_below(words, mean, RANGES[name], interval=interval, null=float(values["initial"].mean()), n_runs=len(values["trained"]), note=note)


def _judge_ranges(runs: "Runs") -> Judgement:
    checks = (
        _range_check(runs, "c1", "largest 1/μ of C1 over all splits and inputs, learned weights"),
        _range_check(runs, "c2", "largest C₂ over layers and inputs, learned weights"),
        _range_check(runs, "c3", "largest C₃ over layers and inputs, learned weights"),
    )
    told = ", ".join(f"{word} {check.observed:.2f}" for word, check in zip(("1/μ", "C₂", "C₃"), checks, strict=True) if check.observed is not None)
    meaning = (
        f"The largest constants of learned networks are {told} (the paper: at most 4, 5 and 3). Untrained networks stand beside them as the null "
        "control: where they satisfy the conditions as well, the conditions describe layers of independent random weights rather than learning. "
        "C₂ has no finite constant in the limit δ → 0 on a finite layer, so δ starts at the 5 % quantile of the pre-activations."
    )
    return judgement(checks, meaning, departures=_departures(runs))


def _departures(runs: "Runs") -> tuple[str, ...]:
    return DEPARTURES if runs.size != "full" else ()


def _judge_similar(name: str, words: str) -> Any:
    def judge(runs: "Runs") -> Judgement:
        values = _columns(runs, f"{name}_median")
        ratio, interval = mean_with_interval(np.log2(values["trained"] / values["initial"]))
        control, _ = mean_with_interval(np.log2(values["heavy-tailed"] / values["initial"]))
        check = check_within(
            f"log₂ of median {words}, learned over random weights", ratio, (-1.0, 1.0), interval=interval, null=control,
            n_runs=len(values["trained"]), note="within a factor of two; null: heavy-tailed weights of the same norms",
        )  # fmt: skip
        meaning = (
            f"The median {words} changes by a factor {2 ** (ratio or 0):.2f} with training. Weights of the same norms with heavy tails differ from "
            f"random initialization by a factor {2 ** (control or 0):.2f}, so the comparison "
            + ("can tell networks apart." if abs(control or 0) > 1 else "cannot tell even these apart: similarity within a factor of two is weak.")
        )
        return judgement([check], meaning, departures=_departures(runs))

    return judge


def _draw_ranges(runs: "Runs", theme: "Theme") -> "Figure":
    from genscope.figures.theme import MARKERS, new_figure

    figure, axes = new_figure(theme, 7.6, 3.4, cols=3)
    for panel, (name, word) in zip(axes, (("c1", "1/μ (C1)"), ("c2", "C₂"), ("c3", "C₃")), strict=True):
        for index, state in enumerate(STATES):
            values = runs.column(CONDITIONS, f"{name}_max", state=state)
            panel.plot(np.full(len(values), index) + np.linspace(-0.12, 0.12, len(values)), values, MARKERS[index], color=theme.cycle[index])
        panel.axhline(RANGES[name], color=theme.muted, linestyle="--", linewidth=1.0)
        panel.set_xticks(range(3), ("random", "learned", "heavy"), rotation=0)
        panel.set_yscale("log")
        panel.set_title(f"largest {word}")
    return figure


def _draw_c1(runs: "Runs", theme: "Theme") -> "Figure":
    from genscope.figures.theme import new_figure, style_legend

    figure, axes = new_figure(theme, 8.0, 3.4, cols=3, sharey=True)
    for panel, (part, word) in zip(axes, ((None, "all splits"), (1.0, "inner splits, a < c < b − 1"), (0.0, "splits at an end")), strict=True):
        for index, state in enumerate(STATES):
            values = np.sort(np.concatenate([_part(runs.arrays(cell), part) for cell in runs.cells(CONDITIONS) if cell.settings["state"] == state]))
            panel.step(
                values, np.arange(1, len(values) + 1) / len(values), color=theme.cycle[index], linestyle=("-", "--", ":")[index], label=NAMES[state]
            )
        panel.set(xscale="log", xlabel="1/μ", title=word)
    axes[0].set_ylabel("share of combinations")
    style_legend(axes[2], theme, loc="lower right")
    return figure


def _part(arrays: dict[str, np.ndarray], part: float | None) -> np.ndarray:
    return arrays["c1"] if part is None else arrays["c1"][arrays["inner"] == part]


def _draw_c2(runs: "Runs", theme: "Theme") -> "Figure":
    from genscope.figures.theme import new_figure, style_legend

    figure, axes = new_figure(theme, 5.6, 4.0)
    for index, state in enumerate(STATES):
        curves = [runs.arrays(cell)["flips"] for cell in runs.cells(CONDITIONS) if cell.settings["state"] == state]
        axes.plot(DELTAS, np.mean(curves, axis=0), color=theme.cycle[index], linestyle=("-", "--", ":")[index], label=NAMES[state])
    axes.plot(DELTAS, np.minimum(1.0, RANGES["c2"] * DELTAS), color=theme.muted, linewidth=0.9, label="C₂ = 5")
    axes.set(xscale="log", xlabel="size δ of the perturbation of a pre-activation", ylabel="share of units with |pre-activation| ≤ δ")
    style_legend(axes, theme)
    return figure


def _draw_c3(runs: "Runs", theme: "Theme") -> "Figure":
    from genscope.figures.theme import new_figure, style_legend

    figure, axes = new_figure(theme, 8.0, 3.6, cols=2)
    levels = np.linspace(0, 1, 201)
    for index, state in enumerate(STATES):
        cells = [cell for cell in runs.cells(CONDITIONS) if cell.settings["state"] == state]
        look = {"color": theme.cycle[index], "linestyle": ("-", "--", ":")[index], "label": NAMES[state]}
        axes[0].plot(np.mean([runs.arrays(cell)["c3"] for cell in cells], axis=0), levels, **look)
        values = np.sort(np.abs(np.concatenate([runs.arrays(cell)["outputs"] for cell in cells])))
        axes[1].step(values, np.arange(1, len(values) + 1) / len(values), **look)
    axes[0].axvline(RANGES["c3"], color=theme.muted, linewidth=0.9)
    axes[0].set(xscale="log", xlabel="norm of a unit's weights over the active mean", ylabel="share of units")
    axes[1].set(xscale="log", xlabel="|output| at inputs of unit norm", ylabel="share of outputs")
    style_legend(axes[0], theme, loc="lower right")
    return figure


_S = "Neyshabur et al."
_LIKE = "learned weights are very similar to random initialization in this condition."
EXPERIMENTS = (
    Experiment(
        "S4-F5", f"{_S}, Figure 5", "The conditions of Theorem 1 on a trained network",
        "For a 10-layer perceptron trained on MNIST all constants lie in the ranges 1/μ ≤ 4, C₂ ≤ 5 and C₃ ≤ 3.",
        (CONDITIONS,), _judge_ranges, _draw_ranges, "Three histograms, of 1/μ, of the share of flips and of C₃, within the displayed ranges.",
        "Largest constant of each network over layers, splits and inputs; dashed: the paper's range. One point per seed.",
        ("More than 10,000,000 parameters need inputs of 32×32 pixels (10,034,000); at MNIST's own 28×28 there are 9,804,010 with biases.",
         "C2 lost its absolute value in print: it counts units with |pre-activation| ≤ δ."),
        cost="T2",
    ),
    Experiment(
        "S4-F6", f"{_S}, Figure 6", "C1 at initialization and after training", f"The condition number 1/μ: {_LIKE}",
        (CONDITIONS,), _judge_similar("c1", "1/μ"), _draw_c1,
        "Six histograms of 1/μ: all combinations, inner ones and those at an end; top random, bottom learned.",
        "Cumulative share of all (a, c, b) and inputs below 1/μ.", cost="T2",
    ),
    Experiment(
        "S4-F7", f"{_S}, Figure 7", "C2 at initialization and after training", f"The share of flips against the size of the perturbation: {_LIKE}",
        (CONDITIONS,), _judge_similar("c2", "C₂"), _draw_c2, "The share of units that flip against the perturbation, for random and learned weights.",
        "Mean over hidden layers, inputs and seeds.", cost="T2",
    ),
    Experiment(
        "S4-F8", f"{_S}, Figure 8", "C3 and outputs at initialization and after training", f"The ratio of a unit's norm to the mean: {_LIKE}",
        (CONDITIONS,), _judge_similar("c3", "C₃"), _draw_c3, "Histograms of C₃ for random and learned weights, and of the outputs of both networks.",
        "Left: cumulative share of units; right: outputs, which training makes larger.", cost="T2",
    ),
)  # fmt: skip
