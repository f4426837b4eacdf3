"""Draw feature maps as stacks of sheets seen at an angle, from left to right on one line.

The size of a sheet is the spatial size of its map, the number of sheets grows with the channels; a vector is a column
of cells. What a convolution or pooling layer sees of its input is drawn as a window that runs together in one value.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Literal

from matplotlib.axes import Axes
from matplotlib.collections import LineCollection
from matplotlib.patches import Circle, FancyBboxPatch, PathPatch, Polygon, Rectangle
from matplotlib.path import Path

from mnist_lit.run.network_icons import draw_icon
from mnist_lit.run.network_table import shape_text
from mnist_lit.run.style import GREY, INK, LINE, shade, text_width, tint, write

_SHEAR = (0.46, 0.24)  # a step of 1 along the width of a sheet goes this far to the right and up
_STEP = 0.042  # inches between two sheets
_CELLS = 16  # up to here every cell of a vector is drawn
_LABEL, _CAPTION = 7.0, 7.5  # points
_CORNERS = ((0, 0), (1, 0), (1, 1), (0, 1))  # across and down a sheet
_SLACK = 1.1  # inches that a gap may grow where there is room
_PAD = 0.1  # inches between a stage's box and what is in it


@dataclass(frozen=True)
class Block:
    """A feature map on the way through the network.

    Attributes:
        shape: Shape of one sample.
        colour: Of the sheets.
        group: Name of the stage whose box it stands in; empty for what comes into the picture.
        caption: Written above it.
        icon: Class of the layer that made it, drawn as a small picture above the caption.
        number: Of that layer, shown in a disc.
        window: Side of the square of the block before it that one of its values sees.
        dilation: Distance between the values inside the window.
        role: `input` is a white sheet with a digit on it, `output` a vector whose cells are numbered.
    """

    shape: tuple[int, ...]
    colour: str
    group: str = ""
    caption: str = ""
    icon: str = ""
    number: int | None = None
    window: int | None = None
    dilation: int = 1
    role: Literal["input", "inside", "output"] = "inside"

    @property
    def is_vector(self) -> bool:
        """Whether it has no spatial size."""
        return len(self.shape) < 2

    @property
    def maps(self) -> tuple[int, int, int]:
        """Channels, height and width of a block that is no vector."""
        return (math.prod(self.shape[:-2]), self.shape[-2], self.shape[-1])

    @property
    def sheets(self) -> int:
        """How many sheets stand for its channels."""
        channels = self.maps[0]
        return min(channels, max(1, round(math.sqrt(channels))), 16)

    def size(self, unit: float) -> tuple[float, float]:
        """Width and height in inches of the drawing, at `unit` inches per pixel."""
        if self.is_vector:
            length = math.prod(self.shape)
            height = 0.35 + 0.1 * math.log2(length) if length > _CELLS else min(0.125, 1.4 / length) * length
            return (0.27 if self.role == "output" and length <= _CELLS else 0.13), height
        _, high, wide = self.maps
        width, height = _side(wide, unit), _side(high, unit)
        return _STEP * (self.sheets - 1) + _SHEAR[0] * width, height + _SHEAR[1] * width

    def column(self, unit: float) -> float:
        """Width in inches that the drawing and its texts need."""
        label = text_width(shape_text(self.shape), _LABEL)
        caption = text_width(self.caption, _CAPTION, bold=True)
        return max(self.size(unit)[0], label, caption)


def _side(pixels: int, unit: float) -> float:
    return max(pixels * unit, 0.12)


@dataclass(frozen=True)
class _Placed:
    """A block and where it stands: its left edge and the middle of its height, in inches."""

    block: Block
    x: float
    y: float
    unit: float

    @property
    def right(self) -> float:
        return self.x + self.block.size(self.unit)[0]

    def point(self, across: float, down: float, sheet: int = -1) -> tuple[float, float]:
        """A point on one of the sheets, `across` and `down` in [0, 1]; the last sheet is the front one."""
        _, height, width = self.block.maps
        high, wide = _side(height, self.unit), _side(width, self.unit)
        sheet = sheet % self.block.sheets
        bottom = self.y + (high + _SHEAR[1] * wide) / 2
        x = self.x + _STEP * sheet + _SHEAR[0] * wide * across
        return x, bottom - high * (1 - down) - _SHEAR[1] * wide * across


def flow_width(blocks: Sequence[Block], unit: float) -> float:
    """Least width in inches of blocks side by side."""
    return sum(block.column(unit) for block in blocks) + sum(_gaps(blocks)) + 2 * _PAD


def _gaps(blocks: Sequence[Block]) -> list[float]:
    return [0.14 if a.group == b.group else 0.14 + 2 * _PAD for a, b in pairwise(blocks)]


def draw_flow(
    page: Axes, blocks: Sequence[Block], left: float, right: float, middle: float, height: float, unit: float
) -> dict[str, tuple[float, float]]:
    """Draw blocks side by side between `left` and `right`, their middles on the height `middle`, all in inches.

    Args:
        page: Axes in inches from the top left.
        blocks: From left to right; the first is the input.
        left: Left edge.
        right: Right edge.
        middle: Height of the middle line.
        height: Height that the tallest block may take.
        unit: Inches per pixel of the maps.

    Returns:
        Left and right edge of each group's box.
    """
    gaps = _gaps(blocks)
    room = right - left - flow_width(blocks, unit)
    slack = min(max(room, 0) / max(len(gaps), 1), _SLACK)
    x = left + _PAD + (room - slack * len(gaps)) / 2
    placed: list[_Placed] = []
    edges: dict[str, tuple[float, float]] = {}
    for block, gap in zip(blocks, [*gaps, 0.0], strict=True):
        column = block.column(unit)
        width = block.size(unit)[0]
        placed.append(_Placed(block, x + (column - width) / 2, middle, unit))
        first = edges.get(block.group, (x - _PAD, 0.0))[0]
        edges[block.group] = (first, x + column + _PAD)
        centre = x + column / 2
        below = middle + height / 2 + 0.14
        write(page, centre, below, shape_text(block.shape), _LABEL, colour=INK, ha="center", va="center")
        above = middle - height / 2 - 0.14
        if block.caption:
            write(page, centre, above, block.caption, _CAPTION, bold=True, ha="center", va="center")
        if block.icon:
            draw_icon(page, centre, above - 0.34, block.icon, block.colour)
        if block.number is not None:
            draw_disc(page, centre - 0.2, above - 0.54, block.number, block.colour)
        x += column + gap + slack
    for before, after in pairwise(placed):
        start, end = before.right + 0.02, after.x - 0.03
        if end - start > 0.08:
            arrow = {"arrowstyle": "-|>,head_width=0.16,head_length=0.28", "color": GREY, "linewidth": 0.8}
            page.annotate(
                "", (end, middle), (start, middle), arrowprops={**arrow, "shrinkA": 0, "shrinkB": 0}, zorder=1
            )
    for one in placed:
        _draw_block(page, one)
    for before, after in pairwise(placed):
        if after.block.window and not before.block.is_vector and not after.block.is_vector:
            _draw_window(page, before, after)
    return edges


def draw_disc(page: Axes, x: float, y: float, number: int, colour: str) -> None:
    """A small disc with the number of a layer."""
    page.add_patch(Circle((x, y), 0.085, facecolor=colour, edgecolor="none", zorder=4))
    write(page, x, y + 0.003, str(number), 7, colour="white", bold=True, ha="center", va="center", zorder=5)


def draw_box(page: Axes, left: float, right: float, top: float, bottom: float, colour: str) -> None:
    """A rounded box in a light tint, behind everything."""
    style = "round,pad=0,rounding_size=0.09"
    box = FancyBboxPatch((left, top), right - left, bottom - top, boxstyle=style, zorder=0)
    box.set(facecolor=tint(colour, 0.09), edgecolor=tint(colour, 0.45), linewidth=0.8)
    page.add_patch(box)


def _draw_block(page: Axes, placed: _Placed) -> None:
    block = placed.block
    if block.is_vector:
        _draw_vector(page, placed)
        return
    is_input = block.role == "input"
    for sheet in range(block.sheets):
        corners = [placed.point(u, v, sheet) for u, v in _CORNERS]
        face = "white" if is_input else tint(block.colour, 0.45 + 0.45 * (sheet + 1) / block.sheets)
        edge = GREY if is_input else shade(block.colour, 0.62)
        page.add_patch(Polygon(corners, facecolor=face, edgecolor=edge, linewidth=0.5, joinstyle="round", zorder=2))
    _, height, width = block.maps
    lines = [((part / width, 0.0), (part / width, 1.0)) for part in range(1, width)]
    lines += [((0.0, part / height), (1.0, part / height)) for part in range(1, height)]
    segments = [[placed.point(*start), placed.point(*end)] for start, end in lines]
    colour = LINE if is_input else (1.0, 1.0, 1.0, 0.28)
    page.add_collection(LineCollection(segments, colors=[colour], linewidths=0.35, zorder=2.1), autolim=False)
    if is_input:
        _draw_digit(page, placed)


def _draw_vector(page: Axes, placed: _Placed) -> None:
    block = placed.block
    length = math.prod(block.shape)
    height = block.size(placed.unit)[1]
    width, top = 0.13, placed.y - height / 2
    cells = length if length <= _CELLS else round(height / 0.075)
    pitch = height / cells
    for cell in range(cells):
        y = top + (cell + 0.5) * pitch
        if length > _CELLS and abs(cell - (cells - 1) / 2) < 1.5:  # three dots: there are more
            page.add_patch(Circle((placed.x + width / 2, y), 0.012, color=GREY, zorder=2))
            continue
        box = Rectangle((placed.x, y - 0.41 * pitch), width, 0.82 * pitch, zorder=2)
        box.set(facecolor=tint(block.colour, 0.85), edgecolor=shade(block.colour, 0.62), linewidth=0.4)
        page.add_patch(box)
        if block.role == "output" and length <= _CELLS:
            write(page, placed.x + width + 0.05, y, str(cell), 7, colour=GREY, va="center")


def _draw_window(page: Axes, before: _Placed, after: _Placed) -> None:
    """Mark the square that one value of `after` sees, with the values it takes, and lines that run together there."""
    _, height, width = before.block.maps
    window = min(after.block.window or 1, height, width)
    column, row = round(0.42 * (width - window)), round(0.25 * (height - window))
    corners = [before.point((column + u * window) / width, (row + v * window) / height) for u, v in _CORNERS]
    _, high, wide = after.block.maps
    target = after.point((round(0.42 * (wide - 1)) + 0.5) / wide, (round(0.25 * (high - 1)) + 0.5) / high)
    page.add_patch(Polygon(corners, facecolor=(1, 1, 1, 0.45), edgecolor=INK, linewidth=0.8, zorder=3))
    if before.unit > 0.05:  # large enough to show which values of the window are taken
        taken = [(0.5 + step) for step in range(0, window, after.block.dilation)]
        points = [before.point((column + u) / width, (row + v) / height) for u in taken for v in taken]
        across, down = zip(*points, strict=True)
        page.scatter(across, down, s=(14 * before.unit) ** 2, color=INK, linewidth=0, zorder=3)
    rays = LineCollection([[corner, target] for corner in corners], colors=[INK], linewidths=0.45, zorder=3)
    rays.set_alpha(0.7)
    page.add_collection(rays, autolim=False)
    page.add_patch(Circle(target, 0.016, facecolor=INK, edgecolor="white", linewidth=0.4, zorder=3.1))


def _draw_digit(page: Axes, placed: _Placed) -> None:
    """Write a 5 on the first sheet, in perspective, as a pen would."""
    start = [(0.70, 0.20), (0.36, 0.22), (0.33, 0.47)]
    bowl = [(0.50, 0.37), (0.74, 0.47), (0.69, 0.64), (0.64, 0.84), (0.42, 0.84), (0.28, 0.73)]
    codes = [Path.MOVETO, Path.LINETO, Path.LINETO, *[Path.CURVE4] * 6]
    path = Path([placed.point(u, v) for u, v in start + bowl], codes)
    thickness = 72 * 0.075 * _side(placed.block.maps[2], placed.unit)
    stroke = PathPatch(path, facecolor="none", edgecolor=INK, linewidth=thickness, zorder=2.5)
    stroke.set(capstyle="round", joinstyle="round")
    page.add_patch(stroke)
