"""The look that all figures share: colours, text, a page measured in inches, and saving to reproducible PNG files.

Figures are built with matplotlib's object-oriented interface alone (no pyplot, no global state), with fonts and colours
given explicitly and matplotlib's own defaults for the rest, so that a figure looks the same whatever the user's
matplotlibrc says. They are 8 inches wide: at the 800 pixels of a README one point is 1.4 pixels, which is why no text
is smaller than 7 points.
"""

import io
import os
import textwrap
from functools import lru_cache
from pathlib import Path
from typing import Any

from matplotlib import style
from matplotlib.axes import Axes
from matplotlib.colors import to_rgb
from matplotlib.figure import Figure
from matplotlib.font_manager import FontProperties
from matplotlib.text import Text
from matplotlib.textpath import TextPath

WIDTH = 8.0  # inches
MARGIN = 0.3  # inches
FONT = "DejaVu Sans"  # comes with matplotlib, so it is there on every machine

INK = "#1f2d3a"
GREY = "#66727e"
LINE = "#d3d9df"
FAINT = "#f2f4f6"
# Okabe and Ito's colours ("Color universal design", 2008), told apart with every common kind of colour vision.
BLUE, VERMILION, GREEN, AMBER, PURPLE, SKY = "#0072b2", "#d55e00", "#009e73", "#e69f00", "#a8588c", "#56b4e9"
CYCLE = (BLUE, GREEN, AMBER, VERMILION, PURPLE, SKY)


own_settings = style.context("default")  # as a decorator: draw with these, not with the user's matplotlibrc


def tint(colour: str, share: float) -> tuple[float, float, float]:
    """Mix a colour with white: `share` 1 is the colour itself, 0 is white."""
    red, green, blue = to_rgb(colour)
    return (1 - share * (1 - red), 1 - share * (1 - green), 1 - share * (1 - blue))


def shade(colour: str, share: float) -> tuple[float, float, float]:
    """Mix a colour with black: `share` 1 is the colour itself, 0 is black."""
    red, green, blue = to_rgb(colour)
    return (share * red, share * green, share * blue)


def font(size: float, *, bold: bool = False) -> FontProperties:
    """The font of all figures, `size` in points."""
    return FontProperties(family=FONT, size=size, weight="bold" if bold else "normal")


@lru_cache(maxsize=4096)
def text_width(text: str, size: float, *, bold: bool = False) -> float:
    """Width in inches of one line of text, `size` in points."""
    if not text.strip():
        return 0.0
    return float(TextPath((0, 0), text.replace("$", "S"), prop=font(size, bold=bold)).get_extents().x1) / 72


def wrap(text: str, width: float, size: float, *, bold: bool = False) -> list[str]:
    """Break text into lines that are at most `width` inches wide; a word that is wider is broken inside."""
    characters = len(text)
    lines = [text]
    while characters > 1 and max(text_width(line, size, bold=bold) for line in lines) > width:
        characters = min(characters - 1, max(map(len, lines)) - 1)
        lines = textwrap.wrap(text, max(characters, 1)) or [text]
    return lines


def write(
    axes: Axes, x: float, y: float, text: str, size: float, *, colour: Any = INK, bold: bool = False, **how: Any
) -> Text:
    """Put text on axes in the figures' font; `how` goes to `Axes.text` (ha, va, rotation, transform, …)."""
    return axes.text(x, y, text, fontproperties=font(size, bold=bold), color=colour, parse_math=False, **how)


def new_page(height: float, width: float = WIDTH) -> tuple[Figure, Axes]:
    """An empty white figure and axes over the whole of it, measured in inches from its top left corner."""
    figure = Figure(figsize=(width, height), facecolor="white")
    page = figure.add_axes((0, 0, 1, 1))
    page.set(xlim=(0, width), ylim=(height, 0), autoscale_on=False)
    page.set_axis_off()
    return figure, page


def add_axes(figure: Figure, left: float, top: float, width: float, height: float) -> Axes:
    """Axes placed in inches from the top left corner of the figure."""
    full_width, full_height = figure.get_size_inches()
    return figure.add_axes(
        (left / full_width, 1 - (top + height) / full_height, width / full_width, height / full_height)
    )


def heading_height(title: str, subtitle: str = "", width: float = WIDTH) -> float:
    """Height in inches that `write_heading` takes from the top of a page, the gap below it included."""
    titles = wrap(title, width - 2 * MARGIN, 13, bold=True)
    subtitles = wrap(subtitle, width - 2 * MARGIN, 8.5) if subtitle else []
    return 0.25 + 0.25 * len(titles) + 0.17 * len(subtitles) + 0.15


def write_heading(page: Axes, title: str, subtitle: str = "") -> None:
    """Write the title and a grey line below it at the top left of a page, in as many lines as they need."""
    width = page.get_xlim()[1] - 2 * MARGIN
    y = 0.25
    for line in wrap(title, width, 13, bold=True):
        write(page, MARGIN, y + 0.11, line, 13, bold=True, va="center")
        y += 0.25
    for line in wrap(subtitle, width, 8.5) if subtitle else []:
        write(page, MARGIN, y + 0.09, line, 8.5, colour=GREY, va="center")
        y += 0.17


def style_axes(axes: Axes, title: str = "", pad: float = 8) -> None:
    """Give a plot its calm look: title at the left, a light grid behind, no box, grey ticks.

    `pad` is the distance in points of the title from the plot: a legend finds room below it.
    """
    axes.set_title(title, loc="left", fontproperties=font(9.5, bold=True), color=INK, pad=pad)
    axes.set_facecolor("white")
    axes.set_axisbelow(True)
    axes.grid(True, axis="y", color=LINE, linewidth=0.6, linestyle="-")
    axes.grid(False, axis="x")
    for side in ("left", "right", "top"):
        axes.spines[side].set_visible(False)
    axes.spines["bottom"].set(color=GREY, linewidth=0.8)
    axes.tick_params(which="both", labelsize=8, labelcolor=GREY, labelfontfamily=FONT, color=GREY, length=3, width=0.8)
    axes.tick_params(axis="y", which="both", length=0)
    axes.tick_params(axis="x", which="minor", length=0)
    axes.ticklabel_format(axis="y", style="plain", useOffset=False)  # every tick says the whole number


@own_settings
def save_figure(figure: Figure, path: Path, dpi: float = 150) -> None:
    """Write a figure to a PNG file, atomically and with the same bytes for the same figure.

    The file is written under a temporary name in the same folder and then moved over `path`, so that a reader (or a
    killed process) never meets half a picture. Nothing about the time or the software goes into it.

    Args:
        figure: Any matplotlib figure.
        path: Target; its folder is made when it is missing.
        dpi: Dots per inch: 150 makes 1200 pixels of the 8 inches.

    Raises:
        OSError: The file cannot be written; an older file at `path` is then untouched.
    """
    picture = io.BytesIO()
    figure.savefig(picture, format="png", dpi=dpi, facecolor="white", metadata={"Software": None})
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    try:
        temporary.write_bytes(picture.getvalue())
        os.replace(temporary, path)  # noqa: PTH105 (named as what it is: the atomic step)
    finally:
        temporary.unlink(missing_ok=True)
