"""Random geometric transforms: each parameter against numpy or scipy, the bounds, and freedom from the batch."""

import math
from dataclasses import replace

import numpy as np
import pytest
import torch
from scipy import ndimage
from scipy.interpolate import BSpline

from mnist_lit.data import augment
from mnist_lit.data.augment import Augmentation, affine_matrices, elastic_field, random_warp
from mnist_lit.data.counter_rng import uniform

NEUTRAL, LOWEST, HIGHEST = 0.5, 0.0, 1.0  # draws: the middle and the two ends of a range
DRAWS = ("rotation", "shift_x", "shift_y", "scale_x", "scale_y", "shear")
CENTRE = 13.5
ALL = Augmentation(degrees=15, translate=3, scale=0.15, shear=10)


def blob(seed=0):
    """A smooth image that is nothing like its mirror images, black at the border."""
    noise = np.zeros((28, 28))
    noise[8:20, 8:20] = np.random.default_rng(seed).random((12, 12))
    smooth = ndimage.gaussian_filter(noise, 1.5)
    return (255 * smooth / smooth.max()).astype(np.uint8)


def tensor(*images):
    return torch.from_numpy(np.stack(images))[:, None]


def digits(n=64):
    return tensor(*(blob(seed) for seed in range(n)))


@pytest.fixture
def moved(monkeypatch):
    """Apply a range to one image with chosen draws; those not named are neutral."""

    def apply(image, ranges, **draws):
        row = torch.tensor([[draws.get(name, NEUTRAL) for name in DRAWS]])
        monkeypatch.setattr(augment, "uniform", lambda *args, **kwargs: row)
        result = random_warp(tensor(image), ranges, seed=0, epoch=0, indices=torch.tensor([0]))
        assert result.shape == (1, 1, 28, 28)
        assert result.dtype == torch.float32
        return result[0, 0].numpy()

    return apply


def by_scipy(image, linear):
    """Take each output pixel from `linear` times its (row, column), counted from the centre; black outside."""
    centre = np.full(2, CENTRE)
    offset = centre - np.asarray(linear) @ centre
    return ndimage.affine_transform(image.astype(np.float64), linear, offset, order=1, mode="grid-constant")


def close(found, wanted, tolerance=0.05):
    np.testing.assert_allclose(found, wanted, atol=tolerance)


# No transform


@pytest.mark.parametrize("dtype", [torch.uint8, torch.float32])
def test_ranges_of_zero_give_the_image_itself(dtype):
    images = torch.randint(0, 256, (3, 1, 28, 28), generator=torch.Generator().manual_seed(1)).to(dtype)
    found = random_warp(images, Augmentation(), seed=1, epoch=2, indices=torch.arange(3))
    assert found.dtype == torch.float32
    assert torch.equal(found, images.float())


def test_is_identity():
    assert Augmentation().is_identity
    for name in ("degrees", "translate", "scale", "shear"):
        assert not Augmentation(**{name: 0.5}).is_identity


def test_neutral_draws_move_nothing(moved):
    close(moved(blob(), ALL), blob(), 0.01)


# Each parameter alone


@pytest.mark.parametrize("pixels", [1, 3, 7])
@pytest.mark.parametrize(("axis", "draw"), [(1, "shift_x"), (0, "shift_y")])
@pytest.mark.parametrize(("end", "sign"), [(HIGHEST, 1), (LOWEST, -1)])
def test_a_shift_by_whole_pixels_is_a_shift(moved, pixels, axis, draw, end, sign):
    found = moved(blob(), Augmentation(translate=pixels), **{draw: end})
    close(found, ndimage.shift(blob(), np.eye(2)[axis] * sign * pixels, order=0), 0.01)


def test_what_is_moved_in_is_black(moved):
    found = moved(np.full((28, 28), 255, np.uint8), Augmentation(translate=5), shift_x=HIGHEST)
    close(found[:, :5], 0, 0.01)
    close(found[:, 5:], 255, 0.01)


@pytest.mark.parametrize(("end", "quarters"), [(HIGHEST, -1), (LOWEST, 1)])
def test_a_quarter_turn_is_exact(moved, end, quarters):
    close(moved(blob(), Augmentation(degrees=90), rotation=end), np.rot90(blob(), quarters), 0.01)


def test_a_half_turn_is_exact(moved):
    close(moved(blob(), Augmentation(degrees=180), rotation=HIGHEST), np.rot90(blob(), 2), 0.01)


@pytest.mark.parametrize("degrees", [10, 33])
def test_a_turn_is_that_of_scipy(moved, degrees):
    cos, sin = math.cos(math.radians(degrees)), math.sin(math.radians(degrees))
    wanted = by_scipy(blob(), [[cos, -sin], [sin, cos]])
    close(moved(blob(), Augmentation(degrees=degrees), rotation=HIGHEST), wanted)
    close(wanted, ndimage.rotate(blob().astype(float), -degrees, reshape=False, order=1, mode="grid-constant"))


@pytest.mark.parametrize(("end", "factor"), [(HIGHEST, 1.2), (LOWEST, 0.8)])
def test_a_scale_is_that_of_scipy(moved, end, factor):
    ranges = Augmentation(scale=0.2)
    close(moved(blob(), ranges, scale_x=end), by_scipy(blob(), [[1, 0], [0, 1 / factor]]))
    close(moved(blob(), ranges, scale_y=end), by_scipy(blob(), [[1 / factor, 0], [0, 1]]))


def test_a_scale_above_one_makes_the_digit_larger(moved):
    def width(image):
        return np.ptp(np.flatnonzero(image.max(axis=0) > 20))

    assert width(moved(blob(), Augmentation(scale=0.3), scale_x=HIGHEST)) > width(blob())
    assert width(moved(blob(), Augmentation(scale=0.3), scale_x=LOWEST)) < width(blob())


@pytest.mark.parametrize(("end", "sign"), [(HIGHEST, 1), (LOWEST, -1)])
def test_a_shear_is_that_of_scipy(moved, end, sign):
    slant = sign * math.tan(math.radians(20))
    close(moved(blob(), Augmentation(shear=20), shear=end), by_scipy(blob(), [[1, 0], [slant, 1]]))


def test_a_shear_leaves_the_middle_rows_in_place(moved):
    found = moved(blob(), Augmentation(shear=20), shear=HIGHEST)
    assert abs(found[13:15].mean(axis=0) - blob()[13:15].mean(axis=0)).max() < 12
    assert abs(found[9:11].mean(axis=0) - blob()[9:11].mean(axis=0)).max() > 25


def test_all_together_are_that_of_scipy(moved):
    """The digit is stretched first, then turned, then slanted, then shifted."""
    found = moved(blob(), ALL, rotation=HIGHEST, scale_x=LOWEST, scale_y=HIGHEST, shear=HIGHEST, shift_y=LOWEST)
    cos, sin = math.cos(math.radians(15)), math.sin(math.radians(15))
    stretch = np.diag([1.15, 0.85])  # forwards, in (row, column)
    turn = np.array([[cos, sin], [-sin, cos]])
    slant = np.array([[1, 0], [-math.tan(math.radians(10)), 1]])
    backwards = np.linalg.inv(slant @ turn @ stretch)
    offset = np.full(2, CENTRE) - backwards @ np.array([CENTRE - 3, CENTRE])
    wanted = ndimage.affine_transform(blob().astype(float), backwards, offset, order=1, mode="grid-constant")
    close(found, wanted, 0.1)


# Bending


def test_the_elastic_field_is_the_b_spline_of_scipy():
    draws = torch.rand(2, 98, generator=torch.Generator().manual_seed(3))
    found = elastic_field(3.0, draws).double().numpy() * 14  # in pixels
    control = (draws.double().numpy() * 2 - 1).reshape(2, 2, 7, 7) * 3.0
    knots = np.arange(-3, 8) - 0.0
    pixels = (np.arange(28) + 0.5) / 7
    for sample, axis in np.ndindex(2, 2):
        along_y = BSpline(knots, control[sample, axis], 3)(pixels)
        wanted = BSpline(knots, along_y.T, 3)(pixels).T
        np.testing.assert_allclose(found[sample, :, :, axis], wanted, atol=1e-5)


def test_equal_draws_of_all_control_points_are_a_shift():
    field = elastic_field(2.0, torch.cat([torch.ones(1, 49), torch.zeros(1, 49)], dim=1))
    torch.testing.assert_close(field[..., 0], torch.full((1, 28, 28), 2 / 14))
    torch.testing.assert_close(field[..., 1], torch.full((1, 28, 28), -2 / 14))


def test_bending_leaves_turns_and_shifts_as_they_are_without():
    """A field of almost nothing changes almost nothing: the draws of the affine part are the same."""
    images, indices = digits(), torch.arange(64)
    draw = {"seed": 1, "epoch": 2, "indices": indices}
    barely = random_warp(images, replace(ALL, elastic=1e-4), **draw)
    torch.testing.assert_close(barely, random_warp(images, ALL, **draw), rtol=0, atol=0.1)
    assert (random_warp(images, replace(ALL, elastic=2.0), **draw) - barely).abs().amax(dim=(1, 2, 3)).min() > 1


# Bounds


def matrices(ranges, n=20_000):
    return affine_matrices(ranges, uniform(1, 0, torch.arange(n), 6)).double()


def fills(values, limit):
    """Whether values stay within ±limit and come near both ends."""
    assert values.abs().max() <= limit * (1 + 1e-5)
    assert values.min() < -0.99 * limit
    assert values.max() > 0.99 * limit


def test_turns_fill_their_range():
    theta = matrices(Augmentation(degrees=15))
    fills(torch.rad2deg(torch.atan2(theta[:, 0, 1], theta[:, 0, 0])), 15)
    assert torch.allclose(torch.linalg.det(theta[:, :, :2]), torch.ones(()).double(), atol=1e-6)


def test_shifts_fill_their_range():
    theta = matrices(Augmentation(translate=2.5))
    for axis in (0, 1):
        fills(theta[:, axis, 2] * 14, 2.5)
    assert torch.equal(theta[:, :, :2], torch.eye(2).double().expand(len(theta), 2, 2))


def test_scales_fill_their_range():
    theta = matrices(Augmentation(scale=0.2))
    for axis in (0, 1):
        fills(1 / theta[:, axis, axis] - 1, 0.2)
    assert not theta[:, 0, 1].any()
    assert not theta[:, 1, 0].any()


def test_shears_fill_their_range():
    theta = matrices(Augmentation(shear=10))
    fills(torch.rad2deg(torch.atan(theta[:, 0, 1])), 10)
    assert not theta[:, 1, 0].any()


@pytest.mark.parametrize(
    "ranges", [ALL, Augmentation(180, 28, 0.9, 80, 14)], ids=["usual ranges", "the largest ranges"]
)
def test_values_stay_within_0_to_255(ranges):
    images = torch.where(torch.arange(28 * 28).view(28, 28) % 3 > 0, 255, 0).to(torch.uint8).expand(200, 1, 28, 28)
    found = random_warp(images, ranges, seed=0, epoch=0, indices=torch.arange(200))
    assert found.isfinite().all()
    assert found.min() >= 0
    assert found.max() <= 255.001


# What the draws depend on


def augmented(images, *, seed=1, epoch=2, indices=None):
    indices = torch.arange(len(images)) if indices is None else indices
    return random_warp(images, ALL, seed=seed, epoch=epoch, indices=indices)


def test_a_sample_is_moved_the_same_in_any_batch():
    images = digits()
    some = torch.tensor([63, 5, 17])
    torch.testing.assert_close(augmented(images[some], indices=some), augmented(images)[some], rtol=0, atol=1e-3)


def test_it_is_the_index_that_counts_and_not_the_place_in_the_batch():
    images = digits(2)
    apart = augmented(images, indices=torch.tensor([5, 6]))
    assert not torch.allclose(apart, augmented(images), atol=1)


def test_each_sample_is_moved_its_own_way():
    found = augmented(tensor(*[blob()] * 64))
    assert len({image.numpy().tobytes() for image in found}) == 64


@pytest.mark.parametrize("other", [{"seed": 2}, {"epoch": 3}])
def test_other_seeds_and_epochs_move_otherwise(other):
    images = digits()
    assert torch.equal(augmented(images), augmented(images))
    assert (augmented(images, **other) - augmented(images)).abs().amax(dim=(1, 2, 3)).min() > 1


def test_the_input_is_not_modified():
    images = digits(3)
    before = images.clone()
    augmented(images)
    assert torch.equal(images, before)


def test_an_empty_batch_stays_empty():
    empty = torch.empty(0, 1, 28, 28, dtype=torch.uint8)
    assert random_warp(empty, Augmentation(), seed=0, epoch=0, indices=torch.arange(0)).shape == empty.shape


# What is refused


@pytest.mark.parametrize(
    ("field", "value", "allowed"),
    [
        ("degrees", -1.0, "0 to 180"),
        ("degrees", 180.5, "0 to 180"),
        ("translate", -0.1, "0 to 28"),
        ("translate", 29.0, "0 to 28"),
        ("scale", 1.0, "0 to 0.9"),
        ("scale", -0.2, "0 to 0.9"),
        ("shear", 90.0, "0 to 80"),
        ("degrees", math.nan, "0 to 180"),
        ("shear", math.inf, "0 to 80"),
        ("elastic", 14.5, "0 to 14"),
        ("elastic", -1.0, "0 to 14"),
    ],
)
def test_a_range_out_of_bounds_is_refused(field, value, allowed):
    with pytest.raises(ValueError, match=f"augment.{field}") as caught:
        Augmentation(**{field: value})
    assert str(caught.value) == f"data.augment.{field}: {value} is not allowed; {allowed} is"


@pytest.mark.parametrize(
    ("field", "limit"), [("degrees", 180), ("translate", 28), ("scale", 0.9), ("shear", 80), ("elastic", 14)]
)
def test_the_limits_themselves_are_allowed(field, limit):
    assert getattr(Augmentation(**{field: limit}), field) == limit
