"""The study's figures: every text whole and apart from the others, whatever the number of filters and seeds."""

import numpy as np
import pytest
from figure_checks import all_text, overlapping_texts, texts_outside
from matplotlib.colors import to_rgb

from mnist_lit.data.corruptions import CORRUPTIONS
from mnist_lit.run.style import BLUE, VERMILION
from mnist_lit.study.figures import bars_figure, heatmap_figure, write_figures
from mnist_lit.study.tables import Scores, summarize

NAMES = (
    "none", "gaussian", "original", "box", "median", "bilateral", "unsharp", "scharr", "local contrast", "erode",
    "dilate", "open | close", "top hat", "otsu", "clahe", "equalize", "deskew", "center", "median | gaussian",
    "deskew | gaussian",
)  # fmt: skip


def made_up(chains: int = 20, seeds: int = 10, corruptions: int = 15) -> Scores:
    """Return scores of the usual size: clean ones near 99 %, fog far below, a few filters that help a lot."""
    rng = np.random.default_rng(0)
    sets = ["validation", "clean", *CORRUPTIONS[:corruptions]]
    level = np.concatenate([[0.989, 0.99], np.linspace(0.97, 0.25, corruptions)])
    effects = rng.normal(0, 1, (chains, 1, len(sets))) * np.array([0.001, 0.001, *[0.08] * corruptions])
    effects[0] = 0
    accuracy = np.clip(level + effects + rng.normal(0, 0.002, (chains, seeds, len(sets))), 0, 1)
    return Scores(dict.fromkeys(NAMES[:chains], "none"), "none", sets, accuracy)


@pytest.mark.parametrize(("chains", "seeds", "corruptions"), [(20, 10, 15), (2, 2, 1), (5, 1, 4)])
@pytest.mark.parametrize("draw", [heatmap_figure, bars_figure])
def test_text_is_whole_and_apart_and_large_enough(draw, chains, seeds, corruptions):
    scores = made_up(chains, seeds, corruptions)
    figure = draw(scores, summarize(scores), "compact network, 2 epochs")
    assert texts_outside(figure) == []
    labels = {*(name.replace("_", " ") for name in CORRUPTIONS), "clean", f"mean of {corruptions}"}  # slanted
    pairs = overlapping_texts(figure)
    assert [pair for pair in pairs if draw is bars_figure or not labels & {*pair}] == []
    texts = [text for axes in figure.axes for text in axes.texts if text.get_text()]
    assert min(text.get_fontsize() for text in texts) >= 6.5


def test_the_longest_names_fit():
    scores = made_up(4, 2, 15)
    long = Scores({"none": "none", **{"W" * 17 + c: "none" for c in "abc"}}, "none", scores.sets, scores.accuracy)
    for draw in (heatmap_figure, bars_figure):
        assert texts_outside(draw(long, summarize(long), "what")) == []


def test_heat_map_writes_differences_in_points():
    accuracy = np.array([[[0.99, 0.50, 0.80]] * 3, [[0.985, 0.625, 0.798]] * 3])
    scores = Scores({"none": "none", "m": "median"}, "none", ["clean", "fog", "scale"], accuracy)
    text = all_text(heatmap_figure(scores, summarize(scores), "what"))
    for number in ("−0.50", "+12", "−0.2", "+6.2"):  # clean, fog, scale, mean
        assert number in text.splitlines()


def test_bars_begin_at_the_baseline_and_their_colour_tells_the_side():
    accuracy = np.array([[[0.99, 0.50]] * 2, [[0.98, 0.60]] * 2])
    scores = Scores({"none": "none", "m": "median"}, "none", ["clean", "fog"], accuracy)
    clean, fog = [axes.patches[-1] for axes in bars_figure(scores, summarize(scores), "what").axes[1:]]
    assert (clean.get_x(), clean.get_width()) == (pytest.approx(99.0), pytest.approx(-1.0))
    assert (fog.get_x(), fog.get_width()) == (pytest.approx(50.0), pytest.approx(10.0))
    assert clean.get_facecolor()[:3] == to_rgb(VERMILION)
    assert fog.get_facecolor()[:3] == to_rgb(BLUE)


def test_the_same_scores_give_the_same_files(tmp_path):
    scores = made_up(4, 3, 3)
    for folder in ("one", "two"):
        write_figures(tmp_path / folder, scores, summarize(scores), "what")
    for name in ("heatmap.png", "bars.png"):
        assert (tmp_path / "one" / name).read_bytes() == (tmp_path / "two" / name).read_bytes()
