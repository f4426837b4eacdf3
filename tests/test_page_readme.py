"""What the READMEs show of `read`: the output is that of the command, the pictures are small."""

from pathlib import Path

import pytest

from mnist_lit.data.image_files import read_rgb
from mnist_lit.use.annotation import annotate
from mnist_lit.use.reader import read_page
from mnist_lit.use.recognizer import load_recognizer

ROOT = Path(__file__).parent.parent


@pytest.mark.parametrize("name", ["README.md", "README.zh-CN.md"])
def test_the_output_of_read_is_that_of_the_command(name):
    text = (ROOT / name).read_text(encoding="utf-8")
    shown = text.split("<!-- read: start -->")[1].split("<!-- read: end -->")[0].strip()
    page = read_page(read_rgb(ROOT / "tests" / "pages" / "squared.jpg").pixels, load_recognizer())
    assert shown == f"```text\n{page.text}\n```"


def test_the_picture_of_read_is_that_of_the_same_photo():
    photo = read_rgb(ROOT / "tests" / "pages" / "squared.jpg").pixels
    drawn = annotate(photo, read_page(photo, load_recognizer())).astype(int)
    shown = read_rgb(ROOT / "docs" / "read.png").pixels.astype(int)
    assert drawn.shape == shown.shape
    assert (abs(drawn - shown).max(axis=2) > 16).mean() < 1e-3  # other decoders and font renderers differ a little


@pytest.mark.parametrize("picture", ["draw.png", "draw_dark.png", "read.png"])
def test_pictures_are_there_and_small(picture):
    assert 10_000 < (ROOT / "docs" / picture).stat().st_size < 300_000
