"""Bad image files on the command line: each gets one line and its exit status, in little time and memory.

The rows are those of the project's table of bad inputs; what is asserted of single functions is in the tests of their
modules. Every command is a process of its own, measured from outside.
"""

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import bad_files
import numpy as np
import pytest
from bad_files import EPS, REFUSED, TWINS, base, encoded, letter, two_digits, write
from measured_runs import Done, answers, run
from PIL import Image

BOTH = ["predict", pytest.param("read", marks=pytest.mark.slow)]


@pytest.fixture
def good(tmp_path):
    return write(tmp_path / "good.png", encoded(base(), "PNG"))


@pytest.fixture(scope="module")
def known(tmp_path_factory):
    """What the commands say of the good image."""
    folder = tmp_path_factory.mktemp("known")
    write(folder / "good.png", encoded(base(), "PNG"))
    return {command: answers(folder, command, "good.png")[1][0] for command in ("predict", "read")}


# ---------------------------------------------------------------------- image files


def check_refused(done: Done, found, command: str, name: str, reason: str, text: str) -> None:
    assert done.status == 1
    assert done.err.startswith(f"{command}: {name}: ")
    assert reason in done.err
    assert done.err.count("\n") == 1
    assert reason in found[0]["error"]
    assert (found[0]["text"], found[1]["text"], found[1]["error"]) == ("", text, "")


@pytest.mark.parametrize("command", BOTH)
@pytest.mark.parametrize("row", REFUSED)
def test_a_file_that_is_no_whole_image_is_one_line_and_the_next_is_answered(tmp_path, good, known, command, row):
    content, reason = REFUSED[row]
    write(tmp_path / "bad.png", content())
    done, found = answers(tmp_path, command, "bad.png", "good.png")
    check_refused(done, found, command, "bad.png", reason, known[command]["text"])


def test_read_refuses_all_of_them_in_one_go_too(tmp_path, good, known):
    names = [write(tmp_path / f"{number}.png", content()).name for number, (content, _) in enumerate(REFUSED.values())]
    done, found = answers(tmp_path, "read", *names, "good.png")
    assert (done.status, done.err.count("\n")) == (1, len(names))
    for name, page, (_, reason) in zip(names, found, REFUSED.values(), strict=False):
        assert (page["file"], reason in page["error"], "lines" in page) == (name, True, False)
    assert found[-1]["text"] == known["read"]["text"]


@pytest.mark.parametrize("command", ["predict", "read"])
def test_an_odd_file_is_answered_as_its_plain_twin(tmp_path, known, command):
    names = [
        write(tmp_path / f"{number:02}{suffix}", content()).name
        for number, (suffix, content, _) in enumerate(TWINS.values())
    ]
    done, found = answers(tmp_path, command, *names)
    assert (done.status, done.err) == (0, "")
    assert {row: one["text"] for row, one in zip(TWINS, found, strict=True)} == dict.fromkeys(
        TWINS, known[command]["text"]
    )
    for (_, _, note), one in zip(TWINS.values(), found, strict=True):
        assert note in one["notes"]
    assert found[list(TWINS).index("13 inverted")]["polarity"] == "light on dark"
    if command == "predict":
        sure = [float(one["confidence"]) for one in found]
        np.testing.assert_allclose(sure, float(known["predict"]["confidence"]), atol=0.02)


def test_blank_paper_gets_no_class(tmp_path):
    write(tmp_path / "blank.png", encoded(Image.new("L", (90, 90), 230), "PNG"))
    done, found = answers(tmp_path, "predict", "blank.png")
    assert (done.status, done.err, found[0]["text"]) == (1, "predict: blank.png: no ink found\n", "")
    done = run(tmp_path, "read", "blank.png")
    assert done == Done(0, "", "")


def test_what_is_no_digit_comes_with_its_confidence(tmp_path):
    write(tmp_path / "letter.png", encoded(letter(), "PNG"))
    write(tmp_path / "two.png", encoded(two_digits(), "PNG"))
    done, found = answers(tmp_path, "predict", "letter.png", "two.png")
    assert done.status == 0
    assert all(0.0 < float(one["confidence"]) <= 1.0 for one in found)
    assert run(tmp_path, "read", "two.png").out.replace(" ", "").strip() == "33"


# ---------------------------------------------------------------------- names, folders, things that are no files


def test_a_folder_is_read_in_order_and_one_without_images_is_wrong_use(tmp_path, known):
    (tmp_path / "folder" / "empty").mkdir(parents=True)
    for name in ("b.png", "a.png", ".hidden.png", "notes.txt"):
        write(tmp_path / "folder" / name, encoded(base(), "PNG"))
    for command in ("predict", "read"):
        done, found = answers(tmp_path, command, "folder")
        assert (done.status, [Path(one["file"]).name for one in found]) == (0, ["a.png", "b.png"])
        done = run(tmp_path, command, Path("folder", "empty"))
        assert (done.status, done.err.count("\n"), "no image files in this folder" in done.err) == (2, 1, True)


def bad_places(folder) -> Iterator[tuple[str, str]]:
    """Make what is no readable file; yields name and reason."""
    yield "gone.png", "no such file"
    try:
        (folder / "broken.png").symlink_to("nowhere.png")
        (folder / "loop.png").symlink_to("loop.png")
    except OSError:  # Windows without the right to make links
        return
    yield "broken.png", "broken symbolic link to nowhere.png"
    yield "loop.png", "loop of symbolic links"
    if hasattr(os, "mkfifo"):
        os.mkfifo(folder / "pipe.png")
        yield "pipe.png", "not a regular file but a named pipe"
    if Path("/dev/zero").exists():
        yield "/dev/zero", "not a regular file but a device"
        yield "/dev/stdin", "not a regular file"


@pytest.mark.parametrize("command", ["predict", "read"])
def test_what_is_no_readable_file_is_an_error_of_that_file(tmp_path, good, known, command):
    places = list(bad_places(tmp_path))
    done, found = answers(tmp_path, command, *(name for name, _ in places), "good.png")
    assert (done.status, done.err.count("\n")) == (1, len(places))
    for (name, reason), line, one in zip(places, done.err.splitlines(), found, strict=False):
        assert line.startswith(f"{command}: {name}: {reason}")
        assert (one["file"], one["text"]) == (name, "")
    assert found[-1]["text"] == known[command]["text"]


@pytest.mark.skipif(not hasattr(os, "setuid"), reason="Windows has other permissions")
def test_a_file_without_the_right_to_read_it_is_named(tmp_path, good, known):
    write(tmp_path / "closed.png", encoded(base(), "PNG")).chmod(0)
    for folder in (tmp_path, *list(tmp_path.parents)[:2]):
        folder.chmod(0o777)
    as_nobody = (
        "import contextlib, io, os, sys; from mnist_lit.cli import main\n"
        "with contextlib.redirect_stdout(io.StringIO()): main(['read', 'good.png'])\n"  # all that it needs is imported
        "os.getuid() or os.setuid(65534); sys.exit(main(sys.argv[1:]))"
    )
    try:
        done, found = answers(tmp_path, "read", "closed.png", "good.png", program=("-c", as_nobody))
    finally:
        for folder in (tmp_path, *list(tmp_path.parents)[:2]):
            folder.chmod(0o700)
    check_refused(done, found, "read", "closed.png", "no permission to read it", known["read"]["text"])


ODD_NAMES = {
    b"caf\xe9.png": "caf\\xe9.png",
    "\N{SLIGHTLY SMILING FACE}.png".encode(): "\N{SLIGHTLY SMILING FACE}.png",
    b"-x.png": "-x.png",
    b"two\nlines.png": "two\\nlines.png",
}


@pytest.mark.parametrize("command", ["predict", "read"])
@pytest.mark.parametrize("plain", [False, True], ids=["UTF-8", "LANG=C"])
def test_odd_names_are_read_and_told_on_one_line(tmp_path, known, command, plain):
    expected = {}
    for raw, shown in ODD_NAMES.items():
        try:
            write(tmp_path / os.fsdecode(raw), encoded(base(), "PNG"))
        except (OSError, ValueError):  # a file system that takes UTF-8 only, or Windows
            continue
        expected[raw] = shown
    env = {"LC_ALL": "C", "PYTHONCOERCECLOCALE": "0", "PYTHONUTF8": "0", "TERM": "dumb"} if plain else {}
    names = [os.fsdecode(raw) for raw in expected]
    done, found = answers(tmp_path, command, "--", *names, "gone\N{BLACK STAR}.png", env=env)
    assert (done.status, done.err.count("\n")) == (1, 1)
    assert [one["text"] for one in found] == [known[command]["text"]] * len(names) + [""]
    if not plain:  # an ASCII locale shows the bytes
        assert [one["file"] for one in found[:-1]] == list(expected.values())


@pytest.mark.parametrize("command", ["predict", "read"])
def test_a_dash_is_standard_input(tmp_path, known, command):
    done, found = answers(tmp_path, command, "-", data=encoded(base(), "JPEG", quality=95))
    assert (done.status, found[0]["text"]) == (0, known[command]["text"])
    done, found = answers(tmp_path, command, "-", data=b"")
    assert (done.status, "empty file" in found[0]["error"]) == (1, True)


@pytest.mark.skipif(not Path("/dev/zero").exists(), reason="there is no endless file")
def test_standard_input_without_end_is_read_to_the_cap_only(tmp_path):
    with Path("/dev/zero").open("rb") as endless:
        done = run(tmp_path, "predict", "-", stdin=endless, megabytes=350.0)
    assert (done.status, "larger than 67,108,864 bytes" in done.err) == (1, True)


@pytest.mark.skipif(os.name == "nt", reason="the stand-in is a shell script")
def test_postscript_does_not_start_ghostscript(tmp_path):
    gs = write(tmp_path / "gs", f"#!/bin/sh\ntouch {tmp_path / 'started'}\n".encode())
    gs.chmod(0o755)
    write(tmp_path / "x.png", EPS)
    env = {"PATH": f"{tmp_path}{os.pathsep}{os.environ['PATH']}"}
    assert run(tmp_path, "read", "x.png", env=env).status == 1
    assert not (tmp_path / "started").exists()
    control = "from PIL import Image; Image.open('x.png').load()"
    subprocess.run([sys.executable, "-c", control], cwd=tmp_path, env={**os.environ, **env}, capture_output=True)
    assert (tmp_path / "started").exists()


@pytest.mark.skipif(os.name == "nt", reason="pipes close otherwise there")
@pytest.mark.parametrize("command", ["predict", "read"])
def test_a_reader_that_has_gone_is_no_traceback(tmp_path, good, command):
    reading, writing = os.pipe()
    os.close(reading)
    try:
        done = run(tmp_path, command, "good.png", stdout=writing, env={"TERM": "dumb"})
    finally:
        os.close(writing)
    assert (done.status, done.err) == (1, "")


def test_the_files_made_here_are_what_they_should_be():
    assert np.asarray(base()).shape == (324, 324)
    assert len(bad_files.png_of_zeros(20_000)) < 100_000
