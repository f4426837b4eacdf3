"""Chains of filters: applied in turn, written as text and read back, and what a wrong text gets."""

import re
from dataclasses import FrozenInstanceError, fields

import numpy as np
import pytest
from filter_checks import EVERY_FILTER, message, noise, values
from hypothesis import given, settings
from hypothesis import strategies as st

from mnist_lit.data.filters import (
    FILTERS,
    Close,
    Deskew,
    Erode,
    FilterChain,
    Gamma,
    Gaussian,
    Invert,
    Median,
    RandomGaussian,
    Threshold,
)

# The chain


def test_a_chain_applies_its_filters_in_turn():
    images = noise(3, 28, 28)
    chain = FilterChain([Gaussian(), Threshold(100), Invert()])
    np.testing.assert_array_equal(chain(images), Invert()(Threshold(100)(Gaussian()(images))))
    assert (chain(images) != FilterChain(reversed(list(chain)))(images)).any()


def test_stages_give_the_images_after_each_filter():
    images = noise(3, 28, 28)
    chain = FilterChain([Gaussian(), Invert()])
    (first, blurred), (second, inverted) = chain.stages(images)
    assert (first, second) == ("gaussian(kernel_size=5, sigma=1.0, rounds=1)", "invert")
    np.testing.assert_array_equal(blurred, Gaussian()(images))
    np.testing.assert_array_equal(inverted, chain(images))


def test_the_empty_chain_is_none():
    images = noise(2, 28, 28)
    chain = FilterChain()
    assert str(chain) == "none"
    assert FilterChain.parse("none") == chain
    assert chain(images) is images
    assert (chain.stages(images), list(chain), len(chain), chain.training_only) == ([], [], 0, False)


def test_chains_are_values():
    one, same = FilterChain([Gaussian(), Deskew()]), FilterChain.parse("gaussian | deskew")
    assert one == same
    assert hash(one) == hash(same)
    assert one != FilterChain([Deskew(), Gaussian()])
    assert one != FilterChain([Gaussian()])
    with pytest.raises(FrozenInstanceError):
        one.filters = ()


def test_a_random_chain_in_pieces_is_the_chain_at_once():
    images = noise(6, 28, 28)
    chain = FilterChain.parse("random_gaussian(seed=2) | invert")
    pieces = [chain(images[start : start + 4], start) for start in (0, 4)]
    np.testing.assert_array_equal(np.concatenate(pieces), chain(images))
    assert (chain(images[4:]) != chain(images)[4:]).any()  # the place in the set does matter


@pytest.mark.parametrize(
    ("filters", "told"),
    [
        (["gaussian"], "^filters: 'gaussian' is not a filter; FilterChain.parse reads a text"),
        ([Gaussian], "is not a filter"),
        ([Invert()] * 17, "^filters: 17 filters in a chain; at most 16"),
    ],
)
def test_a_chain_of_something_else_is_refused(filters, told):
    with pytest.raises(ValueError, match=told):
        FilterChain(filters)


# The text of a chain


@pytest.mark.parametrize(
    ("text", "filters"),
    [
        ("gaussian(kernel_size=5, sigma=1.0) | median(rounds=2)", [Gaussian(5, 1.0), Median(rounds=2)]),
        ("deskew", [Deskew()]),
        ("deskew()|invert()", [Deskew(), Invert()]),
        ("gaussian(kernel_size=(3, 9))", [Gaussian((3, 9))]),
        ("gaussian(kernel_size=[3, 9], sigma=2)", [Gaussian((3, 9), 2.0)]),
        ("erode(shape=cross) | close(shape='rect')", [Erode(shape="cross"), Close(shape="rect")]),
        ("gamma(gamma=5e-1)", [Gamma(0.5)]),
        ("  median\n  | deskew  |\n  invert\n", [Median(), Deskew(), Invert()]),
        ("invert | (deskew)", [Invert(), Deskew()]),
    ],
)
def test_a_text_is_read(text, filters):
    assert FilterChain.parse(text) == FilterChain(filters)


def test_the_text_holds_every_parameter():
    text = str(FilterChain.parse("gaussian | erode | local_contrast(kernel_size=(9,5)) | otsu_threshold"))
    assert text == (
        "gaussian(kernel_size=5, sigma=1.0, rounds=1) | erode(kernel_size=3, shape=cross, rounds=1) | "
        "local_contrast(kernel_size=(9, 5)) | otsu_threshold"
    )


@EVERY_FILTER
def test_the_text_of_defaults_reads_back(kind):
    assert FilterChain.parse(str(kind())) == FilterChain([kind()])


def filters_of(kind):
    arguments = {one.name: values(one.metadata["rule"]) for one in fields(kind)}
    if kind is RandomGaussian:
        arguments |= {"sigma_min": st.floats(0.1, 1), "sigma_max": st.floats(1, 100)}
    return st.builds(kind, **arguments)


CHAINS = st.lists(st.one_of([filters_of(kind) for kind in FILTERS]), max_size=16).map(FilterChain)


@settings(max_examples=60, deadline=None)
@given(CHAINS)
def test_every_chain_reads_back_from_its_text(chain):
    again = FilterChain.parse(str(chain))
    assert again == chain
    assert str(again) == str(chain)
    assert hash(again) == hash(chain)


@settings(max_examples=150, deadline=None)
@given(st.text() | st.text("gausin(),=|.'\"[]{}*-:\\ 0159efxl_", max_size=60))
def test_any_text_is_read_or_refused_in_one_line(text):
    refusal = ""
    try:
        FilterChain.parse(text)
    except ValueError as error:
        refusal = str(error)
    assert "\n" not in refusal
    assert len(refusal) < 700


FORM = "write for example: gaussian(kernel_size=5, sigma=1.0) | median(kernel_size=3)"


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("gausian", "filters: there is no 'gausian' (did you mean gaussian?); the filters are gaussian, box, median, "),
        ("Gaussian(sigma=1)", "(did you mean gaussian?)"),
        ("gaussian(sigme=1)", "gaussian: there is no parameter 'sigme' (did you mean sigma?); its parameters are "),
        ("deskew(angle=3)", "deskew: there is no parameter 'angle'; it has no parameters"),
        ("gaussian(5)", "gaussian: 'gaussian(5)' has an argument without a name; write for example: gaussian(kernel_"),
        ("gaussian(**{'sigma': 1})", "has an argument without a name"),
        ("gaussian(*[5])", "has an argument without a name"),
        ("gaussian(sigma=1, sigma=2)", "gaussian.sigma: given twice"),
        ("gaussian(kernel_size=4)", "gaussian.kernel_size: 4 is even; it must be an odd number from 1 to 27"),
        ("gaussian(sigma=-1)", "gaussian.sigma: -1 is out of range; it must be a number above 0"),
        ("gaussian(sigma=nan)", "gaussian.sigma: 'nan' is not a number"),
        ("gaussian(sigma=1e999)", "gaussian.sigma: inf is out of range"),
        ("gaussian(sigma=True)", "gaussian.sigma: True is not a number"),
        ("gaussian(sigma=None)", "gaussian.sigma: None is not a number"),
        ("gaussian(sigma=2*3)", "gaussian.sigma: '2 * 3' is not a plain value; write a number, a pair or a word"),
        ("erode(shape=crss)", "erode.shape: 'crss' is not one of them; it must be rect, cross or ellipse"),
        ("none | median", "filters: none stands alone"),
        ("median | none", "filters: none stands alone"),
        ("", f"filters: '' cannot be read; {FORM}"),
        ("gaussian(", FORM),
        ("gaussian | ", FORM),
        ("gaussian || median", FORM),
        ("gaussian, median", FORM),
        ("gaussian & median", FORM),
        ("gaussian > median", FORM),
        ("filters: gaussian", FORM),
        ("5", FORM),
        ("'gaussian'", FORM),
        ("[gaussian]", FORM),
        ("gaussian()()", FORM),
    ],
)
def test_a_wrong_text_is_refused_with_what_would_be_right(text, told):
    with pytest.raises(ValueError, match=re.escape(told)) as error:
        FilterChain.parse(text)
    message(error)


@pytest.mark.parametrize(
    "text",
    [
        "gaussian | " * 100_000 + "median",
        "__import__('os')",
        "__import__('os').system('true')",
        "gaussian.__class__",
        "gaussian(sigma=__import__('os'))",
        "gaussian(sigma=(lambda: 1)())",
        "lambda: gaussian",
        "f'{gaussian}'",
        "gaussian(sigma=f'{1}')",
        "[g for g in (1,)]",
        "(g := gaussian)",
        "gaussian if 1 else median",
        "gaussian(sigma=" + "9" * 1900 + ")",
        "gaussian(kernel_size=" + "9" * 1900 + ")",
        "gaussian(sigma=9**9**9**9)",
        "gaussian(sigma='a' * 99999999)",
        "(" * 900 + ")" * 900,
        "[" * 999 + "]" * 999,
        "gaussian(kernel_size=" + "(" * 180 + "5,)" + ",)" * 179 + ")",
        "gaussian(sigma=" + "-" * 1900 + "1)",
        "-" * 1999 + "1",
        "a." * 990 + "a",
        "a" + "()" * 990,
        "a" * 2000,
        "median|" * 280 + "median",
        "gaussian(sigma=1if 2else 3)",
        "gaussian(sigma='\\d')",
        "gaussian(sigma=1)\0",
        "gaussian\ud800",
        "gaussian # comment",
        "gaussian # \n | median",
        "import os",
        "x = 1",
        "await gaussian",
        "b'gaussian'",
        "gaussian(sigma=...)",
        "gaussian(sigma={1: 2})",
    ],
    ids=lambda text: text[:30].encode("ascii", "backslashreplace").decode(),
)
def test_a_hostile_text_is_refused_in_one_line(text):
    with pytest.raises(ValueError, match=r"^[a-z_.]+: ") as error:
        FilterChain.parse(text)
    message(error)


@pytest.mark.parametrize("value", [None, 5, ["gaussian"], {"gaussian": {}}, b"gaussian"])
def test_something_other_than_a_text_is_refused(value):
    with pytest.raises(ValueError, match=r"^filters: .* is not a text; write for example: gaussian") as error:
        FilterChain.parse(value)
    message(error)
