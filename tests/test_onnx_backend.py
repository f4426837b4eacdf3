"""ONNX Runtime as a recogniser's backend: what it answers, and what it refuses."""

import subprocess
import sys

import numpy as np
import pytest
from small_models import graph_entry, write_graph

from mnist_lit.errors import Failure, UsageError
from mnist_lit.use.onnx_backend import with_entry
from mnist_lit.use.recognizer import load_recognizer

# ---------------------------------------------------------------------- ONNX Runtime


def bright_row(row: int) -> np.ndarray:
    image = np.zeros((1, 28, 28), np.uint8)
    image[0, row] = 255
    return image


def test_onnx_file_answers_as_its_graph_says(tmp_path):
    contract = {"filters": "none", "mean": 0.1, "std": 0.3, "polarity": "light on dark"}
    recognizer = load_recognizer(write_graph(tmp_path / "x.onnx", entry=graph_entry(contract=contract)))
    found = recognizer.probabilities(np.concatenate([bright_row(3), bright_row(7)]))
    assert found.argmax(axis=1).tolist() == [3, 7]
    np.testing.assert_allclose(found.max(axis=1), np.e / (np.e + 9), rtol=1e-5)


@pytest.mark.parametrize(("inside", "expected"), [(False, 9), (True, 0)])
def test_filters_are_applied_before_the_graph_only_where_they_are_not_in_it(tmp_path, inside, expected):
    contract = {"filters": "invert", "mean": 0.1, "std": 0.3, "polarity": "light on dark"}
    entry = graph_entry(contract=contract, filters_in_graph=inside)
    recognizer = load_recognizer(write_graph(tmp_path / "x.onnx", entry=entry))
    image = np.full((1, 28, 28), 90, np.uint8)
    image[0, 0], image[0, 9] = 255, 0
    assert recognizer.probabilities(image).argmax() == expected


def test_onnx_file_has_no_attention(tmp_path):
    recognizer = load_recognizer(write_graph(tmp_path / "x.onnx", entry=graph_entry()))
    with pytest.raises(Failure, match="an ONNX model cannot tell where it looked"):
        recognizer.attention(bright_row(3)[0])


@pytest.mark.parametrize(
    ("how", "reason"),
    [
        ({"entry": None}, "not an export of mnist_lit"),
        ({"entry": []}, "not an export of mnist_lit"),
        (
            {"entry": graph_entry(contract={"filters": "wavelet", "mean": 0.1, "std": 0.3})},
            "not an export of mnist_lit",
        ),
        ({"entry": graph_entry(contract={"filters": "none", "mean": 0.1, "std": 0})}, "not an export of mnist_lit"),
        ({"entry": graph_entry(format=2)}, "format 2 found, 1 expected"),
        ({"entry": graph_entry(), "name": "pixels"}, "images in, logits and probabilities out"),
        ({"entry": graph_entry(), "classes": 11}, "images in, logits and probabilities out"),
    ],
    ids=["no entry", "list", "filter", "std", "format", "input", "classes"],
)
def test_foreign_onnx_file_is_refused(tmp_path, how, reason):
    with pytest.raises(UsageError, match=reason):
        load_recognizer(write_graph(tmp_path / "x.onnx", **how))


def test_onnx_file_whose_graph_is_not_the_exported_one_is_refused(tmp_path):
    path = tmp_path / "x.onnx"
    graph = bytearray(write_graph(path, entry=None).read_bytes())
    path.write_bytes(with_entry(bytes(graph), graph_entry()))
    assert load_recognizer(path).probabilities(bright_row(3)).argmax() == 3
    place = graph.index(np.float32(1 / 255 / 28).tobytes())
    whole = bytearray(path.read_bytes())
    whole[place] ^= 1  # another weight
    path.write_bytes(whole)
    with pytest.raises(Failure, match=r"not the graph that was exported: SHA-256 \w{64} expected, \w{64} found"):
        load_recognizer(path)


def test_onnx_file_with_answers_that_are_not_finite_is_refused(tmp_path):
    path = write_graph(tmp_path / "x.onnx", entry=graph_entry())
    weight = np.float32(1 / 255 / 28).tobytes()
    path.write_bytes(path.read_bytes().replace(weight, np.float32(np.inf).tobytes()))
    with pytest.raises(Failure, match="its answers are not finite"):
        load_recognizer(path)


@pytest.mark.parametrize("place", ["weights.bin", "../{folder}/weights.bin", "{path}"])
def test_onnx_file_that_reads_another_file_is_refused(tmp_path, monkeypatch, place):
    weights = tmp_path / "weights.bin"
    weights.write_bytes(bytes(4 * 7840))
    monkeypatch.chdir(tmp_path)
    name = place.format(folder=tmp_path.name, path=weights)
    path = write_graph(tmp_path / "x.onnx", entry=graph_entry(), weights_in=name)
    for key in (
        b"\x0a\x08location",
        b"\x0a\x88\x00location",
    ):  # a length may be written in two ways; this breaks others
        path.write_bytes(path.read_bytes().replace(b"\x0a\x08location", key))
        with pytest.raises(Failure, match="refused: it names another file for its weights"):
            load_recognizer(path)


def test_an_onnx_model_is_used_without_starting_torch(tmp_path):
    path = write_graph(tmp_path / "x.onnx", entry=graph_entry())
    code = (
        "import sys, pathlib, numpy; from mnist_lit.use.recognizer import load_recognizer\n"
        "found = load_recognizer(pathlib.Path(sys.argv[1])).probabilities(numpy.zeros((1, 28, 28), numpy.uint8))\n"
        "print(found.shape, 'torch' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code, str(path)], capture_output=True, text=True, check=True)
    assert done.stdout == "(1, 10) False\n"


def test_without_onnx_runtime_one_line_says_what_to_install(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "onnxruntime", None)
    with pytest.raises(Failure, match=r"not installed \(pip install onnxruntime\)"):
        load_recognizer(write_graph(tmp_path / "x.onnx", entry=graph_entry()))
