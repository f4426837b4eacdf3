"""Whole corrupted test sets: made once and kept on disk, or read from the published MNIST-C folder.

A kept set is a `.npy` file with its own SHA-256 in the last 32 bytes; its name holds a digest of the definition of the
corruptions, the corruption's name, the seed and the images, so that a file is found only where it is right.
"""

import hashlib
import io
import logging
import math
import os
import platform
import tempfile
from pathlib import Path
from typing import Any, Literal

import numpy as np
import numpy.typing as npt

from mnist_lit.data.corruptions import CORRUPTIONS, Images, check_images, check_name, corrupt
from mnist_lit.errors import Failure, UsageError

_log = logging.getLogger(__name__)

_DIGEST_BYTES = 32
_PUBLISHED_ITEMS = 10_000  # of every published test set
_PUBLISHED_NAMES = ("identity", *CORRUPTIONS)
_NUM_CLASSES = 10
_HEADERS = {(1, 0): np.lib.format.read_array_header_1_0, (2, 0): np.lib.format.read_array_header_2_0}


def default_cache_dir() -> Path:
    """Return this user's folder for files that can be made again, `…/mnist_lit`.

    `$XDG_CACHE_HOME` if it is set to an absolute path; else `~/Library/Caches` on macOS, `%LOCALAPPDATA%` on Windows
    and `~/.cache` elsewhere. The folder is not created here.
    """
    chosen = os.environ.get("XDG_CACHE_HOME", "")
    if chosen and Path(chosen).is_absolute():
        return Path(chosen) / "mnist_lit"
    system = platform.system()
    if system == "Darwin":
        return Path.home() / "Library" / "Caches" / "mnist_lit"
    if system == "Windows":
        local = os.environ.get("LOCALAPPDATA", "")
        return (Path(local) if local else Path.home() / "AppData" / "Local") / "mnist_lit"
    return Path.home() / ".cache" / "mnist_lit"


def definition_digest() -> str:
    """Return the SHA-256 of the source text that defines the corruptions: what an older text made is never read."""
    digest = hashlib.sha256()
    for module in ("corruption_parts.py", "corruptions.py"):
        digest.update(Path(__file__).with_name(module).read_bytes())
    return digest.hexdigest()


def cache_file(images: Images, name: str, seed: int, cache_dir: Path) -> Path:
    """Return where the corrupted `images` are kept: a function of definition, name, seed and the images themselves."""
    content = hashlib.sha256(images.tobytes()).hexdigest()
    key = "\n".join((definition_digest(), name, str(seed), str(images.shape), content))
    return cache_dir / f"{name}-{hashlib.sha256(key.encode()).hexdigest()}.npy"


def _read_kept(path: Path, shape: tuple[int, ...]) -> Images:
    """Read a kept set; a file that is not whole raises ValueError."""
    data = path.read_bytes()
    body, digest = data[:-_DIGEST_BYTES], data[-_DIGEST_BYTES:]
    if hashlib.sha256(body).digest() != digest:
        raise ValueError("its SHA-256 is not the stored one")
    array = np.load(io.BytesIO(body), allow_pickle=False)
    if array.dtype != np.uint8 or array.shape != shape:
        raise ValueError(f"it holds {array.dtype} {array.shape}, not uint8 {shape}")
    return np.ascontiguousarray(array)


def _keep(path: Path, images: Images) -> None:
    """Write a set under another name and move it into place, so that no reader meets half a file."""
    buffer = io.BytesIO()
    np.save(buffer, images, allow_pickle=False)
    body = buffer.getvalue()
    path.parent.mkdir(parents=True, exist_ok=True)
    handle, temporary = tempfile.mkstemp(prefix=f"{path.stem}.", suffix=".tmp", dir=path.parent)
    try:
        with os.fdopen(handle, "wb") as stream:
            stream.write(body)
            stream.write(hashlib.sha256(body).digest())
            stream.flush()
            os.fsync(stream.fileno())
        Path(temporary).replace(path)
    except BaseException:
        Path(temporary).unlink(missing_ok=True)
        raise


def load_corrupted(images: Images, name: str, *, seed: int, cache_dir: Path | None = None) -> Images:
    """Corrupt a whole set, or read it from disk if it was corrupted before.

    A damaged file is not used but made again, and a folder that cannot be written costs only the time: both are logged
    as warnings.

    Args:
        images: `(N, 28, 28)` uint8.
        name: one of `CORRUPTIONS`.
        seed: seed of the corruption.
        cache_dir: folder of the kept sets; None for `default_cache_dir()`.

    Returns:
        `(N, 28, 28)` uint8; labels stay what they were.

    Raises:
        ValueError: the name is unknown, or the images are not `(N, 28, 28)` uint8.
    """
    check_name(name)
    check_images(images)
    path = cache_file(images, name, seed, default_cache_dir() if cache_dir is None else cache_dir)
    try:
        return _read_kept(path, images.shape)
    except FileNotFoundError:
        pass
    except (OSError, ValueError, EOFError) as error:
        _log.warning("%s: cannot be used: %s (it is made again)", path, error)
    corrupted = corrupt(images, name, seed=seed)
    try:
        _keep(path, corrupted)
    except OSError as error:
        _log.warning("%s: cannot be written: %s (the set will be made again next time)", path, error.strerror or error)
    return corrupted


def _read_published(path: Path, wanted: Literal["uint8", "whole numbers"], shape: tuple[int, ...]) -> npt.NDArray[Any]:
    """Read a `.npy` file that must have one shape and hold uint8 or whole numbers of any size.

    The header is believed only after it was compared with what must be there: it is Python text that may claim any size
    and any type, objects (pickles) among them.
    """
    if not path.is_file():
        raise UsageError(f"{path}: missing (give the unpacked folder of MNIST-C, which holds CORRUPTION/{path.name})")
    try:
        with path.open("rb") as stream:
            read_header = _HEADERS[np.lib.format.read_magic(stream)]
            found, fortran_order, dtype = read_header(stream)
            fits = dtype == np.uint8 if wanted == "uint8" else dtype.kind in "iu"
            if not fits or found != shape or fortran_order:
                raise Failure(f"{path}: {wanted} {shape} expected, {dtype} {found} found (unpack MNIST-C again)")
            length = math.prod(shape) * dtype.itemsize
            data = stream.read(length + 1)
    except Failure:
        raise
    except Exception as error:  # a damaged header raises whatever Python's own parser raises
        reason = " ".join(str(error).split()) or type(error).__name__
        raise Failure(f"{path}: not a sound .npy file: {reason} (unpack MNIST-C again)") from error
    if len(data) != length:
        much = "more" if len(data) > length else f"{len(data):,}"
        raise Failure(f"{path}: {length:,} bytes of data expected, {much} found (unpack MNIST-C again)")
    return np.frombuffer(data, dtype).reshape(shape)


def read_mnist_c(folder: Path, name: str) -> tuple[Images, npt.NDArray[np.uint8]]:
    """Read one corrupted test set as published by Mu & Gilmer (https://zenodo.org/records/3239543).

    Args:
        folder: the unpacked folder, with `<corruption>/test_images.npy` and `<corruption>/test_labels.npy`.
        name: one of `CORRUPTIONS`, or `identity` for the clean test set in the same form.

    Returns:
        Images `(10000, 28, 28)` uint8 and labels `(10000,)` uint8 from 0 to 9.

    Raises:
        ValueError: the name is unknown.
        UsageError: a file is missing.
        Failure: a file is damaged, or its type, shape or values are not those of a test set.
    """
    if name not in _PUBLISHED_NAMES:
        check_name(name)
    image_path, label_path = folder / name / "test_images.npy", folder / name / "test_labels.npy"
    images = _read_published(image_path, "uint8", (_PUBLISHED_ITEMS, 28, 28, 1))
    labels = _read_published(label_path, "whole numbers", (_PUBLISHED_ITEMS,))
    low, high = int(labels.min()), int(labels.max())
    if low < 0 or high >= _NUM_CLASSES:
        raise Failure(
            f"{label_path}: labels 0 to {_NUM_CLASSES - 1} expected, {low} to {high} found (unpack MNIST-C again)"
        )
    return images[:, :, :, 0].astype(np.uint8), labels.astype(np.uint8)
