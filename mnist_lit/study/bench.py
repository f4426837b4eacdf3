"""`python -m mnist_lit bench`: measurements that anyone can repeat; one module of `mnist_lit.study` for each."""

from collections.abc import Sequence
from importlib import import_module

from mnist_lit.errors import UsageError

BENCHMARKS = {
    "data": "training images a second: bare indexing, our loader, a DataLoader with per-sample transforms",
    "filters": "images a second of every OpenCV filter",
    "fit": "time to 99 %: configs/fast.yaml, a published recipe in a plain loop, PyTorch's example",
    "overhead": "a training step in a plain loop, bare Lightning, as fit sets it up, and stock Lightning: ms added",
    "predict": "one digit and batches of them through ONNX Runtime, int8, PyTorch and torch.export, on one thread",
    "read": "generated photos of numbers in three grades: digits right and false, error rate, seconds, memory",
    "size": "seconds and memory of one epoch, for 15,000 to 240,000 images",
}


def documentation() -> str:
    """Return what `bench --help` says."""
    width = max(map(len, BENCHMARKS))
    listed = "\n".join(f"  {name:<{width}}  {what}" for name, what in BENCHMARKS.items())
    return (
        "usage: python -m mnist_lit bench BENCHMARK [options]\n\n"
        "Measures, prints a table, and writes JSON where one is asked for.\n\n"
        f"{listed}\n\n"
        "python -m mnist_lit bench BENCHMARK --help explains the options.\n"
    )


def run(args: Sequence[str]) -> int:
    """Run the command: the benchmark that the first word names, with the other words.

    Each is a module `bench_NAME` beside this one, with a `run(args)` of its own.

    Raises:
        UsageError: there is no such benchmark.
    """
    name, rest = (args[0], args[1:]) if args else ("--help", [])
    if name in ("-h", "--help"):
        print(documentation(), end="")  # noqa: T201
        return 0
    if name not in BENCHMARKS:
        raise UsageError(f"{name}: no such benchmark (one of {', '.join(BENCHMARKS)})")
    return int(import_module(f"mnist_lit.study.bench_{name}").run(rest))
