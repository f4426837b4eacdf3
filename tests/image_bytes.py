"""A digit as the bytes of an image file, and what becomes of such bytes."""

import io
import struct
import zlib

import cv2
import numpy as np
import pytest

from mnist_lit.data.image_files import decode_grey
from mnist_lit.errors import Failure


def digit(width=50, height=40):
    """A dark 5 on white with soft edges, uint8 (height, width)."""
    canvas = np.full((height, width), 255, np.uint8)
    cv2.putText(canvas, "5", (width // 4, height - 6), cv2.FONT_HERSHEY_SIMPLEX, height / 32, 0, 3)
    return cv2.GaussianBlur(canvas, (5, 5), 1)


GREY = digit()


def encoded(image, kind="PNG", **options):
    buffer = io.BytesIO()
    image.save(buffer, kind, **options)
    return buffer.getvalue()


def pixels_of(image, kind="PNG", **options):
    return decode_grey(encoded(image, kind, **options), "x").pixels


def failure(data, name="x"):
    with pytest.raises(Failure) as caught:
        decode_grey(data, name)
    message = str(caught.value)
    assert message.startswith(f"{name}: ")
    assert "\n" not in message
    return message


def outcome(data, **limits):
    """The pixels, or the message of the failure."""
    try:
        return decode_grey(data, "x", **limits).pixels
    except Failure as error:
        return str(error)


def png_chunk(tag, body):
    return struct.pack(">I", len(body)) + tag + body + struct.pack(">I", zlib.crc32(tag + body))


def with_png_chunk(data, tag, body):
    """The chunk put in after the header."""
    return data[:33] + png_chunk(tag, body) + data[33:]


LOSSLESS = [
    ("PNG", {}),
    ("BMP", {}),
    ("GIF", {}),
    ("TIFF", {}),
    ("TIFF", {"compression": "tiff_lzw"}),
    ("TIFF", {"compression": "tiff_adobe_deflate"}),
    ("WEBP", {"lossless": True}),
]
