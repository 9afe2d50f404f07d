"""Martin & Mahoney, Figure 1 and the limit of the best networks: the exponents of thousands of matrices."""

from typing import TYPE_CHECKING

import numpy as np

from genscope.core.seeds import generator_for
from genscope.experiments.papers.martin_mahoney_planted import MATRICES, gaussian_alphas
from genscope.experiments.papers.martin_mahoney_tables import TABLES, Tables, associate, tables_of
from genscope.experiments.values import Experiment, Judgement
from genscope.experiments.verdicts import check_above, check_within, judgement

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from genscope.experiments.runs import Runs
    from genscope.figures.theme import Theme

READ = ("The authors' later tables (WeightWatcher 0.2.7, 36 VGG, ResNet and DenseNet networks) stand for the paper's own matrices.",)
ZOO = ("Means per model of 177 ImageNet networks from the authors' later table (January 2020) stand for the paper's own.",)


def share_within(alphas: np.ndarray, low: float = 2.0, high: float = 5.0) -> float:
    """Share of exponents between ``low`` and ``high``."""
    return float(np.mean((alphas >= low) & (alphas <= high)))


def judge_histogram(tables: Tables, gaussian: np.ndarray) -> Judgement:
    """Are nearly all exponents between 2 and 5? Networks are resampled whole."""
    alphas, owners = tables.arrays["matrix_alpha"], tables.arrays["matrix_model"]
    good = np.isfinite(alphas)
    alphas, owners = alphas[good], owners[good]
    inside = ((alphas >= 2.0) & (alphas <= 5.0)).astype(float)
    n_models = int(owners.max()) + 1
    sums, counts = np.bincount(owners, inside, n_models), np.bincount(owners, minlength=n_models)
    drawn = generator_for(0, "martin mahoney", "histogram").integers(0, n_models, (2000, n_models))
    shares = sums[drawn].sum(axis=1) / counts[drawn].sum(axis=1)
    interval = (float(np.quantile(shares, 0.025)), float(np.quantile(shares, 0.975)))
    checks = [
        check_above("share of exponents in [2, 5]", float(inside.mean()), 0.9, interval=interval, null=share_within(gaussian), n_runs=n_models,
                    note="null: the same fit to matrices of independent Gaussian entries, which have no power law"),
        check_within("share in [2, 6]", share_within(alphas, 2.0, 6.0), (0.0, 1.0), decides=False),
        check_within("share below 2", float(np.mean(alphas < 2)), (0.0, 1.0), decides=False),
        check_within("median exponent", float(np.median(alphas)), (2.0, 5.0), null=float(np.median(gaussian)), decides=False),
    ]  # fmt: skip
    meaning = (
        f"Of {len(alphas):,} matrices of {n_models} networks, {inside.mean():.0%} have an exponent between 2 and 5 ({interval[0]:.0%} to "
        f"{interval[1]:.0%}), {np.mean(alphas < 2):.0%} lie below 2 and {np.mean(alphas > 6):.1%} above 6. 'Nearly all' is too strong. The range is "
        f"also wide: of Gaussian matrices of similar shapes {share_within(gaussian):.0%} are fitted inside it, median {np.median(gaussian):.1f}."
    )
    return judgement(checks, meaning, n_runs=n_models, departures=READ)


def judge_average(tables: Tables) -> Judgement:
    """Does the average exponent follow the top-5 error? The control is minus the logarithm of the number of parameters."""
    chosen = tables.imagenet()
    error, alpha = tables.arrays["zoo_error"][chosen], tables.arrays["zoo_alpha"][chosen]
    size = -np.log10(tables.arrays["zoo_params"][chosen])
    found, control = associate(alpha, error), associate(size, error)
    partial = partial_spearman(alpha, error, size)
    checks = [
        check_above("Spearman of average exponent and top-5 error", found.spearman, 0.0, interval=found.spearman_interval, null=control.spearman,
                    n_runs=found.n, note="control: minus log10 of the number of parameters in place of the exponent"),
        check_within("the same with the number of parameters held fixed", partial, (-1.0, 1.0), decides=False),
        check_within("R² of the line", found.line.r2, (0.0, 1.0), interval=found.r2, null=control.line.r2, decides=False),
    ]  # fmt: skip
    meaning = (
        f"Over {found.n} ImageNet networks the rank correlation of average exponent and top-5 error is {found.spearman:+.2f} "
        f"({found.spearman_interval[0]:+.2f} to {found.spearman_interval[1]:+.2f}); the number of parameters alone reaches "
        f"{control.spearman:+.2f}, and with it held fixed {partial:+.2f} remains."
    )
    return judgement(checks, meaning, n_runs=found.n, departures=ZOO)


def partial_spearman(x: np.ndarray, y: np.ndarray, fixed: np.ndarray) -> float:
    """Spearman's correlation of x and y with the ranks of ``fixed`` regressed out of both."""
    from genscope.numerics.rank_correlation import average_ranks, pearson_r

    good = np.isfinite(x) & np.isfinite(y) & np.isfinite(fixed)
    a, b, c = (average_ranks(values[good]) for values in (x, y, fixed))
    residuals = [values - np.polyval(np.polyfit(c, values, 1), c) for values in (a, b)]
    return pearson_r(residuals[0], residuals[1]) or 0.0


def judge_limit(tables: Tables) -> Judgement:
    """Do the best networks have exponents near 2?"""
    chosen = tables.imagenet()
    top1, alpha = tables.arrays["zoo_top1"][chosen], tables.arrays["zoo_alpha"][chosen]
    good = np.isfinite(top1) & np.isfinite(alpha)
    order = np.argsort(top1[good], kind="stable")
    ranked = alpha[good][order]
    n = max(3, len(ranked) // 10)
    best, worst = ranked[:n], ranked[-n:]
    half = 1.96 * float(best.std(ddof=1)) / np.sqrt(n)
    distance = associate(np.abs(alpha - 2.0), top1)
    closest = float(np.median(np.abs(tables.arrays["zoo_alpha"] - 2.0)))
    checks = [
        check_within("mean exponent of the best tenth of the networks", float(best.mean()), (1.75, 2.25),
                     interval=(float(best.mean()) - half, float(best.mean()) + half), null=float(worst.mean()), n_runs=n, paper=2.0,
                     note="control: the worst tenth"),
        check_above("Spearman of |α − 2| and top-1 error", distance.spearman, 0.0, interval=distance.spearman_interval, n_runs=distance.n),
        check_within("median |α − 2| of all networks", closest, (0.0, 10.0), decides=False),
    ]  # fmt: skip
    meaning = (
        f"The best tenth of {len(ranked)} ImageNet networks has a mean exponent of {best.mean():.2f}, the worst tenth of {worst.mean():.2f}. The "
        f"rank correlation of the distance from 2 with the error is {distance.spearman:+.2f}."
    )
    return judgement(checks, meaning, n_runs=len(ranked), departures=ZOO)


def _draw_histogram(runs: "Runs", theme: "Theme") -> "Figure":
    from genscope.figures.theme import new_figure, style_legend

    figure, axes = new_figure(theme, 6.2, 3.9)
    bins = np.arange(1.0, 12.25, 0.25)
    alphas = tables_of(runs).arrays["matrix_alpha"]
    shown = np.clip(alphas[np.isfinite(alphas)], 1.0, 12.0)
    gaussian = np.clip(gaussian_alphas(runs), 1.0, 12.0)
    axes.axvspan(2.0, 5.0, color=theme.cycle[2], alpha=0.12, label="claimed range [2, 5]")
    axes.hist(shown, bins, weights=np.full(len(shown), 1 / len(shown)), color=theme.cycle[0], alpha=0.85, label="trained networks")
    axes.hist(gaussian, bins, weights=np.full(len(gaussian), 1 / len(gaussian)), histtype="step", color=theme.cycle[1], linewidth=1.6,
              label="Gaussian matrices (null)")  # fmt: skip
    axes.set(xlabel="exponent α (12 stands for all larger)", ylabel="share of matrices")
    style_legend(axes, theme)
    return figure


def _draw_average(runs: "Runs", theme: "Theme") -> "Figure":
    from genscope.figures.theme import new_figure

    tables = tables_of(runs)
    chosen = tables.imagenet()
    figure, axes = new_figure(theme, 5.8, 4.0)
    axes.scatter(tables.arrays["zoo_alpha"][chosen], tables.arrays["zoo_error"][chosen], s=16, color=theme.cycle[0], alpha=0.8)
    axes.set(xlabel="average exponent α", ylabel="top-5 error (%)")
    return figure


def _draw_limit(runs: "Runs", theme: "Theme") -> "Figure":
    from genscope.figures.theme import new_figure, style_legend

    tables = tables_of(runs)
    chosen = tables.imagenet()
    figure, axes = new_figure(theme, 5.8, 4.0)
    axes.scatter(tables.arrays["zoo_top1"][chosen], tables.arrays["zoo_alpha"][chosen], s=16, color=theme.cycle[0], alpha=0.8)
    axes.axhline(2.0, color=theme.cycle[1], linestyle="--", label="α = 2")
    axes.set(xlabel="top-1 error (%)", ylabel="average exponent α")
    style_legend(axes, theme)
    return figure


EXPERIMENTS = (
    Experiment(
        id="S0-F1a", source="Martin & Mahoney, Figure 1a", title="Exponents of thousands of weight matrices",
        claim="The power-law exponents of nearly 10,000 matrices of pretrained networks nearly all lie in [2, 5].",
        families=(TABLES, MATRICES), judge=lambda runs: judge_histogram(tables_of(runs), gaussian_alphas(runs)), draw=_draw_histogram, cost="T3",
        paper_figure="Histogram of α, a sharp peak between 2 and 4 with a long right tail.",
        caption="Matrices with M ≥ 50. Outline: the same fit to Gaussian matrices, which have no power law.",
        errata=("Equation 1 does not say where the tail starts; the fit chooses xmin by the Kolmogorov–Smirnov distance (Clauset et al.).",),
    ),
    Experiment(
        id="S0-F1b", source="Martin & Mahoney, Figure 1b", title="Average exponent against top-5 error",
        claim="Smaller average exponents go with better generalization across pretrained networks.",
        families=(TABLES,), judge=lambda runs: judge_average(tables_of(runs)), draw=_draw_average, cost="T3",
        paper_figure="Scatter of average α against top-5 error, rising.", caption="One point per ImageNet network.",
        errata=("Depth and size are confounders: networks of a class that are larger are better and have other exponents.",),
    ),
    Experiment(
        id="S0-C1", source="Martin & Mahoney, abstract", title="The best networks have exponents near 2",
        claim="α → 2 universally across best-in-class pretrained architectures.",
        families=(TABLES,), judge=lambda runs: judge_limit(tables_of(runs)), draw=_draw_limit, cost="T3",
        caption="One point per ImageNet network; the line marks α = 2.",
    ),
)  # fmt: skip
