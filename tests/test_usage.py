"""What a wrong config file or argument is answered with: the strict YAML loader and the one line."""

import time
from pathlib import Path
from typing import Literal

import pytest
import yaml
from jsonargparse.typing import NonNegativeInt, PositiveInt
from lightning import LightningDataModule

from mnist_lit.cli import main
from mnist_lit.errors import UsageError
from mnist_lit.usage import (
    MAX_CONFIG_BYTES,
    MAX_CONFIG_VALUES,
    OneLineParser,
    StrictConfigFile,
    did_you_mean,
    one_line,
    parse_config,
    read_config,
)


def bomb(levels: int, merge: bool = False) -> str:
    """YAML whose aliases double at every level: as a list, or by merging mappings."""
    lines = ["a0: &a0 {x: 1}"]
    for level in range(1, levels + 1):
        twice = f"[*a{level - 1}, *a{level - 1}]"
        lines.append(f"a{level}: &a{level} {{<<: {twice}}}" if merge else f"a{level}: &a{level} {twice}")
    return "\n".join(lines)


# ---------------------------------------------------------------------- the strict loader


def test_config_is_read_as_plain_data(tmp_path):
    (tmp_path / "a.yaml").write_text("# comment\ndata:\n  batch_size: 64  # 批\n  root: null\n", encoding="utf-8")
    assert read_config(tmp_path / "a.yaml") == {"data": {"batch_size": 64, "root": None}}


def test_alias_that_is_written_out_to_little_is_allowed():
    assert parse_config("a: &x {lr: 1}\nb: *x\n", "c.yaml")["b"] == {"lr": 1}


@pytest.mark.parametrize(
    ("text", "line"),
    [
        ("data:\n  lr: 1\n  lr: 2\n", r"c.yaml:3: the key 'lr' stands twice"),
        ("data: {lr: 1, lr: 2}", r"c.yaml:1: the key 'lr' stands twice"),
        ("a: 1\nb: 1\na: 1\n", r"c.yaml:3: the key 'a' stands twice"),
        ("? [a, b]\n: 1\n", "c.yaml:1: a key must be one word"),
        ("data:\n\tlr: 1\n", r"c.yaml:2: found character '\\t'"),
        ("data: [1, 2\n", "c.yaml:2: expected"),
        ("a: *nothing\n", "c.yaml:1: found undefined alias"),
        ("a: !!python/object/apply:os.getcwd []\n", "c.yaml:1: could not determine a constructor"),
        ("a: 1\n---\nb: 1\n", r"c.yaml:2: but found another document"),
        ("a: \0", "c.yaml: not valid YAML"),
        ("", "c.yaml: empty config file"),
        ("# only a comment\n", "c.yaml: empty config file"),
        ("- a\n- b\n", "c.yaml: a mapping such as `data:` is expected, a list found"),
        ("word", "c.yaml: a mapping such as `data:` is expected, a str found"),
        ("a: " + "[" * 3000, "c.yaml: nested too deeply"),
        ("a: &a [*a]", f"c.yaml: more than {MAX_CONFIG_VALUES:,} values"),
        (f"a: [{'1,' * MAX_CONFIG_VALUES}]", f"c.yaml: more than {MAX_CONFIG_VALUES:,} values"),
    ],
    ids=lambda text: text[:16],
)
def test_text_that_is_no_config_is_refused_with_file_and_line(text, line):
    with pytest.raises(UsageError, match=line):
        parse_config(text, "c.yaml")


@pytest.mark.parametrize("merge", [False, True], ids=["lists", "merged mappings"])
def test_alias_bomb_is_refused_at_once(merge):
    started = time.perf_counter()
    with pytest.raises(UsageError, match=r"values \(aliases written out\)"):
        parse_config(bomb(60, merge), "c.yaml")
    assert time.perf_counter() - started < 1.0


def test_large_file_is_refused_unread(tmp_path, monkeypatch):
    path = tmp_path / "big.yaml"
    path.write_bytes(b"a" * (MAX_CONFIG_BYTES + 1))
    monkeypatch.setattr(Path, "read_text", lambda *args, **kwargs: pytest.fail("it was read"))
    with pytest.raises(UsageError, match=r"big\.yaml: 100,001 bytes; a config has at most 100,000"):
        read_config(path)


def test_largest_file_that_is_allowed_is_read_in_two_seconds(tmp_path):
    text = "a:\n" + "- 1.25\n" * (MAX_CONFIG_VALUES - 10)
    (tmp_path / "a.yaml").write_text(text + "#" * (MAX_CONFIG_BYTES - len(text)))
    started = time.perf_counter()
    assert len(read_config(tmp_path / "a.yaml")["a"]) == MAX_CONFIG_VALUES - 10
    assert time.perf_counter() - started < 2.0


def test_file_that_is_not_utf8_is_refused_with_the_place(tmp_path):
    (tmp_path / "a.yaml").write_bytes("experiment: café".encode("latin-1"))
    with pytest.raises(UsageError, match=r"a\.yaml: not UTF-8 text \(byte 15\)"):
        read_config(tmp_path / "a.yaml")


@pytest.mark.parametrize("name", ["missing.yaml", "."])
def test_missing_file_is_refused_by_name(tmp_path, name):
    with pytest.raises(UsageError, match="no such config file"):
        read_config(tmp_path / name)


def test_file_that_cannot_be_opened_is_refused_with_the_reason(tmp_path, monkeypatch):
    def refuse(*args, **kwargs):
        raise PermissionError(13, "Permission denied")

    (tmp_path / "a.yaml").write_text("a: 1")
    monkeypatch.setattr(Path, "read_text", refuse)
    with pytest.raises(UsageError, match=r"a\.yaml: cannot be read: Permission denied"):
        read_config(tmp_path / "a.yaml")


def test_plain_pyyaml_would_let_a_duplicate_key_pass():
    assert yaml.safe_load("a: 1\na: 2\n") == {"a": 2}


# ---------------------------------------------------------------------- a parser of one's own


class Made(LightningDataModule):
    """Arguments of every kind.

    Args:
        size: counted.
        rate: measured.
    """

    def __init__(
        self,
        size: PositiveInt = 1,
        workers: NonNegativeInt = 0,
        rate: float = 0.5,
        flag: bool = False,
        mode: Literal["fast", "slow"] = "fast",
        limit: int | None = None,
    ) -> None:
        super().__init__()


@pytest.fixture(scope="module")
def parser():
    parser = OneLineParser()
    parser.add_argument("--config", action=StrictConfigFile)
    parser.add_lightning_class_args(Made, "data")
    return parser


def refusal(parser, *args: str) -> str:
    with pytest.raises(UsageError) as caught:
        parser.parse_args(list(args))
    assert "\n" not in str(caught.value)
    return str(caught.value)


@pytest.mark.parametrize(
    ("args", "line"),
    [
        (["--data.size", "0"], "data.size: 0 is not allowed; a whole number above 0 is"),
        (["--data.size", "many"], "data.size: many is not allowed; a whole number above 0 is"),
        (["--data.size", "1.5"], "data.size: 1.5 is not allowed; a whole number above 0 is"),
        (["--data.workers", "-1"], "data.workers: -1 is not allowed; a whole number, 0 or above is"),
        (["--data.rate", "nan"], "data.rate: nan is not allowed; a finite number is"),
        (["--data.rate", "fast"], "data.rate: fast is not allowed; a finite number is"),
        (["--data.flag", "perhaps"], "data.flag: perhaps is not allowed; true or false is"),
        (["--data.mode", "medium"], "data.mode: medium is not one of 'fast', 'slow'"),
        (["--data.limit", "x"], "data.limit: x is not allowed; a whole number or null is"),
        (["--data.sise", "1"], "--data.sise: no such argument (did you mean data.size?)"),
        (["--data.sise=1"], "--data.sise: no such argument (did you mean data.size?)"),
        (["--data.siz", "1"], "--data.siz: no such argument (did you mean data.size?)"),
        (["stray"], "stray: not expected here (arguments are written --name value)"),
        (["--data", "nothing"], "data: nothing is not a config file"),
        (["--config", '{"data": {"sise": 1}}'], "data.sise: no such key (did you mean data.size?)"),
        (["--config", '{"dta": {"size": 1}}'], "dta.size: no such key (did you mean data.size?)"),
        (["--config", '{"data": {"size": 0}}'], "data.size: 0 is not allowed; a whole number above 0 is"),
        (["--config", '{"data": {"size": null}}'], "data.size: null is not allowed"),
        (["--config", '{"data": 3}'], "data: 3 is not allowed; a mapping of its keys is"),
        (["--config", '{"data": null}'], "data: null is not allowed; a mapping of its keys is"),
        (["--config", '{"data": {"size": 1, "size": 2}}'], "--config:1: the key 'size' stands twice"),
        (["--config", "{no json"], "--config:1: expected ',' or '}', but got '<stream end>'"),
        (["--config", "none.yaml"], "none.yaml: no such config file"),
    ],
    ids=str,
)
def test_parser_refuses_in_one_line(parser, args, line):
    assert refusal(parser, *args) == line


def test_right_arguments_are_taken(parser):
    config = parser.parse_args(["--config", '{"data": {"size": 3, "limit": null}}', "--data.mode", "slow"])
    assert (config.data.size, config.data.mode, config.data.limit) == (3, "slow", None)


def test_the_later_config_wins(parser):
    config = parser.parse_args(["--config", '{"data": {"size": 3}}', "--config", '{"data": {"size": 4}}'])
    assert config.data.size == 4


# ---------------------------------------------------------------------- the words of the real parser


@pytest.mark.parametrize(
    ("args", "line"),
    [
        (["--data.batchsize", "3"], "--data.batchsize: no such argument (did you mean data.batch_size?)"),
        (
            ["--data.augment.degree", "3"],
            "--data.augment.degree: no such argument (did you mean data.augment.degrees?)",
        ),
        (["--config", '{"modle": {"lr": 1}}'], "modle.lr: no such key (did you mean model.lr?)"),
        (["--config", '{"batch_size": 1}'], "batch_size: no such key (did you mean data.batch_size?)"),
        (
            ["--config", '{"data": {"augment": {"degree": 1}}}', "--print_config"],
            "data.augment.degree: no such key (did",
        ),
        (["--model.network", "resnet"], "model.network: resnet is not one of 'reference'"),
        (["--model.optimizer", "rmsprop"], "model.optimizer: rmsprop is not one of 'adamw', 'sgd'"),
        (["--trainer.max_epochs", "two"], "trainer.max_epochs: two is not allowed; a whole number or null is"),
        (["--trainer.precision", "12"], "trainer.precision: 12 is not allowed; 64, 32, 16 or 'transformer-engine'"),
        (["--trainer.callbacks", "nothing"], "trainer.callbacks: nothing is not allowed; list or null is"),
        (["--seed_everything", "-1"], "seed_everything: -1 is not allowed; a whole number, 0 or above is"),
        (["--override_contract", "maybe"], "override_contract: maybe is not allowed; true or false is"),
        (["--data.filters", "gausian"], "data.filters: filters: there is no 'gausian' (did you mean gaussian?)"),
        (["--data.filters", "median(kernel_size=4)"], "data.filters: median.kernel_size: 4 is even"),
        (["--config", '{"trainer": 3}'], "trainer: 3 is not allowed; a mapping of its keys is"),
        (["--config"], "argument -c/--config: expected one argument"),
    ],
    ids=str,
)
def test_fit_refuses_in_one_line(capsys, args, line):
    assert main(["fit", *args]) == 2
    err = capsys.readouterr().err
    assert err.startswith(f"fit: {line}")
    assert err.count("\n") == 1


# ---------------------------------------------------------------------- the parts


@pytest.mark.parametrize(
    ("word", "answer"),
    [
        ("data.batchsize", " (did you mean data.batch_size?)"),
        ("batch_size", " (did you mean data.batch_size?)"),
        ("zzz", ""),
    ],
)
def test_did_you_mean_names_the_closest_key_or_nothing(word, answer):
    assert did_you_mean(word, ["data.batch_size", "model.lr"]) == answer


def test_words_that_are_not_known_still_become_one_line():
    assert one_line("something\n  quite   new\n", []) == "something quite new"
