"""The single training corruptions: what each does to an image."""

import io
import math

import numpy as np
import pytest
import torch
from PIL import Image
from scipy import ndimage

from mnist_lit.data import training_recipes
from mnist_lit.data.idx import BUNDLED, read_set
from mnist_lit.data.training_recipes import RECIPES


@pytest.fixture(scope="module")
def x():
    """The first twenty test images as the recipes take them, `(20, 28, 28)` in [0, 1]."""
    return torch.from_numpy(read_set(BUNDLED, "t10k").images[:20] / np.float32(255.0))


def severity(name, value, n=20, seed=0):
    """Uniform numbers for a recipe with the first column, which sets the severity, at `value`."""
    u = torch.rand(n, RECIPES[name].draws, generator=torch.Generator().manual_seed(seed))
    u[:, 0] = value
    return u


def recipe(name, x, u):
    return RECIPES[name].apply(x, u)


def test_gaussian_noise_has_zero_mean_and_the_drawn_deviation():
    noise = recipe("gaussian_noise", torch.zeros(50, 28, 28), severity("gaussian_noise", 0.5, 50))
    assert noise.mean().item() == pytest.approx(0.0, abs=5 * 0.225 / math.sqrt(noise.numel()))
    assert noise.std().item() == pytest.approx(0.225, rel=0.02)  # half way from 0.05 to 0.4
    kurtosis = ((noise / noise.std()) ** 4).mean().item()
    assert kurtosis == pytest.approx(3.0, abs=0.15)  # a normal distribution's


@pytest.mark.parametrize("value", [0.0, 0.5, 1.0])
def test_gaussian_blur_equals_scipy_inside(value):
    x = torch.zeros(1, 28, 28)
    x[0, 10:18, 12:16] = 1.0
    expected = ndimage.gaussian_filter(x[0].double().numpy(), 0.5 + 1.5 * value, truncate=8)
    blurred = recipe("gaussian_blur", x, severity("gaussian_blur", value, 1))[0].numpy()
    np.testing.assert_allclose(blurred, expected, atol=1e-3)


def test_defocus_blur_spreads_a_point_over_a_disk():
    x = torch.zeros(2, 28, 28)
    x[:, 14, 14] = 1.0
    disk = recipe("defocus_blur", x, torch.tensor([[0.0], [2 / 3]]))  # radius 1 and 2
    assert disk.sum(dim=(1, 2)).tolist() == pytest.approx([1.0, 1.0])
    assert int((disk[0] > 1e-6).sum()) == 9
    assert disk[1, 14, 12] == pytest.approx(disk[1, 14, 14].item() / 2)  # at the radius: half
    assert disk[1, 12, 12] == 0.0  # at distance 2.83
    np.testing.assert_allclose(disk[1], disk[1].T)


def test_zoom_blur_keeps_the_centre_and_spreads_outwards():
    x = torch.zeros(2, 28, 28)
    x[0, 13:15, 13:15] = 1.0
    x[1, 13:15, 22] = 1.0
    blurred = recipe("zoom_blur", x, torch.ones(2, 1))
    assert blurred[0, 13, 13] > 0.9
    columns = (blurred[1].sum(dim=0) * torch.arange(28)).sum() / blurred[1].sum()
    assert columns > 22.5
    assert blurred[1, :, :21].sum() == 0.0
    even = recipe("zoom_blur", torch.full((1, 28, 28), 0.5), torch.ones(1, 1))
    torch.testing.assert_close(even, torch.full((1, 28, 28), 0.5))


def test_frost_lies_on_one_side():
    u = severity("frost", 0.9, 30)
    u[:, 1], u[:, 2] = 0.0, 0.5  # outward: down; cover begins in the middle
    ice = recipe("frost", torch.zeros(30, 28, 28), u)
    assert ice[:, :6].mean() < 0.02
    assert ice[:, 22:].mean() > 0.15
    assert ice.max() <= 1.0


def test_contrast_keeps_the_mean_and_shrinks_the_deviation(x):
    flat = recipe("contrast", x, severity("contrast", 0.0))
    torch.testing.assert_close(flat.mean(dim=(1, 2)), x.mean(dim=(1, 2)))
    torch.testing.assert_close(flat.std(dim=(1, 2)), 0.15 * x.std(dim=(1, 2)))


def test_gamma_is_a_power_between_a_quarter_and_four():
    x = torch.full((3, 28, 28), 0.25)
    x[:, 0, 0], x[:, 0, 1] = 0.0, 1.0
    bent = recipe("gamma", x, torch.tensor([[0.0], [0.5], [1.0]]))
    assert bent[:, 5, 5].tolist() == pytest.approx([0.25**0.25, 0.25, 0.25**4])
    assert bent[:, 0, 0].tolist() == [0.0, 0.0, 0.0]
    assert bent[:, 0, 1].tolist() == [1.0, 1.0, 1.0]


@pytest.mark.parametrize("quality", [5, 10, 20])
def test_jpeg_looks_like_what_pillow_writes(x, quality):
    images = (x[:10] * 255.0).round().to(torch.uint8)
    u = torch.full((10, 1), (quality - 4.0) / 21.0)
    compressed = recipe("jpeg", images / 255.0, u).clamp(0.0, 1.0) * 255.0
    for image, ours in zip(images.numpy(), compressed.numpy(), strict=True):
        stream = io.BytesIO()
        Image.fromarray(image).save(stream, "JPEG", quality=quality)
        decoded = np.asarray(Image.open(stream)).astype(float)
        assert np.abs(ours - decoded).mean() < 2.0
        assert np.abs(ours - image).mean() > 3 * np.abs(ours - decoded).mean()


@pytest.mark.parametrize(("value", "cells"), [(0.1, 7), (0.9, 14)])
def test_pixelate_shows_the_means_of_equal_cells(x, value, cells):
    size = 28 // cells
    means = x.view(-1, cells, size, cells, size).mean(dim=(2, 4))
    expected = means.repeat_interleave(size, 1).repeat_interleave(size, 2)
    torch.testing.assert_close(recipe("pixelate", x, severity("pixelate", value)), expected)


@pytest.mark.parametrize("value", [0.1, 0.3, 0.6, 0.9])
def test_pixelate_keeps_the_mean(x, value):
    pixelated = recipe("pixelate", x, severity("pixelate", value))
    torch.testing.assert_close(pixelated.mean(dim=(1, 2)), x.mean(dim=(1, 2)))


def test_elastic_moves_ink_a_little_and_nothing_as_a_whole():
    u = severity("elastic", 1.0, 400)
    square = torch.zeros(400, 28, 28)
    square[:, 8:20, 8:20] = 1.0
    bent = recipe("elastic", square, u)
    assert bent[:, :2].sum() == 0.0
    assert bent[:, 13:15, 13:15].min() > 0.5
    ramp = (torch.arange(28.0) / 27.0).expand(400, 28, 28)
    shift = (recipe("elastic", ramp, u) - ramp)[:, 6:22, 6:22] * 27.0  # the field itself, in pixels
    assert 0.3 < shift.abs().mean() < 1.2
    assert shift.abs().max() < 4.0
    # Every field is a mixture of these; none has a part that shifts, turns, slants or scales the whole image.
    fields = training_recipes._bend(torch.device("cpu")).view(-1, 28, 28).double()
    axis = torch.arange(28.0, dtype=torch.float64) - 13.5
    for affine in (torch.ones(28, 28), axis[:, None].expand(28, 28), axis[None, :].expand(28, 28)):
        assert (fields * affine).sum(dim=(1, 2)).abs().max() < 1e-4


def test_elastic_without_a_field_is_the_identity(x):
    u = torch.full((20, RECIPES["elastic"].draws), 0.5)
    torch.testing.assert_close(recipe("elastic", x, u), x, rtol=0.0, atol=1e-5)


@pytest.mark.parametrize(("value", "levels"), [(0.1, 2), (0.3, 3), (0.6, 4), (0.9, 5)])
def test_quantise_leaves_so_many_equal_steps(value, levels):
    x = torch.linspace(0.0, 1.0, 784).view(1, 28, 28)
    quantised = recipe("quantise", x, severity("quantise", value, 1))
    expected = torch.linspace(0.0, 1.0, levels)
    torch.testing.assert_close(quantised.unique(), expected)
    assert (quantised - x).abs().max() <= 0.5 / (levels - 1) + 1e-6


def test_inverse_is_the_negative_of_the_whole_image(x):
    assert torch.equal(recipe("inverse", x, severity("contrast", 0.5)), 1.0 - x)


@pytest.mark.parametrize(("name", "reach"), [("thicken", 1.0), ("thin", 0.7)])
def test_stroke_width_equals_scipy_morphology(x, name, reach):
    cross = ndimage.generate_binary_structure(2, 1)
    operation = ndimage.grey_dilation if name == "thicken" else ndimage.grey_erosion
    expected = np.stack([operation(image, footprint=cross, mode="nearest") for image in x.numpy()])
    changed = recipe(name, x, severity(name, 1.0))
    np.testing.assert_allclose(changed, x + reach * (torch.from_numpy(expected) - x), atol=1e-6)


def test_erase_covers_two_rectangles_with_a_grey_each(x):
    u = severity("erase", 2.5)  # no pixel of the image has these greys
    u[:, 5] = 3.75
    sides = []
    for image in recipe("erase", x, u).numpy():
        assert np.isin(image[image > 1], [2.5, 3.75]).all()
        covered = image == 3.75  # the later one is never cut
        (rows, columns) = ndimage.find_objects(covered.astype(int))[0]
        assert covered[rows, columns].all()
        sides.append((rows.stop - rows.start, columns.stop - columns.start))
    areas, ratios = np.prod(sides, axis=1) / 784, np.divide(*np.transpose(sides))
    assert 0.005 < areas.min() < 0.08
    assert 0.1 < areas.max() < 0.22
    assert ratios.min() < 0.8
    assert ratios.max() > 1.25


def test_grid_blackens_a_regular_lattice_and_leaves_the_rest():
    u = torch.tensor([[0.45, 0.99, 0.0, 0.0]])  # every 8 px, 3 px wide, from the corner
    cut = recipe("grid", torch.ones(1, 28, 28), u)[0]
    hole = torch.arange(28) % 8 < 3
    assert torch.equal(cut == 0.0, hole[:, None] & hole[None, :])


def test_hairs_are_thin_arcs_of_the_drawn_circle():
    u = torch.zeros(1, 18)
    u[0, :6] = torch.tensor([1.0, 0.2, 0.0, 0.5, 0.0, 0.9])  # height 1, radius 10, to the right, through the centre
    u[0, [11, 17]] = 0.9  # the second and the third are not drawn
    hair = recipe("hairs", torch.zeros(1, 28, 28), u)[0]
    rows, columns = torch.meshgrid(torch.arange(28.0), torch.arange(28.0), indexing="ij")
    off_circle = (torch.hypot(rows - 13.5, columns - 23.5) - 10.0).abs()
    torch.testing.assert_close(hair, (0.9 - off_circle).clamp(0.0, 1.0), rtol=0.0, atol=1e-5)


def test_hairs_are_one_to_three_and_never_darken(x):
    u = torch.rand(20, 18, generator=torch.Generator().manual_seed(0))
    assert (recipe("hairs", x, u) >= x).all()
    u[:, [11, 17]] = 0.9
    one = recipe("hairs", torch.zeros_like(x), u)
    u[:, [11, 17]] = 0.1
    three = recipe("hairs", torch.zeros_like(x), u)
    assert (three >= one).all()
    assert (three > 0.1).sum() > 2 * (one > 0.1).sum()


def test_uneven_lightens_paper_smoothly_and_leaves_full_ink():
    x = torch.zeros(50, 28, 28)
    x[:, 14, 5:20] = 1.0
    u = torch.rand(50, 10, generator=torch.Generator().manual_seed(0))
    lit = recipe("uneven", x, u)
    assert torch.equal(lit[:, 14, 5:20], x[:, 14, 5:20])
    light = lit[:, :13]
    assert light.min() >= 0.0
    assert light.max() <= 0.5
    assert light.std(dim=(1, 2)).mean() > 0.03
    assert (light[:, 1:] - light[:, :-1]).abs().max() < 0.06
