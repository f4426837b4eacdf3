"""Users' paths to image files: what is found, what is refused in one line, and never waited for."""

import errno
import os
import socket
from pathlib import Path

import numpy as np
import pytest
from image_bytes import GREY, encoded
from PIL import Image

from mnist_lit.data.image_files import display_name, find_images, read_grey
from mnist_lit.errors import Failure, UsageError

posix_names = pytest.mark.skipif(os.name == "nt", reason="Windows allows no such file name")
posix_only = pytest.mark.skipif(os.name == "nt", reason="Windows has no FIFOs, devices or sockets in the file system")

# The file system


def write_png(path):
    path.write_bytes(encoded(Image.fromarray(GREY)))
    return path


def refusal(path):
    with pytest.raises(Failure) as caught:
        read_grey(path)
    message = str(caught.value)
    assert message.startswith(f"{display_name(path)}: ")
    assert message.count(path.name or str(path)) <= 1 or not path.name.isprintable()
    assert "\n" not in message
    return message


def test_reads_a_file_whatever_its_suffix(tmp_path):
    np.testing.assert_array_equal(read_grey(write_png(tmp_path / "digit.jpg")).pixels, GREY)


def test_empty_file_on_disk(tmp_path):
    (tmp_path / "a.png").touch()
    assert "empty file" in refusal(tmp_path / "a.png")


def test_missing_file(tmp_path):
    assert "no such file" in refusal(tmp_path / "a.png")


def test_file_below_a_file(tmp_path):
    write_png(tmp_path / "a.png")
    refusal(tmp_path / "a.png" / "b.png")


def test_name_with_a_nul_character():
    assert "not a valid file name" in refusal(Path("a\0b.png"))


def test_too_long_name(tmp_path):
    refusal(tmp_path / ("x" * 5000 + ".png"))


def test_folder_is_no_file(tmp_path):
    assert "a folder" in refusal(tmp_path)


def link(path, target):
    try:
        path.symlink_to(target)
    except OSError:
        pytest.skip("symbolic links are not allowed here")
    return path


def test_symbolic_link_is_followed(tmp_path):
    path = link(tmp_path / "b.png", write_png(tmp_path / "a.png"))
    np.testing.assert_array_equal(read_grey(path).pixels, GREY)


def test_broken_symbolic_link_names_its_target(tmp_path):
    assert "broken symbolic link to gone.png" in refusal(link(tmp_path / "a.png", "gone.png"))


@posix_only
def test_loop_of_symbolic_links(tmp_path):
    link(tmp_path / "a.png", "b.png")
    link(tmp_path / "b.png", "a.png")
    assert "loop of symbolic links" in refusal(tmp_path / "a.png")


def test_no_permission(tmp_path, monkeypatch):
    path = write_png(tmp_path / "a.png")

    def refuse(*_arguments):  # root may read everything, so the refusal is played
        raise PermissionError(errno.EACCES, "Permission denied")

    monkeypatch.setattr(os, "open", refuse)
    assert "no permission to read" in refusal(path)


@posix_only
def test_fifo_is_refused_without_waiting(tmp_path):
    os.mkfifo(tmp_path / "a.png")
    assert "a named pipe" in refusal(tmp_path / "a.png")


@posix_only
def test_fifo_that_takes_the_place_of_a_file_is_refused_without_waiting(tmp_path, monkeypatch):
    os.mkfifo(tmp_path / "a.png")
    regular = write_png(tmp_path / "b.png").stat()
    monkeypatch.setattr(os, "stat", lambda *_arguments: regular)
    with pytest.raises(Failure, match="a named pipe"):
        read_grey(tmp_path / "a.png")


@posix_only
def test_socket_is_refused(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)  # the path of a socket must be short
    with socket.socket(socket.AF_UNIX) as server:
        server.bind("a.png")
        assert "a socket" in refusal(Path("a.png"))


@posix_only
def test_device_is_refused():
    assert "a device" in refusal(Path("/dev/zero"))


@posix_names
@pytest.mark.parametrize(
    ("raw", "shown"),
    [
        (b"\xff\xfe.png", r"\xff\xfe.png"),
        ("😀 5.png".encode(), "😀 5.png"),
        (b"-rf.png", "-rf.png"),
        (b"two\nlines\x1b[31m.png", r"two\nlines\x1b[31m.png"),
        ("right\u202eto left.png".encode(), r"right\u202eto left.png"),
    ],
)
def test_odd_names_are_read_and_shown_safely(tmp_path, raw, shown):
    path = tmp_path / os.fsdecode(raw)
    try:
        path.touch()
    except OSError:
        pytest.skip("this file system wants UTF-8 names")
    message = refusal(path)
    assert message.startswith(f"{display_name(tmp_path / 'x')[:-1]}{shown}: empty file")
    assert message.encode()
    assert find_images([tmp_path]) == [path]
    np.testing.assert_array_equal(read_grey(write_png(path)).pixels, GREY)


# Finding


@pytest.fixture
def album(tmp_path):
    for name in ("b.PNG", "a.jpeg", "c.tif", "10.webp", "notes.txt", ".hidden.png", "sub/d.gif", "sub/deep/e.bmp"):
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()
    (tmp_path / "folder.png").mkdir()
    return tmp_path


def test_folder_becomes_its_images_in_sorted_order(album):
    assert find_images([album]) == [album / name for name in ("10.webp", "a.jpeg", "b.PNG", "c.tif")]


def test_folders_inside_are_read_when_asked_for(album):
    names = ("10.webp", "a.jpeg", "b.PNG", "c.tif", "sub/d.gif", "sub/deep/e.bmp")
    assert find_images([album], recursive=True) == [album / name for name in names]


def test_files_stay_as_given(album):
    given = [album / "notes.txt", album / "c.tif", album / "missing.png", album / "a.jpeg", album / "c.tif"]
    assert find_images([str(path) for path in given]) == given


@pytest.mark.parametrize("recursive", [False, True])
def test_folder_without_images_is_wrong_use(album, recursive):
    empty = album / "folder.png"
    with pytest.raises(UsageError, match=r"folder\.png: no image files"):
        find_images([album / "a.jpeg", empty], recursive=recursive)


def test_empty_path_is_wrong_use_and_not_the_current_folder():
    with pytest.raises(UsageError, match="empty path"):
        find_images([""])


def test_broken_links_stay_for_their_error_and_linked_folders_are_not_entered(album):
    link(album / "z.png", "gone.png")
    link(album / "sub" / "up", album)
    found = find_images([album], recursive=True)
    assert album / "z.png" in found
    assert len(found) == 7


@posix_only
def test_link_loops_stay_for_their_error(album):
    link(album / "y.png", "z.png")
    link(album / "z.png", "y.png")
    assert find_images([album])[-2:] == [album / "y.png", album / "z.png"]


def test_folder_that_cannot_be_listed_stays_for_its_error(album, monkeypatch):
    def refuse(*_arguments):  # root may list everything, so the refusal is played
        raise PermissionError(errno.EACCES, "Permission denied")

    monkeypatch.setattr(os, "scandir", refuse)
    monkeypatch.setattr(os, "access", lambda *_arguments: False)
    assert find_images([album]) == [album]
    assert "no permission to list" in refusal(album)
