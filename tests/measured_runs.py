"""Commands in processes of their own that must keep to a time and to a memory limit."""

import csv
import json
import os
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

SECONDS, MEGABYTES = 10.0, 220.0  # a process that answers takes 0.3 s and 120 MB; the machine may be busy


WITH_TORCH = {"seconds": 40.0, "megabytes": 900.0}


MODULE = ("-m", "mnist_lit")


# A small process starts the command: the peak that Linux tells of a child includes what its parent had.
LAUNCHER = """
import json, resource, subprocess, sys, time
report, seconds, *command = sys.argv[1:]
start = time.monotonic()
status = subprocess.call(command, timeout=float(seconds))
taken = time.monotonic() - start
peak = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss * (1 if sys.platform == "darwin" else 1024)
with open(report, "w") as file:
    json.dump([status, taken, peak / 1e6], file)
"""


@dataclass(frozen=True)
class Done:
    """What a command did."""

    status: int
    out: str
    err: str


def run(folder, *words, seconds=SECONDS, megabytes=MEGABYTES, program=MODULE, data=None, env=None, **how) -> Done:
    """Run a command in a folder; it must keep to the time and the memory, and show no traceback."""
    command = [sys.executable, *program, *map(os.fspath, words)]
    where = {**os.environ, "OMP_NUM_THREADS": "1", "PYTHONPATH": str(Path(__file__).parents[1]), **(env or {})}
    if os.name == "nt":  # without the resource module, memory is not measured
        done = subprocess.run(command, cwd=folder, env=where, input=data, capture_output=True, timeout=seconds)
        status = done.returncode
    else:
        report = folder / ".report.json"
        launcher = [sys.executable, "-I", "-S", "-c", LAUNCHER, str(report), str(seconds), *command]
        pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, **how}
        if data is None:
            pipes.setdefault("stdin", subprocess.DEVNULL)
        done = subprocess.run(launcher, cwd=folder, env=where, input=data, timeout=2 * seconds, **pipes)
        assert done.returncode == 0, done.stderr
        status, _, peak = json.loads(report.read_text(encoding="utf-8"))
        report.unlink()
        assert peak < megabytes
    out, err = ((text or b"").decode("utf-8", "replace") for text in (done.stdout, done.stderr))
    assert "Traceback" not in err
    return Done(status, out, err)


def rows(folder) -> list[dict[str, str]]:
    with (folder / "predictions.csv").open(newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))


def answers(folder, command, *words, **how) -> tuple[Done, list[dict[str, object]]]:
    """Run `predict` or `read`; what it did, and of each file: name, text, error, notes."""
    if command == "predict":
        done = run(folder, command, *words, **how)
        found = rows(folder) if (folder / "predictions.csv").exists() else []
        return done, [{**row, "text": row["digit"], "notes": row["notes"]} for row in found]
    done = run(folder, command, "--format", "json", *words, **how)
    pages = json.loads(done.out) if done.out else []
    texts = ["\n".join(line["text"] for line in page.get("lines", ())) for page in pages]
    return done, [
        {**page, "text": text, "notes": "; ".join(page["notes"])} for page, text in zip(pages, texts, strict=True)
    ]
