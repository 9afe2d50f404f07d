"""``landscape trajectory``: the path of a training run through parameter space, in two dimensions, with what the picture leaves out."""

import re
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from genscope.checkpoints.open import open_checkpoint
from genscope.core.results import Result
from genscope.core.tensors import Checkpoint
from genscope.core.text import display_name
from genscope.errors import UsageError
from genscope.landscape.trajectory import PERPLEXITY, WALKS, Array, Principal, Walk, gram_matrix, principal_components, random_walks, tsne
from genscope.sources.reproducibility import reproducibility_block

# buffers that follow the data rather than the optimizer
_STATISTICS = re.compile(r"(running_(mean|var)|moving_(mean|variance)|num_batches_tracked)$")
_NO_CHECKPOINTS = (".json", ".jsonl", ".csv", ".txt", ".md", ".html", ".png")
_SAVED_WHOLE = ("model.safetensors", "pytorch_model.bin", "adapter_config.json")
_SHOWN_COMPONENTS = 10


def landscape_trajectory(
    checkpoints: Any,
    *,
    embedding: str = "both",
    perplexity: float = PERPLEXITY,
    walks: int = WALKS,
    seed: int = 0,
    out: str | Path | None = None,
    progress: Any = None,
) -> Result:
    """Checkpoints of a training run as points in a plane, by principal components and by t-SNE.

    Formula:
        Principal components of the centred checkpoints from their Gram matrix; off-plane distance
        ``√(‖x_t − x̄‖² − pc1² − pc2²)``; t-SNE of the first 50 components.
    Reading:
        The share of variance says how much of the path the plane shows, the off-plane distance how far each checkpoint is from it. A random walk
        with steps of the same lengths stands beside it, because its first component alone explains some 61 %: a smooth curve with a high share is
        no finding by itself. t-SNE keeps neighbourhoods, not distances.
    Args:
        checkpoints: a folder of checkpoint files; a list of paths, ``state_dict``s or modules in order of time; or a mapping from names to
            either, for several runs in one picture.
        embedding: ``both``, ``pca`` or ``tsne``.
        perplexity: of t-SNE; lowered to a third of the checkpoints where there are few.
        walks: random walks behind the comparison.
        seed: of t-SNE and of the walks.
        out: folder for the result.
        progress: called with (done, total, name, share).
    Returns:
        A :class:`genscope.Result` with a row per checkpoint: ``run checkpoint pc1 pc2 tsne1 tsne2 distance off_plane step_length``.
    Raises:
        GenscopeError: fewer than three checkpoints, different architectures, NaN weights.
    Invariances:
        The components do not change when parameters are permuted or rotated together in all checkpoints.
    Cost:
        Every file is read once, tensor by tensor; ``checkpoints² · params`` multiplications.
    Source:
        Huang et al. 2019, Figure 1 (PCA to 50 components, then t-SNE); Li et al. 2018, section 7; Antognini & Sohl-Dickstein 2018 for the walk.

    Example:
        >>> import torch
        >>> run = [{"w": torch.tensor([float(t), float(t) ** 2])} for t in range(4)]
        >>> result = landscape_trajectory(run, embedding="pca")
        >>> [row["off_plane"] for row in result.rows]
        [0.0, 0.0, 0.0, 0.0]
    """
    if embedding not in ("both", "pca", "tsne"):
        raise UsageError(f"There is no embedding {embedding!r}; choose both, pca or tsne.")
    began = time.perf_counter()
    runs = runs_of(checkpoints)
    labels = [(run, name) for run, members in runs.items() for name, _ in members]
    if len(labels) < 3:
        raise UsageError(f"A trajectory needs at least 3 checkpoints, not {len(labels)}.")
    opened: list[Checkpoint] = []
    try:
        for members in runs.values():
            opened += [open_checkpoint(source) for _, source in members]
        names, left_out = common_tensors(opened, [name for _, name in labels])
        gram, n_params = gram_matrix(_columns(opened, names, progress))
    finally:
        for checkpoint in opened:
            checkpoint.close()
    lengths = [len(members) for members in runs.values()]
    steps = step_lengths(gram, lengths)
    found = principal_components(gram)
    # only the first run is held against the walk: the others may be endpoints that no path connects
    walk = _walk(gram[: lengths[0], : lengths[0]], steps[1 : lengths[0]], n_params, walks, seed) if lengths[0] >= 3 else None
    embedded, used = (None, None) if embedding == "pca" or len(labels) < 4 else tsne(found.coordinates, perplexity=perplexity, seed=seed)
    rows = _rows(labels, found, embedded, steps)
    head = _head(labels, runs, n_params, found, walk, embedding, used, seed, perplexity)
    curves: dict[str, Any] = {"explained": found.explained[:_SHOWN_COMPONENTS].tolist()}
    if walk is not None:
        curves["walk"] = {"coordinates": walk[1].coordinates.tolist(), "explained": walk[1].explained.tolist()}
    notes = [f"left out of the trajectory: {', '.join(left_out[:6])}{' …' if len(left_out) > 6 else ''}"] if left_out else []
    if embedding != "pca" and embedded is None:
        notes.append("t-SNE needs at least 4 checkpoints and was left out")
    block = reproducibility_block(seed=seed, packages=("numpy", "scikit-learn"))
    timing = {"seconds": round(time.perf_counter() - began, 3)}
    result = Result("landscape trajectory", head, rows, {"notes": notes}, curves, block, timing)
    if out is not None:
        result.save(out)
    return result


def runs_of(checkpoints: Any) -> dict[str, list[tuple[str, Any]]]:
    """Runs by name, each a list of (checkpoint's name, what to open) in order of time."""
    if isinstance(checkpoints, Mapping) and checkpoints and not any(hasattr(value, "shape") for value in checkpoints.values()):
        return {str(name): _members(value, str(name)) for name, value in checkpoints.items()}
    return {"run": _members(checkpoints, "run")}


def runs_from_paths(paths: Sequence[str]) -> Any:
    """What the words of a command line mean: folders of checkpoints are runs of their own, all other paths together are one run."""
    folders = [path for path in paths if Path(path).is_dir() and not _is_checkpoint(Path(path))]
    loose = [path for path in paths if path not in folders]
    if len(folders) == 1 and not loose:
        return folders[0]
    names = [Path(path).name or path for path in folders]
    found: dict[str, Any] = {name if names.count(name) == 1 else path: path for name, path in zip(names, folders, strict=True)}
    return {**found, "files": loose} if loose and folders else found or loose


def _is_checkpoint(path: Path) -> bool:
    """Whether a path is one checkpoint: a file, or a folder in the layout of a model that was saved whole."""
    if path.is_dir():
        return any((path / name).exists() for name in _SAVED_WHOLE) or any(path.glob("*.index.json"))
    return path.is_file() and not path.name.startswith(".") and path.suffix not in _NO_CHECKPOINTS


def _members(source: Any, run: str) -> list[tuple[str, Any]]:
    if isinstance(source, str | Path):
        folder = Path(source)
        if not folder.is_dir():
            raise UsageError(f"{display_name(folder.name)}: a trajectory is a folder of checkpoints or a list of them.")
        files = [
            path for path in folder.iterdir() if path.is_file() and not path.name.startswith(".") and path.suffix not in (".json", ".csv", ".txt")
        ]
        return [(path.name, path) for path in sorted(files, key=lambda path: natural(path.name))]
    if not isinstance(source, Iterable) or isinstance(source, Mapping):
        raise UsageError(f"The run {display_name(run)!r} is {type(source).__name__}; give a folder, or a list of checkpoints in order of time.")
    return [(Path(one).name if isinstance(one, str | Path) else str(index), one) for index, one in enumerate(source)]


def natural(name: str) -> list[tuple[int, str]]:
    """A key by which epoch10 comes after epoch9.

    Example:
        >>> sorted(["e10.pt", "e9.pt"], key=natural)
        ['e9.pt', 'e10.pt']
    """
    return [(int(part), "") if part.isdigit() else (-1, part) for part in re.split(r"(\d+)", name)]


def common_tensors(opened: Sequence[Checkpoint], labels: Sequence[str]) -> tuple[list[str], list[str]]:
    """Names of the floating-point tensors that every checkpoint holds in one shape, and names of those that are left out.

    Raises:
        UsageError: a tensor is missing somewhere or has another shape.
    """
    shapes = {spec.name: tuple(spec.shape) for spec in opened[0].specs}
    kept = [spec.name for spec in opened[0].specs if not _STATISTICS.search(spec.name) and "int" not in str(spec.dtype).lower()]
    for label, checkpoint in zip(labels, opened, strict=True):
        here = {spec.name: tuple(spec.shape) for spec in checkpoint.specs}
        for name in kept:
            if here.get(name) != shapes[name]:
                what = "has no" if name not in here else f"has the shape {here[name]}, not {shapes[name]}, in"
                raise UsageError(
                    f"{display_name(label)}: {what} tensor {display_name(name)!r}; all checkpoints of a trajectory must be of one architecture."
                )
    if not kept:
        raise UsageError(f"{display_name(labels[0])}: holds no floating-point parameters.")
    return kept, [name for name in shapes if name not in kept]


def _columns(opened: Sequence[Checkpoint], names: Sequence[str], progress: Any) -> Iterator[list[np.ndarray]]:
    for index, name in enumerate(names):
        yield [checkpoint.read(name) for checkpoint in opened]
        if progress is not None:
            progress(index + 1, len(names), name, (index + 1) / len(names))


def step_lengths(gram: Array, lengths: Sequence[int]) -> Array:
    """Distance of each checkpoint from the one before it in its run; 0 for the first."""
    squared = np.diag(gram)
    apart = np.sqrt(np.clip(squared[1:] + squared[:-1] - 2 * np.diag(gram, 1), 0.0, None))
    found = np.concatenate([[0.0], apart])
    found[np.cumsum([0, *lengths[:-1]])] = 0.0
    return found


def _walk(gram: Array, steps: Array, n_params: int, walks: int, seed: int) -> tuple[Principal, Walk] | None:
    """The first run by itself, and random walks with its steps; nothing where it does not move."""
    centring = np.eye(len(gram)) - 1 / len(gram)
    own = centring @ gram @ centring
    if float(np.trace(own)) <= 0 or walks < 1:
        return None
    return principal_components(own, 2), random_walks(steps, n_params, walks=walks, seed=seed)


def _rows(labels: Sequence[tuple[str, str]], found: Principal, embedded: Array | None, steps: Array) -> list[dict[str, Any]]:
    rows = []
    for index, (run, name) in enumerate(labels):
        pc = found.coordinates[index]
        place = {"pc1": float(pc[0]), "pc2": float(pc[1]) if len(pc) > 1 else 0.0}
        near = {"tsne1": None, "tsne2": None} if embedded is None else {"tsne1": float(embedded[index, 0]), "tsne2": float(embedded[index, 1])}
        lengths = {"distance": float(found.distance[index]), "off_plane": float(found.off_plane[index]), "step_length": float(steps[index])}
        rows.append({"run": run, "checkpoint": display_name(name, 120), **place, **near, **lengths, "status": "ok", "reason": ""})
    return rows


def _head(
    labels: Sequence[tuple[str, str]], runs: Mapping[str, Any], n_params: int, found: Principal, walk: tuple[Principal, Walk] | None,
    embedding: str, perplexity: float | None, seed: int, asked: float,
) -> dict[str, Any]:  # fmt: skip
    plane = float(found.explained[:2].sum())
    rest = float(np.mean(found.off_plane / np.where(found.distance > 0, found.distance, 1.0)))
    null: dict[str, Any] | None = None
    words = f"{len(labels)} checkpoints of {n_params:,} parameters: the plane of the first two components holds {plane:.1%} of the variance; "
    words += f"on average {rest:.0%} of a checkpoint's distance from the mean lies off it."
    if walk is not None:
        own, drawn = walk
        low, high = np.quantile(drawn.explained.sum(1), [0.025, 0.975])
        null = {"explained": float(own.explained[:2].sum()), "walk_low": float(low), "walk_high": float(high), "walks": len(drawn.explained)}
        words += f" A random walk with the same steps would give {low:.1%} to {high:.1%}" + (
            "." if len(runs) == 1 else f" for the run {next(iter(runs))!r}."
        )
    facts = {
        "embedding": embedding,
        "perplexity": perplexity,
        "perplexity_asked": asked,
        "seed": seed,
        "tsne_init": "pca",
        "centre": "mean of all checkpoints",
    }
    summary = {"n_checkpoints": len(labels), "explained": plane, "off_plane": rest, "verdict": words}
    runs_facts = [{"run": name, "n_checkpoints": len(members)} for name, members in runs.items()]
    return {"source": next(iter(runs)), "n_params": n_params, "options": facts, "runs": runs_facts, "random_walk": null, "summary": summary}
