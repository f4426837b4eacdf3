"""Users' image files in, one uint8 array per file out, grey or RGB; everything else ends in one line that says why.

Files are found here (`find_images`), read as bytes from regular files or, for `-`, from standard input, recognised by
their first bytes and decoded with Pillow, because OpenCV answers a cut-off JPEG with grey filling. Nothing is decoded
before its header has been checked, and only the plugins of `SUPPORTED` are ever asked, so that a PostScript file cannot
start Ghostscript.
"""

import errno
import io
import os
import stat
import sys
import threading
import warnings
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
import numpy.typing as npt
from PIL import Image

from mnist_lit.data.image_formats import SUPPORTED, format_of
from mnist_lit.data.image_pixels import grey_on_paper, reduced, rgb_on_paper, upright
from mnist_lit.errors import Failure, UsageError

SUFFIXES = frozenset({".png", ".jpg", ".jpeg", ".jpe", ".jfif", ".bmp", ".dib", ".gif", ".tif", ".tiff", ".webp"})
MAX_BYTES = 64 * 2**20
MAX_PIXELS = 64 * 2**20  # 8192×8192: a scan of A4 at 600 dpi is 35 million
MIN_SIDE = 4  # pixels; below that no digit can be told from another
MAX_ASPECT = 100  # long side : short side
STDIN = Path("-")

_CHOICE = f"supported: {', '.join(SUPPORTED)}"
_Result = TypeVar("_Result")
_decoding = threading.Lock()  # warnings and standard error belong to the whole process


@dataclass(frozen=True, eq=False)
class GreyImage:
    """A decoded image file.

    Attributes:
        pixels: Grey levels `(H, W)`, uint8, 0 black to 255 white (ITU-R 601 luma).
        notes: What was decided on the way, such as "first frame of 3".
    """

    pixels: npt.NDArray[np.uint8]
    notes: tuple[str, ...]


@dataclass(frozen=True, eq=False)
class RgbImage:
    """A decoded image file, in colour.

    Attributes:
        pixels: RGB `(H, W, 3)`, uint8.
        notes: What was decided on the way, such as "first frame of 3".
        reduction: How many pixels of the file a pixel is wide and high.
    """

    pixels: npt.NDArray[np.uint8]
    notes: tuple[str, ...]
    reduction: int


def display_name(path: str | os.PathLike[str]) -> str:
    r"""The path in a form that is safe to print on one line.

    Control characters, line breaks and bytes that are no UTF-8 appear as escapes such as `\n` or `\xff`.
    """

    def shown(char: str) -> str:
        if char.isprintable():
            return char
        if 0xDC80 <= ord(char) <= 0xDCFF:  # surrogateescape: a raw byte of the file name
            return f"\\x{ord(char) - 0xDC00:02x}"
        return char.encode("unicode_escape").decode("ascii")

    return "".join(map(shown, os.fsdecode(path)))


def find_images(paths: Sequence[str | os.PathLike[str]], *, recursive: bool = False) -> list[Path]:
    """The image files that the paths mean.

    A file stays where it was given, whatever its suffix; so does a path that is missing or cannot be listed, for
    `read_grey` to say what is wrong with it. A folder is replaced by its files with a suffix of a supported format,
    sorted by path; names that begin with a dot and symbolic links to folders are left out.

    Args:
        paths: Files and folders.
        recursive: Look into folders inside the folders as well.

    Raises:
        UsageError: A folder holds no image file, or a path is empty.
    """
    found: list[Path] = []
    for given in paths:
        if not os.fspath(given):
            raise UsageError("'': empty path (name an image file or a folder)")
        path = Path(os.fsdecode(given))
        try:
            is_folder = stat.S_ISDIR(path.stat().st_mode)
        except (OSError, ValueError):
            is_folder = False
        if not is_folder:
            found.append(path)
            continue
        inside = sorted(_images_in(path, recursive=recursive))
        if not inside:
            deeper = "" if recursive else "; folders inside it are read only when asked for"
            raise UsageError(f"{display_name(path)}: no image files in this folder ({_CHOICE}{deeper})")
        found.extend(inside)
    return found


def _images_in(folder: Path, *, recursive: bool) -> Iterator[Path]:
    """The image files of a folder, unsorted; a folder that cannot be listed stands for itself."""
    try:
        with os.scandir(folder) as listing:
            entries = list(listing)
    except OSError:
        yield folder
        return
    for entry in entries:
        if entry.name.startswith("."):
            continue
        path = folder / entry.name
        try:
            is_folder = entry.is_dir()
        except OSError:  # a loop of symbolic links
            is_folder = False
        if is_folder:
            if recursive and not entry.is_symlink():
                yield from _images_in(path, recursive=True)
        elif path.suffix.lower() in SUFFIXES:
            yield path


def read_grey(path: Path, *, max_bytes: int = MAX_BYTES, max_pixels: int = MAX_PIXELS) -> GreyImage:
    """Read one image file.

    Args:
        path: A regular file in one of the `SUPPORTED` formats, recognised by its first bytes, not by its suffix; `-`
            for standard input.
        max_bytes: Larger files are refused.
        max_pixels: Images with more pixels are refused from their header, before anything is decoded.

    Returns:
        The first frame as grey levels `(H, W)`; see `decode_grey`.

    Raises:
        Failure: The file cannot be read whole; one line, `NAME: reason (what to do)`.
    """
    return decode_grey(_read_bytes(path, max_bytes), display_name(path), max_pixels=max_pixels)


def read_rgb(path: Path, *, wanted_pixels: int = MAX_PIXELS) -> RgbImage:
    """Read one image file in colour.

    Args:
        path: A regular file in one of the `SUPPORTED` formats, recognised by its first bytes, not by its suffix; `-`
            for standard input.
        wanted_pixels: Images with more are reduced; see `decode_rgb`.

    Returns:
        The first frame; see `decode_rgb`.

    Raises:
        Failure: The file cannot be read whole; one line, `NAME: reason (what to do)`.
    """
    return decode_rgb(_read_bytes(path, MAX_BYTES), display_name(path), wanted_pixels=wanted_pixels)


def _read_bytes(path: Path, max_bytes: int) -> bytes:
    name = display_name(path)
    try:
        if path == STDIN:
            return _checked(name, b"" if sys.stdin is None else sys.stdin.buffer.read(max_bytes + 1), max_bytes)
        _check_regular(name, path, os.stat(path), max_bytes)  # noqa: PTH116 -- a device is not even opened
        # Without O_NONBLOCK a FIFO that takes the file's place at this moment would hang the program.
        flags = os.O_RDONLY | getattr(os, "O_BINARY", 0) | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_CLOEXEC", 0)
        with os.fdopen(os.open(path, flags), "rb") as file:
            _check_regular(name, path, os.fstat(file.fileno()), max_bytes)
            return _checked(name, file.read(max_bytes + 1), max_bytes)
    except PermissionError:
        raise Failure(f"{name}: no permission to read it (change its mode or owner)") from None
    except FileNotFoundError:
        if path.is_symlink():
            target = display_name(os.readlink(path))  # noqa: PTH115 -- Path.readlink would normalise the target
            raise Failure(f"{name}: broken symbolic link to {target} (link to a file that exists)") from None
        raise Failure(f"{name}: no such file (check the path)") from None
    except ValueError:  # a NUL character in the path
        raise Failure(f"{name}: not a valid file name (check the path)") from None
    except OSError as error:
        if error.errno == errno.ELOOP:
            raise Failure(f"{name}: loop of symbolic links (link to a file)") from None
        raise Failure(f"{name}: cannot be read: {error.strerror or error} (check the path)") from None


def _checked(name: str, data: bytes, max_bytes: int) -> bytes:
    if not data:
        raise Failure(f"{name}: empty file (0 bytes; {_CHOICE})")
    if len(data) > max_bytes:  # it grew while it was read, or is standard input
        raise Failure(f"{name}: larger than {max_bytes:,} bytes (make it smaller)")
    return data


def _check_regular(name: str, path: Path, status: os.stat_result, max_bytes: int) -> None:
    if stat.S_ISDIR(status.st_mode):
        if not os.access(path, os.R_OK | os.X_OK):
            raise Failure(f"{name}: no permission to list this folder (change its mode or owner)")
        raise Failure(f"{name}: a folder, not an image file (name the files in it)")
    if not stat.S_ISREG(status.st_mode):
        kinds = {stat.S_IFIFO: "a named pipe", stat.S_IFSOCK: "a socket"}
        kind = kinds.get(stat.S_IFMT(status.st_mode), "a device")
        raise Failure(f"{name}: not a regular file but {kind} (copy the image into a file)")
    if status.st_size > max_bytes:
        raise Failure(f"{name}: {status.st_size:,} bytes are more than the {max_bytes:,} allowed (make it smaller)")


def decode_grey(data: bytes, name: str, *, max_pixels: int = MAX_PIXELS) -> GreyImage:
    """Decode an image from memory.

    16-bit grey is scaled by 65535; colour becomes luma; transparent parts lie on white, and if nothing can be seen
    there (white strokes), the opacity itself is taken as ink; EXIF orientation is applied; of several frames the first
    is taken. The last three are told in the notes. Colour profiles are ignored.

    Args:
        data: The content of the file.
        name: What errors call it, already safe to print (`display_name`).
        max_pixels: Images with more pixels are refused from their header.

    Returns:
        Grey levels `(H, W)`, uint8, and the notes.

    Raises:
        Failure: Not an image, another format, truncated, damaged, too large or too small.
    """
    return _decode(data, name, max_pixels, lambda kind, image: _load(name, kind, data, image))


def decode_rgb(data: bytes, name: str, *, wanted_pixels: int = MAX_PIXELS) -> RgbImage:
    """Decode an image from memory, in colour; what is not said here is as in `decode_grey`.

    Args:
        data: The content of the file.
        name: What errors call it, already safe to print (`display_name`).
        wanted_pixels: Images with more are reduced to half the width and height, or a quarter, and so on, until they
            have no more; a JPEG while it is decoded, so that the whole is never in memory.

    Returns:
        RGB `(H, W, 3)`, uint8, the notes, and by how much the image was reduced.

    Raises:
        Failure: Not an image, another format, truncated, damaged, too large or too small.
    """
    return _decode(data, name, MAX_PIXELS, lambda kind, image: _load_rgb(name, kind, data, image, wanted_pixels))


def _decode(data: bytes, name: str, max_pixels: int, load: Callable[[str, Any], _Result]) -> _Result:
    """Check the first bytes and the header, then have `load` decode the image (format, Pillow's image file)."""
    if not data:
        raise Failure(f"{name}: empty file (0 bytes; {_CHOICE})")
    kind = format_of(data)
    if kind is None:
        raise Failure(f"{name}: not an image ({_CHOICE})")
    if kind not in SUPPORTED:
        raise Failure(f"{name}: unsupported format {kind}; {_CHOICE}")
    try:
        # Pillow warns of odd metadata and of sizes that are checked here anyway: nothing that a user could act on.
        with _decoding, warnings.catch_warnings(), _quiet_libtiff() if kind == "TIFF" else nullcontext():
            warnings.simplefilter("ignore")
            with Image.open(io.BytesIO(data), formats=[kind.upper()]) as image:
                _check_size(name, image.size, max_pixels)
                return load(kind, image)
    except Failure:
        raise
    except Image.DecompressionBombError:
        raise Failure(f"{name}: too many pixels; at most {max_pixels:,} are allowed (make it smaller)") from None
    except MemoryError:
        raise Failure(f"{name}: not enough memory to decode it (make it smaller)") from None
    except Exception:  # a damaged file makes Pillow raise almost anything, from KeyError to OverflowError
        raise Failure(f"{name}: truncated or damaged {kind} file (copy it again, or save it as PNG)") from None


@contextmanager
def _quiet_libtiff() -> Iterator[None]:
    """Keep libtiff, which writes to file descriptor 2 by itself, from printing beside the one line that Failure is."""
    try:
        saved = os.dup(2)
    except OSError:  # closed: nothing to protect
        yield
        return
    null = os.open(os.devnull, os.O_WRONLY)
    try:
        os.dup2(null, 2)
        yield
    finally:
        os.dup2(saved, 2)
        os.close(saved)
        os.close(null)


def _check_size(name: str, size: tuple[int, int], max_pixels: int) -> None:
    width, height = size
    short, long = sorted(size)
    if width * height > max_pixels:
        raise Failure(f"{name}: {width}×{height} pixels are more than the {max_pixels:,} allowed (make it smaller)")
    if long > MAX_ASPECT * short:
        raise Failure(f"{name}: {width}×{height} pixels: extreme aspect ratio (at most {MAX_ASPECT}:1; crop it)")
    if short < MIN_SIDE:
        raise Failure(f"{name}: {width}×{height} pixels: too small (at least {MIN_SIDE}×{MIN_SIDE})")


def _load(name: str, kind: str, data: bytes, image: Any) -> GreyImage:
    """Decode the first frame. `image` is a Pillow image file, whose plugins add attributes that have no types."""
    if kind == "JPEG" and image.mode == "RGB":
        image.draft("L", image.size)  # the luma is stored: a quarter of the memory, no way through RGB and back
    image, notes = upright(name, kind, data, image)
    grey = grey_on_paper(image, notes)
    return GreyImage(np.ascontiguousarray(grey), tuple(notes))


def _load_rgb(name: str, kind: str, data: bytes, image: Any, wanted_pixels: int) -> RgbImage:
    """Decode the first frame in colour, reduced to `wanted_pixels`."""
    whole = max(image.size)
    reduction = 1
    while image.width * image.height > wanted_pixels * reduction**2:
        reduction *= 2
    if kind == "JPEG" and image.mode in ("L", "RGB") and reduction > 1:
        image.draft(image.mode, (image.width // reduction, image.height // reduction))
    image, notes = upright(name, kind, data, image)
    drafted = max(1, round(whole / max(image.size)))
    pixels = rgb_on_paper(reduced(image, reduction // drafted), notes)
    return RgbImage(np.ascontiguousarray(pixels), tuple(notes), max(1, round(whole / max(pixels.shape[:2]))))
