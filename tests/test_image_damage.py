"""Image files that cannot be read whole: damaged, cut off, too small, too large, or something else."""

import io
import json
import os
import random
import struct
import subprocess
import sys
import textwrap
import warnings

import numpy as np
import pytest
from bad_files import png_of_zeros
from hypothesis import given, settings
from hypothesis import strategies as st
from image_bytes import GREY, LOSSLESS, encoded, failure, outcome, pixels_of, with_png_chunk
from PIL import EpsImagePlugin, Image, ImageFile, TiffImagePlugin

from mnist_lit.data import image_formats
from mnist_lit.data.image_files import decode_grey, read_grey
from mnist_lit.errors import Failure

# Files that cannot be read whole


TRUNCATABLE = [
    *LOSSLESS,
    ("JPEG", {}),
    ("JPEG", {"progressive": True}),
    ("WEBP", {}),
    ("TIFF", {"compression": "jpeg"}),
]


@pytest.mark.parametrize(("kind", "options"), TRUNCATABLE)
def test_truncated_file_is_never_guessed_at(kind, options, capfd):
    data = encoded(Image.fromarray(GREY), kind, **options)
    whole = decode_grey(data, "x").pixels
    for length in {*range(16, len(data), 11), *range(len(data) - 24, len(data))}:
        got = outcome(data[:length])
        if isinstance(got, str):
            assert "truncated" in got
        else:  # a byte or two after the pixels are missing: nothing was guessed
            assert len(data) - length <= 4
            np.testing.assert_array_equal(got, whole)
    assert capfd.readouterr() == ("", "")


def test_a_reader_that_fills_what_is_missing_would_be_noticed(monkeypatch):
    # The negative control of the test above.
    half = encoded(Image.fromarray(GREY), "JPEG")[:-100]
    assert "truncated" in failure(half)
    monkeypatch.setattr(ImageFile, "LOAD_TRUNCATED_IMAGES", True)
    assert not np.array_equal(decode_grey(half, "x").pixels, pixels_of(Image.fromarray(GREY), "JPEG"))


def test_png_without_its_end_is_truncated():
    assert "truncated" in failure(encoded(Image.fromarray(GREY))[:-12])


def test_empty_file():
    assert "empty file" in failure(b"")


@pytest.mark.parametrize(
    "data", [b"this is a letter, not a picture\n", b"BMW is a car maker", b"\0" * 100, b"II", b"{}"]
)
def test_what_is_no_image_is_called_so(data):
    assert "not an image" in failure(data)


BOX = b"\0\0\0\x20ftyp"
UNSUPPORTED = {
    "SVG": b'<?xml version="1.0"?>\n<svg xmlns="http://www.w3.org/2000/svg" width="9" height="9"/>',
    "HEIC": BOX + b"heic\0\0\0\0mif1heic",
    "AVIF": BOX + b"avif\0\0\0\0avifmif1miaf",
    "PDF": b"%PDF-1.7\n1 0 obj",
    "EPS": b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 50 50\nshowpage\n",
    "PSD": b"8BPS\0\1" + b"\0" * 40,
    "JPEG 2000": b"\0\0\0\x0cjP  \r\n\x87\n",
    "JPEG XL": b"\xff\x0a\0\0",
    "ICO": b"\0\0\1\0\1\0",
    "MP4": BOX + b"isom\0\0\0\0isommp41",
}


@pytest.mark.parametrize("kind", UNSUPPORTED)
def test_unsupported_format_is_named_with_the_supported_ones(kind, tmp_path):
    path = tmp_path / "digit.png"
    path.write_bytes(UNSUPPORTED[kind])
    with pytest.raises(Failure, match=f"unsupported format {kind}.*; supported: PNG, JPEG, BMP, GIF, TIFF, WebP$"):
        read_grey(path)


def test_real_avif_and_jpeg_2000_are_recognised():
    assert "unsupported format JPEG 2000" in failure(encoded(Image.fromarray(GREY), "JPEG2000"))
    if "AVIF" in Image.SAVE:
        assert "unsupported format AVIF" in failure(encoded(Image.fromarray(GREY), "AVIF"))


def load_with_pillow(path):
    with Image.open(path) as image:
        image.load()


def test_postscript_never_reaches_ghostscript(tmp_path, monkeypatch):
    def forbidden(*_arguments, **_options):
        raise AssertionError("Ghostscript was called")

    monkeypatch.setattr(EpsImagePlugin, "Ghostscript", forbidden)
    path = tmp_path / "digit.png"
    path.write_bytes(UNSUPPORTED["EPS"])
    with pytest.raises(AssertionError):  # the control: Pillow left to itself would
        load_with_pillow(path)
    with pytest.raises(Failure, match="EPS"):
        read_grey(path)


# Size


@pytest.mark.parametrize(
    ("width", "height", "reason"),
    [(1, 1, "too small"), (1, 5000, "extreme aspect"), (3, 40, "too small"), (5000, 10, "extreme aspect")],
)
def test_tiny_and_thin_images_are_refused(width, height, reason):
    assert reason in failure(encoded(Image.new("L", (width, height))))


def test_eight_by_eight_is_enough():
    assert pixels_of(Image.new("L", (8, 8))).shape == (8, 8)


def test_more_pixels_than_allowed_are_refused():
    data = encoded(Image.fromarray(GREY))
    assert decode_grey(data, "x", max_pixels=GREY.size).pixels.shape == GREY.shape
    with pytest.raises(Failure, match=r"50×40 pixels are more than the 1,999 allowed"):
        decode_grey(data, "x", max_pixels=GREY.size - 1)


def test_larger_file_than_allowed_is_refused(tmp_path):
    path = tmp_path / "digit.png"
    path.write_bytes(encoded(Image.fromarray(GREY)))
    size = path.stat().st_size
    assert read_grey(path, max_bytes=size).pixels.shape == GREY.shape
    with pytest.raises(Failure, match="bytes"):
        read_grey(path, max_bytes=size - 1)


def test_sparse_giant_is_refused_unread(tmp_path):
    path = tmp_path / "digit.png"
    with path.open("wb") as file:
        file.truncate(2**31)
    with pytest.raises(Failure, match="more than the 67,108,864 allowed"):
        read_grey(path)


def bombs():
    """Files of the formats whose headers claim 20000×20000 or so."""
    small = Image.fromarray(GREY)
    jpeg, gif, bmp = encoded(small, "JPEG"), encoded(small, "GIF"), encoded(small, "BMP")
    frame = jpeg.index(b"\xff\xc0") + 5
    tiff = TiffImagePlugin.ImageFileDirectory_v2()
    for tag, value in {
        256: 20000,
        257: 20000,
        258: 8,
        259: 1,
        262: 1,
        273: 8,
        277: 1,
        278: 20000,
        279: 20000**2,
    }.items():
        tiff[tag] = value
    buffer = io.BytesIO()
    tiff.save(buffer)
    yield "png", png_of_zeros(20000)
    yield "jpeg", jpeg[:frame] + struct.pack(">HH", 20000, 20000) + jpeg[frame + 4 :]
    yield "gif", gif[:6] + struct.pack("<HH", 20000, 20000) + gif[10:]
    yield "bmp", bmp[:18] + struct.pack("<ii", 20000, 20000) + bmp[26:]
    yield "tiff", b"II*\0" + struct.pack("<I", 8) + buffer.getvalue()[8:]
    webp = encoded(small, "WEBP", lossless=True)
    at = webp.index(b"VP8L") + 9
    (bits,) = struct.unpack("<I", webp[at : at + 4])  # 14 bits of width, 14 of height
    yield "webp", webp[:at] + struct.pack("<I", bits | (2**28 - 1)) + webp[at + 4 :]


MEASURE = """
    import json, sys, time
    from pathlib import Path
    from mnist_lit.data.image_files import read_grey
    from mnist_lit.errors import Failure

    def peak():
        try:  # ru_maxrss would count the parent process as well: Linux hands it on through exec
            status = Path("/proc/self/status").read_text()
            return int(status.split("VmHWM:")[1].split()[0]) / 1024
        except FileNotFoundError:
            import resource
            return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20

    for name in sys.argv[1:]:
        start = time.perf_counter()
        try:
            read_grey(Path(name))
            message = "read"
        except Failure as error:
            message = str(error)
        print(json.dumps([message, time.perf_counter() - start, peak()]))
    touched = bytearray(b"x" * 2**28)
    print(json.dumps(["control", 0, peak()]))
"""


@pytest.mark.skipif(os.name == "nt", reason="Windows has no resource module to measure the peak with")
def test_bombs_are_refused_from_the_header_quickly_and_in_little_memory(tmp_path):
    paths = []
    for name, data in bombs():
        paths.append(tmp_path / f"bomb.{name}")
        paths[-1].write_bytes(data)
    assert paths[0].stat().st_size < 100 * 2**10
    command = [sys.executable, "-c", textwrap.dedent(MEASURE), *map(str, paths)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=True)
    assert done.stderr == ""
    *results, control = (json.loads(line) for line in done.stdout.splitlines())
    for path, (message, seconds, peak) in zip(paths, results, strict=True):
        assert "pixels" in message, path.name
        assert "\n" not in message
        assert seconds < 1, path.name
        assert peak < 200, path.name
    assert control[2] > 250  # the measure sees memory that is used


def test_size_that_pillow_would_only_warn_about_is_refused_without_a_warning():
    data = png_of_zeros(10000)
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        assert "100" in failure(data)
        with pytest.raises(Failure, match="too many"):
            decode_grey(png_of_zeros(20000), "x", max_pixels=2**40)
    assert caught == []


def test_warnings_of_pillow_do_not_leak():
    data = encoded(Image.fromarray(GREY).convert("P"), transparency=bytes(256))
    tiff = encoded(Image.fromarray(GREY), "TIFF")
    extra = with_png_chunk(encoded(Image.fromarray(GREY)), b"acTL", b"\0\0\0\0\0\0\0\0")  # "Invalid APNG"
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        for content in (data, tiff, extra):
            decode_grey(content, "x")
    assert caught == []


# Mutations


def mutants(data, seed, n=300):
    source = random.Random(seed)
    for _ in range(n):
        mutant = bytearray(data)
        for _ in range(source.choice((1, 1, 2, 8))):
            mutant[source.randrange(len(mutant))] = source.randrange(256)
        yield bytes(mutant[: source.randrange(len(mutant))] if source.random() < 0.3 else mutant)


@pytest.mark.parametrize(
    ("kind", "options", "n"),
    [
        ("PNG", {}, 300),
        ("JPEG", {}, 300),
        ("GIF", {}, 150),
        ("TIFF", {"compression": "tiff_lzw"}, 150),
        ("BMP", {}, 100),
        ("WEBP", {}, 100),
    ],
)
def test_mutated_file_is_read_or_refused_in_one_line(kind, options, n, capfd):
    exif = Image.Exif()
    exif[274] = 6
    with_exif = {} if kind in ("GIF", "BMP") else {"exif": exif}
    data = encoded(Image.fromarray(GREY), kind, **options, **with_exif)
    refused = 0
    for mutant in mutants(data, seed=1, n=n):
        got = outcome(mutant, max_pixels=10**6)
        refused += isinstance(got, str)
        assert "\n" not in got if isinstance(got, str) else (got.dtype, got.ndim) == (np.uint8, 2)
    assert refused > n // 10
    assert capfd.readouterr() == ("", "")


@settings(max_examples=60, deadline=None)
@given(
    st.sampled_from(sorted(start for starts in image_formats.STARTS.values() for start in starts)),
    st.binary(max_size=200),
)
def test_any_bytes_after_a_magic_are_read_or_refused(start, rest):
    got = outcome(start + rest, max_pixels=10**6)
    assert not isinstance(got, str) or "\n" not in got
