"""`predictions.csv`: one line per image file, with the answer or the reason why there is none."""

import csv
import io
import sys
from collections.abc import Callable, Sequence
from pathlib import Path

import torch
from torch import Tensor

from mnist_lit.data.digit_files import DigitFile
from mnist_lit.data.image_files import display_name
from mnist_lit.model.checkpoint import write_atomically

COLUMNS = ("file", "digit", "confidence", "second", "second_confidence", "polarity", "notes", "error")


def write_predictions(
    path: Path,
    files: Sequence[DigitFile],
    batches: Sequence[Tensor],
    *,
    class_names: Sequence[str],
    say: Callable[[str], None],
) -> int:
    """Write the answers and say how many there are.

    Args:
        path: the CSV file to write.
        files: every image file, in order.
        batches: probabilities `(B, 10)` of the files without an error, in order.
        class_names: what the ten answers are called.
        say: prints a line to the user.

    Returns:
        How many files have no answer; each is named on stderr.
    """
    probabilities = torch.cat(list(batches)) if batches else torch.empty(0, len(class_names))
    confidences, answers = probabilities.topk(2, dim=1)
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
