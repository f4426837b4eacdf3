"""Users' image files: the same pixels whatever the format, transparency and orientation."""

import io
import struct
import zlib

import numpy as np
import pytest
from image_bytes import GREY, LOSSLESS, encoded, failure, pixels_of, png_chunk, with_png_chunk
from PIL import Image, ImageCms

from mnist_lit.data.image_files import decode_grey

# Formats and their twins


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
