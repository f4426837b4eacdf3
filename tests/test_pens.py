"""Training images drawn again with another pen: what changes, what stays, and what the numbers depend on."""

import itertools

import cv2
import numpy as np
import pytest
import torch

from mnist_lit.data import pens
from mnist_lit.data.datamodule import DigitsDataModule
from mnist_lit.data.filters import FilterChain
from mnist_lit.data.idx import BUNDLED, read_set
from mnist_lit.data.pens import with_pens


@pytest.fixture(scope="module")
def images():
    """`(400, 1, 28, 28)` uint8, of the training file."""
    return torch.from_numpy(read_set(BUNDLED, "train").images[:400].copy())[:, None]


def drawn(images, share=1.0, seed=0, epoch=0, indices=None):
    indices = torch.arange(len(images)) if indices is None else indices
    return with_pens(images, share, seed=seed, epoch=epoch, indices=indices)


def ink(images):
    """How much of it each image has, in pixels."""
    return images.float().sum(dim=(1, 2, 3)) / 255


@pytest.fixture
def one_pen(monkeypatch):
    """Have every image drawn with the pen whose ink reaches down to this share of the stroke's brightness."""
    return lambda share: monkeypatch.setattr(pens, "_SHARES", (share, share))


@pytest.mark.parametrize(("share", "low", "high"), [(0.0, 0, 0), (0.3, 90, 150), (1.0, 400, 400)])
def test_a_share_of_the_images(images, share, low, high):
    before = images.clone()
    after = drawn(images, share)
    assert (after.shape, after.dtype) == (images.shape, torch.float32)
    assert 0 <= after.min() < after.max() <= 255
    assert low <= int((after != images).flatten(1).any(dim=1).sum()) <= high
    assert torch.equal(images, before)


def test_pens_are_bolder_or_thinner(images, one_pen):
    amounts = []
    for share in (0.44, 0.5, 0.56, 0.62, 0.68):
        one_pen(share)
        amounts.append(ink(drawn(images)))
    assert all((thinner < bolder).all() for bolder, thinner in itertools.pairwise(amounts))
    original = ink(images).mean()
    assert amounts[0].mean() > 1.02 * original
    assert amounts[1].mean() == pytest.approx(float(original), rel=0.05)
    assert amounts[4].mean() < 0.8 * original


def test_the_thinnest_pen_breaks_no_strokes(images, one_pen):
    one_pen(0.68)

    def pieces(image):
        large = cv2.resize(image.numpy()[0].astype(np.uint8), (112, 112), interpolation=cv2.INTER_CUBIC)
        return cv2.connectedComponents((large > 64).astype(np.uint8))[0]

    more = [pieces(after) > pieces(before) for before, after in zip(images, drawn(images), strict=True)]
    assert sum(more) < 0.03 * len(images)


def test_a_faint_stroke_is_drawn_as_boldly_as_a_dark_one(one_pen):
    one_pen(0.5)
    dark = torch.zeros(1, 1, 28, 28)
    dark[:, :, 4:24, 12:15] = 250.0
    torch.testing.assert_close(drawn(0.4 * dark), drawn(dark), rtol=0, atol=0.01)


def test_blank_images_stay_blank():
    assert drawn(torch.zeros(3, 1, 28, 28)).max() == 0


def test_what_a_sample_gets_depends_on_seed_epoch_and_index_alone(images):
    whole = drawn(images, 0.5)
    part = torch.tensor([6, 3, 8, 14, 23, 399])
    torch.testing.assert_close(drawn(images[part], 0.5, indices=part), whole[part], rtol=0, atol=1e-3)
    for other in (drawn(images, seed=1), drawn(images, epoch=1)):
        assert (other != drawn(images)).flatten(1).any(dim=1).all()


@pytest.mark.parametrize(
    "options",
    [{"pens": 1.5}, {"pens": -0.1}, {"pens": 0.5, "filters": FilterChain.parse("median(kernel_size=3)")}],
    ids=["more than all", "less than none", "filtered"],
)
def test_wrong_use_is_refused(options):
    with pytest.raises(ValueError, match=r"data\.pens"):
        DigitsDataModule(**options)
