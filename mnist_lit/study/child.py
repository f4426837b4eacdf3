"""Runs a command in a process of its own, on a terminal where there are such things, and takes its time."""

import os
import subprocess
import sys
import threading
import time
from collections.abc import Sequence
from dataclasses import dataclass

from mnist_lit.errors import Failure


@dataclass(frozen=True)
class Ended:
    """A process that has ended well.

    Attributes:
        seconds: from start to end, imports included.
        output: what it printed.
    """

    seconds: float
    output: str


def run_child(name: str, words: Sequence[str], *, terminal: bool = False) -> Ended:
    """Run this Python with some words and wait for it; it is killed if this process is interrupted.

    Args:
        name: what messages call it.
        words: after `python`.
        terminal: give it a pseudo-terminal for stdout and stderr, so that it draws its progress bar (not on Windows).

    Raises:
        Failure: it did not end with status 0; with its last line.
    """
    if terminal and sys.platform != "win32":
        return _on_terminal(name, words)
    started = time.perf_counter()
    process = subprocess.Popen(
        [sys.executable, *words], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, encoding="utf-8"
    )
    try:
        output, errors = process.communicate()
    finally:
        _end(process)
    return _checked(name, process.returncode, time.perf_counter() - started, output, errors)


def _on_terminal(name: str, words: Sequence[str]) -> Ended:
    import pty  # POSIX only

    ours, theirs = pty.openpty()
    read: list[bytes] = []

    def drain() -> None:
        try:
            while block := os.read(ours, 65536):
                read.append(block)
        except OSError:  # Linux's way of saying that the other end is closed
            pass

    started = time.perf_counter()
    process = subprocess.Popen([sys.executable, *words], stdin=subprocess.DEVNULL, stdout=theirs, stderr=theirs)
    os.close(theirs)
    thread = threading.Thread(target=drain, daemon=True)
    thread.start()
    try:
        process.wait()
        seconds = time.perf_counter() - started
    finally:
        _end(process)
        thread.join()
        os.close(ours)
    output = b"".join(read).decode("utf-8", errors="replace")
    return _checked(name, process.returncode, seconds, output, output)


def _end(process: "subprocess.Popen[str] | subprocess.Popen[bytes]") -> None:
    if process.poll() is None:
        process.kill()
        process.wait()


def _checked(name: str, status: int, seconds: float, output: str, errors: str) -> Ended:
    if status != 0:
        last = (errors.strip().splitlines() or ["no message"])[-1]
        raise Failure(f"{name}: its process ended with status {status}: {last}")
    return Ended(seconds, output)
