"""The picture at the top of the README: digits as they are, as the network sees them, and what it answers."""

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
from matplotlib.figure import Figure

from mnist_lit.run.style import BLUE, GREY, LINE, VERMILION, add_axes, font, new_page, own_settings, text_width, write

_ROW, _IMAGE, _TOP = 1.12, 0.9, 0.62  # inches


@own_settings
def overview_figure(
    raw: npt.NDArray[np.uint8],
    filtered: npt.NDArray[np.uint8],
    probabilities: npt.NDArray[np.float32],
    *,
    chain: str,
    network: str,
    class_names: Sequence[str],
    truths: Sequence[int],
) -> Figure:
    """Draw one row per digit: image, filtered image, network, probabilities.

    Args:
        raw: `(K, 28, 28)` uint8.
        filtered: the same after the filter chain.
        probabilities: `(K, 10)`, what the network answers.
        chain: text of the filter chain.
        network: text that stands for the network.
        class_names: names of the ten classes.
        truths: `(K,)` true classes; a bar that is right is blue, a wrong answer orange.
    """
    figure, page = new_page(_TOP + _ROW * len(raw) + 0.45)
    columns = (("image", 0.35), ("filtered by OpenCV", 2.2), ("read by the network", 5.0))
    for text, x in columns:
        write(page, x, 0.36, text, 10, bold=True, va="center")
    for row, (image, seen, answer, truth) in enumerate(zip(raw, filtered, probabilities, truths, strict=True)):
        top = _TOP + row * _ROW
        for pixels, left in ((image, 0.35), (seen, 2.2)):
            axes = add_axes(figure, left, top, _IMAGE, _IMAGE)
            axes.imshow(pixels, cmap="gray_r", vmin=0, vmax=255, interpolation="nearest")
            axes.set(xticks=[], yticks=[])
            for spine in axes.spines.values():
                spine.set(color=LINE, linewidth=0.8)
        middle = top + _IMAGE / 2
        for start, end in ((1.4, 2.05), (3.3, 4.75)):
            page.annotate("", (end, middle), (start, middle), arrowprops={"arrowstyle": "->", "color": GREY, "lw": 1.1})
        axes = add_axes(figure, 5.0, top + 0.06, 2.65, _IMAGE - 0.22)
        best = int(answer.argmax())
        colours = [(BLUE if best == truth else VERMILION) if i == best else LINE for i in range(len(answer))]
        axes.bar(np.arange(len(answer)), answer, color=colours, width=0.78)
        axes.set(ylim=(0, 1.22), yticks=[], xticks=np.arange(len(answer)))
        axes.set_xticklabels(class_names, fontproperties=font(8), color=GREY)
        axes.tick_params(length=0, pad=2)
        for side in ("left", "right", "top"):
            axes.spines[side].set_visible(False)
        axes.spines["bottom"].set(color=LINE)
        write(axes, best, answer[best] + 0.04, f"{100 * answer[best]:.1f} %", 8, ha="center", va="bottom")
    bottom = _TOP + _ROW * len(raw) + 0.12
    assert text_width(chain, 8) < 3.3, "the chain's text would run into the network's"
    write(page, 2.2, bottom, chain, 8, colour=GREY, va="center", ha="left")
    write(page, 5.0, bottom, network, 8, colour=GREY, va="center", ha="left")
    return figure
