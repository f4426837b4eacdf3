"""The network as a picture: as a whole, and one stage alone, layer by layer.

Both are made from the live network (see `network_table.py`), so that they are right for every network, not only for the
reference network. A stage is a child of the network at the top level, such as `layer1`.
"""

import math
from collections.abc import Sequence
from dataclasses import replace

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle
from torch import nn

from mnist_lit.run.network_blocks import Block, draw_box, draw_disc, draw_flow, flow_width
from mnist_lit.run.network_table import LayerRow, layer_table, shape_text
from mnist_lit.run.style import (
    CYCLE,
    FAINT,
    GREY,
    LINE,
    MARGIN,
    WIDTH,
    heading_height,
    new_page,
    own_settings,
    shade,
    text_width,
    tint,
    write,
    write_heading,
)

__all__ = ["LayerRow", "layer_table", "network_figure", "stage_figure"]

_ROW = 0.225  # inches
_ABOVE, _BELOW = 0.85, 0.35  # inches above and below the blocks of a line in a stage's picture: icons, shapes


@own_settings
def network_figure(network: nn.Module, input_shape: tuple[int, ...] = (1, 28, 28), *, title: str) -> Figure:
    """Draw a network as a whole: its feature maps from left to right, and a table of all layers below.

    Args:
        network: Any network that takes a batch of `input_shape`; it is left as it was.
        input_shape: Shape of one sample.
        title: Heading; the number of parameters is written after it.

    Returns:
        A figure 8 inches wide (wider where the network has many stages).
    """
    rows = layer_table(network, input_shape)
    colours = _stage_colours(rows)
    blocks = [Block(input_shape, GREY, role="input")]
    for row in rows:
        if row.output_shape != blocks[-1].shape:
            window = row.window if row.input_shape == blocks[-1].shape else None
            blocks.append(Block(row.output_shape, colours[row.stage], row.stage, window=window, dilation=row.dilation))
    blocks[-1] = replace(blocks[-1], role="output" if len(blocks) > 1 else "input")
    unit = _unit(blocks, WIDTH - 2 * MARGIN, 1.2)
    width = max(WIDTH, flow_width(blocks, unit) + 2 * MARGIN)
    total = sum(parameter.numel() for parameter in network.parameters())
    title = f"{title} · {total:,} parameters"
    height = max(block.size(unit)[1] for block in blocks)
    top = heading_height(title, width=width)
    below = top + 0.45 + height + 0.55
    figure, page = new_page(below + _table_height(rows), width)
    write_heading(page, title)
    middle = top + 0.45 + height / 2
    edges = draw_flow(page, blocks, MARGIN, width - MARGIN, middle, height, unit)
    for stage, (left, right) in edges.items():
        if not stage:
            write(page, (left + right) / 2, top + 0.16, "input", 8, bold=True, colour=GREY, ha="center", va="center")
            continue
        draw_box(page, left, right, top, below - 0.2, colours[stage])
        dark = shade(colours[stage], 0.75)
        size = min(8.5, 8.5 * (right - left - 0.06) / text_width(stage, 8.5, bold=True))
        write(page, (left + right) / 2, top + 0.16, stage, size, bold=True, colour=dark, ha="center", va="center")
    _table(page, rows, colours, below, width)
    return figure


@own_settings
def stage_figure(network: nn.Module, stage: str, input_shape: tuple[int, ...] = (1, 28, 28)) -> Figure:
    """Draw one stage of a network alone, layer by layer, and say what each layer does.

    Args:
        network: Any network that takes a batch of `input_shape`; it is left as it was.
        stage: Name of a child of the network, such as `layer1`.
        input_shape: Shape of one sample of the whole network.

    Returns:
        A figure 8 inches wide.

    Raises:
        ValueError: The network has no such stage, or an image meets no layer of it.
    """
    all_rows = layer_table(network, input_shape)
    rows = [row for row in all_rows if row.stage == stage]
    if not rows:
        raise ValueError(f"stage: {stage!r} is not one of {', '.join(_stage_colours(all_rows))}")
    colours = _stage_colours(all_rows)
    lines = _stage_lines(all_rows, rows)
    unit = min(_unit(blocks, WIDTH - 2 * MARGIN, 1.8) for blocks in lines)
    unit = min(unit, 0.16)  # a map of 4×4 stays small beside one of 8×8 in the picture of another stage
    width = max(WIDTH, *(flow_width(blocks, unit) + 2 * MARGIN for blocks in lines))
    parameters = sum(row.parameters for row in rows)
    title = f"{stage} · {shape_text(rows[0].input_shape)} → {shape_text(rows[-1].output_shape)}"
    subtitle = f"{len(rows)} {'layer' if len(rows) == 1 else 'layers'}, {parameters:,} parameters"
    heights = [max(block.size(unit)[1] for block in blocks) for blocks in lines]
    top = heading_height(title, subtitle, width)
    table = top + sum(heights) + len(lines) * (_ABOVE + _BELOW)
    figure, page = new_page(table + _table_height(rows), width)
    write_heading(page, title, subtitle)
    for blocks, height in zip(lines, heights, strict=True):
        draw_flow(page, blocks, MARGIN, width - MARGIN, top + _ABOVE + height / 2, height, unit)
        top += height + _ABOVE + _BELOW
    _stage_table(page, rows, colours[stage], table, width)
    return figure


def _stage_lines(all_rows: Sequence[LayerRow], rows: Sequence[LayerRow]) -> list[list[Block]]:
    """The blocks of one stage in lines of at most six layers; each line begins with what comes into it."""
    colours = _stage_colours(all_rows)
    place = all_rows.index(rows[0])
    before = all_rows[place - 1].stage if place else ""
    if before:
        first = Block(rows[0].input_shape, colours[before], caption=f"from {before}")
    else:
        first = Block(rows[0].input_shape, GREY, caption="input", role="input")
    lines = [[first]]
    longest = math.ceil(len(rows) / math.ceil(len(rows) / 6))
    for number, row in enumerate(rows, start=1):
        if len(lines[-1]) > longest:
            lines.append([replace(lines[-1][-1], caption=f"from {number - 1}", icon="", number=None)])
        kind = row.kind.split(" ")[0]
        window = row.window if row.input_shape == lines[-1][-1].shape else None  # another branch has another input
        block = Block(row.output_shape, colours[row.stage], row.stage, kind, kind, number, window, row.dilation)
        lines[-1].append(replace(block, role="output" if row is all_rows[-1] else "inside"))
    return lines


def _stage_colours(rows: Sequence[LayerRow]) -> dict[str, str]:
    stages = list(dict.fromkeys(row.stage for row in rows))
    return {stage: CYCLE[number % len(CYCLE)] for number, stage in enumerate(stages)}


def _unit(blocks: Sequence[Block], width: float, largest: float) -> float:
    """Inches per pixel: the largest map is `largest` inches high, or what the width has room for."""
    pixels = max((max(block.maps[1:]) for block in blocks if not block.is_vector), default=1)
    unit = largest / pixels
    while flow_width(blocks, unit) > width and unit > 0.45 * largest / pixels:
        unit *= 0.97
    return unit


def _table_height(rows: Sequence[LayerRow]) -> float:
    return 0.25 + _ROW * len(rows) + (0.4 if _explained(rows) else 0.2)


def _explained(rows: Sequence[LayerRow]) -> bool:
    """Whether the table needs its footnote about the letters."""
    return any(row.window for row in rows)


def _footnote(page: Axes, rows: Sequence[LayerRow], x: float, y: float) -> None:
    if _explained(rows):
        note = "k kernel size, s stride, p padding, d dilation (distance between the values taken)"
        write(page, x, y, note, 7, colour=GREY, va="center")


def _columns(texts: Sequence[Sequence[str]], left: float, right: float) -> tuple[list[float], float]:
    """Left edges of columns spread between `left` and `right`, and the size of their text in points.

    The text is 8.5 points, or as small as it must be for the columns not to touch.
    """
    room = right - left - 0.18 * (len(texts) - 1)
    widths = [max(text_width(text, 8.5) for text in column) for column in texts]
    scale = min(1.0, room / sum(widths))
    gap = (right - left - scale * sum(widths)) / (len(widths) - 1)
    edges = [left + sum(scale * width + gap for width in widths[:number]) for number in range(len(widths))]
    return edges, 8.5 * scale


def _table(page: Axes, rows: Sequence[LayerRow], colours: dict[str, str], top: float, width: float) -> None:
    names = [row.name for row in rows]
    kinds = [row.kind for row in rows]
    shapes = [shape_text(row.output_shape) for row in rows]
    numbers = [f"{row.parameters:,}" if row.parameters else "–" for row in rows]
    bar = 1.1
    right = width - MARGIN - bar - 0.15
    titles = ["layer", "what it is", "output shape", "parameters"]
    texts = [[title, *column] for title, column in zip(titles, [names, kinds, shapes, numbers], strict=True)]
    x, size = _columns(texts, MARGIN + 0.2, right)
    for edge, title in zip(x[:-1], titles[:-1], strict=True):
        write(page, edge, top + 0.1, title, 8, colour=GREY, va="center")
    write(page, right, top + 0.1, titles[-1], 8, colour=GREY, ha="right", va="center")
    top += 0.25
    most = max(max(row.parameters for row in rows), 1)
    for index, row in enumerate(rows):
        y, colour = top + (index + 0.5) * _ROW, colours[row.stage]
        if index == 0 or rows[index - 1].stage != row.stage:
            page.plot([MARGIN, width - MARGIN], [y - _ROW / 2] * 2, color=LINE, linewidth=0.7)
            members = next((n for n, other in enumerate(rows[index:]) if other.stage != row.stage), len(rows) - index)
            band = Rectangle((MARGIN, y - _ROW / 2 + 0.025), 0.06, members * _ROW - 0.05)
            band.set(facecolor=colour, edgecolor="none")
            page.add_patch(band)
        write(page, x[0], y, names[index], size, colour=shade(colour, 0.75), va="center_baseline")
        write(page, x[1], y, kinds[index], size, va="center_baseline")
        write(page, x[2], y, shapes[index], size, va="center_baseline")
        write(page, right, y, numbers[index], size, ha="right", va="center_baseline")
        length = bar * row.parameters / most
        page.add_patch(Rectangle((right + 0.15, y - 0.055), length, 0.11, facecolor=tint(colour, 0.6)))
    _footnote(page, rows, x[0], top + len(rows) * _ROW + 0.18)


def _stage_table(page: Axes, rows: Sequence[LayerRow], colour: str, top: float, width: float) -> None:
    kinds = [row.kind for row in rows]
    does = [row.does for row in rows]
    shapes = [shape_text(row.output_shape) for row in rows]
    numbers = [f"{row.parameters:,}" if row.parameters else "–" for row in rows]
    titles = ["layer", "what it does", "output shape", "parameters"]
    texts = [[title, *column] for title, column in zip(titles, [kinds, does, shapes, numbers], strict=True)]
    right = width - MARGIN - 0.1
    x, size = _columns(texts, MARGIN + 0.35, right)
    for edge, title in zip(x[:-1], titles[:-1], strict=True):
        write(page, edge, top + 0.1, title, 8, colour=GREY, va="center")
    write(page, right, top + 0.1, titles[-1], 8, colour=GREY, ha="right", va="center")
    top += 0.25
    for index in range(len(rows)):
        y = top + (index + 0.5) * _ROW
        if index % 2 == 0:
            page.add_patch(Rectangle((MARGIN, y - _ROW / 2), width - 2 * MARGIN, _ROW, facecolor=FAINT, zorder=0))
        draw_disc(page, MARGIN + 0.17, y, index + 1, colour)
        write(page, x[0], y, kinds[index], size, va="center_baseline")
        write(page, x[1], y, does[index], size, colour=GREY, va="center_baseline")
        write(page, x[2], y, shapes[index], size, va="center_baseline")
        write(page, right, y, numbers[index], size, ha="right", va="center_baseline")
    _footnote(page, rows, x[0], top + len(rows) * _ROW + 0.18)
