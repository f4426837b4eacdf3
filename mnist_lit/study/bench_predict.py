"""`python -m mnist_lit bench predict`: how fast one network answers through each runtime, on one thread, in one run.

Every peer takes the same raw digits, uint8 `(N, 28, 28)`, filters and normalises them by the model's own contract and
gives probabilities. They take turns, so that what else the machine does falls on all of them alike.
"""

from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np

from mnist_lit.arguments import ArgumentParser
from mnist_lit.data.filters import FilterChain, Images
from mnist_lit.errors import Failure, UsageError
from mnist_lit.study.measuring import Spread, seconds_in_turn, spread, surroundings
from mnist_lit.use.latency import one_torch_thread
from mnist_lit.use.model_files import ModelFile, load_model_file
from mnist_lit.use.recognizer import Recognizer

SCHEMA = 1
ONNX, INT8, TORCH, EXPORTED = "onnxruntime", "onnxruntime int8", "PyTorch", "torch.export"
TURNS = {1: (200, 20), 64: (60, 1), 1024: (12, 1)}  # images at once: turns of each peer, calls in a turn
CALIBRATION_IMAGES = 1_024


@dataclass(frozen=True)
class Timing:
    """How long one peer takes for images at once.

    Attributes:
        seconds: a call.
        ratio: how many times as long PyTorch takes, turn by turn.
    """

    seconds: Spread
    ratio: Spread

    def plain(self, images: int) -> dict[str, Any]:
        """Return it as plain data; the rate is that of the median call."""
        rate = images / self.seconds.median
        return {
            "seconds": self.seconds.plain(9),
            "images_per_second": round(rate, 1),
            "times_as_fast_as_pytorch": self.ratio.plain(4),
        }


def make_peers(loaded: ModelFile) -> dict[str, Recognizer]:
    """Return the network in each runtime, by the peer's name; without int8 where it was not trained on MNIST.

    Raises:
        Failure: the extra `export` is not installed.
    """
    try:
        from mnist_lit.use.graph import DigitGraph, ExportedGraph, onnx_model, program_bytes, torch_program
        from mnist_lit.use.int8 import quantized
    except ImportError as error:
        raise Failure(f"bench predict: {error.name} is not installed (pip install 'mnist_lit[export]')") from None
    from mnist_lit.data.idx import BUNDLED, read_set
    from mnist_lit.use.graph_filters import non_linear
    from mnist_lit.use.onnx_backend import OnnxBackend
    from mnist_lit.use.torch_backend import TorchBackend

    model = loaded.model
    chain = FilterChain.parse(model.contract.filters).for_evaluation()
    inside = not non_linear(chain)
    graph = DigitGraph(model, with_filters=inside)
    proto = onnx_model(graph)

    def peer(backend: Any, *, filters_inside: bool = inside) -> Recognizer:
        return Recognizer(loaded.source, model.name, model.contract, backend, filters_inside)

    peers = {ONNX: peer(OnnxBackend(proto.SerializeToString(), ONNX))}
    if loaded.origin.get("dataset", "mnist") == "mnist":
        training = read_set(BUNDLED, "train", known_as="mnist").images[:CALIBRATION_IMAGES]
        small = quantized(proto, training if inside else chain(training))
        peers[INT8] = peer(OnnxBackend(small.SerializeToString(), INT8))
    peers[TORCH] = peer(TorchBackend(model), filters_inside=False)
    peers[EXPORTED] = peer(ExportedGraph(program_bytes(torch_program(graph), {})))
    return peers


def time_peers(peers: dict[str, Recognizer], images: Images, rounds: int, calls: int) -> dict[str, Timing]:
    """Time every peer on the same images, uint8 `(N, 28, 28)`, on one thread, in turn."""

    def answer(peer: Recognizer) -> Callable[[], object]:
        return lambda: peer.probabilities(images)

    with one_torch_thread():
        times = seconds_in_turn({name: answer(peer) for name, peer in peers.items()}, rounds, calls)
    return {
        name: Timing(spread(own), spread([slow / fast for slow, fast in zip(times[TORCH], own, strict=True)]))
        for name, own in times.items()
    }


def same_answers(peers: dict[str, Recognizer], images: Images) -> dict[str, int]:
    """Count, for every peer, the images whose answer is PyTorch's."""
    answers = {name: peer.probabilities(images).argmax(axis=1) for name, peer in peers.items()}
    return {name: int(np.sum(own == answers[TORCH])) for name, own in answers.items()}


def table(timings: dict[int, dict[str, Timing]]) -> str:
    """Return one row per number of images and peer, with aligned columns."""
    rows = [("images", "runtime", "ms a call", "images a second", "times PyTorch's speed")]
    for count, of_peers in timings.items():
        for name, timing in of_peers.items():
            ms = Spread(timing.seconds.n, *(1e3 * value for value in list(asdict(timing.seconds).values())[1:]))
            rate = f"{count / timing.seconds.median:,.0f}"
            rows.append((str(count), name, ms.text(4 if count == 1 else 2), rate, timing.ratio.text()))
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    lines = []
    for row in rows:
        cells = [cell.rjust(width) for cell, width in zip(row, widths, strict=True)]
        cells[1] = row[1].ljust(widths[1])
        lines.append("  ".join(cells))
    return "\n".join(lines)


def run(args: Sequence[str]) -> int:
    """Run the benchmark."""
    parser = ArgumentParser("bench predict", "Time one network through each runtime, on one thread.")
    parser.add_argument("--model", type=Path, metavar="FILE", help="run folder, .ckpt or .safetensors (the bundled)")
    parser.add_argument(
        "--turns",
        type=int,
        metavar="N",
        help="of each peer, for each number of images (200 for 1, 60 for 64, 12 for 1024)",
    )
    parser.add_argument("--output", type=Path, metavar="JSON", help="write every figure here")
    options = parser.parse_args(args)
    if options.turns is not None and options.turns < 1:
        raise UsageError(f"--turns: {options.turns} is not allowed; a whole number from 1 on is")

    from mnist_lit.data.idx import BUNDLED, read_set

    loaded = load_model_file(options.model)
    peers = make_peers(loaded)
    where = environment()
    print(f"model      {loaded.source}: {loaded.model.name}, filters {loaded.model.contract.filters}")  # noqa: T201
    print(  # noqa: T201
        f"machine    {where['processor']}, {where['cores']} cores; one thread; torch {where['torch']}, "
        f"onnxruntime {where['onnxruntime']}, {where['platform']}, Python {where['python']}"
    )
    images = read_set(BUNDLED, "train", known_as="mnist").images
    timings = {}
    for count, (rounds, calls) in TURNS.items():
        timings[count] = time_peers(peers, images[:count], options.turns or rounds, calls)
    same = same_answers(peers, images[:1024])
    print(table(timings))  # noqa: T201
    print("median (first to third quartile)")  # noqa: T201
    told = ", ".join(f"{name} {number:,}" for name, number in same.items() if name != TORCH)
    print(f"agreement  answers as PyTorch's on 1,024 training digits: {told}")  # noqa: T201
    if options.output is not None:
        from mnist_lit.run.results import write_json

        write_json(
            options.output,
            {
                "schema": SCHEMA,
                "benchmark": "predict",
                "model": {
                    "source": loaded.source,
                    "network": loaded.model.name,
                    "contract": asdict(loaded.model.contract),
                },
                "images": {
                    str(count): {name: timing.plain(count) for name, timing in of_peers.items()}
                    for count, of_peers in timings.items()
                },
                "same_answers_of_1024": same,
                "environment": where,
            },
        )
        print(f"wrote      {options.output}")  # noqa: T201
    return 0


def environment() -> dict[str, Any]:
    """Return versions and hardware as plain data."""
    import onnxruntime

    return {**surroundings(), "onnxruntime": onnxruntime.__version__, "threads": 1}
