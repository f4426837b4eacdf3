"""What every benchmark shares: the spread of repeated timings, the memory of a process, and where it was measured."""

import platform
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np


@dataclass(frozen=True)
class Spread:
    """Repeated measurements in three numbers.

    Attributes:
        n: how many.
        median: their middle.
        low: first quartile.
        high: third quartile.
    """

    n: int
    median: float
    low: float
    high: float

    def plain(self, digits: int = 6) -> dict[str, Any]:
        """Return it as plain data, rounded."""
        return {name: round(value, digits) for name, value in asdict(self).items()}

    def text(self, digits: int = 2) -> str:
        """Write it for a table: `0.31 (0.28–0.36)`."""
        return f"{self.median:.{digits}f} ({self.low:.{digits}f}–{self.high:.{digits}f})"


def spread(values: Sequence[float]) -> Spread:
    """Return median and quartiles, interpolated linearly.

    Raises:
        ValueError: there are no values.
    """
    if not values:
        raise ValueError("values: none given; at least 1 is needed")
    low, median, high = (float(value) for value in np.percentile(values, [25, 50, 75]))
    return Spread(len(values), median, low, high)


def seconds_of(action: Callable[[], Any], repeats: int, warm_up: int = 1) -> list[float]:
    """Time an action.

    Args:
        action: what is timed.
        repeats: how often it is timed, at least 1.
        warm_up: how often it is done before, untimed.

    Returns:
        Wall time of each repeat, seconds.
    """
    for _ in range(warm_up):
        action()
    times = []
    for _ in range(repeats):
        start = time.perf_counter()
        action()
        times.append(time.perf_counter() - start)
    return times


def seconds_in_turn(actions: Mapping[str, Callable[[], Any]], rounds: int, calls: int = 1) -> dict[str, list[float]]:
    """Time several actions in one run, taking turns, so that what else the machine does falls on all of them alike.

    Args:
        actions: what is timed, by name.
        rounds: how often each has its turn, at least 1; one turn before the first is not timed. The order in which they
            take turns moves on by one each round.
        calls: how often an action is done in a turn.

    Returns:
        Wall time of each turn divided by `calls`, seconds, by name: lists of `rounds` numbers.
    """
    names = list(actions)
    times: dict[str, list[float]] = {name: [] for name in names}
    for number in range(-1, rounds):
        for name in names[number % len(names) :] + names[: number % len(names)]:
            action = actions[name]
            start = time.perf_counter()
            for _ in range(calls):
                action()
            if number >= 0:
                times[name].append((time.perf_counter() - start) / calls)
    return times


def peak_memory() -> int | None:
    """Return the most memory that this process has had resident, in bytes; None where the system does not tell.

    Linux counts the parent's memory in `ru_maxrss` of a process that was forked, so its own figure is read instead.
    """
    status = Path("/proc/self/status")
    if status.is_file():
        for line in status.read_text(encoding="utf-8", errors="replace").splitlines():
            if line.startswith("VmHWM:"):
                return int(line.split()[1]) * 1024
    if sys.platform == "win32":
        return None
    import resource  # POSIX only

    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak if platform.system() == "Darwin" else peak * 1024


def surroundings() -> dict[str, Any]:
    """Return versions, hardware and the number of threads as plain data, for the JSON of a benchmark on the CPU."""
    import torch

    from mnist_lit.run.environment import environment

    threads = torch.get_num_threads()
    return {**environment(torch.device("cpu"), "32-true"), "threads": threads}
