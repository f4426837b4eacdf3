"""`bench size`: sets of any size from the bundled digits, and their trainings in processes of their own."""

import json

import numpy as np
import pytest
import yaml

from mnist_lit.cli import main
from mnist_lit.data.idx import BUNDLED, read_set
from mnist_lit.study import bench_size as bench


@pytest.fixture(scope="module")
def digits():
    return read_set(BUNDLED, "t10k")


@pytest.mark.parametrize("size", [7, 10_000, 10_003])
def test_a_set_of_any_size_is_the_digits_over_again(digits, size):
    images, labels = bench.repeated(digits, size)
    assert len(images) == len(labels) == size
    expected = np.arange(size) % 10_000
    assert np.array_equal(labels, digits.labels[expected])
    assert np.array_equal(images, digits.images[expected])


def test_numbers_worked_out_by_hand():
    runs = {100: [{"fit_seconds": 2.0, "peak_memory": 3_000_000}, {"fit_seconds": 4.0, "peak_memory": 5_000_000}]}
    found = bench.summary(runs)["100"]
    assert found["fit_seconds"]["median"] == 3.0
    assert found["images_per_second"]["median"] == 37.5  # of 50 and 25
    assert found["peak_megabytes"] == 5.0
    assert bench.summary({100: [{"fit_seconds": 2.0, "peak_memory": None}]})["100"]["peak_megabytes"] is None


@pytest.mark.slow
def test_the_command_trains_every_size_and_writes_its_figures(tmp_path, capsys):
    config, output = tmp_path / "tiny.yaml", tmp_path / "size.json"
    settings = {
        "model": {"network": "fast"},
        "trainer": {"accelerator": "cpu", "precision": "32-true", "limit_test_batches": 1},
    }
    config.write_text(yaml.safe_dump(settings))
    words = ["--config", str(config), "--sizes", "400", "200", "--rounds", "1", "--output", str(output)]
    assert main(["bench", "size", *words]) == 0
    sizes = json.loads(output.read_text())["sizes"]
    assert list(sizes) == ["200", "400"]
    assert all(one["fit_seconds"]["median"] > 0 and one["peak_megabytes"] > 100 for one in sizes.values())
    assert "images a second" in capsys.readouterr().out


def test_a_missing_config_is_wrong_use(capsys):
    assert main(["bench", "size", "--config", "no.yaml"]) == 2
    assert capsys.readouterr().err.strip() == "bench: --config: no.yaml: no such file"
