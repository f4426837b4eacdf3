"""A process of its own in which one photo is read again and again: what it costs there, nothing else adds to.

Started by `bench read` as `python -m mnist_lit.study.photo_process PHOTO REPEATS [MODEL]`; prints JSON: seconds of each
repeat (the file is decoded anew each time), the most memory the process had resident, and what it had before.
"""

import json
import sys
from pathlib import Path

import numpy as np

from mnist_lit.data.image_files import read_rgb
from mnist_lit.study.measuring import peak_memory, seconds_of


def main(photo: Path, repeats: int, model: Path | None) -> None:
    """Read `photo` `repeats` times, after one time that does not count, and print what it took."""
    from mnist_lit.use.reader import read_page
    from mnist_lit.use.recognizer import load_recognizer

    recognizer = load_recognizer(model)
    recognizer.probabilities(np.zeros((1, 28, 28), np.uint8))
    before = peak_memory()

    def read() -> None:
        read_page(read_rgb(photo).pixels, recognizer)

    seconds = seconds_of(read, repeats)
    print(json.dumps({"seconds": seconds, "peak_bytes": peak_memory(), "peak_bytes_before": before}))  # noqa: T201


if __name__ == "__main__":
    main(Path(sys.argv[1]), int(sys.argv[2]), Path(sys.argv[3]) if len(sys.argv) > 3 else None)
