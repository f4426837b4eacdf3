"""What every benchmark prints alike: aligned columns, the machine, options that are whole numbers, figures as JSON."""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from mnist_lit.errors import UsageError
from mnist_lit.study.measuring import Spread


def aligned(rows: Sequence[Sequence[str]]) -> str:
    """Return rows of cells as lines with aligned columns, the first column at the left."""
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    lines = []
    for row in rows:
        cells = [row[0].ljust(widths[0]), *(cell.rjust(width) for cell, width in zip(row[1:], widths[1:], strict=True))]
        lines.append("  ".join(cells).rstrip())
    return "\n".join(lines)


def machine_line(where: dict[str, Any]) -> str:
    """Return hardware and versions in one line; `where` is `mnist_lit.study.measuring.surroundings`."""
    hardware = where["accelerator"] or f"{where['processor']}, {where['cores']} cores"
    return (
        f"machine    {hardware}, {where['threads']} threads; torch {where['torch']}, lightning {where['lightning']}, "
        f"{where['platform']}, Python {where['python']}"
    )


def scaled(value: Spread, factor: float) -> Spread:
    """Return a spread in another unit."""
    return Spread(value.n, factor * value.median, factor * value.low, factor * value.high)


def write_output(path: Path | None, data: dict[str, Any]) -> None:
    """Write the figures of a benchmark where they were asked for."""
    if path is not None:
        from mnist_lit.run.results import write_json

        write_json(path, data)
        print(f"wrote      {path}")  # noqa: T201


def whole(name: str, least: int = 1) -> Callable[[str], int]:
    """Return a parser of whole numbers from `least` on, for an option of that name."""

    def parse(text: str) -> int:
        if not text.isascii() or not text.isdecimal() or int(text) < least:
            raise UsageError(f"{name}: {text} is not allowed; a whole number from {least} on is")
        return int(text)

    return parse
