"""Read, verify and write the IDX files of MNIST and its siblings: four files in a folder in, uint8 arrays out.

Four names make a set, each plain or gzipped (the bundled folder `mnist_lit/data/bundled` is one)::

    train-images-idx3-ubyte[.gz]   t10k-images-idx3-ubyte[.gz]
    train-labels-idx1-ubyte[.gz]   t10k-labels-idx1-ubyte[.gz]

A file is not believed: magic number and dimensions are checked before anything is allocated, the length must be exact,
and a set that is known by name is compared with its SHA-256. Format: http://yann.lecun.com/exdb/mnist/ (LeCun et al.).
"""

import gzip
import hashlib
import zlib
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, Protocol

import numpy as np
import numpy.typing as npt

from mnist_lit.data.atomic import write_atomically
from mnist_lit.errors import Failure, UsageError

Images = npt.NDArray[np.uint8]
Labels = npt.NDArray[np.uint8]
Part = Literal["train", "t10k"]

BUNDLED = Path(__file__).parent / "bundled"
SIZE = 28
MAX_ITEMS = 1_000_000  # above every set of this family (EMNIST: 814,255); 784 MB, which a machine can hold
_MAGIC = {1: 0x00000801, 3: 0x00000803}  # unsigned byte, number of dimensions

# SHA-256 of the unpacked files.
KNOWN_SHA256 = {
    "mnist": {
        "train-images-idx3-ubyte": "ba891046e6505d7aadcbbe25680a0738ad16aec93bde7f9b65e87a2fc25776db",
        "train-labels-idx1-ubyte": "65a50cbbf4e906d70832878ad85ccda5333a97f0f4c3dd2ef09a8a9eef7101c5",
        "t10k-images-idx3-ubyte": "0fa7898d509279e482958e8ce81c8e77db3f2f8254e26661ceb7762c4d494ce7",
        "t10k-labels-idx1-ubyte": "ff7bcfd416de33731a308c3f266cc351222c34898ecbeaf847f06e48f7ec33f2",
    },
    "fashion_mnist": {
        "train-images-idx3-ubyte": "c59f468a2f672dc815687fe0f83887768d799fd8a3f3276145d20f83aa44d888",
        "train-labels-idx1-ubyte": "bad3541b69d912435c50bb6ba87bec294ff4f6a2e1246121d8633921760443d9",
        "t10k-images-idx3-ubyte": "5b4141f0afbad91edebe8549f8fcffe087ea10ca49f1dbef5c9a5cd8815ce37b",
        "t10k-labels-idx1-ubyte": "0402a96d92fd2663957122ceb108a494c5af83dab82d92729df917d7dec38c34",
    },
}


@dataclass(frozen=True)
class IdxFile:
    """A file that was read whole and found sound.

    Attributes:
        array: uint8, `(N, 28, 28)` for images, `(N,)` for labels.
        sha256: hex digest of the unpacked file.
    """

    array: npt.NDArray[np.uint8]
    sha256: str


def find_file(folder: Path, stem: str) -> Path:
    """Return the path of `stem` in `folder`, plain or with `.gz`.

    Raises:
        UsageError: neither file exists; the message names the folder.
        Failure: the folder cannot be searched.
    """
    for path in (folder / stem, folder / f"{stem}.gz"):
        try:
            if path.is_file():
                return path
        except OSError as error:
            raise Failure(f"{folder}: cannot be searched: {error.strerror or error}") from error
    raise UsageError(f"{folder}: {stem} and {stem}.gz are both missing (give a folder that holds the four IDX files)")


class _Stream(Protocol):
    def read(self, size: int, /) -> bytes: ...


def _read_exactly(stream: _Stream, n: int, path: Path, what: str) -> bytes:
    data = stream.read(n)
    if len(data) != n:
        raise Failure(f"{path}: truncated: {what} wants {n:,} bytes, found {len(data):,} (fetch the file again)")
    return data


def _read_stream(stream: _Stream, path: Path, dimensions: int, available: int | None) -> IdxFile:
    header = _read_exactly(stream, 4 + 4 * dimensions, path, "the header")
    magic, *shape = (int.from_bytes(header[i : i + 4], "big") for i in range(0, len(header), 4))
    if magic != _MAGIC[dimensions]:
        raise Failure(
            f"{path}: not the expected IDX file: magic number 0x{_MAGIC[dimensions]:08x} expected, 0x{magic:08x} found"
        )
    if not 1 <= shape[0] <= MAX_ITEMS or shape[1:] != [SIZE] * (dimensions - 1):
        wanted = "x".join(["N"] + [str(SIZE)] * (dimensions - 1))
        found = "x".join(map(str, shape))
        raise Failure(
            f"{path}: dimensions {wanted} with N from 1 to {MAX_ITEMS:,} expected, {found} found in the header"
        )
    length = int(np.prod(shape, dtype=np.int64))
    if available is not None and available != len(header) + length:
        raise Failure(f"{path}: {len(header) + length:,} bytes expected from the header, {available:,} found")
    # Read in pieces: a gzipped file may claim more than it holds, and only what really comes is kept.
    digest = hashlib.sha256(header)
    pieces: list[bytes] = []
    left = length
    while left:
        piece = stream.read(min(left, 1 << 22))
        if not piece:
            raise Failure(f"{path}: truncated: {length:,} bytes of data expected, {length - left:,} found")
        digest.update(piece)
        pieces.append(piece)
        left -= len(piece)
    if stream.read(1):
        raise Failure(f"{path}: {length:,} bytes of data expected from the header, more found")
    return IdxFile(np.frombuffer(b"".join(pieces), dtype=np.uint8).reshape(shape), digest.hexdigest())


def read_idx(path: Path, dimensions: Literal[1, 3]) -> IdxFile:
    """Read one IDX file of unsigned bytes, plain or gzipped (told by its first two bytes, not by its name).

    Args:
        path: the file.
        dimensions: 3 for images `(N, 28, 28)`, 1 for labels `(N,)`.

    Raises:
        Failure: the file cannot be read, or its magic number, dimensions or length are not what they should be; the
            message names the file, what was expected and what was found.
    """
    try:
        with path.open("rb") as raw:
            gzipped = raw.read(2) == b"\x1f\x8b"
            raw.seek(0)
            if gzipped:
                with gzip.GzipFile(fileobj=raw) as stream:
                    return _read_stream(stream, path, dimensions, None)
            return _read_stream(raw, path, dimensions, path.stat().st_size)
    except (EOFError, zlib.error, gzip.BadGzipFile) as error:
        raise Failure(f"{path}: damaged gzip file: {error} (fetch the file again)") from error
    except OSError as error:
        raise Failure(f"{path}: cannot be read: {error.strerror or error}") from error


@dataclass(frozen=True)
class DigitSet:
    """Images and labels that belong together.

    Attributes:
        images: uint8 `(N, 28, 28)`.
        labels: uint8 `(N,)`, each below the number of classes.
        sha256: digest over both files, for `results.json`.
    """

    images: Images
    labels: Labels
    sha256: str


def read_set(folder: Path, part: Part, *, known_as: str | None = None, num_classes: int = 10) -> DigitSet:
    """Read one part of a set from a folder with the official file names.

    Args:
        folder: where the files lie.
        part: `train` or `t10k`.
        known_as: name of a set in `KNOWN_SHA256` that the files must equal; None for any set.
        num_classes: labels must be below it.

    Raises:
        UsageError: a file is missing.
        Failure: a file is damaged, is not the known one, has labels out of range, or the two counts differ.
    """
    found: dict[int, tuple[Path, IdxFile]] = {}
    for dimensions, stem in ((3, f"{part}-images-idx3-ubyte"), (1, f"{part}-labels-idx1-ubyte")):
        path = find_file(folder, stem)
        file = read_idx(path, dimensions)  # type: ignore[arg-type]  # 3 or 1 from the line above
        wanted = KNOWN_SHA256.get(known_as or "", {}).get(stem)
        if wanted is not None and file.sha256 != wanted:
            raise Failure(f"{path}: not the file of {known_as}: SHA-256 {wanted} expected, {file.sha256} found")
        found[dimensions] = (path, file)
    (image_path, images), (label_path, labels) = found[3], found[1]
    if len(images.array) != len(labels.array):
        raise Failure(
            f"{label_path}: {len(images.array):,} labels expected, as many as images in {image_path.name}, "
            f"{len(labels.array):,} found"
        )
    if labels.array.max() >= num_classes:
        raise Failure(f"{label_path}: labels below {num_classes} expected, {labels.array.max()} found")
    digest = hashlib.sha256((images.sha256 + labels.sha256).encode()).hexdigest()
    return DigitSet(images.array, labels.array, digest)


def write_set(folder: Path, part: Part, images: Images, labels: Labels) -> None:
    """Write one part of a set under the official file names, not gzipped; the folder is made if needed.

    Args:
        folder: where the two files go.
        part: `train` or `t10k`.
        images: uint8 `(N, 28, 28)`.
        labels: uint8 `(N,)`.
    """
    for name, array in ((f"{part}-images-idx3-ubyte", images), (f"{part}-labels-idx1-ubyte", labels)):
        header = np.array([_MAGIC[array.ndim], *array.shape], dtype=">u4").tobytes()
        data = header + array.tobytes()
        write_atomically(folder / name, lambda file, data=data: file.write(data))
