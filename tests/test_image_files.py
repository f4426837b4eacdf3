"""Users' image files: what is found, what is read, and the one line for everything else."""

import errno
import io
import json
import os
import random
import socket
import struct
import subprocess
import sys
import textwrap
import warnings
import zlib
from pathlib import Path

import cv2
import numpy as np
import pytest
from bad_files import png_of_zeros
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import EpsImagePlugin, Image, ImageCms, ImageFile, TiffImagePlugin

from mnist_lit.data import image_formats
from mnist_lit.data.image_files import decode_grey, display_name, find_images, read_grey
from mnist_lit.errors import Failure, UsageError

posix_names = pytest.mark.skipif(os.name == "nt", reason="Windows allows no such file name")
posix_only = pytest.mark.skipif(os.name == "nt", reason="Windows has no FIFOs, devices or sockets in the file system")


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


# Formats and their twins


LOSSLESS = [
    ("PNG", {}),
    ("BMP", {}),
    ("GIF", {}),
    ("TIFF", {}),
    ("TIFF", {"compression": "tiff_lzw"}),
    ("TIFF", {"compression": "tiff_adobe_deflate"}),
    ("WEBP", {"lossless": True}),
]


@pytest.mark.parametrize(("kind", "options"), LOSSLESS)
def test_lossless_format_gives_the_pixels_that_were_saved(kind, options):
    np.testing.assert_array_equal(pixels_of(Image.fromarray(GREY), kind, **options), GREY)


@pytest.mark.parametrize(("kind", "options"), [("JPEG", {"quality": 95}), ("WEBP", {"quality": 95})])
def test_lossy_format_gives_nearly_the_pixels_that_were_saved(kind, options):
    got = pixels_of(Image.fromarray(GREY), kind, **options).astype(int)
    assert np.abs(got - GREY).max() <= 16


def test_result_is_uint8_and_frozen():
    image = decode_grey(encoded(Image.fromarray(GREY)), "x")
    assert image.pixels.dtype == np.uint8
    assert image.notes == ()
    with pytest.raises(AttributeError):
        image.pixels = GREY


@pytest.mark.parametrize(("kind", "options"), [("PNG", {}), ("TIFF", {}), ("TIFF", {"compression": "tiff_lzw"})])
def test_sixteen_bits_equal_their_eight_bit_twin(kind, options):
    wide = Image.fromarray(GREY.astype(np.uint16) * 257)
    assert wide.mode == "I;16"
    np.testing.assert_array_equal(pixels_of(wide, kind, **options), GREY)


def test_sixteen_bits_are_scaled_by_65535_and_not_cut():
    levels = np.linspace(0, 65535, 16 * 16).astype(np.uint16).reshape(16, 16)
    want = np.round(levels / 65535 * 255).astype(np.uint8)
    np.testing.assert_array_equal(pixels_of(Image.fromarray(levels)), want)


def test_sixteen_bit_colour_equals_its_eight_bit_twin():
    colour = np.repeat(GREY[..., None].astype(">u2") * 257, 3, axis=2)
    rows = b"".join(b"\0" + row.tobytes() for row in colour)
    header = struct.pack(">IIBBBBB", GREY.shape[1], GREY.shape[0], 16, 2, 0, 0, 0)
    body = png_chunk(b"IHDR", header) + png_chunk(b"IDAT", zlib.compress(rows)) + png_chunk(b"IEND", b"")
    np.testing.assert_array_equal(decode_grey(b"\x89PNG\r\n\x1a\n" + body, "x").pixels, GREY)


def test_tiff_with_white_as_zero_equals_its_twin():
    wide = Image.fromarray(65535 - GREY.astype(np.uint16) * 257)
    data = encoded(wide, "TIFF", tiffinfo={262: 0})
    assert Image.open(io.BytesIO(data)).tag_v2[262] == 0
    np.testing.assert_array_equal(decode_grey(data, "x").pixels, GREY)


@pytest.mark.parametrize("samples", [np.float32, np.int32])
def test_samples_without_a_white_level_are_refused(samples):
    assert "32-bit" in failure(encoded(Image.fromarray(GREY.astype(samples)), "TIFF"))


def test_palette_equals_its_twin():
    np.testing.assert_array_equal(pixels_of(Image.fromarray(GREY).convert("P")), GREY)


def test_one_bit_equals_its_twin():
    black_and_white = Image.fromarray(GREY).convert("1")
    np.testing.assert_array_equal(pixels_of(black_and_white), np.asarray(black_and_white.convert("L")))


def test_grey_with_opaque_alpha_equals_its_twin():
    np.testing.assert_array_equal(pixels_of(Image.fromarray(GREY).convert("LA")), GREY)


def test_grey_with_colour_profile_equals_its_twin():
    profile = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    np.testing.assert_array_equal(pixels_of(Image.fromarray(GREY), icc_profile=profile), GREY)


def test_colour_becomes_luma():
    colour = Image.new("RGB", (8, 8), (200, 30, 90))
    assert set(pixels_of(colour).ravel()) == {round(0.299 * 200 + 0.587 * 30 + 0.114 * 90)}


@pytest.mark.parametrize("subsampling", [0, 2])
def test_colour_jpeg_equals_its_grey_twin(subsampling):
    twin = pixels_of(Image.fromarray(GREY), "JPEG", quality=95)
    got = pixels_of(Image.fromarray(GREY).convert("RGB"), "JPEG", quality=95, subsampling=subsampling)
    assert np.abs(got.astype(int) - twin).max() <= 2


def coloured():
    return Image.merge(
        "RGB", [Image.fromarray(np.clip(GREY.astype(int) + k, 20, 235).astype(np.uint8)) for k in (0, 40, 90)]
    )


def test_cmyk_jpeg_equals_its_rgb_twin():
    rgb = coloured()
    got = pixels_of(rgb.convert("CMYK"), "JPEG", quality=100, subsampling=0).astype(int)
    assert np.abs(got - np.asarray(rgb.convert("L"))).max() <= 6


def test_ycck_jpeg_equals_its_rgb_twin():
    # Pillow writes CMYK only. A YCCK file holds Y, Cb, Cr of the inverted colours, and K; Pillow inverts what it gets
    # as CMYK when it stores it, so it gets Y, Cb, Cr as they are, and then the Adobe marker is told what they mean.
    rgb = coloured()
    planes = rgb.convert("YCbCr").split()
    data = encoded(Image.merge("CMYK", [*planes, Image.new("L", rgb.size, 0)]), "JPEG", quality=100, subsampling=0)
    at = data.index(b"Adobe") + 11
    assert data[at] == 0
    got = decode_grey(data[:at] + b"\x02" + data[at + 1 :], "x").pixels.astype(int)
    assert np.abs(got - np.asarray(rgb.convert("L"))).max() <= 6


# Transparency


def strokes(level):
    """Strokes of one grey level on transparent, RGBA."""
    return Image.merge("RGBA", [*[Image.new("L", GREY.shape[::-1], level)] * 3, Image.fromarray(255 - GREY)])


def test_black_strokes_on_transparent_lie_on_white():
    image = decode_grey(encoded(strokes(0)), "x")
    np.testing.assert_allclose(image.pixels.astype(int), GREY, atol=1)
    assert image.notes == ()


def test_white_strokes_on_transparent_do_not_vanish():
    image = decode_grey(encoded(strokes(255)), "x")
    np.testing.assert_array_equal(image.pixels, GREY)
    assert image.notes == ("white on transparent: opacity taken as ink",)


def test_fully_transparent_image_is_white_paper():
    assert set(pixels_of(Image.new("RGBA", (10, 10), (0, 0, 0, 0))).ravel()) == {255}


@pytest.mark.parametrize("kind", ["PNG", "GIF"])
def test_transparent_palette_entry_lies_on_white(kind):
    image = Image.fromarray(np.where(GREY < 128, 0, 7).astype(np.uint8)).convert("L")
    image = image.convert("P") if kind == "PNG" else image
    clear = int(np.asarray(image)[0, 0])
    np.testing.assert_array_equal(pixels_of(image, kind, transparency=clear), np.where(GREY < 128, 0, 255))


def test_transparent_sixteen_bit_level_lies_on_white():
    wide = np.where(GREY < 128, 0, 777).astype(np.uint16)
    data = with_png_chunk(encoded(Image.fromarray(wide)), b"tRNS", struct.pack(">H", 777))
    np.testing.assert_array_equal(decode_grey(data, "x").pixels, np.where(GREY < 128, 0, 255))


# Orientation and frames


UNTURNED = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_90,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_270,
}


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "TIFF", "WEBP"])
@pytest.mark.parametrize("orientation", UNTURNED)
def test_exif_orientation_is_applied_and_told(kind, orientation):
    upright = Image.fromarray(GREY)
    exif = Image.Exif()
    exif[274] = orientation
    options = {"quality": 95} if kind == "JPEG" else {"lossless": True} if kind == "WEBP" else {}
    image = decode_grey(encoded(upright.transpose(UNTURNED[orientation]), kind, exif=exif, **options), "x")
    np.testing.assert_allclose(image.pixels.astype(int), GREY, atol=16 if kind == "JPEG" else 0)
    assert image.notes == ("EXIF orientation applied",)


def test_upright_exif_is_not_mentioned():
    exif = Image.Exif()
    exif[274] = 1
    assert decode_grey(encoded(Image.fromarray(GREY), "JPEG", exif=exif), "x").notes == ()


def test_damaged_exif_is_told_and_the_pixels_are_read():
    data = with_png_chunk(encoded(Image.fromarray(GREY)), b"eXIf", b"MM\0*\xff\xff\xff")
    image = decode_grey(data, "x")
    np.testing.assert_array_equal(image.pixels, GREY)
    assert image.notes == ("EXIF unreadable, orientation unknown",)


@pytest.mark.parametrize(("kind", "options"), [("GIF", {}), ("TIFF", {}), ("WEBP", {"lossless": True}), ("PNG", {})])
def test_first_of_several_frames_is_taken_with_a_note(kind, options):
    others = [Image.fromarray(np.roll(GREY, step, axis=1)) for step in (7, 13)]
    image = decode_grey(encoded(Image.fromarray(GREY), kind, save_all=True, append_images=others, **options), "x")
    np.testing.assert_array_equal(image.pixels, GREY)
    assert image.notes == ("first frame of 3",)


def test_counting_pages_stops():
    pages = encoded(Image.new("1", (8, 8)), "TIFF", save_all=True, append_images=[Image.new("1", (8, 8))] * 1100)
    assert decode_grey(pages, "x").notes == ("first frame of 1000 or more",)


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


# The file system


def write_png(path):
    path.write_bytes(encoded(Image.fromarray(GREY)))
    return path


def refusal(path):
    with pytest.raises(Failure) as caught:
        read_grey(path)
    message = str(caught.value)
    assert message.startswith(f"{display_name(path)}: ")
    assert message.count(path.name or str(path)) <= 1 or not path.name.isprintable()
    assert "\n" not in message
    return message


def test_reads_a_file_whatever_its_suffix(tmp_path):
    np.testing.assert_array_equal(read_grey(write_png(tmp_path / "digit.jpg")).pixels, GREY)


def test_empty_file_on_disk(tmp_path):
    (tmp_path / "a.png").touch()
    assert "empty file" in refusal(tmp_path / "a.png")


def test_missing_file(tmp_path):
    assert "no such file" in refusal(tmp_path / "a.png")


def test_file_below_a_file(tmp_path):
    write_png(tmp_path / "a.png")
    refusal(tmp_path / "a.png" / "b.png")


def test_name_with_a_nul_character():
    assert "not a valid file name" in refusal(Path("a\0b.png"))


def test_too_long_name(tmp_path):
    refusal(tmp_path / ("x" * 5000 + ".png"))


def test_folder_is_no_file(tmp_path):
    assert "a folder" in refusal(tmp_path)


def link(path, target):
    try:
        path.symlink_to(target)
    except OSError:
        pytest.skip("symbolic links are not allowed here")
    return path


def test_symbolic_link_is_followed(tmp_path):
    path = link(tmp_path / "b.png", write_png(tmp_path / "a.png"))
    np.testing.assert_array_equal(read_grey(path).pixels, GREY)


def test_broken_symbolic_link_names_its_target(tmp_path):
    assert "broken symbolic link to gone.png" in refusal(link(tmp_path / "a.png", "gone.png"))


@posix_only
def test_loop_of_symbolic_links(tmp_path):
    link(tmp_path / "a.png", "b.png")
    link(tmp_path / "b.png", "a.png")
    assert "loop of symbolic links" in refusal(tmp_path / "a.png")


def test_no_permission(tmp_path, monkeypatch):
    path = write_png(tmp_path / "a.png")

    def refuse(*_arguments):  # root may read everything, so the refusal is played
        raise PermissionError(errno.EACCES, "Permission denied")

    monkeypatch.setattr(os, "open", refuse)
    assert "no permission to read" in refusal(path)


@posix_only
def test_fifo_is_refused_without_waiting(tmp_path):
    os.mkfifo(tmp_path / "a.png")
    assert "a named pipe" in refusal(tmp_path / "a.png")


@posix_only
def test_fifo_that_takes_the_place_of_a_file_is_refused_without_waiting(tmp_path, monkeypatch):
    os.mkfifo(tmp_path / "a.png")
    regular = write_png(tmp_path / "b.png").stat()
    monkeypatch.setattr(os, "stat", lambda *_arguments: regular)
    with pytest.raises(Failure, match="a named pipe"):
        read_grey(tmp_path / "a.png")


@posix_only
def test_socket_is_refused(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)  # the path of a socket must be short
    with socket.socket(socket.AF_UNIX) as server:
        server.bind("a.png")
        assert "a socket" in refusal(Path("a.png"))


@posix_only
def test_device_is_refused():
    assert "a device" in refusal(Path("/dev/zero"))


@posix_names
@pytest.mark.parametrize(
    ("raw", "shown"),
    [
        (b"\xff\xfe.png", r"\xff\xfe.png"),
        ("😀 5.png".encode(), "😀 5.png"),
        (b"-rf.png", "-rf.png"),
        (b"two\nlines\x1b[31m.png", r"two\nlines\x1b[31m.png"),
        ("right\u202eto left.png".encode(), r"right\u202eto left.png"),
    ],
)
def test_odd_names_are_read_and_shown_safely(tmp_path, raw, shown):
    path = tmp_path / os.fsdecode(raw)
    try:
        path.touch()
    except OSError:
        pytest.skip("this file system wants UTF-8 names")
    message = refusal(path)
    assert message.startswith(f"{display_name(tmp_path / 'x')[:-1]}{shown}: empty file")
    assert message.encode()
    assert find_images([tmp_path]) == [path]
    np.testing.assert_array_equal(read_grey(write_png(path)).pixels, GREY)


# Finding


@pytest.fixture
def album(tmp_path):
    for name in ("b.PNG", "a.jpeg", "c.tif", "10.webp", "notes.txt", ".hidden.png", "sub/d.gif", "sub/deep/e.bmp"):
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()
    (tmp_path / "folder.png").mkdir()
    return tmp_path


def test_folder_becomes_its_images_in_sorted_order(album):
    assert find_images([album]) == [album / name for name in ("10.webp", "a.jpeg", "b.PNG", "c.tif")]


def test_folders_inside_are_read_when_asked_for(album):
    names = ("10.webp", "a.jpeg", "b.PNG", "c.tif", "sub/d.gif", "sub/deep/e.bmp")
    assert find_images([album], recursive=True) == [album / name for name in names]


def test_files_stay_as_given(album):
    given = [album / "notes.txt", album / "c.tif", album / "missing.png", album / "a.jpeg", album / "c.tif"]
    assert find_images([str(path) for path in given]) == given


@pytest.mark.parametrize("recursive", [False, True])
def test_folder_without_images_is_wrong_use(album, recursive):
    empty = album / "folder.png"
    with pytest.raises(UsageError, match=r"folder\.png: no image files"):
        find_images([album / "a.jpeg", empty], recursive=recursive)


def test_empty_path_is_wrong_use_and_not_the_current_folder():
    with pytest.raises(UsageError, match="empty path"):
        find_images([""])


def test_broken_links_stay_for_their_error_and_linked_folders_are_not_entered(album):
    link(album / "z.png", "gone.png")
    link(album / "sub" / "up", album)
    found = find_images([album], recursive=True)
    assert album / "z.png" in found
    assert len(found) == 7


@posix_only
def test_link_loops_stay_for_their_error(album):
    link(album / "y.png", "z.png")
    link(album / "z.png", "y.png")
    assert find_images([album])[-2:] == [album / "y.png", album / "z.png"]


def test_folder_that_cannot_be_listed_stays_for_its_error(album, monkeypatch):
    def refuse(*_arguments):  # root may list everything, so the refusal is played
        raise PermissionError(errno.EACCES, "Permission denied")

    monkeypatch.setattr(os, "scandir", refuse)
    monkeypatch.setattr(os, "access", lambda *_arguments: False)
    assert find_images([album]) == [album]
    assert "no permission to list" in refusal(album)
