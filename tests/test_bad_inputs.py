"""Bad image and model files on the command line: each gets one line and its exit status, in little time and memory.

The rows are those of the project's table of bad inputs; what is asserted of single functions is in the tests of their
modules. Every command is a process of its own, measured from outside.
"""

import csv
import json
import os
import random
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import bad_files
import numpy as np
import pytest
import torch
from bad_files import EPS, REFUSED, TWINS, base, encoded, letter, two_digits, write
from PIL import Image
from small_models import graph_entry, small_model, write_checkpoint, write_graph

from mnist_lit.data.digit_image import digit_from_image
from mnist_lit.data.image_files import decode_grey, decode_rgb
from mnist_lit.errors import Failure
from mnist_lit.model.checkpoint import KEY
from mnist_lit.model.weights_file import card_path, save_weights
from mnist_lit.use.reader import read_page
from mnist_lit.use.recognizer import load_recognizer

SECONDS, MEGABYTES = 10.0, 220.0  # a process that answers takes 0.3 s and 120 MB; the machine may be busy
WITH_TORCH = {"seconds": 40.0, "megabytes": 900.0}
MODULE = ("-m", "mnist_lit")

# A small process starts the command: the peak that Linux tells of a child includes what its parent had.
LAUNCHER = """
import json, resource, subprocess, sys, time
report, seconds, *command = sys.argv[1:]
start = time.monotonic()
status = subprocess.call(command, timeout=float(seconds))
taken = time.monotonic() - start
peak = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss * (1 if sys.platform == "darwin" else 1024)
with open(report, "w") as file:
    json.dump([status, taken, peak / 1e6], file)
"""


@dataclass(frozen=True)
class Done:
    """What a command did."""

    status: int
    out: str
    err: str


def run(folder, *words, seconds=SECONDS, megabytes=MEGABYTES, program=MODULE, data=None, env=None, **how) -> Done:
    """Run a command in a folder; it must keep to the time and the memory, and show no traceback."""
    command = [sys.executable, *program, *map(os.fspath, words)]
    where = {**os.environ, "OMP_NUM_THREADS": "1", "PYTHONPATH": str(Path(__file__).parents[1]), **(env or {})}
    if os.name == "nt":  # without the resource module, memory is not measured
        done = subprocess.run(command, cwd=folder, env=where, input=data, capture_output=True, timeout=seconds)
        status = done.returncode
    else:
        report = folder / ".report.json"
        launcher = [sys.executable, "-I", "-S", "-c", LAUNCHER, str(report), str(seconds), *command]
        pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, **how}
        if data is None:
            pipes.setdefault("stdin", subprocess.DEVNULL)
        done = subprocess.run(launcher, cwd=folder, env=where, input=data, timeout=2 * seconds, **pipes)
        assert done.returncode == 0, done.stderr
        status, _, peak = json.loads(report.read_text(encoding="utf-8"))
        report.unlink()
        assert peak < megabytes
    out, err = ((text or b"").decode("utf-8", "replace") for text in (done.stdout, done.stderr))
    assert "Traceback" not in err
    return Done(status, out, err)


def rows(folder) -> list[dict[str, str]]:
    with (folder / "predictions.csv").open(newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))


def answers(folder, command, *words, **how) -> tuple[Done, list[dict[str, object]]]:
    """Run `predict` or `read`; what it did, and of each file: name, text, error, notes."""
    if command == "predict":
        done = run(folder, command, *words, **how)
        found = rows(folder) if (folder / "predictions.csv").exists() else []
        return done, [{**row, "text": row["digit"], "notes": row["notes"]} for row in found]
    done = run(folder, command, "--format", "json", *words, **how)
    pages = json.loads(done.out) if done.out else []
    texts = ["\n".join(line["text"] for line in page.get("lines", ())) for page in pages]
    return done, [
        {**page, "text": text, "notes": "; ".join(page["notes"])} for page, text in zip(pages, texts, strict=True)
    ]


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


# ---------------------------------------------------------------------- models


class Malicious:
    """Unpickled, it makes a file."""

    def __reduce__(self):
        return Path.touch, (Path("started"),)


def _cut(path: Path) -> None:
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])


def _make(folder: Path, suffix: str) -> Path:
    """A whole model file."""
    path = folder / f"model{suffix}"
    if suffix == ".onnx":
        return write_graph(path, entry=graph_entry())
    if suffix == ".ckpt":
        return write_checkpoint(path, small_model())
    save_weights(path, small_model(), {})
    return path


def _empty(folder: Path, suffix: str) -> Path:
    path = _make(folder, suffix)
    path.write_bytes(b"")
    return path


def _truncated(folder: Path, suffix: str) -> Path:
    path = _make(folder, suffix)
    _cut(path)
    return path


def _random(folder: Path, suffix: str) -> Path:
    path = _make(folder, suffix)
    path.write_bytes(random.Random(0).randbytes(5000))
    return path


def _other_network(folder: Path, suffix: str) -> Path:
    path = _make(folder, suffix)
    if suffix == ".ckpt":
        content = torch.load(path, weights_only=True)
        content[KEY]["network"] = "vgg"
        torch.save(content, path)
    else:
        card = json.loads(card_path(path).read_text(encoding="utf-8"))
        card_path(path).write_text(json.dumps({**card, "network": "vgg"}), encoding="utf-8")
    return path


def _pickle(folder: Path, suffix: str) -> Path:
    path = _make(folder, suffix)
    torch.save({**torch.load(path, weights_only=True), "hyper_parameters": Malicious()}, path)
    return path


def _class_path(folder: Path, suffix: str) -> Path:
    path = _make(folder, suffix)
    told = {"_instantiator": "os.system", "_class_path": "subprocess.run", "args": ["touch started"]}
    torch.save({**torch.load(path, weights_only=True), "hyper_parameters": told}, path)
    return path


def _url(folder: Path, suffix: str) -> str:
    return f"https://example.org/model{suffix}"


slow = pytest.mark.slow
CORRUPT = {".ckpt": "checkpoint corrupt", ".safetensors": "weights corrupt", ".onnx": "model corrupt"}
MODELS = [
    *(
        pytest.param(make, suffix, 1, f"{CORRUPT[suffix]}: model{suffix}", marks=[] if quick else slow)
        for suffix, quick in ((".onnx", True), (".ckpt", False), (".safetensors", False))
        for make in (_empty, _truncated, _random)
    ),
    pytest.param(_other_network, ".ckpt", 2, "do not fit the network 'vgg' that it names", marks=slow),
    pytest.param(_other_network, ".safetensors", 2, "do not fit the network 'vgg' that it names", marks=slow),
    pytest.param(_pickle, ".ckpt", 1, "refused: holds objects other than plain data"),
    pytest.param(_url, ".ckpt", 2, "never from a URL"),
    pytest.param(_url, ".onnx", 2, "never from a URL"),
]


@pytest.mark.parametrize(("make", "suffix", "status", "reason"), MODELS)
def test_a_bad_model_is_one_line_and_nothing_is_written_or_run(tmp_path, good, make, suffix, status, reason):
    path = make(tmp_path, suffix)
    name = path.name if isinstance(path, Path) else path
    before = set(tmp_path.iterdir())
    limits = {} if suffix == ".onnx" or isinstance(path, str) else WITH_TORCH
    for command in ("predict", "read"):
        done = run(tmp_path, command, "good.png", "--model", name, **limits)
        assert (done.status, done.err.count("\n"), done.out) == (status, 1, "")
        assert done.err.startswith(f"{command}: ")
        assert reason in done.err
    assert set(tmp_path.iterdir()) == before


@pytest.mark.slow
def test_class_paths_in_a_checkpoint_are_not_followed(tmp_path, good):
    name = _class_path(tmp_path, ".ckpt").name
    assert run(tmp_path, "predict", "good.png", "--model", name, **WITH_TORCH).status == 0
    assert not (tmp_path / "started").exists()


@pytest.mark.slow
def test_the_measures_of_this_file_can_fail(tmp_path):
    with pytest.raises(AssertionError):
        run(tmp_path, "-c", "bytearray(b'x') * 10**9", program=())
    with pytest.raises(AssertionError):
        run(tmp_path, "-c", "import time; time.sleep(3)", program=(), seconds=0.5)
    with pytest.raises(AssertionError):
        run(tmp_path, "-c", "1 / 0", program=())


# ---------------------------------------------------------------------- changed bytes


def mutants(data: bytes, n: int, within: int | None = None) -> Iterator[bytes]:
    """The data with a few bytes changed, or cut; `within`: only that many bytes at either end are changed."""
    source = random.Random(1)
    places = range(len(data)) if within is None else [*range(within), *range(len(data) - within, len(data))]
    for _ in range(n):
        mutant = bytearray(data)
        for _ in range(source.choice((1, 1, 2, 8))):
            mutant[source.choice(places)] = source.randrange(256)
        yield bytes(mutant[: source.randrange(len(mutant))] if source.random() < 0.2 else mutant)


@pytest.mark.parametrize("kind", ["PNG", "JPEG"])
def test_changed_bytes_of_an_image_are_read_or_refused(kind, capfd):
    recognizer = load_recognizer()
    refusals = []
    for number, mutant in enumerate(mutants(encoded(base().convert("RGB"), kind), 250)):
        try:
            digit = digit_from_image(decode_grey(mutant, "x", max_pixels=10**6).pixels)
            assert recognizer.probabilities(digit.pixels[None]).shape == (1, 10)
            if number % 5 == 0:
                read_page(decode_rgb(mutant, "x", wanted_pixels=10**6).pixels, recognizer)
        except Failure as error:
            refusals.append(str(error))
    assert len(refusals) > 25
    assert not any("\n" in refusal for refusal in refusals)
    assert capfd.readouterr() == ("", "")


@pytest.mark.parametrize("suffix", CORRUPT)
def test_changed_bytes_of_a_model_are_used_or_refused(tmp_path, suffix, capfd):
    path = _make(tmp_path, suffix)
    digit = digit_from_image(np.asarray(base())).pixels[None]
    refusals = []
    for mutant in mutants(path.read_bytes(), 150 if suffix == ".onnx" else 40, within=1500):
        path.write_bytes(mutant)
        try:
            assert load_recognizer(path).probabilities(digit).shape == (1, 10)
        except Failure as error:
            refusals.append(str(error))
    assert len(refusals) > 10
    assert not any("\n" in refusal for refusal in refusals)
    assert capfd.readouterr() == ("", "")


@pytest.mark.slow
@pytest.mark.parametrize("what", ["PNG", "JPEG", *CORRUPT])
def test_changed_bytes_are_no_traceback_on_the_command_line(tmp_path, good, what):
    if what in CORRUPT:
        path, limits = _make(tmp_path, what), WITH_TORCH
        words = ["good.png", "--model", path.name]
    else:
        path, limits = write(tmp_path / "x.png", encoded(base(), what)), {}
        words = [path.name]
    for mutant in mutants(path.read_bytes(), 5, within=400):
        path.write_bytes(mutant)
        for command in ("predict", "read"):
            done = run(tmp_path, command, *words, **limits)
            assert done.status in (0, 1, 2)
            assert done.err.count("\n") == (done.status != 0)


def test_the_files_made_here_are_what_they_should_be():
    assert np.asarray(base()).shape == (324, 324)
    assert len(bad_files.png_of_zeros(20_000)) < 100_000
