"""An argparse parser for the light commands: a mistake is raised as `UsageError`, one line, instead of printed."""

import argparse
import difflib
from typing import NoReturn

from mnist_lit.errors import UsageError


class ArgumentParser(argparse.ArgumentParser):
    """`argparse.ArgumentParser` that raises `UsageError`."""

    def __init__(self, command: str, description: str) -> None:
        super().__init__(prog=f"python -m mnist_lit {command}", description=description, allow_abbrev=False)

    def error(self, message: str) -> NoReturn:
        """Raise instead of printing the usage; of a misspelt option, with the one that is nearest to it."""
        found = message.removeprefix("unrecognized arguments: ").split(" ")[0].partition("=")[0]
        if found != message and found.startswith("--"):
            near = difflib.get_close_matches(found, self._option_string_actions, n=1)
            message += f" (did you mean {near[0]}?)" if near else ""
        raise UsageError(message)
