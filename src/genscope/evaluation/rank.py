"""Which measures predict: every measure of a table against the models' error, with its uncertainty and its confounders."""

import platform
import time
from collections.abc import Sequence
from dataclasses import asdict
from typing import Any

import numpy as np

import genscope
from genscope.core.results import Result
from genscope.errors import UnsupportedInput, UsageError
from genscope.evaluation.association import INTERVALS
from genscope.evaluation.ranking import rank_study
from genscope.evaluation.roles import assign_roles, find_column
from genscope.evaluation.saved import is_saved, read_saved
from genscope.evaluation.scores import match_scores, read_scores
from genscope.evaluation.study import RankOptions, Study, affordable_resamples
from genscope.evaluation.table import ModelTable, read_table


def rank(
    table: Any,
    *,
    target: str | None = None,
    measures: Sequence[str] | None = None,
    axes: Sequence[str] | None = None,
    group: str | Sequence[str] | None = None,
    covariates: Sequence[str] | None = None,
    scores: Any = None,
    cluster: str | None = None,
    lower_is_better: bool | None = None,
    n_bootstrap: int = 1000,
    n_permutations: int = 2000,
    seed: int = 0,
    level: float = 0.95,
    n_test_examples: int | None = None,
) -> Result:
    r"""Tell which measures predict the error of models.

    For every measure x and target y: Kendall's τ-b, Spearman, Pearson, the line y on x with its population RMSE and its leave-one-out error;
    granulated Kendall ψ, conditional mutual information and robust sign error along hyper-parameters; partial correlations; τ within and
    across groups.

    Meaning: τ = +1 orders the models exactly as the target does, −1 exactly reversed. The target is taken as it stands: against an error, a good
    "larger is worse" measure has τ near +1; against an accuracy near −1. ``sign_error_*`` always speak of error.

    Args:
        table: a CSV or Parquet file, a data frame, a mapping of columns, or one or more saved results of ``analyze``/``assess``.
        target: column of error, gap or accuracy; guessed from usual names (``test_error`` first) and said.
        measures: columns to rank; by default all numeric columns that have no other part.
        axes: hyper-parameter columns, for ψ, conditional mutual information and sign errors.
        group: column (or columns, joined) of architecture, data set …, for the same correlation within and across groups.
        covariates: columns held fixed in partial correlations; by default depth, width and parameter counts that the table has; ``()`` for none.
        scores: file or table ``model,accuracy|error`` that supplies the target by model name.
        cluster: column of models that belong together (seeds of one run); the bootstrap then draws whole clusters.
        lower_is_better: direction of the target, when its name misleads.
        n_bootstrap, n_permutations, seed, level: of intervals and null.
        n_test_examples: test examples behind each error, for the weights of the sign error.

    Returns:
        :class:`Result` with ``verb="rank"``: a row per measure, ``tail["groups"]`` a row per measure and group, ``curves`` for plots.
        rmse, loo_rmse and intercept are in units of the target; slope in target per measure; correlations and cmi are pure numbers.

    Raises:
        GenscopeError: the table cannot be ranked (too few models, no target, no measure …); one sentence.

    Invariances: all but slope and intercept are unchanged when a measure is shifted or scaled by a positive number; rank statistics under any
    increasing map.
    Cost: O(measures · n² · resamples) multiplications as matrix products: 36 measures of 311 models in a few seconds.
    Source: Kendall 1945; Jiang et al. 2020; Dziugaite et al. 2020; Martin, Peng & Mahoney 2021 (published regressions).

    Example:
        >>> columns = {"model": list("abcdef"), "alpha": [1, 2, 3, 4, 5, 6], "test_error": [3, 4, 6, 7, 8, 9]}
        >>> rank(columns, n_bootstrap=50).rows[0]["kendall"]
        1.0
    """
    started = time.perf_counter()
    options = RankOptions(n_bootstrap, n_permutations, seed, level, n_test_examples)
    columns, unmatched, target = _load(table, scores, target)
    group_names = (group,) if isinstance(group, str) else tuple(group or ())
    study, notes = build_study(columns, target, measures, axes or (), group_names, covariates, cluster, lower_is_better)
    ranking = rank_study(study, options)
    n = len(study.models)
    if affordable_resamples(n_bootstrap, n) < n_bootstrap:
        notes += (f"{affordable_resamples(n_bootstrap, n)} instead of {n_bootstrap} resamples, because there are {n} models",)
    chosen = {
        "target": study.target_name,
        "higher_is_better": study.higher_is_better,
        "axes": list(study.axes),
        "group": list(group_names),
        "covariates": list(study.covariates),
        "cluster": cluster,
        **asdict(options),
        "intervals": INTERVALS,
        "p_adjusted": "Holm over all measures that are not baselines",
    }
    head = {"n_models": n, "target": study.target_name, "options": chosen, "summary": ranking.summary}
    tail = {"groups": list(ranking.groups), "unmatched": list(unmatched), "notes": list(notes)}
    versions = {"genscope": genscope.__version__, "python": platform.python_version(), "numpy": np.__version__, "seed": seed}
    return Result("rank", head, ranking.rows, tail, ranking.curves, versions, {"seconds": round(time.perf_counter() - started, 3)})


def _load(table: Any, scores: Any, target: str | None) -> tuple[ModelTable, tuple[str, ...], str | None]:
    several = isinstance(table, list | tuple)
    if several and not all(is_saved(item) for item in table):
        if len(table) != 1:
            raise UsageError("Give one table, or several saved results (folders written by --out, or JSON files).")
        table, several = table[0], False
    columns = read_saved(table) if several else read_saved([table]) if is_saved(table) else read_table(table)
    if scores is None:
        return columns, (), target
    read = read_scores(scores, column=target)
    values, missing, unused = match_scores(columns.models, read)
    if len(values) < 3:
        raise UnsupportedInput(f"Only {len(values)} of {len(columns.models)} models have a score of the same name; use the same model names in both.")
    goal = np.array([values.get(model, np.nan) for model in columns.models])
    joined = {**columns.numbers, read.column: goal}
    unmatched = (*(f"{model}: no score" for model in missing), *(f"{model}: no measures" for model in unused))
    return ModelTable(columns.source, columns.models, joined, columns.texts, (*columns.notes, *read.notes)), unmatched, read.column


def _varies(values: np.ndarray) -> bool:
    return bool(np.isfinite(values).all()) and len(np.unique(values)) > 1


def build_study(
    table: ModelTable,
    target: str | None,
    measures: Sequence[str] | None,
    axes: Sequence[str],
    group: Sequence[str],
    covariates: Sequence[str] | None,
    cluster: str | None,
    lower_is_better: bool | None,
) -> tuple[Study, tuple[str, ...]]:
    """Give every column of a table its part; returns the study and sentences on what was guessed."""
    axes = [find_column(table, name, "hyper-parameter", numeric=False) for name in axes]
    group = [find_column(table, name, "group", numeric=False) for name in group]
    given = [find_column(table, name, "covariate") for name in covariates] if covariates is not None else None
    cluster = find_column(table, cluster, "cluster", numeric=False) if cluster else None
    taken = [*axes, *group, *([cluster] if cluster else []), *(given or [])]
    roles = assign_roles(table, target, measures, taken=taken, covariates=given, lower_is_better=lower_is_better)
    notes = [*table.notes, *roles.notes]
    if given is None:
        given = [name for name in roles.baselines if name not in axes and _varies(table.numbers[name])][:3]
        if given:
            notes.append("held fixed in partial correlations: " + ", ".join(given))
    unknown = int((~np.isfinite(table.numbers[roles.target])).sum())
    if unknown:
        notes.append(f"{unknown} of {len(table.models)} models have no {roles.target} and are left out")
    if not axes:
        notes.append("no hyper-parameter columns were named, so there are no granulated Kendall, conditional mutual information and sign errors")
    study = Study(
        values={name: table.numbers[name] for name in (*roles.measures, *roles.baselines)},
        target=table.numbers[roles.target],
        target_name=roles.target,
        models=table.models,
        higher_is_better=roles.higher_is_better,
        axes={name: table.labels(name) for name in axes},
        groups=tuple("/".join(parts) for parts in zip(*(table.labels(name) for name in group), strict=True)) if group else None,
        covariates={name: table.numbers[name] for name in given},
        clusters=table.labels(cluster) if cluster else None,
        baselines=frozenset(roles.baselines),
    )
    return study, tuple(notes)
