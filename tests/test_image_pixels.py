"""Decoded images as grey levels and colours on white paper: depth, transparency, size."""

import io

import numpy as np
import pytest
from PIL import Image

from mnist_lit.data.image_files import decode_grey, decode_rgb
from mnist_lit.data.image_pixels import grey_on_paper, reduced, rgb_on_paper

RNG = np.random.default_rng(0)
GREY = RNG.integers(0, 256, (24, 36), dtype=np.uint8)
COLOUR = RNG.integers(0, 256, (24, 36, 3), dtype=np.uint8)


def encoded(image, kind="PNG", **options) -> bytes:
    file = io.BytesIO()
    image.save(file, kind, **options)
    return file.getvalue()


def on_white(image) -> np.ndarray:
    """The image composited on white by hand."""
    rgba = np.asarray(image.convert("RGBA")).astype(np.float64)
    alpha = rgba[..., 3:] / 255
    return rgba[..., :3] * alpha + 255 * (1 - alpha)


def test_colours_are_those_that_were_saved():
    found = decode_rgb(encoded(Image.fromarray(COLOUR)), "x")
    np.testing.assert_array_equal(found.pixels, COLOUR)
    assert (found.pixels.dtype, found.pixels.flags.c_contiguous, found.reduction, found.notes) == (
        np.uint8,
        True,
        1,
        (),
    )


@pytest.mark.parametrize("mode", ["1", "L", "LA", "P", "RGBA", "I;16", "CMYK"])
def test_grey_in_every_mode_is_three_equal_channels(mode):
    image = Image.fromarray(GREY)
    if mode == "I;16":
        image = Image.fromarray(GREY.astype(np.uint16) * 257)
    elif mode == "CMYK":
        image = image.convert("RGB").convert(mode)
    else:
        image = image.convert(mode, dither=Image.Dither.NONE) if mode == "1" else image.convert(mode)
    expected = np.where(GREY >= 128, 255, 0) if mode == "1" else GREY
    np.testing.assert_array_equal(rgb_on_paper(image, []), np.repeat(expected[..., None], 3, axis=2))


def test_transparent_colours_lie_on_white():
    image = Image.fromarray(np.dstack([COLOUR, GREY]))
    notes = []
    np.testing.assert_allclose(rgb_on_paper(image, notes), on_white(image), atol=1.0)
    assert notes == []


def test_transparent_entry_of_a_palette_lies_on_white():
    image = Image.fromarray(COLOUR).quantize(8)
    image.info["transparency"] = 3
    np.testing.assert_allclose(rgb_on_paper(image, []), on_white(image), atol=1.0)


@pytest.mark.parametrize("mode", ["RGBA", "LA", "P"])
def test_white_strokes_on_transparent_are_seen_in_colour_as_in_grey(mode):
    if mode == "P":
        image = Image.fromarray((GREY > 127).astype(np.uint8)).convert("P")
        image.putpalette([255, 255, 255] * 2)
        image.info["transparency"] = 0
        ink = 255 * (GREY > 127)
    else:
        white = np.full_like(GREY, 255)
        image = Image.fromarray(np.dstack([white, white, white, GREY] if mode == "RGBA" else [white, GREY]))
        ink = GREY
    data = encoded(image, **({"transparency": 0} if mode == "P" else {}))
    grey, colour = decode_grey(data, "x"), decode_rgb(data, "x")
    np.testing.assert_array_equal(grey.pixels, 255 - ink)
    np.testing.assert_array_equal(colour.pixels, np.repeat(grey.pixels[..., None], 3, axis=2))
    assert colour.notes == grey.notes == ("white on transparent: opacity taken as ink",)


@pytest.mark.parametrize("mode", ["1", "L", "LA", "P", "RGB", "RGBA", "CMYK", "I;16", "YCbCr"])
def test_an_image_of_every_mode_can_be_reduced(mode):
    flat = Image.new("L", (36, 24), 255)
    image = (
        Image.fromarray(np.full((24, 36), 65535, np.uint16)) if mode == "I;16" else flat.convert("RGB").convert(mode)
    )
    small = reduced(image, 4)
    assert small.size == (9, 6)
    assert rgb_on_paper(small, []).min() >= 254
    assert reduced(image, 1) is image


def test_reduced_pixels_are_means():
    small = reduced(Image.fromarray(GREY), 4)
    expected = GREY.reshape(6, 4, 9, 4).mean(axis=(1, 3))
    np.testing.assert_allclose(grey_on_paper(small, []), expected, atol=0.51)


@pytest.mark.parametrize(
    ("kind", "mode"),
    [("PNG", "1"), ("PNG", "L"), ("PNG", "P"), ("PNG", "RGB"), ("JPEG", "L"), ("JPEG", "RGB"), ("JPEG", "CMYK")],
)
def test_more_pixels_than_wanted_are_reduced_and_it_is_told_by_how_much(kind, mode):
    image = Image.new("L", (400, 300), 255)
    image.paste(0, (100, 100, 300, 200))
    found = decode_rgb(encoded(image.convert("RGB").convert(mode), kind), "x", wanted_pixels=10_000)
    assert (found.pixels.shape, found.reduction) == ((75, 100, 3), 4)
    assert found.pixels[37, 50].max() < 30
    assert found.pixels[5, 5].min() > 225
