"""Write the gallery: every claim of the five papers with our figure, the verdict and what it means, from the committed store of runs.

``python docs/gallery.py`` judges and draws what ``experiments/stores/small`` holds and writes ``docs/gallery/``; nothing is computed anew.
``--run`` does the pending runs first.
"""

import argparse
import io
import re
import sys
from collections import Counter
from collections.abc import Sequence
from html import escape
from pathlib import Path
from typing import Any

from genscope.core.results import Result
from genscope.experiments.registry import experiments
from genscope.experiments.reproduce import reproduce_all
from genscope.experiments.values import VERDICTS, Experiment

FOLDER = Path(__file__).parent / "gallery"
STORE = Path(__file__).parents[1] / "experiments" / "stores" / "small"
SIZE = "small"
NOTICE = "<!-- Made by docs/gallery.py from experiments/stores; run it again instead of editing. -->\n"
COLOURS = 128
README = Path(__file__).parents[1] / "README.md"
BEGIN, END = "<!-- gallery: begin -->", "<!-- gallery: end -->"
PAPERS = {
    "S0": (
        "martin_mahoney",
        "Martin & Mahoney",
        "Universality and capacity metrics in deep neural networks",
        "Weight matrices of well-trained networks have heavy-tailed spectra; their exponent, weighted by the largest eigenvalue, tracks test "
        "accuracy without any data.",
    ),
    "S1": (
        "liao",
        "Liao et al.",
        "Generalization puzzles in deep networks",
        "Divide a network by the norms of its layers, and its training cross-entropy predicts its test cross-entropy on a line of slope one.",
    ),
    "S2": (
        "huang",
        "Huang et al.",
        "The blessing of dimensionality: an empirical study of generalization",
        "Bad minima are everywhere, next to every iterate, but their basins have vanishing volume, so training does not find them.",
    ),
    "S3": (
        "poggio",
        "Poggio et al.",
        "Theoretical issues in deep networks",
        "Gradient flow on normalized weights controls complexity and maximizes a margin; deep networks on compositional functions escape the "
        "curse of dimension.",
    ),
    "S4": (
        "neyshabur",
        "Neyshabur et al.",
        "Exploring generalization in deep learning",
        "Norms over the margin, sharpness and PAC-Bayes: which of them tells learning from memorizing, and why wider networks generalize.",
    ),
}
WORDS = {
    "HOLDS": "the runs bear the claim out, and a control that should not show it does not",
    "HOLDS-BUT-NULL-TOO": "true of the runs, but a null control passes as well: it says little",
    "FAILS": "at least one check fails with its whole interval",
    "UNTESTABLE-AS-STATED": "the claim leaves open what would contradict it",
    "INCONCLUSIVE": "too few runs, or data that are not here",
}


def results(store: Path, *, figure: bool, run: bool = False, jobs: int = 1, data: str | None = None) -> dict[str, Result]:
    """Every experiment judged from ``store``."""

    def progress(done: int, total: int, name: str, share: float) -> None:  # noqa: ARG001
        sys.stderr.write(f"{done}/{total} {name}\n")

    chosen = list(experiments().values())
    found = reproduce_all(chosen, size=SIZE, store=store, data=data, run=run, figure=figure, jobs=jobs, progress=progress if run else None)
    return {experiment.id: result for experiment, result in zip(chosen, found, strict=True)}


def pages(found: dict[str, Result]) -> dict[str, str]:
    """Every page of the gallery by file name."""
    known = experiments()
    written = {"index.md": _front(found)}
    for short, (name, authors, title, idea) in PAPERS.items():
        ours = [known[key] for key in found if key.startswith(f"{short}-")]
        lines = [NOTICE, f"# {authors}", "", f"*{title}.* {idea}", "", _bar(found[one.id] for one in ours), "", _table(ours, found), ""]
        for experiment in ours:
            lines += _section(experiment, found[experiment.id])
        written[f"{name}.md"] = "\n".join(lines).rstrip() + "\n"
    return written


def _front(found: dict[str, Result]) -> str:
    counts = Counter(result.head["verdict"] for result in found.values())
    total = len(found)
    judged = total - counts["INCONCLUSIVE"]
    lines = [
        NOTICE,
        "# Do the claims hold?",
        "",
        f"Five papers, {total} figures, claims and theorems, each a program that anyone can run. Of {total} claims **{counts['HOLDS']} hold**, "
        f"**{counts['HOLDS-BUT-NULL-TOO']} hold but so does the null control**, **{counts['FAILS']} fail**, {counts['UNTESTABLE-AS-STATED']} "
        f"cannot be tested as stated, and {counts['INCONCLUSIVE']} are undecided at this size.",
        "",
        _bar(found.values()),
        "",
        "One rule decides all of them: a check passes when the whole 95% interval of its statistic lies where the claim says, fails when the whole "
        "interval lies elsewhere, and is open otherwise. A theorem about stated assumptions can hold to the last digit; an observation on networks "
        "holds for the networks that were run.",
        "",
        '!!! note "Read this first"',
        f"    These verdicts come from runs of size *{SIZE}*: digits, synthetic data and small networks on two processor cores, and published "
        "tables and checkpoints. Where that departs from a paper's protocol the section says how. The paper's own scale is one option away "
        "(`--size full`).",
        "",
        '!!! warning "What was changed after first results were seen"',
        "    Rules: S1-F1a (correlation below 0 instead of −0.8), S2-F1 (median instead of largest distance), S2-F7 (ratio of radii instead of a "
        "rank correlation), S3-A1 and S3-A3 (asymptotic exponents shown, not deciding; the shallow slope below 0), S3-A2 (the printed approximation "
        "shown, not deciding), S3-T6 (bounded rate instead of a steady fall), S3-T8 and S3-T11 (side conditions shown, not deciding), S4-T6 (largest "
        "instead of mean deviation). Runs: longer training in S1-F1b, which failed before; more networks in S2-F3, F5 and F6, which were open "
        "before; another split and longer poisoning in S2-F1. Verdicts of these rows are weaker evidence than those of rules fixed in advance.",
        "",
        "| paper | " + " | ".join(verdict.lower().replace("-", " ") for verdict in VERDICTS) + " |",
        "|---|" + "---|" * len(VERDICTS),
    ]
    for short, (name, authors, _, _) in PAPERS.items():
        ours = Counter(result.head["verdict"] for key, result in found.items() if key.startswith(f"{short}-"))
        lines.append(f"| [{authors}]({name}.md) | " + " | ".join(str(ours[verdict] or "–") for verdict in VERDICTS) + " |")
    lines += ["", "| verdict | meaning |", "|---|---|", *(f"| {_badge(verdict)} | {words} |" for verdict, words in WORDS.items())]
    for verdict, heading in (
        ("FAILS", "What does not hold"),
        ("HOLDS-BUT-NULL-TOO", "What holds, and holds for the null too"),
        ("HOLDS", "What holds"),
        ("UNTESTABLE-AS-STATED", "What cannot be tested as stated"),
        ("INCONCLUSIVE", "What is open"),
    ):
        chosen = [experiments()[key] for key, result in found.items() if result.head["verdict"] == verdict]
        if chosen:
            lines += ["", f"## {heading}", "", *(_line(experiment) for experiment in chosen)]
    lines += ["", f"{judged} of {total} claims were decided. `genscope reproduce --all --size {SIZE}` makes all of it again.", ""]
    return "\n".join(lines)


def _line(experiment: Experiment) -> str:
    return f"- [{experiment.title}]({PAPERS[experiment.id[:2]][0]}.md#{_anchor(experiment)}) <small>{experiment.source}</small>"


def _anchor(experiment: Experiment) -> str:
    return experiment.id.lower()


def _badge(verdict: str) -> str:
    return f'<span class="verdict v-{verdict.split("-")[-1].lower()}">{verdict.replace("-", " ").lower()}</span>'


def _bar(found: Any) -> str:
    """Shares of the verdicts as one bar with its numbers in words."""
    counts = Counter(result.head["verdict"] for result in found)
    parts = []
    for verdict in VERDICTS:
        if counts[verdict]:
            kind, title = verdict.split("-")[-1].lower(), f"{counts[verdict]} {verdict.lower()}"
            parts.append(f'<span class="v-{kind}" style="flex:{counts[verdict]}" title="{title}">{counts[verdict]}</span>')
    words = ", ".join(f"{counts[verdict]} {verdict.replace('-', ' ').lower()}" for verdict in VERDICTS if counts[verdict])
    return f'<div class="verdicts" role="img" aria-label="{words}">{"".join(parts)}</div>'


def _table(ours: Sequence[Experiment], found: dict[str, Result]) -> str:
    rows = [f"| [{one.id}](#{_anchor(one)}) | {one.title} | {_badge(found[one.id].head['verdict'])} |" for one in ours]
    return "\n".join(["| row | claim | verdict |", "|---|---|---|", *rows])


def _section(experiment: Experiment, result: Result) -> list[str]:
    tail, name = result.tail, experiment.id
    verdict = result.head["verdict"]
    lines = [f"## {experiment.title} {{ #{_anchor(experiment)} }}", ""]
    lines += [
        f"{_badge(verdict)} <small>{name} · {escape(experiment.source)} · {tail['n_runs']:,} runs</small>",
        "",
        f"> {_plain(experiment.claim)}",
        "",
    ]
    if "figure" in result.curves:
        alt = _plain(experiment.caption or experiment.title)
        lines += [f"![{alt}](images/{name}_{theme}.png#only-{theme})" for theme in ("light", "dark")]
        lines += ["", f"<small>**Ours.** {_plain(experiment.caption)}</small>", ""]
    if experiment.paper_figure:
        lines += [f"<small>**The paper's.** {_plain(experiment.paper_figure)}</small>", ""]
    lines += [_plain(tail["meaning"]), ""]
    if result.rows:
        lines += [_checks(result), ""]
    for erratum in experiment.errata:
        lines += ['!!! warning "Erratum"', f"    {_plain(erratum)}", ""]
    if tail["departures"]:
        lines += ['??? info "How this size departs from the paper\'s protocol"', *(f"    - {_plain(one)}" for one in tail["departures"]), ""]
    lines += ["```sh", tail["command"], "```", ""]
    return lines


def _checks(result: Result) -> str:
    """Statistic, interval, null control and the paper's number, one line per check."""
    lines = ["| | statistic | expected | observed | null | paper |", "|---|---|---|---|---|---|"]
    for row in result.rows:
        mark = {True: "✓", False: "✗", None: "?"}[row["passed"]] if row["decides"] else "·"
        observed = _number(row["observed"])
        if row["low"] is not None and row["high"] is not None:
            observed += f" ({_number(row['low'])} … {_number(row['high'])})"
        note = f"<br><small>{_plain(row['note'])}</small>" if row["note"] else ""
        null = _number(row["null"]) + (" ✓" if row["null_passed"] else "")
        lines.append(f"| {mark} | {_plain(row['statistic'])}{note} | {_plain(row['expected'])} | {observed} | {null} | {_number(row['paper'])} |")
    return "\n".join(lines)


def _number(value: Any) -> str:
    return "–" if value is None else f"{value:.4g}".replace("e-0", "e-").replace("e+0", "e")


def _plain(text: str) -> str:
    """Text whose characters mean nothing to Markdown."""
    single = " ".join(str(text).split())
    return re.sub(r"([|*_`<>\\\[\]])", lambda match: {"|": "&#124;", "<": "&lt;", ">": "&gt;"}.get(match[1], "\\" + match[1]), single)


def readme_words(found: dict[str, Result]) -> str:
    """What the README says of the gallery."""
    counts = Counter(result.head["verdict"] for result in found.values())
    return (
        f"Of {len(found)} figures, claims and theorems of the five papers, at the size that two processor cores can do, **{counts['HOLDS']} hold**, "
        f"**{counts['HOLDS-BUT-NULL-TOO']} hold but so does the null control**, **{counts['FAILS']} fail** as they are printed, and "
        f"{counts['INCONCLUSIVE'] + counts['UNTESTABLE-AS-STATED']} are open or cannot be tested as stated. "
        "[The gallery](docs/gallery/index.md) shows each one."
    )


def with_words(readme: str, words: str) -> str:
    """The README with ``words`` between its marks."""
    head, _, rest = readme.partition(BEGIN)
    return f"{head}{BEGIN}\n\n{words}\n\n{END}{rest.partition(END)[2]}"


def write_images(found: dict[str, Result]) -> None:
    """Both themes of every figure as small PNG files."""
    import numpy as np
    from PIL import Image

    from genscope.experiments.runs import Runs
    from genscope.experiments.store import RunStore
    from genscope.figures.theme import THEMES, png_of

    folder = FOLDER / "images"
    folder.mkdir(parents=True, exist_ok=True)
    kept = set()
    for name, result in found.items():
        experiment = experiments()[name]
        if "figure" not in result.curves or experiment.draw is None:
            continue
        for theme in THEMES.values():
            raw = png_of(experiment.draw(Runs(experiment, SIZE, RunStore(STORE)), theme), dpi=110)
            image = Image.open(io.BytesIO(raw)).convert("RGB").quantize(COLOURS, dither=Image.Dither.NONE)
            path = folder / f"{name}_{theme.name}.png"
            kept.add(path.name)
            if not _same_picture(path, np.asarray(image.convert("RGB"))):
                image.save(path, optimize=True)
    for path in folder.glob("*.png"):
        if path.name not in kept:
            path.unlink()


def _same_picture(path: Path, pixels: Any) -> bool:
    """Whether the file shows the same already: other versions of matplotlib differ by a shade at edges."""
    import numpy as np
    from PIL import Image

    if not path.is_file():
        return False
    held = np.asarray(Image.open(path).convert("RGB"))
    return held.shape == pixels.shape and float(np.abs(held.astype(int) - pixels.astype(int)).mean()) < 0.05


def main(arguments: Sequence[str] | None = None) -> None:
    """Judge, draw and write."""
    parser = argparse.ArgumentParser(description="Write docs/gallery from the committed store of runs.")
    parser.add_argument("--run", action="store_true", help="do the pending runs first")
    parser.add_argument("--jobs", type=int, default=1)
    parser.add_argument("--data-dir", default=None, help="folder of the data sets (with --run)")
    given = parser.parse_args(arguments)
    found = results(STORE, figure=True, run=given.run, jobs=given.jobs, data=given.data_dir)
    FOLDER.mkdir(exist_ok=True)
    for name, text in pages(found).items():
        (FOLDER / name).write_text(text, encoding="utf-8")
    write_images(found)
    README.write_text(with_words(README.read_text(encoding="utf-8"), readme_words(found)), encoding="utf-8")


if __name__ == "__main__":
    main()
