"""`read` as users call it: the page in `tests/pages`, formats, the annotated picture, files that cannot be read."""

import csv
import io
import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from reader_pages import Sheet, grass

from mnist_lit.errors import UsageError
from mnist_lit.use.annotation import annotate
from mnist_lit.use.reading import COLUMNS, Reading, as_csv, as_json, as_text, run
from mnist_lit.use.transcript import Box, Digit, Line, Number, Page

PAGE = Path(__file__).parent / "pages" / "page.png"
# make_page("easy", 10, images and labels of MNIST's test set, long_side=640), in grey
TRUTH = "49 09\n721 67763 16\n28708\n552"


def digit(text, left, confidence=0.9, best=None):
    best = int(text) if best is None else best
    return Digit(
        text, confidence, best, (best + 1) % 10, 0.04, Box(left, 10, left + 10, 30), np.zeros((28, 28), np.uint8)
    )


def page():
    """12 7 above ?."""
    first, second = (digit("1", 10), digit("2", 25)), (digit("7", 70),)
    line = Line((Number(first, Box(10, 10, 35, 30)), Number(second, Box(70, 10, 80, 30))), Box(10, 10, 80, 30))
    unsure = digit("?", 10, 0.3, best=5)
    return Page((line, Line((Number((unsure,), unsure.box),), unsure.box)), 100, 60, "dark on light")


READ = Reading(Path("a.png"), page(), ("a note",))
BLANK = Reading(Path("b.png"), Page((), 100, 60, "dark on light"))
FAILED = Reading(Path("c.png"), None, error="c.png: empty file")


def test_the_page_in_the_repository_is_read_rightly(capsys):
    assert PAGE.stat().st_size < 150_000
    assert run([str(PAGE)]) == 0
    assert capsys.readouterr().out == TRUTH + "\n"


def test_json_of_the_page_has_boxes_in_the_picture(capsys):
    assert run([str(PAGE), "--format", "json"]) == 0
    (answer,) = json.loads(capsys.readouterr().out)
    assert (answer["text"], answer["error"], answer["polarity"]) == (TRUTH, "", "dark on light")
    assert [line["text"] for line in answer["lines"]] == TRUTH.split("\n")
    digits = [digit for line in answer["lines"] for number in line["numbers"] for digit in number["digits"]]
    assert len(digits) == len(TRUTH.replace(" ", "").replace("\n", ""))
    for one in digits:
        left, top, right, bottom = one["box"]
        assert 0 <= left < right <= answer["width"]
        assert 0 <= top < bottom <= answer["height"]
        assert 0.4 <= one["confidence"] <= 1


def test_text_of_one_file_is_its_lines():
    assert as_text([READ]) == "12 7\n?\n"
    assert as_text([BLANK]) == ""


def test_text_of_several_files_names_them():
    assert as_text([READ, BLANK, FAILED]) == "a.png:\n12 7\n?\n\nb.png:\n\nc.png: (failed: c.png: empty file)\n"


def test_json_has_one_object_per_file():
    read, blank, failed = json.loads(as_json([READ, BLANK, FAILED]))
    assert (read["text"], read["notes"], read["error"]) == ("12 7\n?", ["a note"], "")
    assert read["lines"][1]["numbers"][0]["digits"][0]["best"] == 5
    assert (blank["text"], blank["lines"]) == ("", [])
    assert failed == {"file": "c.png", "notes": [], "error": "c.png: empty file"}


def test_csv_has_one_row_per_digit():
    head, *rows = csv.reader(io.StringIO(as_csv([READ, BLANK, FAILED])))
    assert tuple(head) == COLUMNS
    assert [row[:5] for row in rows[:4]] == [
        ["a.png", "1", "1", "1", "1"],
        ["a.png", "1", "1", "2", "2"],
        ["a.png", "1", "2", "1", "7"],
        ["a.png", "2", "1", "1", "?"],
    ]
    assert rows[0][5:] == ["0.9000", "2", "0.0400", "10", "10", "20", "30", ""]
    assert rows[4:] == [["c.png", *[""] * 11, "c.png: empty file"]]


def test_places_are_scaled_to_the_file():
    large = page().scaled(4)
    assert (large.width, large.height) == (400, 240)
    assert large.digits[1].box == Box(100, 40, 140, 120)
    assert (large.lines[0].box, large.lines[0].numbers[1].box) == (Box(40, 40, 320, 120), Box(280, 40, 320, 120))
    assert large.text == page().text


def test_the_annotated_picture_frames_every_digit(tmp_path, capsys):
    path, picture = tmp_path / "photo.png", tmp_path / "read.png"
    sheet = Sheet(500, 240).write("47", 100, 90, 70)
    photo = sheet.photo()
    Image.fromarray(photo).save(path)
    assert run([str(path), "--annotate", str(picture)]) == 0
    assert capsys.readouterr().out == "47\n"
    drawn = np.asarray(Image.open(picture))
    assert drawn.shape == photo.shape
    changed = (drawn != photo).any(axis=2)
    for left, top, right, bottom in sheet.boxes:
        assert not changed[top + 4 : bottom - 4, left + 4 : right - 4].any()  # the digit itself is left as it was
        assert changed[top - 12 : top, left:right].any(axis=0).all()  # above it there is the frame
        assert changed[:top, left - 10 : right + 10].sum() > changed[bottom:, left - 10 : right + 10].sum()  # the label


def test_an_annotated_empty_page_is_the_page():
    image = np.full((60, 100), 200, np.uint8)
    assert np.array_equal(annotate(image, BLANK.page), np.full((60, 100, 3), 200, np.uint8))


def test_colours_tell_confidence():
    sure, unsure = (annotate(np.full((60, 100), 255, np.uint8), one) for one in (page(), BLANK.page))
    colours = {tuple(colour) for colour in sure.reshape(-1, 3)}
    assert {(0, 114, 178), (213, 94, 0)} <= colours
    assert (unsure == 255).all()


def test_a_file_that_fails_leaves_the_others_read(tmp_path, capsys):
    empty = tmp_path / "empty.png"
    empty.touch()
    assert run([str(empty), str(PAGE), "--format", "csv"]) == 1
    said = capsys.readouterr()
    rows = list(csv.DictReader(io.StringIO(said.out)))
    assert "empty file" in rows[0]["error"]
    assert "".join(row["digit"] for row in rows[1:]) == TRUTH.replace(" ", "").replace("\n", "")
    assert said.err.count("\n") == 1


def test_a_picture_of_grass_is_one_line_and_the_others_are_read(tmp_path, capsys):
    path = tmp_path / "grass.png"
    Image.fromarray(grass(60, 1200)).save(path)
    assert run([str(path), str(PAGE), "--format", "json"]) == 1
    said = capsys.readouterr()
    first, second = json.loads(said.out)
    assert said.err == f"read: {path}: {first['error'].removeprefix(f'{path}: ')}\n"
    assert "3,600 pieces of ink" in first["error"]
    assert (second["error"], second["text"]) == ("", TRUTH)


def test_a_page_without_ink_prints_nothing(tmp_path, capsys):
    path = tmp_path / "blank.png"
    Image.fromarray(Sheet(200, 150).photo()).save(path)
    assert run([str(path)]) == 0
    assert capsys.readouterr().out == ""


def test_the_answer_can_go_into_a_file(tmp_path, capsys):
    output = tmp_path / "answer.txt"
    assert run([str(PAGE), "--output", str(output)]) == 0
    assert (output.read_text(encoding="utf-8"), capsys.readouterr().out) == (TRUTH + "\n", "")


@pytest.mark.parametrize(
    ("args", "match"),
    [
        ([str(PAGE), str(PAGE.parent / "page.png"), "--annotate", "x.png"], "one PHOTO"),
        ([str(PAGE), "--annotate", "x.jpg"], "not a .png"),
        ([str(PAGE), "--format", "xml"], "xml"),
        ([], "PHOTO"),
    ],
)
def test_wrong_use_is_refused(args, match):
    with pytest.raises(UsageError, match=match):
        run(args)
