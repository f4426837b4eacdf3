"""Curves, confusion matrix, mistakes, filter sheet: what is in them, that it can be read, how they are saved."""

from collections.abc import Callable
from pathlib import Path

import matplotlib as mpl
import numpy as np
import pytest
from figure_checks import all_text, overlapping_texts, texts_outside
from matplotlib.figure import Figure

from mnist_lit.run import figures
from mnist_lit.run.figures import confusion_figure, curves_figure, filters_figure, mistakes_figure, save_figure

DIGITS = [str(digit) for digit in range(10)]
FASHION = ["T-shirt/top", "Trouser", "Pullover", "Dress", "Coat", "Sandal", "Shirt", "Sneaker", "Bag", "Ankle boot"]
LONG = "morphology(operation=opening, shape=ellipse, kernel_size=3, rounds=2, border=replicate, anchor=(-1, -1)) twice"


def history(epochs: int, steps: int = 40) -> dict[str, list[tuple[float, float]]]:
    at, within = np.arange(1, epochs + 1), np.arange(1, epochs * steps + 1) / steps
    noise = 1 + 0.3 * np.sin(37 * within)
    curves = {
        "train/loss": (within, (2.2 * np.exp(-3 * within) + 0.02) * noise),
        "lr": (within, 1e-3 * (1 - within / epochs)),
        "val/loss": (at, 0.02 + 0.05 / at),
        "test/loss": (at, 0.025 + 0.05 / at),
        "train/acc": (at, 0.97 + 0.0003 * at),
        "val/acc": (at, 0.99 - 0.01 / at),
        "test/acc": (at, 0.991 - 0.01 / at),
    }
    return {name: list(zip(x.tolist(), y.tolist(), strict=True)) for name, (x, y) in curves.items()}


def confusion(per_class: int, errors: dict[tuple[int, int], int]) -> np.ndarray:
    matrix = np.diag(np.full(10, per_class))
    for (truth, answer), count in errors.items():
        matrix[truth, answer] += count
        matrix[truth, truth] -= count
    return matrix


def mistakes(
    count: int, names: list[str] = DIGITS, errors: int | None = None, disputed: tuple[int, ...] = ()
) -> Figure:
    numbers = np.arange(count)
    return mistakes_figure(
        np.full((count, 28, 28), 7, np.uint8),
        numbers % 10,
        (numbers + 5) % 10,
        1 - numbers / 100,
        9000 + numbers,
        class_names=names,
        total_errors=count if errors is None else errors,
        total=10_000,
        disputed=disputed,
    )


def sheet(*labels: str, columns: int = 10) -> Figure:
    images = np.arange(columns * 784, dtype=np.uint32).reshape(columns, 28, 28).astype(np.uint8)
    return filters_figure([(label, images) for label in labels], title="What the filters do")


FIGURES: dict[str, Callable[[], Figure]] = {
    "curves of 5 epochs": lambda: curves_figure(history(5), title="default · seed 0"),
    "curves of 1 epoch": lambda: curves_figure(history(1), title="default · seed 0"),
    "curves of 40 epochs": lambda: curves_figure(history(40), title="default · seed 0 · " + LONG),
    "curves of a tiny learning rate": lambda: curves_figure({**history(3), "lr": [(1, 1e-5), (2, 2e-6)]}, title="slow"),
    "no curves": lambda: curves_figure({"val/acc": []}, title="nothing"),
    "confusion of digits": lambda: confusion_figure(
        confusion(1000, {(4, 9): 7, (3, 5): 1}), class_names=DIGITS, title="Confusion matrix " + LONG
    ),
    "confusion of nothing": lambda: confusion_figure(np.zeros((10, 10), int), class_names=DIGITS, title="empty"),
    "confusion of a large set": lambda: confusion_figure(np.full((10, 10), 24_000), class_names=DIGITS, title="large"),
    "no mistakes": lambda: mistakes(0),
    "1 mistake": lambda: mistakes(1),
    "5 mistakes": lambda: mistakes(5),
    "36 mistakes": lambda: mistakes(36, errors=58, disputed=(9000, 9035)),
    "mistakes in fashion": lambda: mistakes(36, FASHION, errors=900),
    "no filter": lambda: sheet("raw"),
    "one filter, three images": lambda: sheet("raw", "gaussian(kernel_size=5, sigma=1.0)", columns=3),
    "six filters": lambda: sheet("raw", *["gaussian(kernel_size=5, sigma=1.0)", LONG] * 3),
}


@pytest.mark.parametrize("name", FIGURES)
def test_every_text_is_inside_the_figure_and_over_no_other(name: str):
    figure = FIGURES[name]()
    assert texts_outside(figure) == []
    assert overlapping_texts(figure) == []


@pytest.mark.parametrize("names", [FASHION, [f"a class with the long name {n}" for n in range(10)]])
def test_slanted_class_names_stay_inside_the_figure(names: list[str]):
    figure = confusion_figure(confusion(1000, {(0, 6): 120}), class_names=names, title="Fashion-MNIST")
    assert texts_outside(figure) == []


def test_the_checks_see_cut_and_overlapping_text():
    figure = Figure(figsize=(4, 2))
    figure.text(0.9, 0.5, "cut at the right edge")
    figure.text(0.1, 0.2, "one over")
    figure.text(0.12, 0.21, "the other")
    assert texts_outside(figure) == ["cut at the right edge"]
    assert overlapping_texts(figure) == [("one over", "the other")]


def lines(figure: Figure, panel: str) -> dict[str, np.ndarray]:
    axes = next(axes for axes in figure.axes if axes.get_title(loc="left") == panel)
    return {str(line.get_label()): np.asarray(line.get_xydata()) for line in axes.get_lines()}


def test_curves_show_the_points_they_are_given():
    given = history(5)
    figure = curves_figure(given, title="default")
    loss, accuracy = lines(figure, "Validation and test loss"), lines(figure, "Validation and test accuracy (%)")
    np.testing.assert_allclose(lines(figure, "Training loss")["each step logged"], given["train/loss"])
    np.testing.assert_allclose(loss["validation"], given["val/loss"])
    np.testing.assert_allclose(loss["test (shown only)"], given["test/loss"])
    np.testing.assert_allclose(accuracy["validation"], np.array(given["val/acc"]) * (1, 100))
    np.testing.assert_allclose(accuracy["test (shown only)"], np.array(given["test/acc"]) * (1, 100))


def test_curves_mark_the_best_validation_epoch_and_not_the_best_test_epoch():
    given = {"val/acc": [(1, 0.98), (2, 0.99), (3, 0.985)], "test/acc": [(1, 0.97), (2, 0.98), (3, 0.995)]}
    figure = curves_figure(given, title="default")
    assert lines(figure, "Validation and test accuracy (%)")["best: 99.00 (epoch 2)"].tolist() == [[2, 99]]
    assert "nothing is chosen by them" in all_text(figure)


def test_missing_curves_leave_their_panel_empty():
    figure = curves_figure({"val/acc": [(1, 0.98)]}, title="default")
    assert all_text(figure).count("not recorded") == 2


def test_curves_leave_out_a_loss_that_is_no_number():
    figure = curves_figure({"val/loss": [(1, 0.5), (2, float("nan")), (3, float("inf")), (4, 0.4)]}, title="broken")
    assert lines(figure, "Validation and test loss")["validation"].tolist() == [[1, 0.5], [4, 0.4]]


def test_smoothed_training_loss_keeps_a_constant():
    figure = curves_figure({"train/loss": [(step / 100, 0.3) for step in range(200)]}, title="flat")
    np.testing.assert_allclose(lines(figure, "Training loss")["smoothed"][:, 1], 0.3)


def test_confusion_writes_counts_leaves_zeros_blank_and_gives_the_accuracy_of_each_class():
    figure = confusion_figure(confusion(1000, {(4, 9): 7, (3, 5): 1}), class_names=DIGITS, title="digits")
    written = all_text(figure).split("\n")
    cells = [text.get_text() for text in figure.axes[1].texts]
    assert sorted(cells) == sorted(["1,000"] * 8 + ["993", "999", "7", "1"])
    assert written.count("100.0 %") == 8
    assert {"99.3 %", "99.9 %", "10,000 images, 8 errors, 99.92 % right"} <= set(written)


def test_confusion_colours_single_errors_apart_from_white_and_by_their_number():
    figure = confusion_figure(confusion(1000, {(4, 9): 7, (3, 5): 1}), class_names=DIGITS, title="digits")
    (picture,) = figure.axes[1].images
    one, seven = (picture.cmap(picture.norm(count))[:3] for count in (1, 7))
    assert np.ma.getmaskarray(picture.get_array()).sum() == 98
    assert min(one) < 0.8
    assert sum(seven) < sum(one) - 0.3


def test_confusion_refuses_a_matrix_that_does_not_fit_the_names():
    with pytest.raises(ValueError, match=r"matrix: shape \(9, 9\) does not fit 10 class names"):
        confusion_figure(np.zeros((9, 9), int), class_names=DIGITS, title="digits")


@pytest.mark.parametrize(
    ("count", "errors", "title"),
    [
        (0, 0, "No mistakes"),
        (1, 1, "The only mistake"),
        (5, 5, "All 5 mistakes"),
        (36, 58, "The 36 worst of 58 mistakes"),
        (40, 40, "The 36 worst of 40 mistakes"),
    ],
)
def test_mistakes_show_at_most_36_images_and_say_how_many_there_are(count: int, errors: int, title: str):
    figure = mistakes(count, errors=errors)
    assert len(figure.axes[0].images) == min(count, 36)
    assert title in all_text(figure)


def test_mistakes_give_truth_answer_confidence_and_index():
    written = all_text(mistakes(3)).split("\n")
    assert {"2 → 7", "98.0 %", "9002"} <= set(written)


def test_mistakes_mark_disputed_labels_only():
    written = all_text(mistakes(3, disputed=(9001, 1234)))
    assert "◆ 9001" in written
    assert written.count("◆") == 2  # the image and the note that explains the mark
    assert "disputed" not in all_text(mistakes(3))


def test_filter_sheet_shows_every_image_of_every_stage():
    raw, blurred = np.zeros((10, 28, 28), np.uint8), np.full((10, 28, 28), 9, np.uint8)
    figure = filters_figure([("raw", raw), ("gaussian(kernel_size=5, sigma=1.0)", blurred)], title="filters")
    pictures = [np.asarray(image.get_array()) for image in figure.axes[0].images]
    np.testing.assert_array_equal(pictures, np.concatenate([raw, blurred]))
    assert "gaussian(kernel_size=5, sigma=1.0)" in all_text(figure)


def test_saving_twice_gives_the_same_bytes(tmp_path: Path):
    for name in ("one.png", "two.png"):
        save_figure(mistakes(2), tmp_path / "figures" / name)
    one, two = ((tmp_path / "figures" / name).read_bytes() for name in ("one.png", "two.png"))
    assert one == two
    assert one.startswith(b"\x89PNG")
    assert b"matplotlib" not in one.lower()
    assert sorted(path.name for path in (tmp_path / "figures").iterdir()) == ["one.png", "two.png"]


def test_a_failed_save_keeps_the_old_file_and_leaves_nothing_else(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    path = tmp_path / "curves.png"
    path.write_bytes(b"old")

    def full(*_: object) -> None:
        raise OSError("No space left on device")

    monkeypatch.setattr("mnist_lit.run.style.os.replace", full)
    with pytest.raises(OSError, match="No space left"):
        save_figure(mistakes(1), path)
    assert path.read_bytes() == b"old"
    assert list(tmp_path.iterdir()) == [path]


def test_figures_look_the_same_whatever_the_users_settings(tmp_path: Path):
    own = {"font.family": "monospace", "font.size": 20, "axes.grid": True, "text.color": "red", "xtick.top": True}
    save_figure(curves_figure(history(3), title="default"), tmp_path / "plain.png")
    with mpl.rc_context({**own, "savefig.bbox": "tight", "text.hinting": "none", "lines.dash_capstyle": "round"}):
        save_figure(curves_figure(history(3), title="default"), tmp_path / "own.png")
        assert mpl.rcParams["font.size"] == 20
    assert (tmp_path / "plain.png").read_bytes() == (tmp_path / "own.png").read_bytes()


def test_every_public_figure_function_is_exported():
    assert all(callable(getattr(figures, name)) for name in figures.__all__)
