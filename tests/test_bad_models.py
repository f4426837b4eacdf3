"""Models that are damaged, hostile or of another kind, and inputs with bytes changed at random."""

import json
import random
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import torch
from bad_files import base, encoded, write
from measured_runs import WITH_TORCH, run
from small_models import graph_entry, small_model, write_checkpoint, write_graph

from mnist_lit.data.digit_image import digit_from_image
from mnist_lit.data.image_files import decode_grey, decode_rgb
from mnist_lit.errors import Failure
from mnist_lit.model.checkpoint import KEY
from mnist_lit.model.weights_file import card_path, save_weights
from mnist_lit.use.reader import read_page
from mnist_lit.use.recognizer import load_recognizer


@pytest.fixture
def good(tmp_path):
    return write(tmp_path / "good.png", encoded(base(), "PNG"))


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
