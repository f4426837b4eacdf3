"""An argparse parser for the light commands: a mistake is raised as `UsageError`, one line, instead of printed."""

import argparse
from typing import NoReturn

from mnist_lit.errors import UsageError


class ArgumentParser(argparse.ArgumentParser):
    """`argparse.ArgumentParser` that raises `UsageError`."""

    def __init__(self, command: str, description: str) -> None:
        super().__init__(prog=f"python -m mnist_lit {command}", description=description, allow_abbrev=False)

    def error(self, message: str) -> NoReturn:
        """Raise instead of printing the usage."""
        raise UsageError(message)
