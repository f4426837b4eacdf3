"""Every committed config: it parses, says something new, and says what it is for."""

import sys
from pathlib import Path
from typing import Any

import pytest
import yaml

from mnist_lit.cli import main
from mnist_lit.data.filters import FilterChain
from mnist_lit.training import DigitsCLI

CONFIGS = Path(__file__).parents[1] / "configs"
DEFAULT = CONFIGS / "default.yaml"
PRESETS = sorted(path for room in ("filters", "data", "trainer") for path in (CONFIGS / room).glob("*.yaml"))
STUDIES = sorted((CONFIGS / "study").glob("*.yaml"))
FULL = sorted(CONFIGS.glob("*.yaml"))

# Named after a filter, it is there to go back to that filter, and it is the default's own.
SAME_AS_DEFAULT = {("gaussian", "data.filters")}


def name_of(path: Path) -> str:
    return str(path.relative_to(CONFIGS))


def load(path: Path) -> dict[str, Any]:
    return yaml.safe_load(path.read_text(encoding="utf-8"))


def flat(config: dict[str, Any], prefix: str = "") -> dict[str, Any]:
    """Return `{"data.batch_size": 64, …}`."""
    values: dict[str, Any] = {}
    for key, value in config.items():
        values |= flat(value, f"{prefix}{key}.") if isinstance(value, dict) else {f"{prefix}{key}": value}
    return values


def comparable(key: str, value: Any) -> Any:
    return FilterChain.parse(value) if key == "data.filters" else value


def resolve(capsys, *paths: Path) -> dict[str, Any]:
    """Return what `fit` makes of config files, every key with its value, without making anything of them."""
    words = [word for path in paths for word in ("--config", str(path))]
    status = main(["fit", *words, "--print_config"])
    captured = capsys.readouterr()
    assert (status, captured.err) == (0, "")
    return flat(yaml.safe_load(captured.out))


def test_there_are_configs_to_look_at():
    assert DEFAULT in FULL
    assert len(FULL) >= 3
    assert len(PRESETS) > 20


@pytest.mark.parametrize("path", FULL, ids=name_of)
def test_config_is_understood_by_fit(capsys, path):
    found = resolve(capsys, path)
    for key, value in flat(load(path)).items():
        assert comparable(key, found[key]) == comparable(key, value), key


@pytest.mark.parametrize("path", PRESETS, ids=name_of)
def test_preset_is_understood_on_top_of_the_default(capsys, path):
    found = resolve(capsys, DEFAULT, path)
    for key, value in {**flat(load(DEFAULT)), **flat(load(path))}.items():
        assert comparable(key, found[key]) == comparable(key, value), key


@pytest.mark.parametrize("path", STUDIES, ids=name_of)
def test_study_config_is_understood_by_study(path):
    from mnist_lit.study.filters import parse
    from mnist_lit.usage import OneLineParser, StrictConfigFile

    config = parse(["--config", str(path)], OneLineParser, StrictConfigFile)
    assert list(config.chains) == list(load(path)["chains"])


def test_a_config_with_an_unknown_key_is_not_understood(capsys, tmp_path):
    (tmp_path / "a.yaml").write_text("data:\n  batchsize: 3\n")
    assert main(["fit", "--config", str(tmp_path / "a.yaml"), "--print_config"]) == 2


def test_parsing_a_config_makes_nothing(capsys, monkeypatch):
    monkeypatch.setattr(DigitsCLI, "instantiate_classes", lambda self: pytest.fail("something was made"))
    resolve(capsys, DEFAULT)


@pytest.mark.parametrize("path", PRESETS, ids=name_of)
def test_preset_holds_only_what_differs_from_the_default(path):
    default = flat(load(DEFAULT))
    same = [
        key
        for key, value in flat(load(path)).items()
        if key in default and comparable(key, value) == comparable(key, default[key])
    ]
    assert [key for key in same if (path.stem, key) not in SAME_AS_DEFAULT] == []


@pytest.mark.parametrize("room", ["filters", "data", "trainer"])
def test_preset_stays_in_its_section(room):
    section = {"filters": "data.filters", "data": "data.", "trainer": "trainer."}[room]
    keys = {key for path in (CONFIGS / room).glob("*.yaml") for key in flat(load(path))}
    assert [key for key in keys if not key.startswith(section)] == []


@pytest.mark.parametrize("path", [*FULL, *PRESETS, *STUDIES], ids=name_of)
def test_config_begins_with_a_comment_that_says_what_it_is_for(path):
    first = path.read_text(encoding="utf-8").splitlines()[0]
    assert first.startswith("# ")
    assert len(first) > 8


@pytest.mark.parametrize("path", [*FULL, *PRESETS, *STUDIES], ids=name_of)
def test_config_has_no_key_twice(path):
    from mnist_lit.usage import read_config

    assert read_config(path) == load(path)


def test_every_key_of_the_default_is_in_the_help(capsys, monkeypatch):
    monkeypatch.setenv("COLUMNS", "200")
    assert main(["fit", "--help"]) == 0
    text = capsys.readouterr().out
    missing = [key for key in flat(load(DEFAULT)) if f"--{key} " not in text]
    assert missing == []


def test_default_is_the_reference_network_on_a_gaussian_of_5_by_5_with_sigma_1():
    default = load(DEFAULT)
    assert default["data"]["filters"] == "gaussian(kernel_size=5, sigma=1.0)"
    assert default["data"]["dataset"] == "mnist"
    assert default["model"]["network"] == "reference"


def test_reference_is_the_training_of_the_original():
    reference = flat(load(CONFIGS / "reference.yaml"))
    expected = {
        "model.optimizer": "sgd",
        "model.lr": 0.001,
        "model.schedule": "constant",
        "data.batch_size": 64,
        "trainer.max_epochs": 10,
    }
    assert {key: reference[key] for key in expected} == expected


@pytest.mark.skipif(sys.platform == "win32", reason="the folder is Debian's")
def test_fashion_mnist_is_taken_from_debians_package():
    assert load(CONFIGS / "data" / "fashion_mnist.yaml")["data"]["root"] == "/usr/share/datasets/fashion-mnist"
