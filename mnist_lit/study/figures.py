"""The two figures of a filter study: heat map of differences to the baseline, bars of mean accuracies with intervals.

Scores and their summary come in, a matplotlib Figure goes out; nothing is chosen or computed here but places and
colours.
"""

from pathlib import Path

import numpy as np
from matplotlib.axes import Axes
from matplotlib.colors import LinearSegmentedColormap, to_rgb
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle

from mnist_lit.run.style import (
    BLUE,
    GREY,
    INK,
    LINE,
    MARGIN,
    VERMILION,
    WIDTH,
    add_axes,
    heading_height,
    new_page,
    own_settings,
    save_figure,
    shade,
    style_axes,
    text_width,
    write,
    write_heading,
)
from mnist_lit.study.config import CLEAN
from mnist_lit.study.tables import MEAN, Scores, Summary, ranked

_DIVERGING = LinearSegmentedColormap.from_list(
    "difference",
    [
        shade(VERMILION, 0.85),
        *(to_rgb(colour) for colour in (VERMILION, "#f6b48a", "#ffffff", "#8ec3e6", BLUE)),
        shade(BLUE, 0.75),
    ],
)
_ROW = 0.25  # inches


def _difference(value: float, decimals: int) -> str:
    """Write a difference in points; a large one without decimals."""
    text = f"{value:+.{decimals if abs(value) < 9.95 else 0}f}"
    return "0" if float(text) == 0.0 else text.replace("-", "−")


@own_settings
def heatmap_figure(scores: Scores, summary: Summary, what: str) -> Figure:
    """Draw what each filter changes on each test set, in percentage points, as coloured cells with numbers.

    Args:
        scores: what was measured.
        summary: its comparisons; what may be chance after the correction is left without colour.
        what: says in the subtitle what was trained.
    """
    names = ranked(scores, summary)
    parts = [CLEAN, *scores.corruptions]
    rows = [[100 * summary.by_set[name, part].difference.mean for part in parts] for name in names]
    means = [100 * summary.main[name, MEAN].difference.mean for name in names]
    seeds = scores.accuracy.shape[1]
    title = f"What each filter changes, in percentage points against “{scores.baseline}”"
    subtitle = f"{what}, mean of {seeds} seeds. Blue: better with the filter; red: worse"
    if seeds > 1:
        subtitle += f"; no colour: may be chance (p\u00a0≥\u00a00.05, Holm over {len(summary.by_set)} comparisons)"
    subtitle += "."
    left = MARGIN + max(text_width(name, 8.5) for name in names) + 0.1
    top = heading_height(title, subtitle)
    labels = [*(part.replace("_", " ") for part in parts), f"mean of {len(scores.corruptions)}"]
    head = 0.12 + 0.85 * max(text_width(label, 8) for label in labels)
    gap = 0.08  # before the column of means
    # The slanted label of the last column reaches to the right.
    cell = min(0.5, (WIDTH - MARGIN - 0.35 - left - gap) / len(labels))
    figure, page = new_page(top + head + _ROW * len(names) + 0.3)
    write_heading(page, title, subtitle)
    largest = max(5.0, max(abs(value) for row in rows for value in row))
    for index, label in enumerate(labels):
        x = left + (index + 0.5) * cell + (gap if index == len(parts) else 0)
        bold = index in (0, len(parts))
        write(
            page, x - 0.02, top + head - 0.06, label, 8, rotation=60, rotation_mode="anchor", va="baseline", bold=bold
        )
    for row, (name, values, mean) in enumerate(zip(names, rows, means, strict=True)):
        y = top + head + row * _ROW
        write(page, left - 0.08, y + _ROW / 2, name, 8.5, ha="right", va="center_baseline")
        for column, value in enumerate([*values, mean]):
            x = left + column * cell + (gap if column == len(parts) else 0)
            comparison = summary.main[name, MEAN] if column == len(parts) else summary.by_set[name, parts[column]]
            shown = comparison.is_certain or seeds == 1
            share = np.sign(value) * np.sqrt(min(1.0, abs(value) / largest))  # small differences are seen too
            face = _DIVERGING((share + 1) / 2) if shown else "white"
            colour = ("white" if abs(share) > 0.6 else INK) if shown else GREY
            page.add_patch(Rectangle((x, y), cell, _ROW, facecolor=face, edgecolor=LINE, linewidth=0.5))
            text = _difference(value, 2 if column == 0 and abs(value) < 0.995 else 1)
            size = min(7.5, 7.5 * 0.9 * cell / text_width(text, 7.5))
            write(page, x + cell / 2, y + _ROW / 2, text, size, colour=colour, ha="center", va="center_baseline")
    return figure


@own_settings
def bars_figure(scores: Scores, summary: Summary, what: str) -> Figure:
    """Draw the mean accuracy of each filter with its 95 % interval: clean images at the left, corrupted at the right.

    Bars begin at the accuracy of the baseline: an axis from 0 would hide the differences, one from anywhere else would
    exaggerate them.

    Args:
        scores: what was measured.
        summary: its means.
        what: says in the subtitle what was trained.
    """
    names = ranked(scores, summary)
    seeds = scores.accuracy.shape[1]
    title = "Accuracy with each filter"
    subtitle = f"{what}, {seeds} seeds. Bars begin at the accuracy of “{scores.baseline}”"
    subtitle += "; whiskers and the grey band: 95 % intervals of the mean." if seeds > 1 else "."
    top = heading_height(title, subtitle) + 0.3
    left = MARGIN + max(text_width(name, 8.5) for name in names) + 0.1
    gap = 0.35
    width = (WIDTH - MARGIN - left - gap) / 2
    height = 0.23 * len(names)
    figure, page = new_page(top + height + 0.55)
    write_heading(page, title, subtitle)
    for row, name in enumerate(names):
        y = top + 0.23 * (row + 0.5)
        write(page, left - 0.1, y, name, 8.5, ha="right", va="center_baseline")
    panels = ((CLEAN, "Clean test images"), (MEAN, f"Mean of {len(scores.corruptions)} corruptions"))
    for index, (part, heading) in enumerate(panels):
        axes = add_axes(figure, left + index * (width + gap), top, width, height)
        _bars(axes, scores, summary, names, part, heading)
        write(
            page, left + index * (width + gap) + width / 2, top + height + 0.36, "accuracy, %", 8, colour=GREY,
            ha="center", va="center",
        )  # fmt: skip
    return figure


def _bars(axes: Axes, scores: Scores, summary: Summary, names: list[str], part: str, heading: str) -> None:
    baseline = summary.estimates[scores.baseline, part]
    start = 100 * baseline.mean
    style_axes(axes, heading)
    axes.grid(False, axis="y")
    axes.grid(True, axis="x", color=LINE, linewidth=0.6, linestyle="-")
    axes.set_ylim(len(names) - 0.5, -0.5)
    axes.set_yticks([])
    if baseline.low is not None and baseline.high is not None:
        axes.axvspan(100 * baseline.low, 100 * baseline.high, color=GREY, alpha=0.25, linewidth=0)
    axes.axvline(start, color=GREY, linewidth=1.0)
    for row, name in enumerate(names):
        value = summary.estimates[name, part]
        end = 100 * value.mean
        axes.barh(row, end - start, left=start, height=0.66, color=BLUE if end >= start else VERMILION, alpha=0.85)
        if value.low is not None and value.high is not None:
            axes.plot([100 * value.low, 100 * value.high], [row, row], color=INK, linewidth=1.2, solid_capstyle="butt")
            axes.plot(
                [100 * value.low, 100 * value.high], [row, row], "|", color=INK, markersize=5, markeredgewidth=1.2
            )
    axes.locator_params(axis="x", nbins=6)
    axes.margins(x=0.06)


def write_figures(folder: Path, scores: Scores, summary: Summary, what: str) -> list[Path]:
    """Write `heatmap.png` and `bars.png` into a folder."""
    paths = [folder / "heatmap.png", folder / "bars.png"]
    save_figure(heatmap_figure(scores, summary, what), paths[0])
    save_figure(bars_figure(scores, summary, what), paths[1])
    return paths
