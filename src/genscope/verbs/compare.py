"""``compare``: layers side by side, and with scores how well each measure ranks the models."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from genscope.core.results import Result
from genscope.evaluation.rank import rank
from genscope.sources.comparison import compare_checkpoints
from genscope.sources.verdicts import MEAN_MEASURES

# What says nothing but "how deep" and "how large": every measure has to beat these.
BASELINES = ("n_layers", "n_weights")


def compare(models: Sequence[Any], *, scores: Any = None, **chosen: Any) -> Result:
    """Compare two or more checkpoints layer by layer; with ``scores``, rank the measures too.

    Args:
        models: sources of ``analyze``, or folders that ``analyze --out`` saved.
        scores: file or table ``model,accuracy|error``; adds ``summary["ranking"]``, one entry per measure and per baseline (depth, size):
            Spearman, Kendall, R² with bootstrap intervals, permutation p-value, leave-one-out error.
        chosen: keywords of ``analyze``.

    Returns:
        A Result; see :func:`genscope.sources.comparison.compare_checkpoints`.

    Raises:
        GenscopeError: as ``analyze`` and ``rank``.

    Example:
        >>> import numpy as np
        >>> rng = np.random.default_rng(0)
        >>> a = {"fc.weight": rng.standard_normal((40, 30))}
        >>> result = compare([a, {"fc.weight": 2 * a["fc.weight"]}], resamples=0)
        >>> round(result.rows[0]["relative_change"]["change"], 6)
        1.0
    """
    result = compare_checkpoints(models, **chosen)
    if scores is None:
        return result
    ranking = rank(_model_table(result), scores=scores, covariates=(), seed=result.head["options"]["seed"])
    summary = {**result.summary, "ranking": list(ranking.rows), "ranking_verdict": ranking.summary.get("verdict"), "target": ranking.head["target"]}
    tail = {**result.tail, "unscored": ranking.tail["unmatched"], "notes": [*result.tail["notes"], *ranking.tail["notes"]]}
    return replace(
        result, head={**result.head, "summary": summary}, tail=tail, curves={**result.curves, "scatter": ranking.curves.get("scatter", {})}
    )


def _model_table(result: Result) -> Mapping[str, list[Any]]:
    summaries = result.summary["models"]
    columns: dict[str, list[Any]] = {"model": list(result.head["models"])}
    for name in (*MEAN_MEASURES, "alpha_median", "alpha_hat", *BASELINES):
        columns[name] = [summary.get(name) for summary in summaries]
    return columns
