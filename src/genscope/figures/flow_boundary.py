"""The decision boundary in the plane while a network flows: a still of its end, and an animation."""

import io
from collections.abc import Mapping
from functools import partial
from typing import TYPE_CHECKING, Any

from genscope.figures.theme import MARKERS, Picture, Theme, new_figure

if TYPE_CHECKING:
    from matplotlib.figure import Figure

_PAUSE, _HOLD = 220, 1600  # milliseconds per frame, and at the end


def boundary_picture(boundary: Any) -> Picture | None:
    """The animated boundary, or ``None`` where the data are not a plane."""
    if not isinstance(boundary, Mapping) or not isinstance(boundary.get("frames"), list | tuple) or not boundary["frames"]:
        return None
    cells = boundary.get("cells")
    frames = [f for f in boundary["frames"] if isinstance(f, Mapping) and isinstance(cells, int) and len(f.get("values", ())) == cells * cells]
    points, labels = boundary.get("points"), boundary.get("labels")
    if not frames or points is None or labels is None or len(points) != len(labels):
        return None
    last = frames[-1]
    return Picture(
        "The boundary while the network flows",
        f"Decision regions of the normalized network in the plane over the data, in {len(frames)} frames up to ln t = {last['tau']:.3g}.",
        "Colour: output of the network with layers of unit norm, scaled to its largest value in each frame; the line is the boundary. "
        "The ringed point is the support vector, the example with the smallest gap.",
        partial(_draw, boundary, last),
        vector=False,
        animation=partial(_animate, boundary, frames),
    )


def _draw(boundary: Mapping[str, Any], frame: Mapping[str, Any], theme: Theme) -> "Figure":
    import numpy as np

    figure, axes = new_figure(theme, 5.2, 5.0)
    reach, cells = float(boundary["reach"]), int(boundary["cells"])
    axis = np.linspace(-reach, reach, cells)
    values = np.asarray(frame["values"], dtype=float).reshape(cells, cells) / float(boundary.get("levels") or 1)
    labels, points = np.asarray(boundary["labels"]), np.asarray(boundary["points"], dtype=float)
    kinds = sorted(set(labels.tolist()))
    colours = {kind: theme.cycle[place % len(theme.cycle)] for place, kind in enumerate(reversed(kinds) if boundary["binary"] else kinds)}
    axes.grid(False)
    if boundary["binary"]:
        _shade_two(axes, axis, values, colours[kinds[-1]], colours[kinds[0]], theme)
        axes.contour(axis, axis, values, levels=[0.0], colors=[theme.ink], linewidths=1.8)
    else:
        classes = np.asarray(frame["classes"]).reshape(cells, cells)
        _shade_classes(axes, reach, classes, values, [colours.get(kind, theme.muted) for kind in range(max(kinds) + 1)], theme)
        for kind in kinds:
            axes.contour(axis, axis, np.where(classes == kind, values, -values), levels=[0.0], colors=[theme.ink], linewidths=1.2)
    for place, kind in enumerate(kinds):
        chosen = points[labels == kind]
        axes.scatter(chosen[:, 0], chosen[:, 1], c=colours[kind], marker=MARKERS[place % len(MARKERS)], s=34, edgecolors=theme.paper, linewidths=0.9)
    support = frame.get("support")
    if isinstance(support, int) and 0 <= support < len(points):
        axes.scatter(*points[support], s=150, facecolors="none", edgecolors=theme.ink, linewidths=1.8)
    axes.set(xlim=(-reach, reach), ylim=(-reach, reach), xlabel="x₁", ylabel="x₂", aspect="equal")
    axes.set_title(f"ln t = {frame['tau']:.1f}   loss 1e{frame['log10_loss']:.1f}   margin {frame['margin']:.3f}", fontsize=10)
    return figure


def _shade_two(axes: Any, axis: Any, values: Any, positive: str, negative: str, theme: Theme) -> None:
    from matplotlib.colors import LinearSegmentedColormap

    shades = LinearSegmentedColormap.from_list("two", [negative, theme.paper, positive])
    reach = axis[-1]
    axes.imshow(values, origin="lower", extent=(-reach, reach, -reach, reach), cmap=shades, vmin=-1.3, vmax=1.3, interpolation="bilinear", zorder=0)


def _shade_classes(axes: Any, reach: float, classes: Any, values: Any, colours: list[str], theme: Theme) -> None:
    import numpy as np
    from matplotlib.colors import to_rgb

    base = np.array([to_rgb(colour) for colour in colours])
    paper = np.array(to_rgb(theme.paper))
    strength = 0.15 + 0.55 * np.clip(values, 0, 1)[..., None]
    image = strength * base[np.clip(classes, 0, len(base) - 1)] + (1 - strength) * paper
    axes.imshow(image, origin="lower", extent=(-reach, reach, -reach, reach), interpolation="nearest", zorder=0)


def _animate(boundary: Mapping[str, Any], frames: list[Mapping[str, Any]], theme: Theme) -> bytes:
    """GIF of all frames; the same bytes for the same frames."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from PIL import Image

    images = []
    for frame in frames:
        figure = _draw(boundary, frame, theme)
        # the automatic layout costs more than the drawing, and every frame must lie alike
        figure.set_layout_engine(None)
        figure.subplots_adjust(left=0.11, right=0.97, bottom=0.1, top=0.93)
        canvas = FigureCanvasAgg(figure)
        canvas.draw()
        images.append(Image.frombuffer("RGBA", canvas.get_width_height(), bytes(canvas.buffer_rgba())).convert("RGB"))
    stream = io.BytesIO()
    images = [image.quantize(128, method=Image.Quantize.FASTOCTREE, dither=Image.Dither.NONE) for image in images]
    pauses = [_PAUSE] * (len(images) - 1) + [_HOLD]
    images[0].save(stream, format="GIF", save_all=True, append_images=images[1:], duration=pauses, loop=0, optimize=False)
    return stream.getvalue()
