"""Names beside points, placed where they cover neither points nor other names."""

from itertools import product

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.patheffects import withStroke
from matplotlib.transforms import Bbox
from numpy.typing import NDArray

from referee.figures.style import BLACK

Pixels = NDArray[np.float64]  # x and y
_RADII = (4, 12, 22, 34)  # points, between a mark and its name
_PLACES = [(1, 1), (1, -1), (-1, 1), (-1, -1), (0, 1), (0, -1), (1, 0), (-1, 0)]


def name_points(axes: Axes, points: pd.DataFrame, named: pd.DataFrame) -> None:
    """Write names beside some of the points; a line joins a name that lies far from its point.

    Each name takes that place, of a fixed list, which covers least. The axes must be laid out;
    `points` holds x and y of all marks, `named` x, y and name.
    """
    figure = axes.get_figure(root=True)
    assert figure is not None
    renderer = figure.canvas.get_renderer()  # type: ignore[attr-defined]
    pixels = figure.dpi / 72  # in a point
    centres = axes.transData.transform(points[["x", "y"]].dropna().to_numpy())
    taken = [Bbox.from_bounds(x - 6, y - 6, 12, 12) for x, y in centres]
    frame = axes.get_window_extent(renderer)
    for x, y, name in named[["x", "y", "name"]].itertuples(index=False):
        note = axes.annotate(name, (x, y), (0, 0), "data", "offset points", fontsize=6, zorder=5)
        note.set_path_effects([withStroke(linewidth=2, foreground="white")])
        at = np.asarray(axes.transData.transform((x, y)))
        box = _freest(at, np.asarray(note.get_window_extent(renderer).size), pixels, taken, frame)
        taken.append(box)
        note.xyann = tuple((box.p0 - at) * 72 / figure.dpi)
        if np.hypot(*(np.clip(at, box.p0, box.p1) - at)) > 12 / 72 * figure.dpi:
            middle = axes.transData.inverted().transform((box.p0 + box.p1) / 2)
            axes.plot(*zip((x, y), middle, strict=True), color=BLACK, linewidth=0.4, zorder=4)


def _freest(at: Pixels, size: Pixels, pixels: float, taken: list[Bbox], frame: Bbox) -> Bbox:
    """The box of a size, near a position, that covers least of others; all in pixels."""
    tried: list[tuple[float, Bbox]] = []
    for radius, place in product(_RADII, _PLACES):
        corner = at + pixels * radius * np.array(place) + (np.array(place) - 1) / 2 * size
        box = Bbox([corner, corner + size])
        outside = size[0] * size[1] - _common(box, frame)
        covered = sum(_common(box, other) for other in taken)
        tried.append((covered + 2 * outside + radius, box))
    return min(tried, key=lambda place: place[0])[1]


def _common(a: Bbox, b: Bbox) -> float:
    """Area that two boxes share."""
    width, height = min(a.x1, b.x1) - max(a.x0, b.x0), min(a.y1, b.y1) - max(a.y0, b.y0)
    return float(max(width, 0) * max(height, 0))
