"""The light `predict`: image files in, the same `predictions.csv` as that of a checkpoint that is scored."""

import csv
import subprocess
import sys

import numpy as np
import pytest
from PIL import Image
from small_models import graph_entry, small_model, write_checkpoint, write_graph

from mnist_lit.data.idx import BUNDLED, read_set
from mnist_lit.errors import UsageError
from mnist_lit.run.predictions import COLUMNS
from mnist_lit.use.latency import median_latency
from mnist_lit.use.predicting import run


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """A folder with three digits of the training file: as they are, large and dark on light, and a blank sheet."""
    folder = tmp_path_factory.mktemp("images")
    digits = read_set(BUNDLED, "train")
    Image.fromarray(digits.images[0]).save(folder / "a.png")
    Image.fromarray(255 - digits.images[1]).resize((280, 280)).save(folder / "b.png")
    Image.fromarray(np.full((50, 50), 250, np.uint8)).save(folder / "c.png")
    return folder


def rows(path) -> list[dict[str, str]]:
    with path.open(newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))


def test_folder_is_read_with_the_bundled_weights(folder, tmp_path, capsys):
    path = tmp_path / "out.csv"
    assert run([str(folder), "--output", str(path)]) == 1
    found = rows(path)
    assert tuple(found[0]) == COLUMNS
    assert [(row["digit"], row["polarity"], row["error"]) for row in found] == [
        ("5", "light on dark", ""),
        ("0", "dark on light", ""),
        ("", "", "no ink found"),
    ]
    said = capsys.readouterr()
    assert said.out.startswith("model      bundled weights: ")
    assert "read       2 of 3 files" in said.out
    assert said.err == f"predict: {folder / 'c.png'}: no ink found\n"


@pytest.mark.parametrize("words", [["{a}", "--data.images", "{b}"], ["--data.images", "{a}", "--data.images", "{b}"]])
def test_images_may_be_named_as_the_scoring_command_names_them(folder, tmp_path, words):
    names = [word.format(a=folder / "a.png", b=folder / "b.png") for word in words]
    assert run([*names, "--output", str(tmp_path / "out.csv")]) == 0
    assert [row["digit"] for row in rows(tmp_path / "out.csv")] == ["5", "0"]


def test_a_name_with_a_leading_dash_is_taken_after_two_dashes(folder, tmp_path, monkeypatch):
    (tmp_path / "-x.png").write_bytes((folder / "a.png").read_bytes())
    monkeypatch.chdir(tmp_path)
    assert run(["--output", "out.csv", "--", "-x.png"]) == 0
    assert [row["file"] for row in rows(tmp_path / "out.csv")] == ["-x.png"]


def test_class_names_of_another_data_set_are_written(folder, tmp_path):
    source = write_checkpoint(tmp_path / "x.ckpt", small_model(), data={"dataset": "kmnist"})
    run([str(folder / "a.png"), "--model", str(source), "--output", str(tmp_path / "out.csv")])
    assert rows(tmp_path / "out.csv")[0]["digit"] in ("o", "ki", "su", "tsu", "na", "ha", "ma", "ya", "re", "wo")


def test_a_file_without_an_answer_between_two_others_moves_none_of_them(folder, tmp_path):
    names = [str(folder / f"{name}.png") for name in "acb"]
    assert run([*names, "--output", str(tmp_path / "out.csv")]) == 1
    assert [row["digit"] for row in rows(tmp_path / "out.csv")] == ["5", "", "0"]


def test_nothing_readable_gives_a_table_without_answers(folder, tmp_path):
    assert run([str(folder / "c.png"), "--output", str(tmp_path / "out.csv")]) == 1
    assert [row["error"] for row in rows(tmp_path / "out.csv")] == ["no ink found"]


@pytest.mark.parametrize(
    ("words", "reason"), [([], "IMAGES: missing"), (["x.png", "--model", "none.onnx"], "none.onnx: no such model")]
)
def test_wrong_use_is_one_line(words, reason):
    with pytest.raises(UsageError, match=reason):
        run(words)


def test_an_onnx_model_predicts_without_torch_or_lightning(folder, tmp_path):
    model = write_graph(tmp_path / "x.onnx", entry=graph_entry())
    code = (
        "import sys; from mnist_lit.use.predicting import run; run(sys.argv[1:])\n"
        "print([name for name in ('torch', 'lightning', 'matplotlib') if name in sys.modules])"
    )
    words = [str(folder / "a.png"), "--model", str(model), "--output", str(tmp_path / "out.csv")]
    done = subprocess.run([sys.executable, "-c", code, *words], capture_output=True, text=True, check=True)
    assert done.stdout.splitlines()[-1] == "[]"
    assert len(rows(tmp_path / "out.csv")) == 1


# ---------------------------------------------------------------------- latency


def test_latency_is_the_median_of_calls_that_alternate(monkeypatch):
    clock, called = [0.0], []

    def way(name, milliseconds):
        def call():
            called.append(name)
            clock[0] += milliseconds[called.count(name) % len(milliseconds)] / 1000

        return call

    monkeypatch.setattr("mnist_lit.use.latency.time.perf_counter", lambda: clock[0])
    found = median_latency({"even": way("even", [2.0]), "odd": way("odd", [1.0, 1.0, 50.0])}, calls=30)
    assert found == pytest.approx({"even": 2.0, "odd": 1.0})
    assert called == ["even", "odd"] * 33


def test_latency_is_taken_on_one_thread_and_the_number_of_threads_is_put_back():
    import torch

    before = torch.get_num_threads()
    torch.set_num_threads(2)
    try:
        seen: list[int] = []
        median_latency({"x": lambda: seen.append(torch.get_num_threads())}, calls=3)
        assert (set(seen), torch.get_num_threads()) == ({1}, 2)
    finally:
        torch.set_num_threads(before)
