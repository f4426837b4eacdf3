"""`bench overhead`: every frame does the same step, what is added is counted right, our frame is that of `fit`."""

import json
from pathlib import Path

import pytest
import torch
import yaml

from mnist_lit.cli import main
from mnist_lit.data.datamodule import DigitsDataModule
from mnist_lit.run.quiet import silence_libraries
from mnist_lit.study import bench_overhead as bench
from mnist_lit.study import step_peers
from mnist_lit.study.step_peers import ONE_LAYER, bare_steps, make_network, own_callbacks, plain_steps, stock_steps


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    from small_data import write_small_set

    silence_libraries()
    root = write_small_set(tmp_path_factory.mktemp("small"))
    module = DigitsDataModule(dataset="idx", root=root, batch_size=32, val_size=0, test_curves=False)
    module.setup("fit")
    return module


@pytest.mark.filterwarnings("ignore")
def test_plain_bare_and_stock_end_with_the_same_weights(data, monkeypatch):
    ends = []
    for train in (
        lambda network: plain_steps(network, data.train_dataloader(), 12, "32-true"),
        lambda network: bare_steps(network, data, 12),
        lambda network: stock_steps(network, data, 12),
    ):
        torch.manual_seed(0)
        network = make_network(ONE_LAYER)
        begun = train(network)
        assert len(begun) == 12
        assert begun == sorted(begun)
        ends.append(network[1][1].weight.detach().clone())
    assert not torch.equal(ends[0], torch.zeros_like(ends[0]))
    torch.testing.assert_close(ends[1], ends[0])
    torch.testing.assert_close(ends[2], ends[0])


@pytest.mark.filterwarnings("ignore")
def test_our_frame_trains_that_many_steps_and_leaves_nothing(data, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    begun = step_peers.own_steps(ONE_LAYER, data, 12, "32-true")
    assert len(begun) == 12
    assert list(tmp_path.iterdir()) == []
    assert capsys.readouterr().out == ""


@pytest.mark.filterwarnings("ignore")
def test_our_callbacks_are_those_that_fit_makes(data, monkeypatch, tmp_path):
    from mnist_lit.run.callbacks import StopOnSignal
    from mnist_lit.training import _FitConfig

    cli = _FitConfig("fit", ["--log_dir", str(tmp_path)], stop=StopOnSignal())
    made = {type(one) for one in own_callbacks(tmp_path, print)}
    fitted = {type(one) for one in cli.trainer.callbacks}
    assert made == fitted


def test_the_settings_are_those_of_the_default_config():
    config = yaml.safe_load((Path(__file__).parents[1] / "configs" / "default.yaml").read_text(encoding="utf-8"))
    assert (
        config["model"]["lr"], config["model"]["weight_decay"], config["model"]["warmup"],
    ) == (step_peers.LR, step_peers.WEIGHT_DECAY, step_peers.WARMUP)  # fmt: skip
    assert config["trainer"]["log_every_n_steps"] == step_peers.LOG_EVERY
    assert config["data"]["batch_size"] == bench.BATCH
    assert vars(bench.AUGMENT) | config["data"]["augment"] == vars(bench.AUGMENT)


def test_turns_alternate_and_the_warm_up_is_not_counted():
    turns = []

    def peer(name, seconds):
        def train():
            turns.append(name)
            return [0.0, 10.0, 10.0 + seconds, 10.0 + 2 * seconds]  # the first step is ten seconds long

        return train

    steps = []
    found = bench.in_turn({"a": peer("a", 1.0), "b": peer("b", 3.0)}, 2, 1, lambda: steps.append(1))
    assert turns == ["b", "a", "a", "b", "b", "a"]
    assert found == {"a": [1.0, 1.0], "b": [3.0, 3.0]}
    assert len(steps) == 6


def test_what_is_added_is_worked_out_by_hand():
    seconds = {
        bench.PLAIN: [0.001, 0.002, 0.001],
        bench.BARE: [0.003, 0.004, 0.002],
        bench.OWN: [0.002, 0.003, 0.003],
    }
    data = bench.one_layer_data(seconds)
    assert "added_ms" not in data[bench.PLAIN]
    assert data[bench.BARE]["added_ms"]["median"] == pytest.approx(2.0)  # of 2, 2 and 1
    assert data[bench.OWN]["added_ms"]["median"] == pytest.approx(1.0)  # of 1, 1 and 2
    assert data[bench.OWN]["to_barebones"]["median"] == pytest.approx(0.5)  # of 1/2, 1/2 and 2/1
    reference = bench.reference_data({bench.PLAIN: [0.1, 0.2], bench.OWN: [0.11, 0.21]})
    assert reference[bench.OWN]["to_plain"]["median"] == pytest.approx((1.1 + 1.05) / 2)


@pytest.mark.filterwarnings("ignore")
def test_the_command_prints_two_tables_and_writes_json(tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(bench, "REFERENCE", ONE_LAYER)  # the true one takes a minute
    path = tmp_path / "overhead.json"
    words = ["bench", "overhead", "--rounds", "1", "--steps", "120", "--reference-steps", "8", "--precision", "32-true"]
    assert main([*words, "--output", str(path)]) == 0
    out = capsys.readouterr().out
    data = json.loads(path.read_text())
    assert set(data["one_layer"]) == {bench.PLAIN, bench.BARE, bench.OWN, bench.STOCK}
    assert set(data["reference"]) == {bench.PLAIN, bench.OWN, bench.AUGMENTED}
    assert data["one_layer"][bench.STOCK]["ms"]["n"] == 1
    assert "times barebones" in out
    assert "times plain" in out


def test_too_few_steps_are_refused(capsys):
    assert main(["bench", "overhead", "--steps", "50"]) == 2
    assert "--steps: 50 is not allowed; a whole number from 120 on is" in capsys.readouterr().err
