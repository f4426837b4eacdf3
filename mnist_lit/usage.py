"""What a wrong command line or config file is answered with: one line that names the key, the value and what is right.

Config files are read by a strict YAML loader first: it refuses what PyYAML lets pass in silence (duplicate keys) or
what would take long (alias bombs, huge files).
"""

import argparse
import difflib
import re
from collections.abc import Iterable
from pathlib import Path
from typing import Any, get_args

import yaml
from jsonargparse import ActionConfigFile  # type: ignore[attr-defined]  # public, but not in its `__all__`
from lightning.pytorch.cli import LightningArgumentParser

from mnist_lit.errors import UsageError

MAX_CONFIG_BYTES = 100_000  # many times what a config has; PyYAML reads about as much in a second
MAX_CONFIG_VALUES = 10_000

_TYPES = {
    "PositiveInt": "a whole number above 0",
    "NonNegativeInt": "a whole number, 0 or above",
    "PositiveFloat": "a number above 0",
    "NonNegativeFloat": "a number, 0 or above",
    "int": "a whole number",
    "float": "a finite number",
    "bool": "true or false",
    "NoneType": "null",
    "tuple": "a list",
}


class StrictLoader(yaml.SafeLoader):
    """YAML of plain data without duplicate keys, and small even after every alias in it is written out."""

    def get_single_node(self) -> Any:
        """Count the values before any is made: aliases of aliases multiply without end."""
        root = super().get_single_node()
        waiting, count = [root], 0
        while waiting:
            node = waiting.pop()
            count += 1
            if count > MAX_CONFIG_VALUES:
                raise yaml.MarkedYAMLError(problem=f"more than {MAX_CONFIG_VALUES:,} values (aliases written out)")
            if isinstance(node, yaml.SequenceNode):
                waiting += node.value
            elif isinstance(node, yaml.MappingNode):
                waiting += [part for pair in node.value for part in pair]
        return root

    def construct_mapping(self, node: Any, deep: bool = False) -> dict[Any, Any]:
        """Refuse a key that stands twice."""
        seen: set[str] = set()
        for key, _ in node.value:
            if not isinstance(key, yaml.ScalarNode):
                raise yaml.MarkedYAMLError(problem="a key must be one word", problem_mark=key.start_mark)
            if key.value in seen:
                raise yaml.MarkedYAMLError(problem=f"the key {key.value!r} stands twice", problem_mark=key.start_mark)
            seen.add(key.value)
        return super().construct_mapping(node, deep)


def read_config(path: Path) -> dict[str, Any]:
    """Read a config file as plain data.

    Raises:
        UsageError: it is missing, too large, empty, not UTF-8 or not the YAML of a mapping; with file and line.
    """
    try:
        if not path.is_file():
            raise UsageError(f"{path}: no such config file")
        if path.stat().st_size > MAX_CONFIG_BYTES:
            raise UsageError(f"{path}: {path.stat().st_size:,} bytes; a config has at most {MAX_CONFIG_BYTES:,}")
        return parse_config(path.read_text(encoding="utf-8"), str(path))
    except OSError as error:
        raise UsageError(f"{path}: cannot be read: {error.strerror}") from error
    except UnicodeDecodeError as error:
        raise UsageError(f"{path}: not UTF-8 text (byte {error.start})") from error


def parse_config(text: str, name: str) -> dict[str, Any]:
    """Read the text of a config, YAML or JSON, as plain data; `name` is what messages call it.

    Raises:
        UsageError: see `read_config`.
    """
    try:
        data = yaml.load(text, StrictLoader)
    except yaml.MarkedYAMLError as error:
        line = f"{name}:{error.problem_mark.line + 1}" if error.problem_mark else name
        raise UsageError(f"{line}: {error.problem or 'not valid YAML'}") from error
    except yaml.YAMLError as error:
        raise UsageError(f"{name}: not valid YAML: {str(error).splitlines()[0]}") from error
    except RecursionError as error:
        raise UsageError(f"{name}: nested too deeply") from error
    if data is None:
        raise UsageError(f"{name}: empty config file")
    if not isinstance(data, dict):
        raise UsageError(f"{name}: a mapping such as `data:` is expected, a {type(data).__name__} found")
    return data


def check_shape(data: dict[str, Any], parser: Any, prefix: str = "") -> None:
    """Refuse what the parser would pass over in silence: a section that is no mapping, a null that is not allowed.

    Raises:
        UsageError: with the key and the value.
    """
    types = {action.dest: getattr(action, "_typehint", None) for action in parser._actions}
    for name, value in data.items():
        key = f"{prefix}{name}"
        if key not in types:
            continue  # the parser knows how to refuse it
        if types[key] is not None:
            if value is None and type(None) not in (types[key], *get_args(types[key])):
                raise UsageError(f"{key}: null is not allowed")
        elif any(other.startswith(f"{key}.") for other in types):
            if not isinstance(value, dict):
                shown = "null" if value is None else value
                raise UsageError(f"{key}: {shown} is not allowed; a mapping of its keys is")
            check_shape(value, parser, f"{key}.")


class StrictConfigFile(ActionConfigFile):
    """`--config FILE`, read by `read_config` before the parser sees it; a JSON object is taken as it is."""

    def __call__(self, parser: Any, cfg: Any, values: Any, option_string: str | None = None) -> None:
        """Check one file, then let the parser apply it."""
        text = str(values)
        data = parse_config(text, "--config") if text.startswith("{") else read_config(Path(text))
        check_shape(data, parser)
        super().__call__(parser, cfg, values, option_string)  # type: ignore[no-untyped-call]


class OneLineParser(LightningArgumentParser):
    """A parser that raises `UsageError` with one line instead of printing its usage and leaving.

    It takes no abbreviated names: `--data.augment.degree` is a misspelling, to be answered as one.
    """

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **{"allow_abbrev": False, **kwargs})

    def error(self, message: str, ex: Exception | None = None) -> Any:
        """Turn the parser's own words into one line."""
        raise UsageError(one_line(message, known_keys(self))) from ex


def known_keys(parser: Any) -> list[str]:
    """Return every key of a parser and its subcommands, such as `data.batch_size`."""
    keys: list[str] = []
    for action in parser._actions:
        keys += [option.removeprefix("--") for option in action.option_strings if option.startswith("--")]
        if isinstance(action, argparse._SubParsersAction):
            for sub in action._name_parser_map.values():
                keys += known_keys(sub)
    return keys


def did_you_mean(word: str, known: Iterable[str]) -> str:
    """Return ` (did you mean X?)` for the closest known word, or nothing."""
    known = sorted(set(known))
    close = difflib.get_close_matches(word, known, n=1, cutoff=0.6)
    if not close:  # `batch_size` for `data.batch_size`
        close = [key for key in known if key.rpartition(".")[2] == word][:1]
    return f" (did you mean {close[0]}?)" if close else ""


def one_line(message: str, known: Iterable[str]) -> str:
    """Say in one line what the parser says in several.

    Args:
        message: the parser's message.
        known: the keys there are, to suggest one.
    """
    if match := re.match(r"unrecognized arguments: (\S+)", message):
        word = match.group(1).partition("=")[0]
        if word.startswith("--"):
            return f"{word}: no such argument{did_you_mean(word[2:], known)}"
        return f"{word}: not expected here (arguments are written --name value)"
    if match := re.search(r"(?:Group '([^']*)' does not accept|does not accept|^) ?[Oo]ption '([^']*)'", message):
        key = f"{match.group(1)}.{match.group(2)}" if match.group(1) else match.group(2)
        return f"{key}: no such key{did_you_mean(key, known)}"
    if match := re.match(r"argument subcommand: invalid choice: '([^']*)'", message):
        return f"{match.group(1)}: no such command"
    if match := re.match(
        r'(?:Parser|Problem with given class_path|Value for) key "([^"]+)":\s*(.*)', message, re.DOTALL
    ):
        return f"{match.group(1)}: {_reason(match.group(2))}"
    return " ".join(message.split())


def _reason(text: str) -> str:
    if match := re.search(r"Expected a typing\.Literal\[(.*?)\]\. Got value: (\S+)", text):
        return f"{match.group(2)} is not one of {match.group(1)}"
    if match := re.search(r"Not of type (\w+): (.*)", text):
        name, reason = match.groups()
        if name in _TYPES:
            value = re.sub(r"^invalid literal for int\(\) with base 10: '(.*)'$", r"\1", reason)
            return f"{value.partition(' does not conform')[0]} is not allowed; {_TYPES[name]} is"
        return reason
    given = re.search(r"Given value: (.*)", text)
    wanted = re.findall(r"Expected a (?:<class '(?:\w+\.)*(\w+)'>|typing\.Literal\[(.*?)\])", text)
    if given and wanted:
        names = [_TYPES.get(name, name) if name else words for name, words in wanted]
        return f"{given.group(1)} is not allowed; {' or '.join(names)} is"
    if match := re.search(r"Expected a <class '(\w+)'>\. Got value: (.*)", text):
        return f"{match.group(2)} is not allowed; {_TYPES.get(match.group(1), match.group(1))} is"
    if match := re.match(r"Unable to load config '(.*)'", text):
        return f"{match.group(1)} is not a config file"
    return " ".join(text.split())
