"""`predictions.csv`: one row per file, answers or the reason why there is none, whatever the files are called."""

import csv
from pathlib import Path

import pytest
import torch

from mnist_lit.data.digit_files import DigitFile
from mnist_lit.run.predictions import COLUMNS, write_predictions

NAMES = [f"class {n}" for n in range(10)]


def probabilities(*answers: tuple[int, int]) -> torch.Tensor:
    """One row `(10,)` per pair: 0.75 for the first class, 0.125 for the second, the rest shared out."""
    rows = torch.full((len(answers), 10), 0.125 / 8)
    for row, (first, second) in zip(rows, answers, strict=True):
        row[first], row[second] = 0.75, 0.125
    return rows


def write(tmp_path, files, *batches):
    """Write, and return the rows as dicts, the number of failures and the lines said."""
    said: list[str] = []
    path = tmp_path / "out" / "predictions.csv"
    failed = write_predictions(path, files, batches, class_names=NAMES, say=said.append)
    with path.open(newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file)), failed, said


def test_row_holds_the_two_best_answers_and_what_was_decided(tmp_path):
    file = DigitFile(Path("a.png"), "dark on light", ("first frame of 3", "turned"))
    rows, _, _ = write(tmp_path, [file], probabilities((3, 8)))
    assert rows == [
        {
            "file": "a.png",
            "digit": "class 3",
            "confidence": "0.7500",
            "second": "class 8",
            "second_confidence": "0.1250",
            "polarity": "dark on light",
            "notes": "first frame of 3; turned",
            "error": "",
        }
    ]
    assert tuple(rows[0]) == COLUMNS


def test_answers_stay_with_their_files_when_one_between_them_failed(tmp_path):
    files = [
        DigitFile(Path("a")),
        DigitFile(Path("b"), error="no ink found"),
        DigitFile(Path("c")),
        DigitFile(Path("d")),
    ]
    rows, failed, _ = write(tmp_path, files, probabilities((1, 0), (2, 0)), probabilities((3, 0)))
    assert [(row["file"], row["digit"]) for row in rows] == [
        ("a", "class 1"),
        ("b", ""),
        ("c", "class 2"),
        ("d", "class 3"),
    ]
    assert failed == 1


def test_failed_file_has_its_reason_in_the_file_and_one_line_on_stderr(tmp_path, capsys):
    rows, failed, said = write(tmp_path, [DigitFile(Path("b.png"), error="b.png: truncated")])
    assert (rows[0]["error"], rows[0]["digit"], failed) == ("b.png: truncated", "", 1)
    assert capsys.readouterr().err == "predict: b.png: truncated\n"
    assert said[0] == "read       0 of 1 files"


def test_a_reason_without_the_name_gets_it_on_stderr(tmp_path, capsys):
    write(tmp_path, [DigitFile(Path("b.png"), error="no ink found")])
    assert capsys.readouterr().err == "predict: b.png: no ink found\n"


@pytest.mark.parametrize(
    ("name", "shown"),
    [
        ("a,b.png", "a,b.png"),
        ('say "3".png', 'say "3".png'),
        ("two\nlines.png", "two\\nlines.png"),
        ("raw \udcff byte.png", "raw \\xff byte.png"),
        ("数字 😀.png", "数字 😀.png"),
        ("--help.png", "--help.png"),
    ],
)
def test_odd_file_name_stays_one_row(tmp_path, capsys, name, shown):
    rows, _, _ = write(
        tmp_path, [DigitFile(Path(name)), DigitFile(Path(name), error="empty file")], probabilities((1, 2))
    )
    assert [row["file"] for row in rows] == [shown, shown]
    assert capsys.readouterr().err.count("\n") == 1


def test_says_how_many_were_read_and_where_the_answers_are(tmp_path):
    _, failed, said = write(tmp_path, [DigitFile(Path("a"))], probabilities((1, 2)))
    assert failed == 0
    assert said == ["read       1 of 1 files", f"wrote      {tmp_path / 'out' / 'predictions.csv'}"]


def test_older_predictions_are_replaced_whole(tmp_path):
    write(tmp_path, [DigitFile(Path("a")), DigitFile(Path("b"))], probabilities((1, 2), (3, 4)))
    rows, _, _ = write(tmp_path, [DigitFile(Path("c"))], probabilities((5, 6)))
    assert [row["file"] for row in rows] == ["c"]
    assert [path.name for path in (tmp_path / "out").iterdir()] == ["predictions.csv"]
