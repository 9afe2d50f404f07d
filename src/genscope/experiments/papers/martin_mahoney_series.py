"""Martin & Mahoney, Figures 2 and 3: α-hat against accuracy within architecture series, and what the weighting adds."""

from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING

import numpy as np

from genscope.core.seeds import generator_for
from genscope.experiments.papers.martin_mahoney_exponents import ZOO
from genscope.experiments.papers.martin_mahoney_tables import TABLES, Association, Tables, associate, tables_of
from genscope.experiments.papers.martin_mahoney_zoo import DIGITS_ZOO, zoo_table
from genscope.experiments.values import Check, Experiment, Judgement
from genscope.experiments.verdicts import check_above, check_below, check_within, judgement
from genscope.numerics.bootstrap import resampling_weights
from genscope.numerics.rank_correlation import kendall_tau, spearman_rho
from genscope.numerics.regression import weighted_lines

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from genscope.experiments.runs import Runs
    from genscope.figures.theme import Theme


@dataclass(frozen=True)
class Printed:
    """The pairs that the paper prints: model, depth, top-1 accuracy (%), α-hat; and how the later tables call the series."""

    series: str
    models: tuple[tuple[str, int, float, float], ...]

    def columns(self) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """α-hat, accuracy, depth."""
        return tuple(np.array([row[index] for row in self.models]) for index in (3, 2, 1))  # type: ignore[return-value]


# Figure 2 of Martin & Mahoney.
VGG = Printed("VGG", (
    ("VGG11", 11, 68.97, 1.84), ("VGG11_BN", 11, 70.45, 1.60), ("VGG13", 13, 69.66, 1.65), ("VGG13_BN", 13, 71.51, 1.36),
    ("VGG16", 16, 71.64, 1.41), ("VGG16_BN", 16, 73.52, 1.08), ("VGG19", 19, 72.08, 1.16), ("VGG19_BN", 19, 74.27, 0.81),
))  # fmt: skip
RESNET = Printed("ResNet-1K", (
    ("10", 10, 62.54, 1.94), ("12", 12, 63.82, 0.74), ("14", 14, 66.83, 1.70), ("16", 16, 69.10, 1.49), ("18_wd4", 18, 50.50, 1.83),
    ("18_wd2", 18, 62.96, 1.82), ("18_w3d4", 18, 66.39, 0.28), ("18", 18, 70.48, 1.09), ("34", 34, 74.34, -0.42), ("50", 50, 76.21, 0.13),
    ("50b", 50, 76.95, 0.09), ("101", 101, 78.10, -0.67), ("101b", 101, 78.55, -0.92), ("152", 152, 78.74, -1.11), ("152b", 152, 79.26, -1.74),
))  # fmt: skip


def judge_series(printed: Printed, tables: Tables | None) -> Judgement:
    """Slope and order in the printed pairs, against depth alone, and again in the authors' later table."""
    hat, accuracy, depth = printed.columns()
    found, control = associate(hat, accuracy), associate(-depth, accuracy)
    checks = [
        check_below("slope of accuracy (points) against α-hat", found.line.slope, 0.0, interval=found.slope, null=control.line.slope, n_runs=found.n,
                    note="control: minus the depth in place of α-hat"),
        check_below("Kendall's τ of α-hat and accuracy", found.kendall, -0.8, null=control.kendall,
                    note=f"95% interval {found.kendall_interval[0]:+.2f} to {found.kendall_interval[1]:+.2f}"),
        check_within("R² of the line", found.line.r2, (0.0, 1.0), interval=found.r2, null=control.line.r2, decides=False),
        check_within("RMSE of the line (points)", found.line.rmse, (0.0, 100.0), null=control.line.rmse, decides=False),
    ]  # fmt: skip
    later = ""
    if tables is not None:
        shown, later = _later(printed, tables)
        checks += shown
    meaning = (
        f"In the {found.n} printed pairs accuracy falls by {-found.line.slope:.2f} points per unit of α-hat (R² {found.line.r2:.3f}, τ "
        f"{found.kendall:+.3f}); depth alone orders them with τ {control.kendall:+.3f}. {later}"
    )
    return judgement(checks, meaning.strip(), n_runs=found.n, departures=("The paper's printed pairs are judged; no ImageNet network is analyzed.",))


def _later(printed: Printed, tables: Tables) -> tuple[list[Check], str]:
    """The same series in the authors' table of 2020, with the plain exponent and the spectral norm beside it."""
    chosen = tables.in_series(printed.series)
    accuracy = 100.0 - tables.arrays["series_top1_error"][chosen]
    names = {"alpha_weighted": "α-hat", "alpha": "average α", "log_spectral_norm": "log spectral norm", "log_norm": "log Frobenius norm"}
    found: dict[str, Association] = {name: associate(tables.arrays[f"series_{name}"][chosen], accuracy) for name in names}
    checks = [
        check_within(f"later table, {len(chosen)} networks: R² of {words}", found[name].line.r2, (0.0, 1.0), decides=False,
                     note=f"slope {found[name].line.slope:+.2f}, τ {found[name].kendall:+.3f}")
        for name, words in names.items()
    ]  # fmt: skip
    text = (
        f"In the authors' later table of the series α-hat has R² {found['alpha_weighted'].line.r2:.3f}, the log spectral norm alone "
        f"{found['log_spectral_norm'].line.r2:.3f}, and the plain average of α slope {found['alpha'].line.slope:+.1f}"
        + (", the wrong sign." if found["alpha"].line.slope > 0 else ".")
    )
    return checks, text


def judge_weighting(tables: Tables) -> Judgement:
    """Figure 3: does α-hat explain more of the top-1 error than the plain average, pooled and within classes?"""
    chosen = tables.imagenet()
    column = {name: tables.arrays[f"zoo_{name}"] for name in ("alpha", "alpha_weighted", "log_spectral_norm")}
    top1 = tables.arrays["zoo_top1"]
    good = chosen[np.isfinite(top1[chosen]) & np.isfinite(column["alpha_weighted"][chosen]) & np.isfinite(column["alpha"][chosen])]
    good = good[np.isfinite(column["log_spectral_norm"][good])]
    weights = resampling_weights(len(good), 2000, generator_for(0, "martin mahoney", "weighting")).astype(np.float64)
    squares = {name: weighted_lines(weights, values[good], top1[good])[1] ** 2 for name, values in column.items()}
    pooled = {name: associate(values[good], top1[good]) for name, values in column.items()}
    gain = squares["alpha_weighted"] - squares["alpha"]
    classes = tables.classes(4, imagenet_only=True)
    within = {name: [associate(values[held], top1[held]).line.r2 for held in classes.values()] for name, values in column.items()}
    wins = float(np.mean(np.array(within["alpha_weighted"]) > np.array(within["alpha"])))
    spectral = float(np.mean(np.array(within["log_spectral_norm"]) > np.array(within["alpha"])))
    checks = [
        check_above("pooled: R²(α-hat) − R²(average α)", pooled["alpha_weighted"].line.r2 - pooled["alpha"].line.r2, 0.0,
                    interval=(float(np.nanquantile(gain, 0.025)), float(np.nanquantile(gain, 0.975))),
                    null=pooled["log_spectral_norm"].line.r2 - pooled["alpha"].line.r2, n_runs=len(good),
                    note="control: the log spectral norm without α in place of α-hat"),
        check_above(f"share of {len(classes)} classes where α-hat explains more than average α", wins, 0.5, null=spectral),
        check_within("pooled R² of α-hat", pooled["alpha_weighted"].line.r2, (0.0, 1.0), interval=pooled["alpha_weighted"].r2, decides=False),
        check_within("pooled R² of average α", pooled["alpha"].line.r2, (0.0, 1.0), interval=pooled["alpha"].r2, decides=False),
    ]  # fmt: skip
    meaning = (
        f"Pooled over {len(good)} ImageNet networks α-hat explains {pooled['alpha_weighted'].line.r2:.1%} of the spread of the top-1 error, the "
        f"plain average of α {pooled['alpha'].line.r2:.1%} and the log spectral norm {pooled['log_spectral_norm'].line.r2:.1%}. Within classes of at "
        f"least four α-hat beats the plain average in {wins:.0%}, the spectral norm in {spectral:.0%}."
    )
    return judgement(checks, meaning, n_runs=len(good), departures=ZOO)


def signed_shares(tables: Tables, fewest: int = 4) -> tuple[dict[str, float], int, list[str]]:
    """Share of classes (all data sets) where a measure rises with the error, and the classes where α-hat does not."""
    classes = tables.classes(fewest)
    error = tables.arrays["zoo_error"]
    measures = {name: tables.arrays[f"zoo_{name}"] for name in ("alpha_weighted", "alpha", "log_spectral_norm", "log_norm")}
    measures["small"] = -np.log10(tables.arrays["zoo_params"])
    taus = {name: np.array([kendall_tau(values[held], error[held]) or 0.0 for held in classes.values()]) for name, values in measures.items()}
    against = [name for name, tau in zip(classes, taus["alpha_weighted"], strict=True) if tau <= 0]
    return {name: float(np.mean(values > 0)) for name, values in taus.items()}, len(classes), against


CLASSES_READ = ("Means per model of 296 networks on five data sets, from the authors' later table (January 2020), stand for the paper's own.",)


def judge_classes(tables: Tables | None, zoo: dict[str, np.ndarray] | None) -> Judgement:
    """C2: smaller α-hat is better in (almost) every class, published and trained here."""
    checks: list[Check] = []
    text, n = "", 0
    if tables is not None:
        shares, n, against = signed_shares(tables)
        half = 1.96 * float(np.sqrt(shares["alpha_weighted"] * (1 - shares["alpha_weighted"]) / n))
        checks += [
            check_above(f"share of {n} classes where smaller α-hat means smaller error", shares["alpha_weighted"], 0.8,
                        null=shares["log_spectral_norm"], n_runs=n,
                        note=f"95% interval {shares['alpha_weighted'] - half:.2f} to {min(1.0, shares['alpha_weighted'] + half):.2f}; "
                             "control: the log spectral norm"),
            check_within("the same for minus the number of parameters", shares["small"], (0.0, 1.0), decides=False),
            check_within("the same for average α", shares["alpha"], (0.0, 1.0), decides=False),
        ]  # fmt: skip
        text = (
            f"Smaller α-hat goes with smaller error in {shares['alpha_weighted']:.0%} of {n} classes of the published table (exceptions: "
            f"{', '.join(against) or 'none'}); the log spectral norm reaches {shares['log_spectral_norm']:.0%} and fewer parameters mean more error "
            f"in {shares['small']:.0%}."
        )
    if zoo is not None:
        rho = spearman_rho(zoo["alpha_weighted"], zoo["test_error"]) or 0.0
        other = spearman_rho(zoo["log_spectral_norm"], zoo["test_error"]) or 0.0
        clean = zoo["noise"] == 0
        checks.append(check_within(f"{len(zoo['noise'])} networks trained here on digits: Spearman of α-hat and test error", rho,
                                   (-1.0, 1.0), null=other, decides=False, note=f"{int(clean.sum())} of them on true labels"))  # fmt: skip
        text += f" In {len(zoo['noise'])} networks trained here (width, label noise) the rank correlation with test error is {rho:+.2f}."
    return judgement(checks, text.strip(), n_runs=n + (0 if zoo is None else len(zoo["noise"])), departures=CLASSES_READ)


def _draw_series(printed: Printed, runs: "Runs", theme: "Theme") -> "Figure":
    from genscope.figures.theme import new_figure, style_legend

    hat, accuracy, _ = printed.columns()
    found = associate(hat, accuracy)
    has = runs.has(TABLES)
    figure, panels = new_figure(theme, 9.6 if has else 5.6, 4.0, cols=2 if has else 1)
    axes = panels[0] if has else panels
    ends = np.array([hat.min(), hat.max()])
    axes.scatter(hat, accuracy, s=28, color=theme.cycle[0], label="printed")
    label = f"slope {found.line.slope:.2f}, R² {found.line.r2:.3f}"
    axes.plot(ends, found.line.intercept + found.line.slope * ends, color=theme.cycle[0], label=label)
    for name, _, y, x in printed.models:
        axes.annotate(name, (x, y), xytext=(4, 3), textcoords="offset points", fontsize=7, color=theme.muted)
    axes.set(title="as printed", xlabel="α-hat", ylabel="top-1 accuracy (%)")
    style_legend(axes, theme)
    if has:
        tables = tables_of(runs)
        chosen = tables.in_series(printed.series)
        for color, (name, words) in enumerate((("alpha_weighted", "α-hat"), ("alpha", "average α"), ("log_spectral_norm", "log spectral norm"))):
            values = tables.arrays[f"series_{name}"][chosen]
            scaled = (values - values.mean()) / values.std()
            accuracies = 100 - tables.arrays["series_top1_error"][chosen]
            panels[1].scatter(scaled, accuracies, s=24, marker="os^"[color], color=theme.cycle[color], label=words)
        panels[1].set(title="the authors' later table", xlabel="measure, in standard deviations", ylabel="top-1 accuracy (%)")
        style_legend(panels[1], theme)
    return figure


def _draw_weighting(runs: "Runs", theme: "Theme") -> "Figure":
    from genscope.figures.theme import new_figure

    tables = tables_of(runs)
    chosen = tables.imagenet()
    figure, panels = new_figure(theme, 9.6, 4.0, cols=2, sharey=True)
    for axes, name, words in zip(panels, ("alpha", "alpha_weighted"), ("average α (unweighted)", "α-hat (weighted)"), strict=True):
        axes.scatter(tables.arrays[f"zoo_{name}"][chosen], tables.arrays["zoo_top1"][chosen], s=16, color=theme.cycle[0], alpha=0.8)
        axes.set(xlabel=words)
    panels[0].set_ylabel("top-1 error (%)")
    return figure


def _draw_classes(runs: "Runs", theme: "Theme") -> "Figure":
    from genscope.figures.theme import new_figure, style_legend

    if not runs.has(TABLES):
        figure, axes = new_figure(theme, 5.8, 4.0)
        zoo = zoo_table(runs)
        axes.scatter(zoo["alpha_weighted"], zoo["test_error"], s=24, color=theme.cycle[0])
        axes.set(xlabel="α-hat", ylabel="test error")
        return figure
    tables = tables_of(runs)
    classes = tables.classes(4)
    error = tables.arrays["zoo_error"]
    figure, axes = new_figure(theme, 6.6, 0.9 + 0.2 * len(classes))
    taus = {
        name: np.array([kendall_tau(tables.arrays[f"zoo_{name}"][held], error[held]) or 0.0 for held in classes.values()])
        for name in ("alpha_weighted", "log_spectral_norm")
    }
    order = np.argsort(taus["alpha_weighted"])
    labels = [f"{list(classes)[index]} ({len(classes[list(classes)[index]])})" for index in order]
    axes.scatter(taus["log_spectral_norm"][order], range(len(order)), s=22, marker="s", color=theme.cycle[1], label="log spectral norm (control)")
    axes.scatter(taus["alpha_weighted"][order], range(len(order)), s=26, color=theme.cycle[0], label="α-hat")
    axes.axvline(0.0, color=theme.muted, linewidth=1.0)
    axes.set_yticks(range(len(order)), labels)
    axes.tick_params(axis="y", labelsize=7)
    axes.set(xlabel="Kendall's τ of measure and error within the class", xlim=(-1.08, 1.08))
    style_legend(axes, theme, loc="upper left")
    return figure


def _judge_series(printed: Printed, runs: "Runs") -> Judgement:
    return judge_series(printed, tables_of(runs) if runs.has(TABLES) else None)


def _judge_classes(runs: "Runs") -> Judgement:
    return judge_classes(tables_of(runs) if runs.has(TABLES) else None, zoo_table(runs) if runs.has(DIGITS_ZOO) else None)


CAPTION = "Left: the paper's pairs with their line; right: the authors' table of 2020."
LATER = (
    "Martin, Peng & Mahoney 2021 find on VGG that the plain average of α has the wrong sign and that the log spectral norm does better than α-hat."
)
EXPERIMENTS = (
    Experiment(
        id="S0-F2a", source="Martin & Mahoney, Figure 2a", title="α-hat orders the VGG networks by accuracy",
        claim="Within the VGG series, with and without batch normalization, top-1 accuracy falls linearly with α-hat.",
        families=(TABLES,), judge=partial(_judge_series, VGG), draw=partial(_draw_series, VGG), cost="T3",
        paper_figure="Eight labelled points on a falling line.", caption=CAPTION,
        errata=(LATER, "Absolute values of α-hat changed with the tool's normalization (VGG19_BN 0.81 here, 2.77 in 2020); signs and ranks "
                "carry over."),
    ),
    Experiment(
        id="S0-F2b", source="Martin & Mahoney, Figure 2b", title="α-hat orders the ResNets by accuracy",
        claim="Over fifteen ResNets of depth 10 to 152, top-1 accuracy falls with α-hat.",
        families=(TABLES,), judge=partial(_judge_series, RESNET), draw=partial(_draw_series, RESNET), cost="T3",
        paper_figure="Fifteen labelled points around a falling line.", caption=CAPTION,
        errata=("Equation 3 divides a sum over kernel positions by the number of layers, which is not defined (layers or matrices) and counts "
                "depth twice.",
                "Negative α-hat is legal: it means λ_max < 1."),
    ),
    Experiment(
        id="S0-F3", source="Martin & Mahoney, Figure 3", title="Weighting by log λ_max improves on the average exponent",
        claim="α-hat follows the top-1 error of 156 pretrained networks better than the unweighted average of α.",
        families=(TABLES,), judge=lambda runs: judge_weighting(tables_of(runs)), draw=_draw_weighting, cost="T3",
        paper_figure="Two scatter plots against top-1 error: unweighted α on the left, weighted on the right, the right one tighter.",
        caption="One point per ImageNet network.",
        errata=("The text calls the weights α in one place and λ_max in another.",
                "⟨log ‖W‖⟩ silently gains a factor 1/N_L over the log product norm that it is said to be."),
    ),
    Experiment(
        id="S0-C2", source="Martin & Mahoney, Discussion", title="Smaller α-hat is better within almost every class",
        claim="In nearly every architecture class smaller α-hat corresponds to better test accuracy.",
        families=(TABLES, DIGITS_ZOO), judge=_judge_classes, draw=_draw_classes, cost="T3", partial=True,
        caption="Kendall's τ within classes of at least four networks; in brackets the number of networks.",
        errata=("The loss Σ [E(d) − y] of the paper has no norm around its difference; nothing measured depends on it.", LATER),
    ),
)  # fmt: skip
