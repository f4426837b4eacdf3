"""The config of the filter study: the committed ones hold what they promise, wrong ones are answered with one line."""

from pathlib import Path

import pytest

from mnist_lit.cli import main
from mnist_lit.data.corruptions import CORRUPTIONS
from mnist_lit.study.config import StudyConfig
from mnist_lit.study.filters import parse
from mnist_lit.usage import OneLineParser, StrictConfigFile

CONFIGS = Path(__file__).parents[1] / "configs" / "study"


def config_of(name: str) -> StudyConfig:
    return parse(["--config", str(CONFIGS / name)], OneLineParser, StrictConfigFile)


def test_the_committed_study_is_as_large_as_promised():
    config = config_of("filters.yaml")
    assert len(config.chains) >= 16
    assert len(set(config.chains.values())) == len(config.chains)
    assert config.seeds >= 10
    assert config.corruptions == list(CORRUPTIONS)
    assert (config.baseline, config.chains["none"]) == ("none", "none")


def test_the_committed_study_of_the_reference_network_parses():
    config = config_of("filters_reference.yaml")
    assert config.network == "reference"
    assert config.output != StudyConfig().output


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("epoch: 3", "epoch"),
        ("seeds: 0", "seeds: 0 is not allowed; a whole number above 0 is"),
        ("seeds: null", "seeds: null is not allowed"),
        ("lr: -1", "lr: -1 is not allowed; a number above 0 is"),
        ("lr: .inf", "lr: inf is not allowed"),
        ("warmup: 2", "warmup: 2.0 is not allowed; a number from 0 to 1 is"),
        ("network: big", "network: big is not one of 'reference', 'compact'"),
        ("chains: {none: none}", "chains: only none is given"),
        ("chains: {none: none, m: medan}", "chains.m: filters: there is no 'medan' (did you mean median?)"),
        ("chains: {none: none, a/b: median}", "chains: the name 'a/b' is not allowed"),
        ("chains: {none: none, on: median}", "chains: the name True is not allowed"),
        ("chains: {m: median, c: center}", "baseline: none is not one of the chains m, c"),
        ("corruptions: []", "corruptions: [] is not allowed"),
        ("corruptions: [fog, fog]", "corruptions: ['fog', 'fog'] is not allowed"),
        ("corruptions: [frog]", "corruption: 'frog' is not known (did you mean fog?"),
        ("seeds: 1\nseeds: 2", "the key 'seeds' stands twice"),
        ("dataset: idx", "root: missing"),
        ("root: /nowhere", "/nowhere: t10k-images-idx3-ubyte"),
    ],
)
def test_a_wrong_config_is_answered_with_one_line(text, message, tmp_path, capsys):
    path = tmp_path / "wrong.yaml"
    path.write_text(text + "\n")
    assert main(["study", "--config", str(path), "--output", str(tmp_path / "out")]) == 2
    error = capsys.readouterr().err
    assert message in error
    assert error.count("\n") == 1
    assert not (tmp_path / "out").exists()
