"""The tour of ``make demo``: train a small zoo on bundled digits, look at it, compare, rank. No download, under two minutes on two cores."""

import subprocess
import sys
import time
from pathlib import Path

from genscope.cli.output import console
from genscope.sources.reproducibility import usable_cores
from genscope.training.zoo import train_zoo


def main(folder: Path) -> None:
    screen, began = console(), time.perf_counter()
    zoo = folder / "zoo"
    screen.rule("1. train a zoo of small networks (true, half random and random labels; over-trained)")
    table = train_zoo(zoo, jobs=usable_cores(), progress=lambda done, total, name, share: screen.print(f"  {done:2d}/{total} {name}"))
    good, bad = zoo / "mlp-256-true.safetensors", zoo / "mlp-256-noise100.safetensors"
    screen.rule("2. analyze one checkpoint")
    genscope("analyze", good, "--out", folder / "analysis")
    genscope("report", folder / "analysis")
    screen.rule("3. compare the network that learned with the one that memorized")
    genscope("compare", good, bad, "--out", folder / "comparison")
    genscope("report", folder / "comparison")
    screen.rule("4. analyze all, and rank the measures against the measured test error")
    saved = []
    for checkpoint in sorted(zoo.glob("*.safetensors")):
        saved.append(folder / "all" / checkpoint.stem)
        genscope(
            "analyze", checkpoint, "--resamples", "0", "--out", saved[-1], "--quiet", "--csv", folder / "all" / f"{checkpoint.stem}.csv", quiet=True
        )
    genscope("rank", *saved, "--scores", table, "--target", "test_error", "--out", folder / "ranking")
    genscope("report", folder / "ranking")
    screen.rule("done")
    screen.print(f"{time.perf_counter() - began:.0f} s. Open these in a browser:")
    for page in ("analysis", "comparison", "ranking"):
        screen.print(f"  {folder / page / 'report.html'}")


def genscope(*words: object, quiet: bool = False) -> None:
    line = ["genscope", *map(str, words)]
    if not quiet:
        console().print(f"$ {' '.join(line)}", style="dim")
    subprocess.run([sys.executable, "-m", *line], check=True, stdout=subprocess.DEVNULL if quiet else None)


if __name__ == "__main__":
    main(Path(sys.argv[1] if len(sys.argv) > 1 else "demo-out"))
