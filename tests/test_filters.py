"""The filters' parameters, what all filters have in common, the random one, the listing and the presets."""

from dataclasses import FrozenInstanceError, fields
from pathlib import Path

import numpy as np
import pytest
import yaml
from filter_checks import EVERY_FILTER, message, noise

from mnist_lit.data import filter_base
from mnist_lit.data.filters import (
    FILTERS,
    Filter,
    FilterChain,
    Gaussian,
    LocalContrast,
    NonLocalMeans,
    RandomGaussian,
    filter_name,
    filter_parameters,
    filter_summary,
)

PRESETS = sorted((Path(__file__).parents[1] / "configs" / "filters").glob("*.yaml"))
NAN, INF = float("nan"), float("inf")
SIGMAS_OF_SEED_0 = [0.12193883314402998, 0.5589434734691644, 0.3117091254783826]


# What all filters have in common


def test_the_family_is_complete():
    assert " ".join(filter_name(kind) for kind in FILTERS) == (
        "gaussian box median bilateral non_local_means unsharp laplacian sobel scharr local_contrast "
        "erode dilate open close top_hat threshold otsu_threshold adaptive_threshold clahe equalize_hist gamma invert "
        "deskew center random_gaussian"
    )


@EVERY_FILTER
@pytest.mark.parametrize("shape", [(0, 28, 28), (1, 28, 28), (3, 28, 28), (2, 9, 14), (1, 1, 1), (1, 1, 5), (2, 5, 1)])
def test_shape_and_dtype_stay(kind, shape):
    result = kind()(noise(*shape))
    assert result.shape == shape
    assert result.dtype == np.uint8
    assert result.flags.c_contiguous


@EVERY_FILTER
def test_the_input_is_not_modified_and_not_returned(kind):
    images = noise(3, 28, 28)
    before = images.copy()
    images.flags.writeable = False  # as the memory of a file is
    result = kind()(images)
    np.testing.assert_array_equal(images, before)
    assert not np.shares_memory(result, images)
    assert result.flags.writeable


@EVERY_FILTER
def test_each_image_is_filtered_by_itself(kind):
    images = np.concatenate([noise(3, 28, 28), noise(2, 28, 28) // 200 * 255])
    whole = kind()(images)
    pieces = [kind()(images[start : start + 2], first_index=start) for start in (0, 2, 4)]
    np.testing.assert_array_equal(whole, np.concatenate(pieces))


@EVERY_FILTER
def test_memory_layout_does_not_matter(kind):
    images = noise(4, 28, 40)
    np.testing.assert_array_equal(kind()(images[::2, :, 6:34]), kind()(images[::2, :, 6:34].copy()))


@EVERY_FILTER
def test_defaults_do_something(kind):
    images = noise(2, 28, 28)
    images[:, :6] = 0  # off centre
    assert (kind()(images) != images).any()


@pytest.mark.parametrize("kind", [one for one in FILTERS if one.identity], ids=filter_name)
def test_identity_parameters_leave_the_image(kind):
    images = noise(3, 28, 28)
    chain = FilterChain.parse(kind.identity)
    assert {type(one) for one in chain} == {kind}
    np.testing.assert_array_equal(chain(images), images)


def test_the_filters_without_identity_parameters():
    without = {filter_name(kind) for kind in FILTERS if kind.identity is None}
    assert without == {
        *("laplacian", "sobel", "scharr", "local_contrast", "top_hat", "threshold", "otsu_threshold"),
        *("adaptive_threshold", "clahe", "equalize_hist", "deskew", "center"),
    }


@pytest.mark.parametrize("kind", [one for one in FILTERS if "rounds" in [field.name for field in fields(one)]])
def test_rounds_apply_the_filter_again_and_again(kind):
    images = noise(2, 28, 28)
    np.testing.assert_array_equal(kind(rounds=3)(images), kind()(kind()(kind()(images))))


@pytest.mark.parametrize(
    ("images", "told"),
    [
        (noise(28, 28), r"uint8 of shape \(28, 28\)"),
        (noise(2, 1, 28, 28), r"shape \(2, 1, 28, 28\)"),
        (np.zeros((2, 28, 28), np.float32), "float32"),
        ([[1]], "list"),
    ],
)
def test_other_arrays_are_refused(images, told):
    with pytest.raises(ValueError, match=f"^gaussian: images are .*{told}.*must be a uint8 array of shape"):
        Gaussian()(images)


def test_filters_are_frozen_and_hashable():
    with pytest.raises(FrozenInstanceError):
        Gaussian().sigma = 2.0
    assert len({Gaussian(), Gaussian(5, 1), Gaussian((5, 5), 1.0), Gaussian(3)}) == 2


def test_equal_numbers_are_stored_in_one_form():
    one = Gaussian(kernel_size=[np.int64(5), 5], sigma=2, rounds=np.uint8(3))
    assert str(one) == "gaussian(kernel_size=5, sigma=2.0, rounds=3)"
    assert [type(value) for value in (one.kernel_size, one.sigma, one.rounds)] == [int, float, int]


def test_filter_is_abstract():
    with pytest.raises(TypeError, match="abstract"):
        Filter()


# Parameters that are refused

WRONG_TYPES = (True, "3", None, NAN, INF, 3.0, [3], {}, 1j)
NOT_WHOLE = (*WRONG_TYPES, (3, 3))
NOT_NUMBERS = (True, "1.0", None, NAN, INF, -INF, (1.0, 1.0), 1j, 10**400)
ODD = ("an odd number from 1 to 27", (*NOT_WHOLE, 0, -1, 4, 29, 10**5000))
ODD_OR_PAIR = (
    "an odd number from 1 to 27, or a pair of them",
    (*WRONG_TYPES, 0, -1, 4, 29, (3,), (3, 3, 3), (3, 4), (29, 3), (3, 3.0), (True, 3), (3, (3, 3)), "3, 3"),
)
SIGMA = ("a number above 0 and up to 100", (*NOT_NUMBERS, 0, 0.0, -1.0, 100.1))
GREY_LEVELS = ("a number above 0 and up to 1000", (*NOT_NUMBERS, 0, -5.0, 1001))
SHAPE = ("rect, cross or ellipse", ("circle", "", "Rect", 1, None, True))
ROUNDS = ("a whole number from 1 to 100", (*NOT_WHOLE, 0, -1, 101))
LEVEL = ("a whole number from 0 to 254", (*NOT_WHOLE, -1, 255))
REFUSED = {
    **dict.fromkeys(
        ["gaussian", "box", "unsharp", "random_gaussian", "erode", "dilate", "open", "close", "top_hat"], ODD_OR_PAIR
    ),
    **dict.fromkeys(["median", "bilateral"], ODD),
}
REFUSED = {
    **{f"{name}.kernel_size": rule for name, rule in REFUSED.items()},
    **{f"{name}.shape": SHAPE for name in ("erode", "dilate", "open", "close", "top_hat")},
    **{
        f"{name}.rounds": ROUNDS
        for name in ("gaussian", "box", "median", "bilateral", "non_local_means", "unsharp", "erode", "dilate")
    },
    "gaussian.sigma": SIGMA,
    "bilateral.sigma_color": GREY_LEVELS,
    "bilateral.sigma_space": SIGMA,
    "non_local_means.strength": GREY_LEVELS,
    "non_local_means.patch_size": ("an odd number from 1 to 15", (*NOT_WHOLE, 0, 2, 17)),
    "non_local_means.search_size": ODD,
    "unsharp.sigma": SIGMA,
    "unsharp.amount": ("a number from 0 to 10", (*NOT_NUMBERS, -0.1, 10.1)),
    "laplacian.kernel_size": ("an odd number from 1 to 5", (*NOT_WHOLE, 0, 2, 7)),
    "laplacian.scale": SIGMA,
    "sobel.kernel_size": ("an odd number from 3 to 7", (*NOT_WHOLE, 1, 4, 9)),
    "sobel.scale": SIGMA,
    "scharr.scale": SIGMA,
    "local_contrast.kernel_size": ("an odd number from 3 to 27, or a pair of them", (*WRONG_TYPES, 1, (1, 3), 4, 29)),
    "threshold.value": LEVEL,
    "adaptive_threshold.method": ("mean or gaussian", ("median", "", 0, None)),
    "adaptive_threshold.block_size": ("an odd number from 3 to 27", (*NOT_WHOLE, 1, 4, 29)),
    "adaptive_threshold.offset": LEVEL,
    "clahe.clip_limit": ("a number above 0 and up to 256", (*NOT_NUMBERS, 0, -1, 257)),
    "clahe.tiles": ("a whole number from 1 to 14, or a pair of them", (*WRONG_TYPES, 0, 15, (4, 0), (4,), (4, 4.0))),
    "gamma.gamma": ("a number above 0 and up to 10", (*NOT_NUMBERS, 0, -1, 11)),
    "random_gaussian.sigma_min": SIGMA,
    "random_gaussian.sigma_max": SIGMA,
    "random_gaussian.seed": ("a whole number from 0 to 9223372036854775807", (*NOT_WHOLE, -1, 2**63)),
}


def test_the_table_of_refusals_names_every_parameter():
    assert set(REFUSED) == {f"{filter_name(kind)}.{one.name}" for kind in FILTERS for one in filter_parameters(kind)}


@pytest.mark.parametrize("where", REFUSED)
def test_a_wrong_value_is_refused_with_name_value_and_what_is_allowed(where):
    name, _, parameter = where.partition(".")
    kind = next(one for one in FILTERS if filter_name(one) == name)
    allowed, values = REFUSED[where]
    for value in values:
        with pytest.raises(ValueError, match=f"^{where}: ") as error:
            kind(**{parameter: value})
        text = message(error)
        assert text.endswith(f"; it must be {allowed}")
        assert filter_base.show(value) in text


def test_an_even_kernel_is_refused_in_these_words():
    with pytest.raises(ValueError, match="gaussian") as error:
        Gaussian(kernel_size=4)
    assert message(error) == (
        "gaussian.kernel_size: 4 is even; it must be an odd number from 1 to 27, or a pair of them"
    )


def test_a_range_of_sigmas_is_not_upside_down():
    with pytest.raises(ValueError, match=r"^random_gaussian.sigma_min: 3.0 is above sigma_max 2.0; it must be at most"):
        RandomGaussian(sigma_min=3)


# The random filter


def test_sigmas_are_a_function_of_seed_and_index():
    one = RandomGaussian(sigma_min=0.5, sigma_max=1.5, seed=4)
    independent = 0.5 + np.random.Generator(np.random.Philox(key=4)).random(1000)
    np.testing.assert_allclose(one.sigmas(0, 1000), independent, rtol=1e-15)
    np.testing.assert_array_equal(one.sigmas(990, 10), one.sigmas(0, 1000)[990:])
    assert (one.sigmas(0, 1000) != RandomGaussian(sigma_min=0.5, sigma_max=1.5, seed=5).sigmas(0, 1000)).any()
    assert abs(one.sigmas(0, 1000).mean() - 1.0) < 0.03


def test_sigmas_of_the_default_seed_are_written_down():
    np.testing.assert_allclose(RandomGaussian().sigmas(0, 3), SIGMAS_OF_SEED_0, rtol=1e-15)


def test_one_sigma_is_the_plain_gaussian():
    images = noise(3, 28, 28)
    fixed = RandomGaussian(kernel_size=5, sigma_min=1, sigma_max=1, seed=9)
    np.testing.assert_array_equal(fixed(images), Gaussian()(images))


def test_evaluation_leaves_random_filters_out():
    chain = FilterChain.parse("median | random_gaussian | invert")
    assert chain.training_only
    assert str(chain.for_evaluation()) == "median(kernel_size=3, rounds=1) | invert"
    assert not chain.for_evaluation().training_only
    plain = FilterChain.parse("median | invert")
    assert plain.for_evaluation() == plain


# The listing and the presets


@EVERY_FILTER
def test_the_listing_explains_every_parameter(kind):
    summary = filter_summary(kind)
    assert summary.endswith(".")
    assert len(summary) < 110
    for one in filter_parameters(kind):
        assert len(one.description) > 10
        assert kind(**{one.name: one.default}) == kind()
        assert one.type in {"int", "float", "str", "int | tuple[int, int]"}


def test_the_listing_of_one_filter():
    first, second, third = filter_parameters(NonLocalMeans)[:3]
    assert (first.name, first.type, first.default, first.allowed) == (
        "strength",
        "float",
        30.0,
        "a number above 0 and up to 1000",
    )
    assert (second.name, second.default, second.allowed) == ("patch_size", 3, "an odd number from 1 to 15")
    assert third.description == "side of the searched square in pixels"
    assert filter_parameters(LocalContrast)[0].type == "int | tuple[int, int]"


def test_there_are_presets():
    assert len(PRESETS) >= 12


@pytest.mark.parametrize("path", PRESETS, ids=lambda path: path.stem)
def test_a_preset_holds_a_chain_and_says_what_it_is(path):
    text = path.read_text(encoding="utf-8")
    content = yaml.safe_load(text)
    assert text.startswith("# ")
    assert list(content) == ["data"]
    assert list(content["data"]) == ["filters"]
    chain = FilterChain.parse(content["data"]["filters"])
    assert (len(chain) == 0) == (path.stem == "none")
    assert chain(noise(2, 28, 28)).shape == (2, 28, 28)
