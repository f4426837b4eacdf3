"""`predictions.csv`: one line per image file, with the answer or the reason why there is none."""

import csv
import io
import sys
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import numpy.typing as npt

from mnist_lit.data.atomic import write_atomically
from mnist_lit.data.digit_files import DigitFile
from mnist_lit.data.image_files import display_name

COLUMNS = ("file", "digit", "confidence", "second", "second_confidence", "polarity", "notes", "error")


def write_predictions(
    path: Path,
    files: Sequence[DigitFile],
    batches: Sequence[npt.ArrayLike],
    *,
    class_names: Sequence[str],
    say: Callable[[str], None],
) -> int:
    """Write the answers and say how many there are.

    Args:
        path: the CSV file to write.
        files: every image file, in order.
        batches: probabilities, arrays or tensors `(B, 10)`, of the files without an error, in order.
        class_names: what the ten answers are called.
        say: prints a line to the user.

    Returns:
        How many files have no answer; each is named on stderr.
    """
    arrays = [np.asarray(batch, np.float32) for batch in batches]
    probabilities = np.concatenate(arrays) if arrays else np.empty((0, len(class_names)), np.float32)
    answers = np.argsort(-probabilities, axis=1, kind="stable")[:, :2]
    confidences = np.take_along_axis(probabilities, answers, axis=1)
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(COLUMNS)
    row, failed = 0, 0
    for file in files:
        notes = "; ".join(file.notes)
        name = display_name(file.path)
        if file.error:
            failed += 1
            line = file.error if file.error.startswith(name) else f"{name}: {file.error}"
            print(f"predict: {line}", file=sys.stderr)  # noqa: T201
            writer.writerow([name, "", "", "", "", file.polarity, notes, file.error])
            continue
        first, second = (class_names[int(answer)] for answer in answers[row])
        sure, less = (f"{float(value):.4f}" for value in confidences[row])
        writer.writerow([name, first, sure, second, less, file.polarity, notes, ""])
        row += 1
    write_atomically(path, lambda out: out.write(text.getvalue().encode("utf-8")))
    say(f"read       {row} of {len(files)} files")
    say(f"wrote      {path}")
    return failed
