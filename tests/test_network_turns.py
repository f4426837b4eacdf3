"""Several networks in `model.network`, which the seeds take in turn."""

import json

import pytest
from small_data import write_small_set
from small_runs import equal, small_fit, weights

from mnist_lit.cli import main
from mnist_lit.model.networks import network_of

TURNS = ["--model.network", "[compact, tiny]"]


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    return write_small_set(tmp_path_factory.mktemp("small"))


@pytest.fixture(scope="module")
def output(data, tmp_path_factory):
    """The output folder of three seeds."""
    folder = tmp_path_factory.mktemp("turns")
    words = [*small_fit(data, folder, *TURNS)[1:], "--trainer.max_epochs", "1"]
    without = [word for at, word in enumerate(words) if "--log_dir" not in (word, words[at - 1])]
    assert main(["seeds", "--n", "3", "--output", str(folder / "out"), *without]) == 0
    return folder / "out"


def checkpoint_of(output, seed):
    return output / f"seed_{seed}" / "checkpoints" / "last.ckpt"


@pytest.mark.parametrize(
    ("network", "seed", "own"),
    [("deep", 7, "deep"), (("deep", "tiny"), 0, "deep"), (("deep", "tiny"), 5, "tiny"), (["fast"], 9, "fast")],
)
def test_a_seed_has_the_network_whose_turn_it_is(network, seed, own):
    assert network_of(network, seed) == own


def test_the_tables_and_the_run_folders_name_both(output):
    found = json.loads((output / "seeds.json").read_text())
    assert [one["network"] for one in found["seeds"]] == ["compact", "tiny", "compact"]
    assert (found["network"], found["parameters"]) == (["compact", "tiny"], [215_194, 4_986])
    assert found["config"]["model"]["network"] == ["compact", "tiny"]
    report = (output / "seeds.md").read_text()
    assert "compact network, 215,194 parameters, tiny network, 4,986 parameters" in report
    assert "| 1 (tiny) |" in report
    results = [json.loads((output / f"seed_{seed}" / "results.json").read_text()) for seed in (0, 1)]
    assert [one["network"] for one in results] == ["compact", "tiny"]


def test_a_turn_is_the_same_training_as_the_network_alone(output, data, tmp_path):
    words = ["--model.network", "tiny", "--seed_everything", "1", "--trainer.max_epochs", "1"]
    assert main(small_fit(data, tmp_path, *words)) == 0
    alone = weights(tmp_path / "default" / "version_0" / "checkpoints" / "last.ckpt")
    assert equal(alone, weights(checkpoint_of(output, 1)))


def test_a_checkpoint_is_used_whatever_the_seed_is(output, data, tmp_path, capsys):
    words = ["--data.dataset", "idx", "--data.root", str(data), "--output", str(tmp_path / "test.json")]
    assert main(["test", "--ckpt_path", str(checkpoint_of(output, 1)), *words]) == 0
    assert "tiny, 4,986 parameters" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("network", "seed", "message"),
    [
        ("[]", "0", "model.network: an empty list is not allowed; one network or more is"),
        ("[compact, resnet]", "0", "model.network: "),
    ],
)
def test_a_wrong_list_is_answered_in_one_line(network, seed, message, data, tmp_path, capsys):
    assert main(small_fit(data, tmp_path, "--model.network", network, "--seed_everything", seed)) == 2
    error = capsys.readouterr().err
    assert message in error
    assert error.count("\n") == 1


def test_training_goes_on_with_its_own_network_only(output, data, tmp_path, capsys):
    words = ["--ckpt_path", str(checkpoint_of(output, 1)), "--seed_everything", "2"]
    assert main(small_fit(data, tmp_path, *words)) == 2
    error = capsys.readouterr().err
    assert "expected, but" in error
    assert "holds tiny" in error
    assert error.count("\n") == 1
