"""Image files with one digit each: what becomes of good, blank and broken ones, in which order."""

import numpy as np
import pytest
from PIL import Image

from mnist_lit.data.digit_files import DigitFile, read_digit_files
from mnist_lit.data.idx import BUNDLED, read_set
from mnist_lit.errors import UsageError


@pytest.fixture(scope="module")
def mnist():
    return read_set(BUNDLED, "t10k").images


def save(path, pixels):
    Image.fromarray(pixels).save(path)
    return path


def test_exported_mnist_images_come_back_exactly(tmp_path, mnist):
    for i in range(12):
        save(tmp_path / f"{i:02}.png", mnist[i])
    files, digits = read_digit_files([tmp_path])
    assert [file.path.name for file in files] == [f"{i:02}.png" for i in range(12)]
    np.testing.assert_array_equal(digits, mnist[:12])
    assert digits.dtype == np.uint8


def test_the_polarity_is_told_and_mended(tmp_path, mnist):
    save(tmp_path / "a.png", mnist[0])
    save(tmp_path / "b.png", 255 - mnist[0])
    files, digits = read_digit_files([tmp_path])
    assert [file.polarity for file in files] == ["light on dark", "dark on light"]
    np.testing.assert_array_equal(digits[0], digits[1])


def test_files_without_a_digit_do_not_shift_the_others(tmp_path, mnist):
    save(tmp_path / "a.png", mnist[0])
    (tmp_path / "b.png").write_bytes(b"no image at all")
    save(tmp_path / "c.png", np.full((28, 28), 255, np.uint8))
    save(tmp_path / "d.png", mnist[1])
    files, digits = read_digit_files([tmp_path])
    assert [bool(file.error) for file in files] == [False, True, True, False]
    np.testing.assert_array_equal(digits, mnist[:2])


def test_a_broken_file_is_named_in_one_line(tmp_path):
    path = tmp_path / "b.png"
    path.write_bytes(b"no image at all")
    (file,), _ = read_digit_files([path])
    assert file.path == path
    assert file.error.startswith(f"{path}: not an image")
    assert "\n" not in file.error
    assert file.polarity == ""


def test_a_missing_file_is_an_error_of_that_file(tmp_path, mnist):
    good = save(tmp_path / "a.png", mnist[0])
    files, digits = read_digit_files([tmp_path / "gone.png", good])
    assert "no such file" in files[0].error
    assert files[1] == DigitFile(good, "light on dark")
    assert len(digits) == 1


def test_a_blank_image_has_no_ink(tmp_path):
    path = save(tmp_path / "blank.png", np.full((50, 40), 200, np.uint8))
    assert read_digit_files([path])[0] == [DigitFile(path, error="no ink found")]


def test_what_was_decided_on_the_way_is_noted(tmp_path, mnist):
    path = tmp_path / "two.gif"
    frames = [Image.fromarray(image) for image in mnist[:2]]
    frames[0].save(path, save_all=True, append_images=frames[1:])
    (file,), digits = read_digit_files([path])
    assert file.notes == ("first frame of 2",)
    np.testing.assert_array_equal(digits[0], mnist[0])


def test_without_any_digit_the_stack_is_empty(tmp_path):
    path = tmp_path / "b.png"
    path.write_bytes(b"")
    digits = read_digit_files([path])[1]
    assert digits.shape == (0, 28, 28)
    assert digits.dtype == np.uint8


def test_a_folder_without_images_is_wrong_use(tmp_path):
    (tmp_path / "notes.txt").write_text("nothing here")
    with pytest.raises(UsageError, match="no image files in this folder"):
        read_digit_files([tmp_path])
