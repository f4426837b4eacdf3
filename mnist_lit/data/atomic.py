"""Files written so that a reader, or a machine that loses power, meets the old content or the new one, never half."""

import os
import shutil
import tempfile
from pathlib import Path
from typing import Any


def write_atomically(path: Path, write: Any) -> None:
    """Write a file so that at any moment the path holds the old content or the new one, whole.

    Args:
        path: where the file is to be; its folder is made if needed.
        write: called with the open binary file; the file is flushed to the disk before it takes its place.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    descriptor, temporary = tempfile.mkstemp(prefix=f".{path.name}.", suffix=".tmp", dir=path.parent)
    try:
        with os.fdopen(descriptor, "wb") as file:
            write(file)
            file.flush()
            os.fsync(file.fileno())
        Path(temporary).chmod(0o644)
        Path(temporary).replace(path)
    except BaseException:
        Path(temporary).unlink(missing_ok=True)
        raise


def free_bytes(path: Path) -> int:
    """Return how many bytes are free on the disk of the nearest existing folder above `path`."""
    folder = next(p for p in [path, *path.absolute().parents] if p.is_dir())
    return shutil.disk_usage(folder).free
