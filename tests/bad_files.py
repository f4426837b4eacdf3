"""Image files that `predict` and `read` must refuse, and odd ones that they must read as their plain twin."""

import io
import os
import struct
import zlib
from functools import cache
from pathlib import Path

import cv2
import numpy as np
from PIL import Image, ImageCms, ImageDraw

from mnist_lit.data.idx import BUNDLED, read_set

DIGIT = 7  # of the training file: a clear 3


@cache
def base() -> Image.Image:
    """A digit as one would write it: dark on white paper, grey, 324 × 324 pixels."""
    digit = 255 - read_set(BUNDLED, "train").images[DIGIT]
    page = np.full((324, 324), 255, np.uint8)
    page[120:204, 120:204] = cv2.resize(digit, (84, 84), interpolation=cv2.INTER_CUBIC)
    return Image.fromarray(page)


def encoded(image: Image.Image, kind: str, **options: object) -> bytes:
    """The image as a file of that kind."""
    file = io.BytesIO()
    image.save(file, kind, **options)
    return file.getvalue()


def png_of_zeros(side: int) -> bytes:
    """A 1-bit PNG, side × side: tens of KiB for 20000."""
    squeeze = zlib.compressobj(9)
    row = bytes(1 + (side + 7) // 8)
    body = b"".join(squeeze.compress(row * 100) for _ in range(side // 100)) + squeeze.flush()
    header = struct.pack(">IIBBBBB", side, side, 1, 0, 0, 0, 0)
    parts = ((b"IHDR", header), (b"IDAT", body), (b"IEND", b""))
    chunks = (
        struct.pack(">I", len(data)) + tag + data + struct.pack(">I", zlib.crc32(tag + data)) for tag, data in parts
    )
    return b"\x89PNG\r\n\x1a\n" + b"".join(chunks)


def array_file(array: np.ndarray) -> bytes:
    """The array as `.npy`."""
    file = io.BytesIO()
    np.save(file, array, allow_pickle=True)
    return file.getvalue()


BOX = b"\0\0\0\x20ftyp"
EPS = b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 50 50\nshowpage\n"

REFUSED = {
    # row of BAD_INPUTS.md, what: (content, words of the reason)
    "1 empty": (lambda: b"", "empty file"),
    "2 cut PNG": (lambda: encoded(base(), "PNG")[:-900], "truncated"),
    "3 cut JPEG": (lambda: encoded(base(), "JPEG")[:-900], "truncated"),
    "4 text": (lambda: b"no image at all\n", "not an image"),
    "11 1 × 1": (lambda: encoded(Image.new("L", (1, 1)), "PNG"), "too small"),
    "11 strip": (lambda: encoded(Image.new("L", (5000, 1)), "PNG"), "extreme aspect"),
    "12 bomb": (lambda: png_of_zeros(20_000), "too many pixels; at most"),
    "14 NaN": (lambda: array_file(np.full((28, 28), np.nan)), "not an image"),
    "14 objects": (lambda: array_file(np.array([{}], object)), "not an image"),
    "20 SVG": (lambda: b'<?xml version="1.0"?>\n<svg width="9" height="9"/>', "unsupported format SVG; supported: PNG"),
    "20 HEIC": (lambda: BOX + b"heic\0\0\0\0mif1heic", "unsupported format HEIC"),
    "20 PDF": (lambda: b"%PDF-1.7\n1 0 obj", "unsupported format PDF"),
    "20 EPS": (lambda: EPS, "unsupported format EPS"),
    "20 PSD": (lambda: b"8BPS\0\1" + bytes(40), "unsupported format PSD"),
    "20 AVIF": (lambda: BOX + b"avif\0\0\0\0avifmif1miaf", "unsupported format AVIF"),
}


def _sixteen_bits() -> bytes:
    return encoded(Image.fromarray(np.asarray(base()).astype(np.uint16) * 257), "PNG")


def _ycck() -> bytes:
    planes = base().convert("RGB").convert("YCbCr").split()  # see test_image_files
    data = encoded(Image.merge("CMYK", [*planes, Image.new("L", base().size, 0)]), "JPEG", quality=100, subsampling=0)
    at = data.index(b"Adobe") + 11
    return data[:at] + b"\x02" + data[at + 1 :]


def _turned() -> bytes:
    exif = Image.Exif()
    exif[274] = 6
    return encoded(base().transpose(Image.Transpose.ROTATE_90), "JPEG", quality=95, exif=exif)


def _on_transparent() -> bytes:
    black = Image.new("L", base().size, 0)
    return encoded(Image.merge("RGBA", [black] * 3 + [Image.fromarray(255 - np.asarray(base()))]), "PNG")


def _frames(kind: str) -> bytes:
    return encoded(base(), kind, save_all=True, append_images=[Image.new("L", base().size, 255)])


TWINS = {
    # row, what: (suffix, content, words of the note)
    "5 16 bits": (".png", _sixteen_bits, ""),
    "6 CMYK": (".jpg", lambda: encoded(base().convert("CMYK"), "JPEG", quality=95), ""),
    "6 YCCK": (".jpg", _ycck, ""),
    "7 palette": (".png", lambda: encoded(base().convert("P"), "PNG"), ""),
    "7 1 bit": (".png", lambda: encoded(base().convert("1", dither=Image.Dither.NONE), "PNG"), ""),
    "7 LA": (".png", lambda: encoded(base().convert("LA"), "PNG"), ""),
    "7 profile": (
        ".png",
        lambda: encoded(base(), "PNG", icc_profile=ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()),
        "",
    ),
    "8 transparent": (".png", _on_transparent, ""),
    "9 GIF": (".gif", lambda: _frames("GIF"), "first frame of 2"),
    "9 TIFF": (".tif", lambda: _frames("TIFF"), "first frame of 2"),
    "10 EXIF": (".jpg", _turned, "EXIF orientation applied"),
    "13 inverted": (".png", lambda: encoded(Image.fromarray(255 - np.asarray(base())), "PNG"), ""),
}


def letter() -> Image.Image:
    """What is no digit: a W."""
    image = Image.new("L", (324, 324), 255)
    ImageDraw.Draw(image).line([(120, 120), (142, 204), (162, 140), (182, 204), (204, 120)], fill=0, width=8)
    return image


def two_digits() -> Image.Image:
    """The digit twice, side by side."""
    page = np.asarray(base())
    return Image.fromarray(np.hstack([page[:, :210], page[:, 120:]]))


def write(path: str | bytes | os.PathLike, data: bytes) -> Path:
    """Write a file under any name, and return its path."""
    path = Path(os.fsdecode(path))
    path.write_bytes(data)
    return path
