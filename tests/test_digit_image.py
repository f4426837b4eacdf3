"""From a decoded image to an MNIST-like digit: close to the original, whatever was done to it."""

import gzip
from pathlib import Path

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as npst

import mnist_lit.data
from mnist_lit.data.digit_image import BOX, FIELD, digit_from_image

SEED = 20


def mnist_test_images(n):
    path = Path(mnist_lit.data.__file__).parent / "bundled" / "t10k-images-idx3-ubyte.gz"
    with gzip.open(path) as file:
        return np.frombuffer(file.read(16 + n * 784), np.uint8, offset=16).reshape(n, 28, 28)


DIGITS = mnist_test_images(100)


def enlarged(image, factor, interpolation=cv2.INTER_CUBIC):
    return cv2.resize(image, None, fx=factor, fy=factor, interpolation=interpolation)


def tight(image):
    rows, columns = np.flatnonzero((image > 30).any(axis=1)), np.flatnonzero((image > 30).any(axis=0))
    return image[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1]


def on_paper(image, rng, factor=6, contrast=0.7, noise=2.0, falloff=0.2, side=None):
    """A dark digit on paper in uneven light, uint8, with what a camera adds."""
    ink = enlarged(image, factor).astype(np.float32) / 255
    side = side or len(ink)
    top, left = rng.integers(0, side - len(ink) + 1, 2)
    ink = np.pad(ink, ((top, side - len(ink) - top), (left, side - len(ink) - left)))
    y, x = np.mgrid[0:side, 0:side] / side - 0.5
    angle = rng.uniform(0, 2 * np.pi)
    light = 215 * (1 + falloff * (x * np.cos(angle) + y * np.sin(angle)) - 0.3 * falloff * (x * x + y * y))
    return np.clip(light * (1 - contrast * ink) + rng.normal(0, noise, ink.shape), 0, 255).astype(np.uint8)


def correlation(result, original):
    """Pearson's r; one pixel of shift is forgiven, as the centre of mass is rounded to whole pixels."""
    if not result.any():
        return 0.0
    shifts = [(dy, dx) for dy in (-1, 0, 1) for dx in (-1, 0, 1)]
    return max(np.corrcoef(np.roll(result, s, (0, 1)).ravel(), original.ravel())[0, 1] for s in shifts)


def results_of(change, digits=DIGITS):
    rng = np.random.default_rng(SEED)
    return [digit_from_image(change(image, rng)) for image in digits]


def shifted(image, rng):
    return 255 - np.roll(np.pad(enlarged(image, 3), 40), rng.integers(-30, 30, 2), (0, 1))


PAPERS = {
    "smooth": {},
    "light that falls off": {"contrast": 0.4, "noise": 6, "falloff": 0.6},
    "pencil on rough paper": {"contrast": 0.2, "noise": 6, "falloff": 0.3},
    "small on a page": {"factor": 3, "noise": 4, "falloff": 0.4, "side": 300},
}
CHANGES = {
    "bigger": ("light on dark", 0.96, lambda image, _: enlarged(image, 4)),
    "bigger, in blocks": ("light on dark", 0.98, lambda image, _: enlarged(image, 10, cv2.INTER_NEAREST)),
    "bigger and inverted": ("dark on light", 0.96, lambda image, _: 255 - enlarged(image, 4)),
    "of little contrast": ("dark on light", 0.98, lambda image, _: (200 - image * 0.3).astype(np.uint8)),
    "cropped to the ink": ("dark on light", 0.98, lambda image, _: 255 - tight(image)),
    "cropped to the ink, bigger": ("light on dark", 0.96, lambda image, _: enlarged(tight(image), 5)),
    "shifted": ("dark on light", 0.95, shifted),
    "wide": ("dark on light", 0.95, lambda image, _: 255 - np.pad(enlarged(image, 3), ((0, 0), (50, 150)))),
    "chalk on a board": ("light on dark", 0.94, lambda image, rng: 255 - on_paper(image, rng, noise=4, falloff=0.3)),
    **{
        name: ("dark on light", 0.93, lambda image, rng, options=options: on_paper(image, rng, **options))
        for name, options in PAPERS.items()
    },
}


@pytest.mark.parametrize("name", CHANGES)
def test_mnist_digit_comes_back_close_to_its_original(name):
    polarity, close, change = CHANGES[name]
    results = results_of(change)
    assert all(result.has_ink for result in results)
    assert np.mean([result.polarity == polarity for result in results]) >= 0.98
    assert np.mean([correlation(r.pixels, image) for r, image in zip(results, DIGITS, strict=True)]) >= close


def test_measure_tells_a_digit_from_another():
    # The negative control of the test above: different digits correlate far below its limits.
    others = np.roll(DIGITS, 1, axis=0)
    assert np.mean([correlation(image, other) for image, other in zip(DIGITS, others, strict=True)]) < 0.6


def test_coloured_jpeg_and_grey_original_agree():
    def change(image, _):
        ink, paper = np.array([140, 30, 20.0]), np.array([200, 240, 250.0])
        share = enlarged(image, 5)[..., None] / 255
        blue = (paper * (1 - share) + ink * share).clip(0, 255).astype(np.uint8)
        _, data = cv2.imencode(".jpg", blue, [cv2.IMWRITE_JPEG_QUALITY, 80])
        return cv2.imdecode(data, cv2.IMREAD_GRAYSCALE)

    results = results_of(change)
    assert np.mean([correlation(r.pixels, image) for r, image in zip(results, DIGITS, strict=True)]) >= 0.95


# Clean MNIST images


def test_mnist_image_passes_through_exactly():
    for image in DIGITS:
        result = digit_from_image(image)
        np.testing.assert_array_equal(result.pixels, image)
        assert (result.polarity, result.has_ink) == ("light on dark", True)


def test_inverted_mnist_image_comes_back_exactly():
    for image in DIGITS:
        result = digit_from_image(255 - image)
        np.testing.assert_array_equal(result.pixels, image)
        assert (result.polarity, result.has_ink) == ("dark on light", True)


def test_result_is_no_view_of_the_input():
    image = DIGITS[0].copy()
    result = digit_from_image(image)
    image[:] = 0
    assert result.pixels.any()


def test_input_is_not_modified():
    image = 255 - enlarged(DIGITS[0], 4)
    before = image.copy()
    digit_from_image(image)
    np.testing.assert_array_equal(image, before)


# The recipe


def test_digit_fills_the_box_and_its_centre_of_mass_is_the_centre():
    for result in results_of(lambda image, _: 255 - enlarged(image, 6)):
        ys, xs = np.nonzero(result.pixels)
        assert max(np.ptp(ys), np.ptp(xs)) + 1 == BOX
        total = result.pixels.sum()
        indices = np.arange(FIELD)
        centre = np.array([result.pixels.sum(axis=1) @ indices, result.pixels.sum(axis=0) @ indices]) / total
        # the box stays inside the field, so a very lopsided digit may lie beside the centre
        assert np.abs(centre - FIELD / 2).max() <= 0.51


def test_aspect_ratio_is_kept():
    bar = np.full((300, 300), 255, np.uint8)
    bar[50:250, 130:170] = 0
    ys, xs = np.nonzero(digit_from_image(bar).pixels)
    assert (np.ptp(ys) + 1, np.ptp(xs) + 1) == (20, 4)


@pytest.mark.parametrize("contrast", [20, 60, 250])
def test_strokes_reach_255_and_the_field_is_black(contrast):
    image = (250 - (enlarged(DIGITS[0], 5) / 255 * contrast)).astype(np.uint8)
    pixels = digit_from_image(image).pixels
    assert pixels.max() == 255
    assert not pixels[0].any()
    assert not pixels[:, 0].any()


def test_thin_line_is_not_faint():
    page = np.full((400, 400), 255, np.uint8)
    cv2.line(page, (200, 60), (180, 340), 0, 3)
    pixels = digit_from_image(page).pixels
    assert (pixels.max(axis=1) >= 128).sum() >= 18


# Specks, frames, neighbours


def test_specks_do_not_determine_the_crop():
    def change(image, rng):
        page = 255 - np.pad(enlarged(image, 6), 60)
        for x, y in rng.integers(3, len(page) - 3, (8, 2)):
            cv2.circle(page, (int(x), int(y)), 2, 0, -1)
        return page

    results = results_of(change)
    assert np.mean([correlation(r.pixels, image) for r, image in zip(results, DIGITS, strict=True)]) >= 0.94


def test_loose_bar_of_a_five_belongs_to_it():
    page = np.full((200, 200), 255, np.uint8)
    cv2.ellipse(page, (90, 125), (40, 40), 0, -90, 140, 0, 12)
    whole = digit_from_image(cv2.line(page.copy(), (88, 60), (135, 60), 0, 10)).pixels
    assert not np.array_equal(whole, digit_from_image(page).pixels)
    assert (whole[4:8] > 128).any()


def test_part_of_a_neighbour_at_the_border_is_left_out():
    page = 255 - np.pad(enlarged(DIGITS[0], 6), 30)
    beside = page.copy()
    beside[40:160, :10] = 0
    np.testing.assert_allclose(digit_from_image(beside).pixels.astype(int), digit_from_image(page).pixels, atol=8)


@pytest.mark.parametrize("invert", [False, True])
def test_thin_frame_around_the_image_is_left_out(invert):
    page = 255 - np.pad(enlarged(DIGITS[0], 6), 30)
    framed = cv2.rectangle(page.copy(), (0, 0), (page.shape[1] - 1, page.shape[0] - 1), 0, 3)
    framed, page = (255 - framed, 255 - page) if invert else (framed, page)
    result = digit_from_image(framed)
    assert result.polarity == digit_from_image(page).polarity
    assert correlation(result.pixels, digit_from_image(page).pixels) > 0.99


# No ink


@pytest.mark.parametrize("shape", [(28, 28), (4, 4), (1, 1), (300, 200)])
@pytest.mark.parametrize("level", [0, 7, 128, 255])
def test_uniform_image_has_no_ink(shape, level):
    result = digit_from_image(np.full(shape, level, np.uint8))
    assert not result.has_ink
    assert result.pixels.shape == (FIELD, FIELD)
    assert not result.pixels.any()


@pytest.mark.parametrize(("noise", "falloff", "blur"), [(2, 0, 0), (8, 0.3, 0), (8, 0.3, 2), (4, 0.5, 5), (12, 0, 0)])
def test_blank_paper_has_no_ink(noise, falloff, blur):
    rng = np.random.default_rng(SEED)
    for _ in range(10):
        grain = rng.normal(0, 1, (300, 200))
        grain = cv2.GaussianBlur(grain, (0, 0), blur) if blur else grain
        y, x = np.mgrid[0:300, 0:200] / [[[300]], [[200]]] - 0.5
        page = 190 * (1 + falloff * x - falloff * y * y) + noise * grain / grain.std()
        assert not digit_from_image(page.clip(0, 255).astype(np.uint8)).has_ink


# Any array


@settings(max_examples=80, deadline=None)
@given(npst.arrays(np.uint8, st.tuples(st.integers(1, 70), st.integers(1, 70)), elements=st.integers(0, 255)))
def test_any_image_gives_a_whole_digit_or_none(grey):
    result = digit_from_image(grey)
    assert result.pixels.shape == (FIELD, FIELD)
    assert result.pixels.dtype == np.uint8
    assert result.has_ink == bool(result.pixels.any())


@settings(max_examples=40, deadline=None)
@given(st.integers(0, 99), st.sampled_from([3, 4, 7]), st.booleans())
def test_inverting_an_image_changes_the_polarity_only(index, factor, padded):
    image = enlarged(DIGITS[index], factor)
    image = np.pad(image, 20) if padded else image
    light, dark = digit_from_image(image), digit_from_image(255 - image)
    assert (light.polarity, dark.polarity) == ("light on dark", "dark on light")
    np.testing.assert_allclose(light.pixels.astype(int), dark.pixels, atol=1)


@pytest.mark.parametrize(
    "wrong", [np.zeros((28, 28), np.float32), np.zeros((28, 28, 3), np.uint8), np.zeros((0, 5), np.uint8)]
)
def test_wrong_array_is_refused(wrong):
    with pytest.raises(ValueError, match="uint8"):
        digit_from_image(wrong)
