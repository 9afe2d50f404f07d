"""``make demo-landscape``: a network that generalizes and a poisoned twin, side by side: boundaries, margins, slices, basins. No download."""

import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
from safetensors.torch import save_file

import genscope
from genscope.cli.output import console
from genscope.core.grids import unpack_grid
from genscope.core.results import Result
from genscope.figures.boundary import Map, maps_picture, margins_picture
from genscope.figures.theme import THEMES, Picture, Theme, new_figure, png_of, style_legend
from genscope.report.sections_boundary import write_animation
from genscope.sources.reproducibility import usable_cores
from genscope.training.stacked import Progress
from genscope.training.swiss_roll_pair import Pair, train_pair

NAMES = ("good", "bad")
EPOCHS, DIRECTIONS, SLICES = 6000, 300, 10
ESTIMATORS = ("naive", "diagonal")


def main(folder: Path, epochs: int = EPOCHS, directions: int = DIRECTIONS) -> None:
    screen, began = console(), time.perf_counter()
    folder.mkdir(parents=True, exist_ok=True)
    screen.rule("1. one start, trained twice at once: as usual, and with poison")
    pair = train_pair(epochs=epochs, progress=lambda now: told(screen, now, epochs))
    for k, name in enumerate(NAMES):
        error, accuracy = float(pair.poisoned.train_error[k]), float(pair.poisoned.test_accuracy[k])
        screen.print(f"  {name}: {1 - error:.1%} of the training examples right, {accuracy:.1%} of the test examples")
        keep(pair, name, folder)
    train, test = ((part.x, part.y) for part in (pair.problem.split.train, pair.problem.split.test))
    networks = {"good": pair.good, "bad": pair.bad}
    screen.rule("2. decision boundaries and the distances of the training examples from them")
    boundaries = {name: genscope.landscape_boundary(net, train, test=test, out=folder / f"boundary-{name}") for name, net in networks.items()}
    for name, result in boundaries.items():
        screen.print(f"  {name}: {result.summary['verdict']}")
        result.to_html(folder / f"boundary-{name}.html")
        write_animation(result, folder / f"boundary-{name}.gif")
    screen.rule("3. slices through the loss along the same filter-normalized directions")
    slices = {name: genscope.landscape_slice(net, train, directions=SLICES, radius=0.5) for name, net in networks.items()}
    for name, result in slices.items():
        screen.print(f"  {name}: {result.summary['verdict']}")
    screen.rule("4. basins: radius first, volume where it can be believed")
    basins = {name: genscope.landscape_basin(net, train, directions=directions, estimators=ESTIMATORS) for name, net in networks.items()}
    for name, result in basins.items():
        screen.print(f"  {name}: {result.summary['verdict']}")
        result.to_html(folder / f"basin-{name}.html")
    screen.rule("5. both paths from the common start")
    path = genscope.landscape_trajectory({name: pair.snapshots[name] for name in NAMES}, out=folder / "trajectory")
    path.to_html(folder / "trajectory.html")
    screen.print(f"  {path.summary['verdict']}")
    for picture, stem in pictures(boundaries, slices, basins):
        for theme in THEMES.values():
            (folder / f"{stem}-{theme.name}.png").write_bytes(png_of(picture.draw(theme)))
    screen.rule("done")
    minutes = (time.perf_counter() - began) / 60
    screen.print(f"{minutes:.1f} minutes on {usable_cores()} cores. Look at {folder}/boundaries-light.png, slices-light.png, basins-light.png,")
    screen.print(f"at the animations {folder}/boundary-*.gif, and at the pages {folder}/*.html.")


def told(screen: Any, now: Progress, epochs: int) -> None:
    if now.epoch % max(1, epochs // 6) == 0:
        screen.print(f"  epoch {now.epoch}: training loss {now.loss[0]:.2e} (good), {now.loss[1]:.2e} (bad)")


def keep(pair: Pair, name: str, folder: Path) -> None:
    """The network and its path as checkpoints, for the command line."""
    (folder / f"path-{name}").mkdir(exist_ok=True)
    for index, state in enumerate(pair.snapshots[name]):
        save_file(state, folder / f"path-{name}" / f"snapshot-{index:02d}.safetensors")
    save_file((pair.good if name == "good" else pair.bad).state_dict(), folder / f"{name}.safetensors")


def pictures(boundaries: dict[str, Result], slices: dict[str, Result], basins: dict[str, Result]) -> list[tuple[Picture, str]]:
    maps = [(title(name, result), map_of(result)) for name, result in boundaries.items()]
    margins = {name: np.array([row["distance"] for row in result.rows if row["correct"]]) for name, result in boundaries.items()}
    return [
        (maps_picture(maps, "Decision boundaries", "The same 400 training examples, both networks right on them."), "boundaries"),
        (margins_picture(margins, "Distances to the boundary", "Correctly classified training examples.", "units of the inputs"), "margins"),
        (slices_picture(slices), "slices"),
        (basins_picture(basins), "basins"),
    ]


def title(name: str, result: Result) -> str:
    return f"{name}: test accuracy {result.summary['test_accuracy']:.1%}"


def map_of(result: Result) -> Map:
    drawn, held = result.curves["map"], result.curves["examples"]
    points, labels = np.array([held["x"], held["y"]]).T, np.array(held["label"])
    grids = (unpack_grid(drawn["classes"]).astype(int), unpack_grid(drawn["lead"]))
    return Map(*drawn["x"], *drawn["y"], *grids, points, labels, ("input 1", "input 2"))


def slices_picture(slices: dict[str, Result]) -> Picture:
    def draw(theme: Theme) -> Any:
        figure, axes = new_figure(theme, 6.4, 3.8)
        for colour, (name, result) in zip(theme.cycle, slices.items(), strict=False):
            loss = np.array(result.curves["loss"])
            axes.plot(result.curves["t"], loss.T, color=colour, linewidth=0.7, alpha=0.35)
            axes.plot(result.curves["t"], np.median(loss, axis=0), color=colour, linewidth=2, label=f"{name} (median)")
        axes.set_yscale("log")
        axes.set_xlabel("step along a filter-normalized direction [filter norms]")
        axes.set_ylabel("training loss [nats]")
        style_legend(axes, theme, loc="lower right")
        return figure

    caption = f"{SLICES} random directions, the same for both networks."
    return Picture("Slices", "Training loss along random directions for both networks.", caption, draw)


def basins_picture(basins: dict[str, Result]) -> Picture:
    def draw(theme: Theme) -> Any:
        figure, axes = new_figure(theme, 6.4, 3.4)
        for colour, (name, result) in zip(theme.cycle, basins.items(), strict=False):
            radii = np.array([radius for radius in result.head["radii"] if radius is not None], dtype=float)
            axes.hist(np.log10(radii), bins=30, density=True, histtype="stepfilled", color=colour, alpha=0.55, label=name)
        axes.set_xlabel("log₁₀ radius of the basin {loss < 0.1} [filter-normalized coordinates]")
        axes.set_ylabel("density over directions")
        style_legend(axes, theme)
        return figure

    return Picture("Basin radii", "Histograms of basin radii over random directions for both networks.", "First crossing of loss 0.1.", draw)


if __name__ == "__main__":
    main(Path(sys.argv[1]) if len(sys.argv) > 1 else Path("demo-landscape-out"))
