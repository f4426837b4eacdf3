"""The curves of a run: training loss, validation and test loss, validation and test accuracy.

Points come in under the names they have in the logs (`train/loss`, `val/acc`, …); a matplotlib Figure goes out.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, LogLocator, MaxNLocator, NullFormatter
from numpy.typing import NDArray

from mnist_lit.run.style import (
    BLUE,
    GREEN,
    GREY,
    INK,
    LINE,
    MARGIN,
    VERMILION,
    add_axes,
    font,
    heading_height,
    new_page,
    own_settings,
    style_axes,
    tint,
    write,
    write_heading,
)

Curve = NDArray[np.float64]  # (N, 2): epoch, value
_QUIET = "#9aa5b0"
_MANY = 60  # from this many points on, a smoothed line is laid over the raw one


@own_settings
def curves_figure(history: Mapping[str, Sequence[tuple[float, float]]], *, title: str) -> Figure:
    """Draw training loss, validation and test loss, and validation and test accuracy over the epochs.

    Args:
        history: (epoch, value) points of `train/loss`, `val/loss`, `test/loss`, `train/acc`, `val/acc`, `test/acc`
            (accuracies in [0, 1]) and `lr`; any of them may be missing or empty. Epochs may be fractions.
        title: Heading of the figure.

    Returns:
        Three panels (and the learning rate on an axis of its own where it is given).
    """
    curves = {name: _curve(points) for name, points in history.items()}
    top = heading_height(title)
    figure, page = new_page(top + 5.6)
    write_heading(page, title)
    _training_panel(add_axes(figure, 0.75, top + 0.3, 6.5, 1.75), curves)
    _loss_panel(add_axes(figure, 0.75, top + 3.2, 2.95, 1.65), curves)
    _accuracy_panel(add_axes(figure, 4.65, top + 3.2, 2.95, 1.65), curves)
    note = "Test curves are shown only; nothing is chosen by them. The best epoch is the best on the validation images."
    write(page, MARGIN, top + 5.42, note, 7, colour=GREY, va="center")
    return figure


def _curve(points: Sequence[tuple[float, float]]) -> Curve:
    curve = np.asarray(points, dtype=np.float64).reshape(-1, 2)
    return curve[np.argsort(curve[:, 0], kind="stable")]


def _get(curves: Mapping[str, Curve], name: str) -> Curve:
    """The points of one curve that can be drawn (a loss that became infinite has none there)."""
    curve = curves.get(name, np.empty((0, 2)))
    return curve[np.isfinite(curve).all(axis=1)]


def _smooth(values: NDArray[np.float64]) -> NDArray[np.float64]:
    """Centred moving average over a fortieth of the points (at least 5), without lag; shorter at the ends."""
    window = np.ones(max(5, len(values) // 40) | 1)
    return np.convolve(values, window, "same") / np.convolve(np.ones_like(values), window, "same")


def _empty(axes: Axes) -> None:
    axes.set(xticks=[], yticks=[])
    write(axes, 0.5, 0.5, "not recorded", 8.5, colour=GREY, ha="center", va="center", transform=axes.transAxes)


def _log_scale(axes: Axes, values: NDArray[np.float64]) -> None:
    """Use a logarithmic axis where the values span more than a factor of ten, with plain numbers at 1, 2 and 5."""
    if values.size == 0 or values.min() <= 0 or values.max() < 10 * values.min():
        return
    axes.set_yscale("log")
    wide = values.max() > 1000 * values.min()
    axes.yaxis.set_major_locator(LogLocator(subs=(1.0,) if wide else (1.0, 2.0, 5.0), numticks=20))
    axes.yaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
    axes.yaxis.set_minor_formatter(NullFormatter())


def _epoch_axis(axes: Axes, first: float, last: float) -> None:
    pad = 0.03 * (last - first) or 0.5
    axes.set_xlim(first - pad, last + pad)
    axes.xaxis.set_major_locator(MaxNLocator(nbins=10, integer=True, min_n_ticks=1))
    axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
    axes.set_xlabel("epoch", fontproperties=font(8), color=GREY, labelpad=2)


def _legend(axes: Axes, columns: int, place: Any = "lower left", x: float = 0.0) -> None:
    """Put the legend above the panel, where it hides no curve."""
    axes.legend(
        loc=place,
        bbox_to_anchor=(x, 1.0),
        ncols=columns,
        prop=font(7.5),
        labelcolor=INK,
        frameon=False,
        borderpad=0.0,
        borderaxespad=0.3,
        handlelength=1.6,
        columnspacing=1.4,
        labelspacing=0.3,
    )


def _training_panel(axes: Axes, curves: Mapping[str, Curve]) -> None:
    style_axes(axes, "Training loss")
    loss = _get(curves, "train/loss")
    if not len(loss):
        _empty(axes)
        return
    epochs, values = loss.T
    if len(loss) >= _MANY:
        axes.plot(epochs, values, color=tint(BLUE, 0.35), linewidth=0.6, label="each step logged")
        axes.plot(epochs, _smooth(values), color=BLUE, linewidth=1.8, label="smoothed")
    else:
        axes.plot(epochs, values, color=BLUE, linewidth=1.8, marker="o", markersize=3, label="training loss")
    _log_scale(axes, values)
    _epoch_axis(axes, min(0.0, epochs[0]), epochs[-1])
    rate = _get(curves, "lr")
    if len(rate):
        _rate_axis(axes, rate)
    _legend(axes, 3, "lower right", 1.0)


def _rate_axis(axes: Axes, rate: Curve) -> None:
    """Draw the learning rate on the right side, quietly: it explains the shape of the loss."""
    right = axes.twinx()
    style_axes(right)
    right.grid(False)
    right.spines["bottom"].set_visible(False)
    right.plot(*rate.T, color=_QUIET, linewidth=1.0, linestyle=(0, (4, 2)))
    right.set_ylim(0, 1.15 * rate[:, 1].max() or 1.0)
    right.yaxis.set_major_locator(MaxNLocator(nbins=4))
    axes.plot([], [], color=_QUIET, linewidth=1.0, linestyle=(0, (4, 2)), label="learning rate (right axis)")


def _loss_panel(axes: Axes, curves: Mapping[str, Curve]) -> None:
    style_axes(axes, "Validation and test loss", pad=34)
    validation, test = _get(curves, "val/loss"), _get(curves, "test/loss")
    drawn = np.concatenate([validation, test])
    if not len(drawn):
        _empty(axes)
        return
    _two_curves(axes, validation, test)
    _log_scale(axes, drawn[:, 1])
    _epoch_axis(axes, drawn[:, 0].min(), drawn[:, 0].max())
    _legend(axes, 2)


def _accuracy_panel(axes: Axes, curves: Mapping[str, Curve]) -> None:
    style_axes(axes, "Validation and test accuracy (%)", pad=34)
    train, validation, test = (_get(curves, f"{stage}/acc") * (1, 100) for stage in ("train", "val", "test"))
    drawn = np.concatenate([validation, test])
    if not len(drawn):
        _empty(axes)
        return
    if len(train):
        values = _smooth(train[:, 1]) if len(train) >= _MANY else train[:, 1]
        look: dict[str, Any] = {} if len(train) >= _MANY else {"marker": ".", "markersize": 4}
        axes.plot(train[:, 0], values, color=tint(BLUE, 0.45), linewidth=1.2, label="training", **look)
    _two_curves(axes, validation, test)
    if len(validation):
        best = validation[np.argmax(validation[:, 1])]  # of equal ones the first
        axes.axvline(best[0], color=LINE, linewidth=0.8, zorder=0)
        label = f"best: {best[1]:.2f} (epoch {best[0]:g})"
        axes.plot(*best, "o", markersize=9, markerfacecolor="none", markeredgecolor=INK, markeredgewidth=1, label=label)
    drawn = np.concatenate(
        [drawn, train[-1:]]
    )  # of the training curve the end: it starts so low that it would flatten all
    low, high = drawn[:, 1].min(), drawn[:, 1].max()
    pad = 0.12 * (high - low) + 0.05
    axes.set_ylim(low - pad, high + pad)
    axes.yaxis.set_major_locator(MaxNLocator(nbins=6))
    _epoch_axis(axes, drawn[:, 0].min(), drawn[:, 0].max())
    _legend(axes, 2)


def _two_curves(axes: Axes, validation: Curve, test: Curve) -> None:
    size = 4 if max(len(validation), len(test)) <= 20 else 2.5
    if len(validation):
        axes.plot(*validation.T, color=GREEN, linewidth=1.6, marker="o", markersize=size, zorder=3, label="validation")
    if len(test):
        look: dict[str, Any] = {"color": VERMILION, "markerfacecolor": "white", "markeredgewidth": 1.1}
        axes.plot(*test.T, **look, linewidth=1.2, marker="s", markersize=size + 1, label="test (shown only)")
