"""``reproduce``: do the runs that are pending, then judge the claim and draw its figure from the store alone."""

import os
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import asdict
from pathlib import Path

from genscope.core import strict_json
from genscope.core.files import write_atomically
from genscope.core.results import Result
from genscope.errors import GenscopeError
from genscope.experiments.context import Context
from genscope.experiments.execute import Progress, Summary, run_pending
from genscope.experiments.registry import find_experiment
from genscope.experiments.runs import Runs
from genscope.experiments.store import RunStore
from genscope.experiments.values import Experiment, Judgement, Size, size_of
from genscope.sources.reproducibility import reproducibility_block

DEFAULT_STORE = "genscope-runs"
CHECK_FIELDS = ("statistic", "expected", "observed", "low", "high", "null", "passed", "null_passed", "paper", "decides", "note")


def reproduce(
    experiment: str | Experiment,
    *,
    size: str = "smoke",
    store: str | Path = DEFAULT_STORE,
    data: str | Path | Mapping[str, str | Path] | None = None,
    run: bool = True,
    figure: bool = True,
    jobs: int = 1,
    engine: str = "processes",
    device: str = "cpu",
    seed: int = 0,
    progress: Progress | None = None,
) -> Result:
    """Put one of the papers' claims to the test.

    Runs whatever cells the store does not hold, then computes verdict and figure from the store. The same call resumes after any interruption.

    Args:
        experiment: its id, such as ``S1-T1`` (``genscope reproduce --list``), or an :class:`Experiment` of your own.
        size: ``smoke`` (about a minute), ``small`` (minutes to an hour on a CPU) or ``full`` (the paper's protocol).
        store: folder of finished cells, shared by all experiments.
        data: folders of data by name, or one folder that holds them all.
        run: ``False`` judges and draws what the store holds, and computes nothing.
        figure: draw the figure into the result, in both themes.
        jobs: cells at once.
        engine: ``processes``, ``threads``, ``ray`` or ``dask``.
        device: a torch device.
        seed: base seed; another seed is another set of runs.
        progress: called with (done, total, name, share done).

    Returns:
        A Result whose rows are the checks, ``result.summary["verdict"]`` in words and ``result.head["verdict"]`` one of HOLDS,
        HOLDS-BUT-NULL-TOO, FAILS, UNTESTABLE-AS-STATED and INCONCLUSIVE.

    Raises:
        UsageError: an unknown id, size or engine.
        StoreError: the store is not one, or cannot be written.

    Example:
        >>> import tempfile
        >>> result = reproduce("S0-T2", store=tempfile.mkdtemp(), figure=False)
        >>> result.head["verdict"]
        'HOLDS'
    """
    chosen = find_experiment(experiment) if isinstance(experiment, str) else experiment
    given = {"size": size, "store": store, "data": data, "run": run, "figure": figure, "seed": seed}
    return next(reproduce_all([chosen], jobs=jobs, engine=engine, device=device, progress=progress, **given))  # type: ignore[arg-type]


def reproduce_all(
    chosen: Iterable[Experiment],
    *,
    size: str,
    store: str | Path,
    data: str | Path | Mapping[str, str | Path] | None = None,
    run: bool = True,
    figure: bool = True,
    seed: int = 0,
    device: str = "cpu",
    jobs: int = 1,
    engine: str = "processes",
    progress: Progress | None = None,
) -> Iterator[Result]:
    """:func:`reproduce` for several experiments: all pending cells first, each shared family once; then one Result per experiment."""
    chosen = list(chosen)
    chosen_size = size_of(size)
    held = RunStore(store, seed=seed)
    context = Context(size=chosen_size, device=device, data=data_folders(data), seed=seed, trained_folder=held.trained_folder)
    summary = Summary()
    if run:
        families = [family for experiment in chosen for family in experiment.families]
        summary = run_pending(families, held, context, jobs=jobs, engine=engine, progress=progress)
    for experiment in chosen:
        yield _result(experiment, chosen_size, held, context, summary, figure=figure)


def data_folders(data: str | Path | Mapping[str, str | Path] | None) -> dict[str, str]:
    """``data`` as folders by name; one folder alone becomes the root, under the empty name."""
    if data is None:
        return {}
    if isinstance(data, str | Path):
        return {"": os.path.abspath(data)}
    return {name: os.path.abspath(folder) for name, folder in data.items()}


def _result(experiment: Experiment, size: Size, store: RunStore, context: Context, summary: Summary, *, figure: bool) -> Result:
    runs = Runs(experiment, size, store)
    names = {family.name for family in experiment.families}
    missing = [reason for name, reason in summary.missing_data.items() if name in names]
    failed = [report for report in summary.failed if report.family in names]
    judged = _judgement(experiment, runs, missing, [report.reason for report in failed])
    notes = list(store.damaged)
    notes += [f"{report.family}, {report.name} failed: {report.reason}" for report in failed]
    notes += missing
    _keep_verdict(store, experiment, size, judged, runs)
    return Result(
        "reproduce",
        {
            "id": experiment.id,
            "claim": experiment.claim,
            "source": experiment.source,
            "size": size,
            "verdict": judged.verdict,
            "title": experiment.title,
            "summary": {"verdict": f"{experiment.title}: {judged.verdict}"},
        },
        [{name: value for name, value in asdict(check).items() if name in CHECK_FIELDS} for check in judged.checks],
        {
            "n_runs": judged.n_runs or runs.n,
            "n_missing": runs.n_missing,
            "missing_data": missing if judged.checks == () else [],
            "runs_needed": judged.runs_needed,
            "meaning": judged.meaning,
            "departures": list(judged.departures),
            "errata": list(experiment.errata),
            "paper_figure": experiment.paper_figure,
            "caption": experiment.caption,
            "cost": experiment.cost,
            "command": f"genscope reproduce {experiment.id} --size {size}",
            "notes": notes,
        },
        {"figure": _drawn(experiment, runs)} if figure and experiment.draw is not None and judgeable(experiment, runs) else {},
        reproducibility_block(seed=store.seed, device=context.device, packages=("numpy", "scipy", "torch")),
        {"seconds": _seconds(experiment, size, store)},
    )


def judgeable(experiment: Experiment, runs: Runs) -> bool:
    """Whether the store holds what the judge and the drawing need."""
    return runs.n > 0 and (runs.n_missing == 0 or (experiment.partial and any(runs.has(family) for family in experiment.families)))


def _judgement(experiment: Experiment, runs: Runs, missing: list[str], reasons: list[str]) -> Judgement:
    if judgeable(experiment, runs):
        return experiment.judge(runs)
    total = runs.n + runs.n_missing
    meaning = f"{runs.n} of {total} runs are finished; the claim is not judged before all are."
    if missing:
        meaning = f"Not tested here: {missing[0]}"
    elif reasons:
        meaning += f" {len(reasons)} failed, the first because: {reasons[0]}"
    return Judgement("INCONCLUSIVE", (), meaning, runs.n, runs_needed=total)


def _drawn(experiment: Experiment, runs: Runs) -> dict[str, str]:
    """The figure in both themes as texts, ready for a page: SVG, or PNG in base64."""
    import base64

    from genscope.figures.theme import THEMES, png_of, svg_of

    assert experiment.draw is not None
    drawn = {}
    for name, theme in THEMES.items():
        picture = experiment.draw(runs, theme)
        drawn[name] = svg_of(picture).decode() if experiment.vector else base64.b64encode(png_of(picture)).decode()
    return {"kind": "svg" if experiment.vector else "png", **drawn}


def _seconds(experiment: Experiment, size: Size, store: RunStore) -> float | None:
    """Computing time of all cells, whoever computed them and when."""
    known = [store.seconds(family, cell) for family in experiment.families for cell in family.cells(size)]
    found = [seconds for seconds in known if seconds is not None]
    return round(sum(found), 3) if found else None


def _keep_verdict(store: RunStore, experiment: Experiment, size: Size, judged: Judgement, runs: Runs) -> None:
    """For ``--list``; a store that cannot be written keeps none."""
    if not (store.folder / "store.json").is_file():
        return
    entry = {"verdict": judged.verdict, "n_runs": judged.n_runs or runs.n, "n_missing": runs.n_missing}
    try:
        write_atomically(store.verdict_path(experiment.id, size), strict_json.dumps(entry))
    except GenscopeError:
        return
