"""What is no digit, made of digits: where it comes from, what it looks like, and how it is trained on."""

import math

import pytest
import torch
import torch.nn.functional as F

from mnist_lit.data.outliers import NO_DIGIT, Outliers, compose, fit_box
from mnist_lit.data.sources import load_part
from mnist_lit.model.classifier import DigitClassifier, with_outliers

PAIR, NEIGHBOUR, PART = 0.0, 0.7, 0.95  # draws of the kinds
LEFT, RIGHT = 0.0, 0.9


@pytest.fixture(scope="module")
def pool():
    return torch.from_numpy(load_part("mnist", None, "t10k").images[:200].copy())[:, None]


def block(left, right, value=255.0):
    """A block of ink from row 4 to 23 and from one column to before another."""
    image = torch.zeros(1, 28, 28)
    image[:, 4:24, left:right] = value
    return image


def composed(kind, side, share=0.5, gap=4 / 6, lift=0.5, digit=None, other=None):
    digit = block(5, 21) if digit is None else digit
    return compose(digit, block(6, 18) if other is None else other, torch.tensor([[kind, side, share, gap, lift]]))[0]


def columns(canvas):
    return torch.nonzero((canvas > 0).any(dim=0))[:, 0].tolist()


def test_a_pair_stands_side_by_side():
    assert columns(composed(PAIR, LEFT)) == list(range(5, 5 + 16 + 12))


def test_digits_of_a_pair_may_overlap_by_four_pixels_and_differ_in_height():
    canvas = composed(PAIR, LEFT, gap=0.0, lift=1.0)
    assert columns(canvas) == list(range(5, 5 + 16 + 12 - 4))
    assert not canvas[24:27, 5:17].any()
    assert canvas[26, 21:29].all()


def test_of_a_neighbour_the_nearer_part_is_kept():
    """Of 12 columns 4.5 are kept: five of the block on the right, four or five of the one on the left."""
    assert columns(composed(NEIGHBOUR, LEFT)) == list(range(5, 5 + 16 + 5))
    marked = block(6, 18)
    marked[:, :, 6:12] = 100.0
    right_hand = composed(NEIGHBOUR, RIGHT, other=marked)
    assert not (right_hand == 100.0).any()


def test_a_part_is_40_to_70_percent_of_the_width():
    assert columns(composed(PART, LEFT, share=0.0)) == list(range(5, 5 + 7))
    assert len(columns(composed(PART, RIGHT, share=1.0 - 1e-6))) in (11, 12)


def test_a_narrow_digit_is_not_divided():
    assert len(columns(composed(PART, LEFT, digit=block(10, 14)))) == 4 + 12


def test_the_longer_side_becomes_20_pixels_around_the_centre_of_mass():
    wide = torch.zeros(1, 28, 56)
    wide[:, 10:20, 8:48] = 200.0
    image = fit_box(wide)[0]
    ink = image > 127
    assert 19 <= int(ink.any(dim=0).sum()) <= 21
    assert 4 <= int(ink.any(dim=1).sum()) <= 6
    mass = image.sum()
    for axis in (0, 1):
        assert float((image.sum(dim=1 - axis) @ torch.arange(28.0)) / mass) == pytest.approx(13.5, abs=0.3)
    assert not fit_box(torch.zeros(2, 28, 56)).any()


def test_some_images_are_replaced_and_the_others_are_not_touched(pool):
    images, targets, before = pool[:100], torch.arange(100) % 10, pool.clone()
    found, labels = Outliers(0.3)(images, targets, pool, seed=1, epoch=2, indices=torch.arange(100))
    replaced = labels == NO_DIGIT
    assert 15 < int(replaced.sum()) < 45
    assert torch.equal(found[~replaced], images[~replaced].float())
    assert torch.equal(labels[~replaced], targets[~replaced])
    assert (found[replaced] - images[replaced].float()).abs().amax(dim=(1, 2, 3)).min() > 50
    assert found.min() >= 0
    assert found.max() <= 255.01
    assert torch.equal(pool, before)


def test_a_sample_is_replaced_alike_in_any_batch(pool):
    words = {"seed": 1, "epoch": 0}
    some = torch.tensor([63, 5, 17])
    targets = torch.zeros(100, dtype=torch.int64)
    whole, _ = Outliers(1.0)(pool[:100], targets, pool, indices=torch.arange(100), **words)
    few, _ = Outliers(1.0)(pool[some], targets[some], pool, indices=some, **words)
    torch.testing.assert_close(few, whole[some], rtol=0, atol=1e-3)


def test_without_a_share_nothing_is_replaced(pool):
    targets = torch.arange(5)
    found, labels = Outliers()(pool[:5], targets, pool, seed=0, epoch=0, indices=targets)
    assert torch.equal(found, pool[:5].float())
    assert labels is targets


@pytest.mark.parametrize("p", [-0.1, 1.1, math.nan])
def test_a_share_out_of_bounds_is_refused(p):
    with pytest.raises(ValueError, match=r"data\.outliers\.p: .* is not allowed; 0 to 1 is"):
        Outliers(p)


def test_the_target_of_what_is_no_digit_is_a_tenth_for_every_class():
    found = with_outliers(torch.tensor([3, NO_DIGIT]))
    assert torch.equal(found[0], F.one_hot(torch.tensor(3), 10).float())
    assert torch.equal(found[1], torch.full((10,), 0.1))


def test_with_digits_alone_the_loss_is_the_usual_one():
    logits, targets = torch.randn(8, 10, generator=torch.Generator().manual_seed(0)), torch.arange(8)
    usual = F.cross_entropy(logits, targets, label_smoothing=0.05)
    torch.testing.assert_close(F.cross_entropy(logits, with_outliers(targets), label_smoothing=0.05), usual)
    assert not DigitClassifier()._has_outliers
