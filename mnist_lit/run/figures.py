"""The figures of a run: curves, confusion matrix, worst mistakes, filter sheet.

Arrays come in, a matplotlib Figure goes out: each function draws what it is given, writes no file and leaves no global
state. `save_figure` puts the result on disk. The network diagram has a file of its own, `network_figure.py`.
"""

from collections.abc import Collection, Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.colors import LinearSegmentedColormap, PowerNorm
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle
from numpy.typing import ArrayLike, NDArray

from mnist_lit.run.curves import curves_figure
from mnist_lit.run.style import (
    AMBER,
    GREY,
    INK,
    LINE,
    MARGIN,
    WIDTH,
    add_axes,
    heading_height,
    new_page,
    own_settings,
    save_figure,
    text_width,
    wrap,
    write,
    write_heading,
)

__all__ = ["confusion_figure", "curves_figure", "filters_figure", "mistakes_figure", "save_figure"]


_ERRORS = LinearSegmentedColormap.from_list("errors", ["#fdeee0", "#fbbd84", "#ec7014", "#b84203", "#8c2d04"])


@own_settings
def confusion_figure(matrix: ArrayLike, *, class_names: Sequence[str], title: str) -> Figure:
    """Draw a confusion matrix in which single errors can be seen beside a thousand right answers.

    Args:
        matrix: (C, C) counts: row = truth, column = answer.
        class_names: C names, in the order of the classes.
        title: Heading of the figure.

    Returns:
        A figure with the counts in the cells (errors coloured by their number, right answers grey, zeros left blank)
        and the accuracy of each class at the right.
    """
    counts = np.asarray(matrix, dtype=np.int64)
    classes = len(class_names)
    if counts.shape != (classes, classes):
        raise ValueError(f"matrix: shape {counts.shape} does not fit {classes} class names")
    errors = counts * (1 - np.eye(classes, dtype=np.int64))
    total, wrong = int(counts.sum()), int(errors.sum())
    subtitle = f"{total:,} images, {wrong:,} errors" + (f", {100 * (1 - wrong / total):.2f} % right" if total else "")
    longest = max(text_width(name, 9) for name in class_names)
    size = min(9.0, 9 * 1.2 / max(longest, 0.01), 200 / classes)  # names get 1.2 inches, and a line of their own
    longest *= size / 9
    slanted = longest > 0.45
    left, top = max(MARGIN + 0.1 + longest, 0.95), heading_height(title, subtitle)
    side = WIDTH - left - 1.25
    cell = side / classes
    head = 0.75 * longest + 0.45 if slanted else 0.5
    figure, page = new_page(top + head + side + 0.3)
    write_heading(page, title, subtitle)

    axes = add_axes(figure, left, top + head, side, side)
    axes.set_axis_off()
    norm = PowerNorm(0.5, vmin=0, vmax=max(int(errors.max(initial=0)), 8))
    axes.imshow(np.ma.masked_equal(errors, 0), cmap=_ERRORS, norm=norm, aspect="auto", interpolation="nearest")
    for row in range(classes):
        axes.add_patch(Rectangle((row - 0.5, row - 0.5), 1, 1, facecolor="#e4e8ec", edgecolor="none"))
        for column in range(classes):
            count = int(counts[row, column])
            if count == 0:
                continue
            text = f"{count:,}"
            fit = min(10.0, 10.0 * 0.86 * cell / text_width(text, 10))
            dark = row != column and norm(count) > 0.68
            write(axes, column, row, text, fit, colour="white" if dark else INK, ha="center", va="center_baseline")
    for line in np.arange(classes + 1) - 0.5:
        axes.axhline(line, color=LINE, linewidth=0.6, clip_on=False)
        axes.axvline(line, color=LINE, linewidth=0.6, clip_on=False)

    for index, name in enumerate(class_names):
        y, x = top + head + (index + 0.5) * cell, left + (index + 0.5) * cell
        write(page, left - 0.1, y, name, size, ha="right", va="center_baseline")
        angle = {"rotation": 45, "rotation_mode": "anchor", "ha": "left"} if slanted else {"ha": "center"}
        write(page, x, top + head - 0.08, name, size, va="bottom" if not slanted else "baseline", **angle)
        seen = int(counts[index].sum())
        share = f"{100 * counts[index, index] / seen:.1f} %" if seen else "–"
        write(page, WIDTH - MARGIN, y, share, size, ha="right", va="center_baseline", colour=INK)
    write(page, left - 0.1, top + head - 0.08, "truth ↓", 9, colour=GREY, ha="right", va="bottom")
    write(page, left + 0.05, top + 0.08, "answer →", 9, colour=GREY, ha="left", va="center")
    write(page, WIDTH - MARGIN, top + head - 0.08, "accuracy", 9, colour=GREY, ha="right", va="bottom")
    return figure


@own_settings
def mistakes_figure(
    images: NDArray[np.uint8],
    truths: Sequence[int] | NDArray[np.int64],
    answers: Sequence[int] | NDArray[np.int64],
    confidences: Sequence[float] | NDArray[np.float64],
    indices: Sequence[int] | NDArray[np.int64],
    *,
    class_names: Sequence[str],
    total_errors: int,
    total: int,
    disputed: Collection[int] = (),
    whose: str = "",
) -> Figure:
    """Show up to 36 wrong answers, the most confident first, as images with truth, answer and confidence.

    Args:
        images: (K, 28, 28) uint8, in the order in which they are to be shown; K may be 0, and of more than 36 the first
            36 are shown.
        truths: (K,) class numbers.
        answers: (K,) class numbers.
        confidences: (K,) probabilities in [0, 1] that the network gave to its answer.
        indices: (K,) places of the images in their data set.
        class_names: Name of each class.
        total_errors: How many mistakes there were in all.
        total: How many images were looked at.
        disputed: Indices whose label human raters dispute; they get a mark.
        whose: Who made the mistakes, for the title.

    Returns:
        A sheet of six columns and as many rows as are needed.
    """
    shown = min(len(images), 36)
    marks = [int(index) in disputed for index in indices[:shown]]
    title = f"The {shown} worst of {total_errors:,} mistakes" if shown < total_errors else f"All {shown} mistakes"
    if shown <= 1:
        title = "No mistakes" if total_errors == 0 else title if shown < total_errors else "The only mistake"
    if whose:
        title = f"{whose}: {title[0].lower()}{title[1:]}"
    accuracy = f" ({100 * (1 - total_errors / total):.2f} % right)" if total else ""
    subtitle = f"{total_errors:,} of {total:,} images read wrongly{accuracy}."
    if shown:
        subtitle += " Below each image: truth → answer, confidence, index."
    top = heading_height(title, subtitle)
    columns, rows = 6, max(1, -(-shown // 6))
    pitch = (WIDTH - 2 * MARGIN) / columns
    side = pitch - 0.22
    pairs = [f"{class_names[truth]} → {class_names[answer]}" for truth, answer in zip(truths, answers, strict=True)]
    two_lines = any(text_width(pair, 9, bold=True) > side for pair in pairs[:shown])
    height = side + (0.62 if two_lines else 0.46)
    figure, page = new_page(top + rows * height + (0.4 if any(marks) else 0.1))
    write_heading(page, title, subtitle)
    if shown == 0:
        message = "Every image was read rightly." if total_errors == 0 else "No image to show."
        write(page, WIDTH / 2, top + 0.5 * side, message, 11, colour=GREY, ha="center", va="center")
    for place in range(shown):
        row, column = divmod(place, columns)
        x, y = MARGIN + column * pitch + 0.11, top + row * height
        _tile(page, images[place], x, y, side, AMBER if marks[place] else LINE, 2.0 if marks[place] else 0.8)
        lines = pairs[place].replace(" → ", "\n→ ").split("\n") if two_lines else [pairs[place]]
        for number, line in enumerate(lines):
            size = min(9.0, 9.0 * side / text_width(line, 9, bold=True))
            write(page, x, y + side + 0.12 + 0.15 * number, line, size, bold=True, va="center")
        below = y + side + 0.12 + 0.15 * len(lines)
        write(page, x, below, f"{100 * confidences[place]:.1f} %", 7.5, colour=GREY, va="center")
        mark = "◆ " if marks[place] else ""
        write(page, x + side, below, f"{mark}{indices[place]}", 7.5, colour=GREY, ha="right", va="center")
    if any(marks):
        _tile(page, np.zeros((1, 1), np.uint8), MARGIN + 0.11, top + rows * height + 0.06, 0.13, AMBER, 2.0)
        note = "◆ The given label is disputed by human raters."
        write(page, MARGIN + 0.34, top + rows * height + 0.125, note, 8, colour=GREY, va="center")
    return figure


def _tile(page: Axes, image: NDArray[np.uint8], x: float, y: float, side: float, colour: str, width: float) -> None:
    """Draw one image as ink on paper, `side` inches wide, with a frame."""
    extent = (x, x + side, y + side, y)
    page.imshow(image, cmap="gray_r", vmin=0, vmax=255, extent=extent, aspect="auto", interpolation="nearest")
    page.add_patch(Rectangle((x, y), side, side, fill=False, edgecolor=colour, linewidth=width))


@own_settings
def filters_figure(rows: Sequence[tuple[str, NDArray[np.uint8]]], *, title: str) -> Figure:
    """Show what the filters do: the raw images in the first row, then the images after each filter.

    Args:
        rows: Name of the stage (`raw`, `gaussian(kernel_size=5, sigma=1.0)`, …) and its images, (K, 28, 28) uint8, the
            same K digits in every row.
        title: Heading of the figure.

    Returns:
        A sheet with one row per stage and one column per image.
    """
    columns = max((len(images) for _, images in rows), default=0)
    top = heading_height(title)
    inner = WIDTH - 2 * MARGIN
    pitch = inner / max(columns, 6)
    labels = [wrap(label, inner - 0.3, 9, bold=True) for label, _ in rows]
    heights = [0.19 * len(label) + 0.08 + pitch + 0.16 for label in labels]
    figure, page = new_page(top + max(sum(heights), 0.5))
    write_heading(page, title)
    y = top
    for number, ((_, images), label) in enumerate(zip(rows, labels, strict=True)):
        for line in label:
            write(page, MARGIN + (0.3 if number else 0), y + 0.09, line, 9, bold=True, va="center")
            y += 0.19
        if number:
            write(page, MARGIN, y - 0.19 * len(label) + 0.09, f"{number} ", 9, bold=True, colour=GREY, va="center")
        y += 0.08
        for column, image in enumerate(images):
            _tile(page, image, MARGIN + column * pitch, y, pitch - 0.07, LINE, 0.6)
        y += pitch + 0.16
    return figure
