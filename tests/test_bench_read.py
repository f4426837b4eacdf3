"""`bench read`, with readers that know the truth, know nothing, or lie; and once as users call it."""

import json
from types import SimpleNamespace

import numpy as np
import pytest
from PIL import Image

from mnist_lit.data.idx import BUNDLED, DigitSet, read_set
from mnist_lit.errors import UsageError
from mnist_lit.study import bench_read
from mnist_lit.study.bench_read import (
    GradeResult,
    marked_lines,
    photo_line,
    run,
    score_grade,
    table,
)
from mnist_lit.study.page_digits import TEST, VALIDATION, load_digits
from mnist_lit.study.page_scores import Score
from mnist_lit.study.pages import make_page


@pytest.fixture(scope="module")
def digits():
    whole = read_set(BUNDLED, "train")
    return DigitSet(whole.images[:500], whole.labels[:500], "small")


@pytest.fixture
def small_pages(monkeypatch):
    """Pages of 500 pixels, kept in the order in which they are made."""
    made = []

    def make(grade, seed, images, labels):
        made.append(make_page(grade, seed, images, labels, long_side=500))
        return made[-1]

    monkeypatch.setattr(bench_read, "make_page", make)
    return made


def test_a_reader_that_knows_the_truth_is_perfect(digits, small_pages):
    steps = []
    result = score_grade("easy", range(3), digits, lambda _: small_pages[-1], None, lambda: steps.append(1))
    assert result.score.digits == sum(len(page.digits) for page in small_pages)
    assert (result.score.recall, result.score.false, result.score.lines_right) == (1, 0, result.score.lines)
    assert (len(result.seconds), len(steps), result.mistakes) == (3, 3, [])


def test_a_reader_of_another_page_is_not(digits, small_pages):
    result = score_grade(
        "easy", range(1, 4), digits, lambda _: make_page("easy", 0, *digits_of(digits), long_side=500), None, int
    )
    assert result.score.recall < 0.2
    assert result.score.false > 10


def digits_of(digits):
    return digits.images, digits.labels


def test_a_reader_is_shown_the_picture_and_nothing_else(digits, small_pages):
    seen = []

    def read(image):
        seen.append(image)
        return small_pages[-1]

    score_grade("medium", [4], digits, read, None, int)
    assert seen[0] is small_pages[0].image


def test_a_mistake_tells_where_to_look(digits, small_pages):
    result = score_grade("hard", [7], digits, lambda _: SimpleNamespace(lines=()), None, int)
    assert len(result.mistakes) == result.score.digits == result.score.missed
    first, digit = result.mistakes[0], small_pages[0].digits[0]
    assert (first["seed"], first["kind"], first["truth"], first["index"]) == (7, "missed", digit.text, digit.index)
    assert {"touching", "broken", "paper", "ruling", "box"} <= set(first)
    json.dumps(result.plain())


def test_marked_lines_keep_text_and_boxes(digits):
    page = make_page("easy", 2, *digits_of(digits), long_side=500)
    lines = marked_lines(page)
    assert [line.text for line in lines] == page.text.split("\n")
    assert [mark.box for line in lines for mark in line.marks] == [digit.box for digit in page.digits]


def test_validation_digits_are_not_test_digits():
    test, validation = load_digits(TEST), load_digits(VALIDATION)
    assert (len(test.labels), len(validation.labels)) == (10_000, 5_000)
    known = {image.tobytes() for image in test.images}
    assert sum(image.tobytes() in known for image in validation.images) == 0


def test_the_table_says_what_was_counted():
    score = Score(digits=2000, right=1990, wrong=5, unsure=3, missed=2, false=4, lines=50, lines_right=45)
    score.characters, score.character_errors = 2500, 15
    lines = table({"easy": GradeResult(score, [0.2, 0.3, 0.4])}).splitlines()
    assert lines[1].split() == [
        *("easy", "3", "2,000", "99.50", "%", "99.55", "%", "0.20", "%", "3", "2", "0.60", "%", "45", "of", "50"),
        *("0.30", "(0.25–0.35)"),
    ]
    assert len({len(line) for line in lines}) == 1


def test_the_photo_line_states_its_units():
    spread = {"n": 7, "median": 1.2345, "low": 1.2, "high": 1.3}
    photo = {"width": 4000, "height": 3000, "digits": 64, "seconds": spread}
    photo |= {"peak_bytes": 412_000_000, "peak_bytes_before": 230_000_000}
    assert "12 megapixels, 64 digits: 1.23 (1.20–1.30) s" in photo_line(photo)
    assert "n = 7" in photo_line(photo)
    assert "412 MB (230 before)" in photo_line(photo)
    assert "not told" in photo_line({**photo, "peak_bytes": None})


@pytest.mark.parametrize("args", [["--pages", "0"], ["--pages", "x"], ["--seed", "-1"], ["--grades", "simple"], ["x"]])
def test_wrong_use_is_refused(args):
    with pytest.raises(UsageError):
        run(args)


def test_the_command_reads_scores_shows_and_writes(tmp_path, capsys, small_pages):
    output, show = tmp_path / "read.json", tmp_path / "pages"
    args = ["--pages", "2", "--grades", "easy", "hard", "--digits", "validation", "--no-photo", "--seed", "5"]
    assert run([*args, "--output", str(output), "--show", str(show)]) == 0
    said = capsys.readouterr().out
    found = json.loads(output.read_text(encoding="utf-8"))
    assert list(found["grades"]) == ["easy", "hard"]
    assert found["grades"]["easy"]["digits"] == sum(len(page.digits) for page in small_pages[:2])
    assert found["grades"]["easy"]["seconds_per_page"]["n"] == 2
    assert (found["seeds"], found["pages_per_grade"], found["photo"]) == ([5, 6], 2, None)
    assert found["digits"]["part"] == "validation"
    assert len(found["model"]["sha256"]) == 64
    assert {"torch", "opencv", "processor", "cores", "git_commit", "threads"} <= set(found["environment"])
    names = {f"{grade}_000{seed}{end}" for grade in ("easy", "hard") for seed in (5, 6) for end in ENDS}
    assert {path.name for path in show.iterdir()} == names
    shown = np.asarray(Image.open(show / "easy_0005.png"))
    assert np.array_equal(shown, small_pages[0].image)
    assert (show / "easy_0005.txt").read_text(encoding="utf-8") == f"{small_pages[0].text}\n"
    assert f"{found['grades']['easy']['digits']}" in said
    assert str(output) in said


ENDS = (".png", "_read.png", ".txt")


@pytest.mark.slow
def test_the_large_photo_is_measured_in_a_process_of_its_own(digits):
    photo = bench_read.measure_photo(1000, digits, None)
    assert photo["width"] * photo["height"] == 12_000_000
    assert photo["seconds"]["n"] >= 5
    assert 0.05 < photo["seconds"]["median"] < 60
    assert 12_000_000 < photo["peak_bytes_before"] < photo["peak_bytes"] < 4_000_000_000
