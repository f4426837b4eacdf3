"""Real trainings through the command line, on a small cut of MNIST, and what they leave behind."""

import json
import shutil

import numpy as np
import pytest
import torch
import yaml
from small_data import TEST, write_small_set
from small_runs import CHAIN, equal, metrics_rows, small_fit, weights
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

from mnist_lit.cli import main
from mnist_lit.data.corruptions import CORRUPTIONS
from mnist_lit.model.checkpoint import KEY, load_checkpoint

FIGURES = {"curves.png", "confusion.png", "mistakes.png", "filters.png", "network.png"}


# ---------------------------------------------------------------------- what a run leaves behind


def test_the_run_folder_holds_what_it_should_and_nothing_else(run):
    names = {str(path.relative_to(run)) for path in run.rglob("*") if path.is_file()}
    events = {name for name in names if name.startswith("events.out.tfevents")}
    assert events
    assert names - events == {
        "config.yaml",
        "metrics.csv",
        "results.json",
        "checkpoints/best.ckpt",
        "checkpoints/last.ckpt",
        *(f"figures/{name}" for name in FIGURES),
    }


def test_results_tell_scores_data_and_surroundings(run):
    results = json.loads((run / "results.json").read_text())
    test = results["test"]
    confusion = np.array(test["confusion"])
    assert confusion.shape == (10, 10)
    assert confusion.sum() == test["n"] == TEST
    assert test["errors"] == TEST - np.trace(confusion)
    assert test["acc"] == pytest.approx(np.trace(confusion) / TEST)
    assert len(test["acc_per_class"]) == 10
    assert len(test["mistakes"]) == min(36, test["errors"])
    assert [one["confidence"] for one in test["mistakes"]] == sorted(
        (one["confidence"] for one in test["mistakes"]), reverse=True
    )
    assert results["seed"] == 0
    assert results["parameters"] == 456_650
    assert results["filters"] == CHAIN
    assert results["fit_seconds"] > 0
    assert set(results["data"]["sha256"]) == {"train", "test"}
    assert {"torch", "lightning", "opencv", "python", "git_commit", "processor", "cores"} <= set(results["environment"])


def test_metrics_csv_has_every_curve(run):
    rows = metrics_rows(run)
    for name in ("train/loss", "train/acc", "val/loss", "val/acc", "test/loss", "test/acc", "lr"):
        assert any(row[name] for row in rows), name
    assert sum(bool(row["val/acc"]) for row in rows) == 2  # one point per epoch
    assert sum(bool(row["test/acc"]) for row in rows) == 2  # the final test adds none


def test_tensorboards_own_reader_finds_every_tag(run):
    found: dict[str, set[str]] = {"scalars": set(), "images": set()}
    has_graph, has_hyperparameters = False, False
    for path in run.glob("events.out.tfevents*"):
        events = EventAccumulator(str(path)).Reload()
        tags = events.Tags()
        found["scalars"] |= set(tags["scalars"])
        found["images"] |= set(tags["images"])
        has_graph |= bool(tags["graph"])
        has_hyperparameters |= "_hparams_/session_start_info" in events.summary_metadata
    assert {"train/loss", "train/acc", "val/loss", "val/acc", "test/loss", "test/acc", "lr", "hp/val_acc"} <= found[
        "scalars"
    ]
    assert {f"figures/{name.removesuffix('.png')}" for name in FIGURES} <= found["images"]
    assert has_graph
    assert has_hyperparameters


def test_the_config_repeats_the_run_to_the_bit(run, tmp_path):
    assert main(["fit", "-c", str(run / "config.yaml"), "--log_dir", str(tmp_path)]) == 0
    again = tmp_path / "default" / "version_0" / "checkpoints" / "last.ckpt"
    assert equal(weights(run / "checkpoints" / "last.ckpt"), weights(again))


def test_another_seed_gives_another_network(run, tmp_path):
    assert main(["fit", "-c", str(run / "config.yaml"), "--log_dir", str(tmp_path), "--seed_everything", "1"]) == 0
    again = tmp_path / "default" / "version_0" / "checkpoints" / "last.ckpt"
    assert not equal(weights(run / "checkpoints" / "last.ckpt"), weights(again))


def test_checkpoints_carry_contract_and_config_as_plain_data(run):
    entry = load_checkpoint(run / "checkpoints" / "best.ckpt")[KEY]
    assert entry["network"] == "reference"
    assert entry["contract"]["filters"] == CHAIN
    assert entry["contract"]["polarity"] == "light on dark"
    assert 0 < entry["contract"]["mean"] < entry["contract"]["std"] < 1
    assert entry["config"] == yaml.safe_load((run / "config.yaml").read_text())


def test_report_draws_the_same_figures_again(run, tmp_path, capsys):
    copy = tmp_path / "version_0"
    shutil.copytree(run, copy)
    before = {path.name: path.read_bytes() for path in (copy / "figures").iterdir()}
    shutil.rmtree(copy / "figures")
    assert main(["report", str(copy)]) == 0
    assert {path.name: path.read_bytes() for path in (copy / "figures").iterdir()} == before
    assert "`configs/default.yaml`" in capsys.readouterr().out


# ---------------------------------------------------------------------- the contract


def test_a_test_in_another_call_gives_the_same_confusion_matrix_without_naming_the_chain(run, tmp_path):
    output = tmp_path / "test.json"
    assert main(["test", "--ckpt_path", str(run / "checkpoints" / "best.ckpt"), "--output", str(output)]) == 0
    report = json.loads(output.read_text())
    assert report["filters"] == CHAIN
    assert report["test"] == json.loads((run / "results.json").read_text())["test"]


def test_another_chain_is_refused_and_both_are_shown(run, capsys):
    words = ["test", "--ckpt_path", str(run), "--data.filters", "median(kernel_size=3)"]
    assert main(words) == 2
    line = capsys.readouterr().err
    assert line.count("\n") == 1
    assert CHAIN in line
    assert "median(kernel_size=3, rounds=1)" in line


def test_another_chain_is_used_if_the_user_says_so(run, tmp_path):
    output = tmp_path / "test.json"
    words = ["test", "--ckpt_path", str(run), "--data.filters", "none", "--override_contract", "true"]
    assert main([*words, "--output", str(output)]) == 0
    assert json.loads(output.read_text())["filters"] == "none"


def test_the_test_images_can_be_corrupted(run, tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    output = tmp_path / "test.json"
    words = ["test", "--ckpt_path", str(run), "--output", str(output)]
    assert main([*words, "--data.corruption", "stripe"]) == 0
    one = json.loads(output.read_text())
    assert main([*words, "--data.corruption", "all"]) == 0
    every = json.loads(output.read_text())
    assert one["test"] == every["stripe"]
    assert every["clean"] == json.loads((run / "results.json").read_text())["test"]
    assert every["mean_corrupted_acc"] == pytest.approx(np.mean([every[name]["acc"] for name in CORRUPTIONS]))


def test_batchnorm_is_adapted_to_the_test_images_if_asked_for(run, tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    scores = {}
    for adapt in ("false", "true"):
        output = tmp_path / f"{adapt}.json"
        words = ["test", "--ckpt_path", str(run), "--output", str(output), "--data.corruption", "fog"]
        assert main([*words, "--model.adapt_batchnorm", adapt]) == 0
        scores[adapt] = json.loads(output.read_text())
    assert scores["true"]["test"]["loss"] < scores["false"]["test"]["loss"] - 0.05  # fog shifts every feature
    assert scores["true"]["batchnorm"] == "adapted to the test images"
    assert "batchnorm" not in scores["false"]


def test_training_corruptions_belong_to_the_config_of_a_run(data, tmp_path):
    words = ["--data.training_corruptions.p", "1", "--data.training_corruptions.kinds", "[erase, hairs]"]
    assert main(small_fit(data, tmp_path, *words, "--trainer.max_epochs", "1")) == 0
    config = yaml.safe_load((tmp_path / "default" / "version_0" / "config.yaml").read_text())
    assert config["data"]["training_corruptions"] == {"p": 1.0, "kinds": ["erase", "hairs"]}


def test_the_networks_of_seeds_may_differ_in_how_much_is_corrupted(data, tmp_path):
    """What a seed learns from several p in turn is what it learns from its own."""
    weights = {}
    for seed, p in ((1, "[0, 1]"), (1, "1"), (1, "0")):
        words = ["--data.training_corruptions.p", p, "--seed_everything", str(seed), "--trainer.max_epochs", "1"]
        folder = tmp_path / p
        assert main(small_fit(data, folder, *words)) == 0
        run = folder / "default" / "version_0"
        config = yaml.safe_load((run / "config.yaml").read_text())
        assert config["data"]["training_corruptions"]["p"] == yaml.safe_load(p)
        weights[p] = torch.load(run / "checkpoints" / "last.ckpt", weights_only=True)["state_dict"]
    same = {p: all(torch.equal(weights["[0, 1]"][key], weights[p][key]) for key in weights[p]) for p in ("0", "1")}
    assert same == {"0": False, "1": True}


def test_an_unknown_training_corruption_is_answered_with_those_there_are(data, tmp_path, capsys):
    assert main(small_fit(data, tmp_path, "--data.training_corruptions.kinds", "[fog]")) == 2
    line = capsys.readouterr().err
    assert line.count("\n") == 1
    assert "'fog' is not known" in line
    assert "gaussian_noise" in line


def test_fit_takes_no_logger_beside_its_own(data, tmp_path, capsys):
    assert main(small_fit(data, tmp_path, "--trainer.logger", "true")) == 2
    assert capsys.readouterr().err.startswith("fit: trainer.logger: True")
    assert not list(tmp_path.iterdir())


def test_fit_takes_no_corruption_of_the_test_images(data, tmp_path, capsys):
    assert main(small_fit(data, tmp_path, "--data.corruption", "fog")) == 2
    assert "data.corruption: fog" in capsys.readouterr().err


def test_best_names_the_checkpoint_it_took(run, capsys):
    logs = run.parent.parent
    assert main(["validate", "--ckpt_path", "best", "--log_dir", str(logs)]) == 0
    out = capsys.readouterr().out
    assert str(run / "checkpoints" / "best.ckpt") in out
    best = json.loads((run / "results.json").read_text())["best_val_acc"]
    assert f"accuracy {100 * best:.2f} %" in out


def test_a_checkpoint_of_another_network_is_refused(run, tmp_path, capsys):
    checkpoint = load_checkpoint(run / "checkpoints" / "best.ckpt")
    checkpoint[KEY]["network"] = "unheard_of"
    path = tmp_path / "other.ckpt"
    torch.save(checkpoint, path)
    assert main(["test", "--ckpt_path", str(path)]) == 2
    line = capsys.readouterr().err
    assert line.count("\n") == 1
    assert "unheard_of" in line
    assert "reference" in line


# ---------------------------------------------------------------------- honesty


def test_permuting_the_test_labels_changes_no_bit_of_the_checkpoints(tmp_path):
    """Both runs take place under the same paths, since checkpoints remember where they were written."""
    bits = []
    for permute in (False, True):
        data = write_small_set(tmp_path / "data", permute_test_labels=permute)
        assert main(small_fit(data, tmp_path / "logs")) == 0
        run = tmp_path / "logs" / "default" / "version_0"
        scores = json.loads((run / "results.json").read_text())["test"]["acc"]
        bits.append((scores, *((run / "checkpoints" / name).read_bytes() for name in ("best.ckpt", "last.ckpt"))))
        shutil.rmtree(tmp_path / "logs")
    assert bits[0][1:] == bits[1][1:]
    assert bits[0][0] != bits[1][0]  # the labels did change


def test_fit_works_without_test_files_if_test_curves_are_off(data, tmp_path, capsys):
    folder = tmp_path / "data"
    shutil.copytree(data, folder)
    for path in folder.glob("t10k*"):
        path.unlink()
    words = small_fit(folder, tmp_path / "logs", "--data.test_curves", "false")
    assert main(words) == 0
    assert "no test images" in capsys.readouterr().out
    run = tmp_path / "logs" / "default" / "version_0"
    assert json.loads((run / "results.json").read_text())["test"] is None
    assert (run / "checkpoints" / "best.ckpt").is_file()


def test_fit_with_test_curves_names_the_missing_test_file(data, tmp_path, capsys):
    folder = tmp_path / "data"
    shutil.copytree(data, folder)
    (folder / "t10k-images-idx3-ubyte.gz").unlink()
    assert main(small_fit(folder, tmp_path / "logs")) == 2
    assert "t10k-images-idx3-ubyte" in capsys.readouterr().err


def test_without_validation_images_the_last_epoch_counts(data, tmp_path):
    assert main(small_fit(data, tmp_path, "--data.val_size", "0")) == 0
    checkpoints = tmp_path / "default" / "version_0" / "checkpoints"
    assert equal(weights(checkpoints / "best.ckpt"), weights(checkpoints / "last.ckpt"))
    assert load_checkpoint(checkpoints / "best.ckpt")["epoch"] == 1
    assert json.loads((checkpoints.parent / "results.json").read_text())["data"]["train_size"] == 640


def test_the_last_epoch_counts_if_asked_for(data, tmp_path, capsys):
    words = ("--keep", "last", "--trainer.max_epochs", "3", "--model.network", "compact")
    too_fast = ("--model.optimizer", "sgd", "--model.schedule", "constant", "--model.lr", "0.3")
    assert main(small_fit(data, tmp_path, *words, *too_fast)) == 0
    run = tmp_path / "default" / "version_0"
    assert equal(weights(run / "checkpoints" / "best.ckpt"), weights(run / "checkpoints" / "last.ckpt"))
    reached = [float(row["val/acc"]) for row in metrics_rows(run) if row["val/acc"]]
    assert reached[-1] < max(reached)  # otherwise this would show nothing
    assert json.loads((run / "results.json").read_text())["best_val_acc"] == pytest.approx(reached[-1], abs=1e-6)
    assert f"val        accuracy {100 * reached[-1]:.2f} % (last epoch)" in capsys.readouterr().out
    assert load_checkpoint(run / "checkpoints" / "last.ckpt")[KEY]["config"]["keep"] == "last"


def test_a_loss_that_is_not_finite_stops_the_run_and_keeps_the_checkpoint(data, tmp_path, capsys):
    assert main(small_fit(data, tmp_path, "--model.optimizer", "sgd", "--model.lr", "1e30")) == 1
    line = capsys.readouterr().err.strip().splitlines()[-1]
    assert line.startswith("fit: model.lr: the loss is")
