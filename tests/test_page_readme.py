"""What the READMEs show of `read`: the output is that of the command, the pictures are small."""

from pathlib import Path

import pytest

from mnist_lit.data.image_files import read_rgb
from mnist_lit.use.reader import read_page
from mnist_lit.use.recognizer import load_recognizer

ROOT = Path(__file__).parent.parent


@pytest.mark.parametrize("name", ["README.md", "README.zh-CN.md"])
def test_the_output_of_read_is_that_of_the_command(name):
    text = (ROOT / name).read_text(encoding="utf-8")
    shown = text.split("<!-- read: start -->")[1].split("<!-- read: end -->")[0].strip()
    page = read_page(read_rgb(ROOT / "tests" / "pages" / "page.png").pixels, load_recognizer())
    assert shown == f"```text\n{page.text}\n```"


@pytest.mark.parametrize("picture", ["draw.png", "draw_dark.png", "read.png"])
def test_pictures_are_there_and_small(picture):
    assert 10_000 < (ROOT / "docs" / picture).stat().st_size < 300_000
