"""The training corruptions: what each does, that a sample does not depend on its batch, and that none is of the 15."""

import gzip
import io
import math
from pathlib import Path

import numpy as np
import pytest
import torch
import yaml
from PIL import Image
from scipy import ndimage

import mnist_lit.data
from mnist_lit.data import training_recipes
from mnist_lit.data.corruptions import CORRUPTIONS
from mnist_lit.data.training_corruptions import NEAR_COPIES, TRAINING_CORRUPTIONS, TrainingCorruptions
from mnist_lit.data.training_recipes import RECIPES

BUNDLED = Path(mnist_lit.data.__file__).parent / "bundled" / "t10k-images-idx3-ubyte.gz"


@pytest.fixture(scope="module")
def digits():
    """The first 400 test images, `(400, 1, 28, 28)` uint8."""
    with gzip.open(BUNDLED) as stream:
        images = np.frombuffer(stream.read(16 + 400 * 784), np.uint8, offset=16)
    return torch.from_numpy(images.reshape(-1, 1, 28, 28).copy())


@pytest.fixture
def x(digits):
    """Twenty digits as the recipes take them, `(20, 28, 28)` in [0, 1]."""
    return digits[:20, 0] / 255.0


def severity(name, value, n=20, seed=0):
    """Uniform numbers for a recipe with the first column, which sets the severity, at `value`."""
    u = torch.rand(n, RECIPES[name].draws, generator=torch.Generator().manual_seed(seed))
    u[:, 0] = value
    return u


def recipe(name, x, u):
    return RECIPES[name].apply(x, u)


def same(a, b):
    """Which images are equal, up to the rounding of one float32 step: `(N,)` bool."""
    return (a - b).abs().amax(dim=(1, 2, 3)) < 1e-3


# The set as a whole


def test_none_of_the_fifteen_is_in_the_training_set():
    assert not set(TRAINING_CORRUPTIONS) & set(CORRUPTIONS)
    assert not set(TRAINING_CORRUPTIONS) & {"speckle", "speckle_noise", "line", "saturate", "edges", "outline"}


def test_what_is_near_to_one_of_the_fifteen_is_in_no_set_that_is_scored_on_them():
    robust = yaml.safe_load((Path(__file__).parents[1] / "configs" / "robust.yaml").read_text())
    kinds = set(robust["data"]["training_corruptions"]["kinds"])
    assert kinds <= set(TRAINING_CORRUPTIONS) == set(TrainingCorruptions().kinds)
    assert not set(NEAR_COPIES) & set(TRAINING_CORRUPTIONS)
    assert {*NEAR_COPIES, *TRAINING_CORRUPTIONS} == set(RECIPES)


@pytest.mark.parametrize("name", RECIPES)
def test_a_corruption_changes_images_keeps_their_range_and_repeats(digits, name):
    corrupt = TrainingCorruptions(1.0, (name,))
    before = digits[:64].clone()
    out = corrupt(digits[:64], seed=1, epoch=2, indices=torch.arange(64))
    assert out.shape == (64, 1, 28, 28)
    assert out.dtype == torch.float32
    assert out.min() >= 0.0
    assert out.max() <= 255.0
    assert out.max() > 2.0  # 0 to 255, not 0 to 1
    assert torch.isfinite(out).all()
    changed = (out - digits[:64]).abs().amax(dim=(1, 2, 3)) > 1.0
    assert changed.float().mean() > 0.9
    assert torch.equal(out, corrupt(digits[:64].float(), seed=1, epoch=2, indices=torch.arange(64)))
    assert torch.equal(digits[:64], before)


@pytest.mark.parametrize("name", RECIPES)
def test_a_sample_does_not_depend_on_its_batch(digits, name):
    corrupt = TrainingCorruptions(1.0, (name,))
    indices = torch.arange(1000, 1100)
    whole = corrupt(digits[:100], seed=0, epoch=3, indices=indices)
    for part in (torch.arange(99, -1, -1), torch.arange(17), torch.tensor([33])):
        alone = corrupt(digits[part], seed=0, epoch=3, indices=indices[part])
        torch.testing.assert_close(alone, whole[part], rtol=0.0, atol=1e-3)


def test_a_mixed_batch_equals_its_samples_one_by_one(digits):
    corrupt = TrainingCorruptions(0.7)
    whole = corrupt(digits[:60], seed=5, epoch=1, indices=torch.arange(60))
    single = [corrupt(digits[i : i + 1], seed=5, epoch=1, indices=torch.tensor([i])) for i in range(60)]
    torch.testing.assert_close(torch.cat(single), whole, rtol=0.0, atol=1e-3)


@pytest.mark.parametrize("change", [{"seed": 1}, {"epoch": 1}, {"indices": torch.arange(100, 140)}])
def test_seed_epoch_and_index_change_the_draws(digits, change):
    arguments = {"seed": 0, "epoch": 0, "indices": torch.arange(40)}
    corrupt = TrainingCorruptions(1.0)
    assert not torch.equal(corrupt(digits[:40], **arguments), corrupt(digits[:40], **{**arguments, **change}))


def test_p_is_the_share_that_is_corrupted(digits):
    # A negative changes every digit for certain.
    out = TrainingCorruptions(0.3, ("inverse",))(digits, seed=0, epoch=0, indices=torch.arange(400))
    inverted = same(out, 255.0 - digits)
    untouched = same(out, digits)
    assert (inverted | untouched).all()
    assert inverted.float().mean().item() == pytest.approx(0.3, abs=5 * math.sqrt(0.21 / 400))


def test_p_zero_changes_nothing_and_p_one_everything(digits):
    arguments = {"seed": 0, "epoch": 0, "indices": torch.arange(400)}
    assert torch.equal(TrainingCorruptions(0.0)(digits, **arguments), digits.float())
    assert same(TrainingCorruptions(1.0, ("inverse",))(digits, **arguments), 255.0 - digits).all()


def test_seeds_take_several_p_in_turn(digits):
    corrupt = TrainingCorruptions((0.3, 0.0, 1.0), ("inverse",))
    for seed in range(6):
        arguments = {"seed": seed, "epoch": 0, "indices": torch.arange(400)}
        p = (0.3, 0.0, 1.0)[seed % 3]
        assert corrupt.p_of(seed) == p
        assert torch.equal(corrupt(digits, **arguments), TrainingCorruptions(p, ("inverse",))(digits, **arguments))


def test_kinds_are_drawn_evenly(digits):
    """Counted with kinds whose results can be told apart exactly."""
    out = TrainingCorruptions(1.0, ("inverse", "quantise"))(digits, seed=0, epoch=0, indices=torch.arange(400))
    assert same(out, 255.0 - digits).float().mean().item() == pytest.approx(0.5, abs=5 * math.sqrt(0.25 / 400))


def test_a_kind_draws_the_same_numbers_whichever_others_are_chosen(digits):
    arguments = {"seed": 0, "epoch": 0, "indices": torch.arange(100)}
    frost = TrainingCorruptions(1.0, ("frost",))(digits[:100], **arguments)
    both = TrainingCorruptions(1.0, ("inverse", "frost"))(digits[:100], **arguments)
    frosted = same(both, frost)
    assert (frosted ^ same(both, 255.0 - digits[:100])).all()
    assert frosted.any()


@pytest.mark.parametrize("p", [0.0, 1.0])
def test_an_empty_batch_stays_empty(digits, p):
    out = TrainingCorruptions(p)(digits[:0], seed=0, epoch=0, indices=torch.arange(0))
    assert out.shape == (0, 1, 28, 28)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"p": 1.5}, r"corruptions\.p: 1\.5 is not allowed; 0 to 1 is"),
        ({"p": float("nan")}, r"corruptions\.p: nan is not allowed"),
        ({"p": (0.5, -0.1)}, r"corruptions\.p: \(0\.5, -0\.1\) is not allowed; 0 to 1 is, or a list of such"),
        ({"p": ()}, r"corruptions\.p: \(\) is not allowed"),
        (
            {"kinds": ("frst",)},
            r"corruptions\.kinds: 'frst' is not known \(did you mean frost\? allowed: gaussian_noise",
        ),
        ({"kinds": ("fog",)}, r"corruptions\.kinds: 'fog' is not known"),
        ({"kinds": ()}, r"corruptions\.kinds: \[\] is not allowed; one or more"),
        ({"kinds": ("frost", "frost")}, r"corruptions\.kinds: \['frost', 'frost'\] is not allowed; .*each once"),
    ],
)
def test_wrong_settings_are_refused(arguments, message):
    with pytest.raises(ValueError, match=message):
        TrainingCorruptions(**arguments)


# One by one


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
def test_jpeg_looks_like_what_pillow_writes(digits, quality):
    images = digits[:10, 0]
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
