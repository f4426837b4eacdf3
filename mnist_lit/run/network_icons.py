"""Small pictures of what a layer does: a kernel, a bell curve, the hinge of a ReLU, the winner of a pooling window."""

import numpy as np
from matplotlib.axes import Axes
from matplotlib.patches import Circle, FancyBboxPatch, Rectangle

from mnist_lit.run.style import GREY, LINE, shade, tint

_HALF = 0.16  # inches from the middle of an icon to its edge
_WINNER = ((0.12, 0.12, 0.12), (0.12, 0.12, 1.0), (0.12, 0.12, 0.12))
_MEAN = ((0.45,) * 3,) * 3
_KERNEL = ((0.15, 0.5, 0.9), (0.3, 1.0, 0.45), (0.8, 0.4, 0.1))


def draw_icon(page: Axes, x: float, y: float, kind: str, colour: str) -> None:
    """Draw the icon of a layer class around (x, y), in inches; other classes than these have none.

    Args:
        page: Axes in inches from the top left.
        x: Middle.
        y: Middle.
        kind: Class name, such as `Conv2d`.
        colour: Of the stage.
    """
    if "Conv" in kind:
        _grid(page, x, y, colour, _KERNEL)
    elif "MaxPool" in kind:
        _grid(page, x, y, colour, _WINNER)
    elif "AvgPool" in kind:
        _grid(page, x, y, colour, _MEAN)
    elif "Norm" in kind:
        across = np.linspace(-1, 1, 41)
        _line(page, x, y, colour, across, 0.8 - 1.5 * np.exp(-5 * across**2))
    elif kind.endswith(("LU", "swish")):
        _line(page, x, y, colour, np.array([-0.95, 0.0, 0.85]), np.array([0.35, 0.35, -0.75]))
    elif kind == "Linear":
        _fan(page, x, y, colour)
    elif kind == "Flatten":
        for cell in range(5):
            _cell(page, x - 0.035, y - _HALF + 0.064 * cell + 0.005, 0.07, 0.05, tint(colour, 0.3 + 0.14 * cell))
    elif "Dropout" in kind:
        for place in range(9):
            kept = place not in (1, 5, 6)
            dot = Circle((x + 0.11 * (place % 3 - 1), y + 0.11 * (place // 3 - 1)), 0.036, zorder=3)
            dot.set(facecolor=colour if kept else "white", edgecolor=colour if kept else GREY, linewidth=0.6)
            page.add_patch(dot)
    else:
        return
    corner, side = (x - _HALF - 0.04, y - _HALF - 0.04), 2 * _HALF + 0.08
    tile = FancyBboxPatch(corner, side, side, boxstyle="round,pad=0,rounding_size=0.06")
    tile.set(facecolor="white", edgecolor=LINE, linewidth=0.8, zorder=2)
    page.add_patch(tile)


def _cell(page: Axes, x: float, y: float, width: float, height: float, face: tuple[float, float, float]) -> None:
    page.add_patch(Rectangle((x, y), width, height, facecolor=face, edgecolor="white", linewidth=0.5, zorder=3))


def _grid(page: Axes, x: float, y: float, colour: str, shares: tuple[tuple[float, ...], ...]) -> None:
    side = 2 * _HALF / 3
    for row, line in enumerate(shares):
        for column, share in enumerate(line):
            _cell(page, x - _HALF + column * side, y - _HALF + row * side, side, side, tint(colour, share))


def _line(page: Axes, x: float, y: float, colour: str, across: np.ndarray, down: np.ndarray) -> None:
    page.plot([x - _HALF, x + _HALF], [y + 0.85 * _HALF] * 2, color=LINE, linewidth=0.8, zorder=3)
    page.plot(x + _HALF * across, y + _HALF * down, color=shade(colour, 0.9), linewidth=1.6, zorder=3)


def _fan(page: Axes, x: float, y: float, colour: str) -> None:
    before = [(x - 0.12, y + 0.12 * step) for step in (-1, 0, 1)]
    after = [(x + 0.12, y + 0.08 * step) for step in (-1, 1)]
    for start in before:
        for end in after:
            page.plot(*zip(start, end, strict=True), color=tint(colour, 0.6), linewidth=0.7, zorder=3)
    for dot in before + after:
        page.add_patch(Circle(dot, 0.03, facecolor=colour, edgecolor="none", zorder=3.1))
