"""``genscope analyze``: any checkpoint to spectra, power laws, norms and a report."""

from typing import Any

import click

from genscope.cli.output import check_writable, emit, opening_options, output_options, say_notes, take_printing


@click.command("analyze")
@click.argument("source", metavar="CHECKPOINT")
@click.option(
    "--convention", default="genscope", show_default=True, help="genscope, martin2019 (the paper's own) or weightwatcher (0.7.7's columns)."
)
@click.option("--conv", default=None, help="Convolutions as slices (default), reshape or operator.")
@click.option("--pool/--no-pool", default=None, help="Pool the kernel positions of a convolution, or one row each.")
@click.option("--input-size", default=None, metavar="HxW", help="Input size at which --conv operator takes a convolution.")
@click.option("--min-rows", type=int, default=None, help="Leave out matrices with a smaller side below this (the paper: 50).")
@click.option("--normalization", default=None, help="WtW, WtW/N or weightwatcher.")
@click.option("--method", default=None, help="auto, gram or svd.")
@click.option("--device", default=None, help="A torch device such as cuda for the spectra. [default: NumPy on the CPU]")
@click.option("--resamples", type=int, default=None, help="Bootstrap and goodness-of-fit resamples; 0 for none. [default: 200]")
@click.option("--products", is_flag=True, help="Also analyze the products of neighbouring linear layers.")
@click.option("--randomize", is_flag=True, help="Compare each matrix with a seeded random permutation (correlation traps).")
@click.option("--vectors", is_flag=True, help="Measure how localized the singular vectors are.")
@click.option("--include", multiple=True, metavar="PATTERN", help="Only tensors whose name matches (repeatable).")
@click.option("--exclude", multiple=True, metavar="PATTERN", help="No tensor whose name matches (repeatable).")
@click.option("--measure", "measures", multiple=True, metavar="NAME", help="Only these measures (repeatable; see `genscope explain`).")
@click.option("--seed", type=int, default=None, help="Seed of every random draw. [default: 0]")
@opening_options
@click.option("--max-memory", default=None, metavar="SIZE", help="Largest memory one matrix may need, such as 4G.")
@click.option("--jobs", "-j", type=click.IntRange(1), default=None, help="Matrices at once. [default: all processors]")
@click.option("--engine", default="threads", show_default=True, help="threads, processes, ray or dask.")
@click.option("--out", default=None, metavar="DIR", help="Keep every finished matrix and the result here; the same command resumes.")
@click.option("--fresh", is_flag=True, help="With --out: start over.")
@click.option("--dry-run", is_flag=True, help="Show what would be analyzed, the predicted time and memory, and what is skipped.")
@click.option("--fail-on", multiple=True, metavar="'alpha > 6'", help="Exit with 3 if any matrix (or the summary) meets this (repeatable).")
@click.option("--quiet", "-q", is_flag=True, help="No progress and no notes.")
@output_options
def command(source: str, out: str | None, dry_run: bool, fail_on: tuple[str, ...], quiet: bool, **given: Any) -> int:
    """Learn from CHECKPOINT which layers are well trained, and how sure that is. No data is needed.

    CHECKPOINT is a file (.safetensors .pt .pth .bin .ckpt .npz .npy .onnx .h5 .keras .gguf), a folder of shards or an adapter, or
    org/name[@revision] in the local Hugging Face cache. It is read as data: nothing in it is run.
    """
    from genscope.cli.gate import parse_gates, tripped
    from genscope.cli.progress import progress_bar
    from genscope.cli.request import analysis_request
    from genscope.cli.tables import show_analysis, show_dry_run
    from genscope.sources.dry_run import dry_run as plan_only
    from genscope.sources.matrices import analyze

    printing = take_printing(given, source, given.get("base"))
    gates = parse_gates(fail_on)
    chosen = analysis_request(given)
    if dry_run:
        emit(plan_only(source, **chosen), **printing, show=show_dry_run)
        return 0
    check_writable(out)
    with progress_bar("analyzing", quiet=quiet) as progress:
        result = analyze(source, out=out, progress=progress, **chosen)
    if not quiet:
        say_notes(result.tail["notes"])
    emit(result, **printing, show=show_analysis)
    return tripped(gates, result)
