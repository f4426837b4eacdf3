"""What every figure must hold to, measured on the drawn figure: no text beyond the edge, no text over another."""

from functools import lru_cache
from itertools import combinations

from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.text import Annotation, Text
from matplotlib.transforms import Bbox


@lru_cache(maxsize=1)  # the checks of one figure share one drawing
def drawn_texts(figure: Figure) -> list[tuple[str, Bbox]]:
    """Each visible text of a figure with its box in pixels; ticks beyond the view, which are not drawn, left out."""
    canvas = FigureCanvasAgg(figure)
    canvas.draw()
    hidden = set()
    for axes in figure.axes:
        for axis in (axes.xaxis, axes.yaxis):
            low, high = sorted(axis.get_view_interval())
            for tick in [*axis.get_major_ticks(), *axis.get_minor_ticks()]:
                if not axes.axison or not low <= tick.get_loc() <= high:
                    hidden.update((tick.label1, tick.label2))
    texts = [text for text in figure.findobj(Text) if text.get_visible() and text.get_text().strip()]
    shown = [text for text in texts if text not in hidden and not isinstance(text, Annotation)]
    return [(text.get_text(), text.get_window_extent(canvas.get_renderer())) for text in shown]


def texts_outside(figure: Figure) -> list[str]:
    """The texts that are cut at the edge of the figure."""
    canvas = figure.bbox
    return [
        text
        for text, box in drawn_texts(figure)
        if box.x0 < canvas.x0 or box.y0 < canvas.y0 or box.x1 > canvas.x1 or box.y1 > canvas.y1
    ]


def overlapping_texts(figure: Figure) -> list[tuple[str, str]]:
    """The pairs of texts whose boxes share more than a pixel (slanted text is to be left out by the caller)."""
    boxes = [(text, Bbox.from_extents(b.x0 + 1, b.y0 + 1, b.x1 - 1, b.y1 - 1)) for text, b in drawn_texts(figure)]
    return [(one, other) for (one, a), (other, b) in combinations(boxes, 2) if a.overlaps(b)]


def all_text(figure: Figure) -> str:
    """Everything that is written in a figure, one text a line."""
    return "\n".join(text for text, _ in drawn_texts(figure))
