"""`bench data` and `bench filters`: each peer does its whole work, rates and ratios are what they say."""

import json

import pytest
import torch

from mnist_lit.cli import main
from mnist_lit.data.filters import FILTERS
from mnist_lit.data.idx import BUNDLED, read_set
from mnist_lit.study import bench_data, bench_filters


@pytest.fixture(scope="module")
def digits():
    return read_set(BUNDLED, "train")


def test_every_way_takes_every_image(digits, monkeypatch):
    seen = []
    warp = bench_data.random_warp
    monkeypatch.setattr(
        bench_data, "random_warp", lambda images, *args, **how: seen.append(len(images)) or warp(images, *args, **how)
    )
    peers = bench_data.make_peers(digits, 200, 100)
    for action, _ in peers.values():
        action()
    assert {name: count for name, (_, count) in peers.items()} == {
        bench_data.BARE: 200, bench_data.OWN: 200, bench_data.AUGMENTED: 100, bench_data.STOCK: 100,
    }  # fmt: skip
    assert seen == [64, 36]


def test_rates_are_images_divided_by_seconds(monkeypatch):
    times = {"own": [0.5, 1.0], bench_data.STOCK: [1.0, 1.0]}
    monkeypatch.setattr(bench_data, "seconds_in_turn", lambda actions, rounds: times)
    found = bench_data.measure({"own": (lambda: None, 100), bench_data.STOCK: (lambda: None, 10)}, 2)
    assert found["own"]["images_per_second"]["median"] == pytest.approx(150)  # of 200 and 100
    assert found["own"]["to_per_sample"]["median"] == pytest.approx(15)  # of 200/10 and 100/10


def test_bench_data_writes_what_it_prints(tmp_path, capsys):
    path = tmp_path / "data.json"
    words = ["bench", "data", "--rounds", "2", "--images", "500", "--slow-images", "100"]
    assert main([*words, "--output", str(path)]) == 0
    data = json.loads(path.read_text())
    assert len(data["peers"]) == 4
    assert data["environment"]["threads"] == torch.get_num_threads()
    assert bench_data.table(data) in capsys.readouterr().out


def test_bench_filters_measures_every_filter(tmp_path, capsys):
    path = tmp_path / "filters.json"
    assert main(["bench", "filters", "--rounds", "1", "--images", "20", "--output", str(path)]) == 0
    data = json.loads(path.read_text())
    assert len(data["filters"]) == len(FILTERS)
    assert data["filters"]["gaussian"]["to_gaussian"]["median"] == 1.0
    assert bench_filters.table(data) in capsys.readouterr().out


@pytest.mark.parametrize("name", ["data", "filters"])
def test_a_number_below_one_is_refused(name, capsys):
    assert main(["bench", name, "--rounds", "0"]) == 2
    assert "--rounds: 0 is not allowed; a whole number from 1 on is" in capsys.readouterr().err
