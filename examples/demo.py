"""The tour of ``make demo``: train a small zoo on bundled digits, look at it, compare, rank, assess. No download, under two minutes on two cores."""

import subprocess
import sys
import time
from pathlib import Path

import pandas as pd

import genscope
from genscope.cli.factories import read_weights
from genscope.cli.output import console
from genscope.core.seeds import generator_for
from genscope.sources.reproducibility import usable_cores
from genscope.training.zoo import Member, corrupt, load_digits, train_zoo

LEARNED, MEMORIZED = Member("mlp", 256, 0.0), Member("mlp", 256, 1.0)
MEANS = ("alpha", "alpha_weighted", "log_alpha_norm", "log_frobenius_norm", "log_spectral_norm", "stable_rank")
ASSESSED = ("train_error", "test_error", "margin", "log_rho", "normalized_train_loss", "average_sharpness", "pac_bayes_certificate_init")


def main(folder: Path) -> None:
    screen, began = console(), time.perf_counter()
    zoo = folder / "zoo"
    screen.rule("1. train a zoo of small networks")
    screen.print("digits with true, half random and random labels; over-trained twins; MLPs and conv nets")
    table = train_zoo(zoo, jobs=usable_cores(), progress=lambda done, total, name, share: screen.print(f"  {done:2d}/{total} {name}"))
    good, bad = zoo / f"{LEARNED.name}.safetensors", zoo / f"{MEMORIZED.name}.safetensors"
    screen.rule("2. analyze one checkpoint")
    run("analyze", good, "--out", folder / "analysis")
    run("report", folder / "analysis")
    screen.rule("3. compare the network that learned with the one that memorized")
    run("compare", good, bad, "--out", folder / "comparison")
    run("report", folder / "comparison")
    screen.rule("4. which measure ranks the whole zoo by its test error?")
    run("rank", measure_zoo(zoo, table), "--group", "family", "--out", folder / "ranking")
    run("report", folder / "ranking")
    screen.rule("5. assess both networks with their training data")
    assess_both(zoo, folder)
    screen.rule("done")
    screen.print(f"{time.perf_counter() - began:.0f} s. Open these in a browser:")
    for page in ("analysis", "comparison", "ranking", "assessed"):
        screen.print(f"  {folder / page / 'report.html'}")


def measure_zoo(zoo: Path, table: Path) -> Path:
    """One row per network: its family and size, its test error, and the measures of its weights."""
    known = pd.read_csv(table)[["model", "family", "n_params", "test_error"]]
    rows = []
    for name in known["model"]:
        summary = genscope.analyze(zoo / f"{name}.safetensors", resamples=0).summary
        rows.append({"model": name, **{measure: summary[measure] for measure in MEANS}})
    path = zoo.parent / "models.csv"
    known.merge(pd.DataFrame(rows), on="model").to_csv(path, index=False)
    return path


def assess_both(zoo: Path, folder: Path) -> None:
    """Without a test label in sight: margins, normalized loss, sharpness and the certificate of both networks."""
    digits, found = load_digits(), {}
    for member in (LEARNED, MEMORIZED):
        model, initial = member.build(), member.build()
        model.load_state_dict(read_weights(str(zoo / f"{member.name}.safetensors"), model))
        initial.load_state_dict(read_weights(str(zoo / "initial" / f"{member.name}.safetensors"), initial))
        found[member.name] = genscope.assess(
            model,
            (digits.train_inputs, corrupt(digits.train_labels, member.noise, generator_for(0, "digits", "noise", str(member.noise)))),
            (digits.test_inputs, digits.test_labels),
            initial=initial,
            measures=ASSESSED,
            budget="fast",
        )
    names = [row["measure"] for row in found[LEARNED.name].rows]
    values = pd.DataFrame({name: [row["value"] for row in result.rows] for name, result in found.items()}, index=names)
    console().print(values.to_string(float_format=lambda number: f"{number:.4g}"), markup=False, highlight=False)
    result = found[LEARNED.name]
    result.save(folder / "assessed")
    result.to_html(folder / "assessed" / "report.html")


def run(*words: object) -> None:
    line = ["genscope", *map(str, words)]
    console().print(f"$ {' '.join(line)}", style="dim", markup=False, highlight=False)
    subprocess.run([sys.executable, "-m", *line], check=True)


if __name__ == "__main__":
    main(Path(sys.argv[1] if len(sys.argv) > 1 else "demo-out"))
