"""Ones get upstrokes in training: what changes, what stays, and what the numbers depend on."""

import numpy as np
import pytest
import torch

from mnist_lit.data.datamodule import DigitsDataModule
from mnist_lit.data.idx import BUNDLED, read_set
from mnist_lit.data.upstrokes import with_upstrokes


@pytest.fixture(scope="module")
def digits():
    """Images `(400, 1, 28, 28)` uint8 and their digits, of the training file."""
    train = read_set(BUNDLED, "train")
    return torch.from_numpy(train.images[:400].copy())[:, None], torch.from_numpy(train.labels[:400].astype(np.int64))


def drawn(images, targets, share=1.0, seed=0, epoch=0, indices=None):
    indices = torch.arange(len(images)) if indices is None else indices
    return with_upstrokes(images, targets, share, seed=seed, epoch=epoch, indices=indices)


def test_ones_alone_change(digits):
    images, targets = digits
    before = images.clone()
    after = drawn(images, targets)
    same = (after == images).flatten(1).all(dim=1)
    assert (after.shape, after.dtype) == (images.shape, torch.float32)
    assert after.min() >= 0
    assert after.max() <= 255
    assert not same[targets == 1].any()
    assert same[targets != 1].all()
    assert torch.equal(images, before)


@pytest.mark.parametrize(("share", "low", "high"), [(0.0, 0, 0), (0.3, 0.2, 0.4)])
def test_a_share_of_the_ones(digits, share, low, high):
    images, targets = digits
    ones = images[targets == 1].repeat(10, 1, 1, 1)
    after = drawn(ones, torch.ones(len(ones), dtype=torch.int64), share)
    changed = (after != ones).flatten(1).any(dim=1).float().mean().item()
    assert low <= changed <= high


def test_the_new_ink_is_on_the_left_of_the_head_and_the_digit_is_in_the_middle(digits):
    line = torch.zeros(64, 1, 28, 28)
    line[:, :, 4:24, 12:15] = 255.0
    after = drawn(line, torch.ones(64, dtype=torch.int64))[:, 0].numpy()
    rows, columns = np.mgrid[:28, :28]
    for image in after:
        mass = image.sum()
        middle = (rows * image).sum() / mass, (columns * image).sum() / mass
        assert np.abs(np.array(middle) - 13.5).max() <= 0.51
        stem = int(image.sum(axis=0).argmax())
        upper = image[: 4 + 14]
        assert upper[:, : stem - 1].sum() > upper[:, stem + 3 :].sum()
    feet = [image[image.max(axis=1) > 100][-2:, :].sum() > 3000 for image in after]
    assert 5 < sum(feet) < 40


def test_what_a_sample_gets_depends_on_seed_epoch_and_index_alone(digits):
    images, targets = digits
    whole = drawn(images, targets)
    part = torch.tensor([6, 3, 8, 14, 23])
    torch.testing.assert_close(drawn(images[part], targets[part], indices=part), whole[part], rtol=0, atol=1e-3)
    ones = targets == 1
    for other in (drawn(images, targets, seed=1), drawn(images, targets, epoch=1)):
        assert (other[ones] != whole[ones]).flatten(1).any(dim=1).all()


@pytest.mark.parametrize(
    "options",
    [{"upstrokes": 1.5}, {"upstrokes": 0.3, "dataset": "kmnist"}],
    ids=["no share", "no digits"],
)
def test_wrong_use_is_refused(options):
    with pytest.raises(ValueError, match=r"data\.upstrokes"):
        DigitsDataModule(**options)
