"""`python -m mnist_lit export`: a trained network as ONNX, `torch.export`, safetensors or int8 ONNX, checked.

A graph is compared with PyTorch on all 10,000 MNIST test images before it is written; a file that answers differently
is not left behind.
"""

import importlib.util
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mnist_lit.arguments import ArgumentParser
from mnist_lit.data.atomic import write_atomically
from mnist_lit.data.filters import FilterChain
from mnist_lit.errors import Failure, UsageError
from mnist_lit.use.model_files import ModelFile, load_model_file

if TYPE_CHECKING:  # starts torch
    from mnist_lit.data.filters import Images
    from mnist_lit.data.idx import Labels

SUFFIXES = {"onnx": ".onnx", "torch": ".pt2", "safetensors": ".safetensors", "int8": ".onnx"}
CALIBRATION_IMAGES = 1_024
MADE_BY = "python -m mnist_lit export --model RUN --output NAME.safetensors NAME.onnx"  # in every file, for its reader
TOLERANCE = 1e-3  # of a probability; rounding alone stays below 1e-4


def run(args: Sequence[str]) -> int:
    """Run the command."""
    parser = ArgumentParser("export", "Write a trained network for other runtimes, checked against PyTorch.")
    parser.add_argument(
        "--model", type=Path, metavar="FILE", help="run folder, .ckpt or .safetensors; left out: the bundled weights"
    )
    parser.add_argument(
        "--output", type=Path, required=True, nargs="+", metavar="FILE", help="what to write, each in its format"
    )
    parser.add_argument(
        "--format", choices=tuple(SUFFIXES), help="left out: by the suffix, .onnx, .pt2 (torch) or .safetensors"
    )
    parser.add_argument(
        "--without-filters",
        action="store_true",
        help="leave the filters out of the graph, which then expects filtered images",
    )
    options = parser.parse_args(args)
    kinds = {output: _kind(options.format, output) for output in options.output}
    if options.without_filters and "safetensors" in kinds.values():
        raise UsageError("--without-filters: a .safetensors file holds no graph (leave it out)")
    for kind in kinds.values():
        if kind in ("onnx", "int8"):
            _need_onnx(kind)
    loaded = load_model_file(options.model)
    loaded.origin["made_by"] = MADE_BY
    parameters = sum(parameter.numel() for parameter in loaded.model.network.parameters())
    _say("model", f"{loaded.source}: {loaded.model.name}, {parameters:,} parameters")
    for output, kind in kinds.items():
        if kind == "safetensors":
            _export_weights(loaded, output)
        else:
            _export_graph(loaded, kind, output, with_filters=not options.without_filters)
        _say("wrote", f"{output} ({output.stat().st_size:,} bytes)")
    return 0


def _say(topic: str, text: str) -> None:
    print(f"{topic:<10} {text}")  # noqa: T201


def _kind(given: str | None, output: Path) -> str:
    """The format, from the option or the suffix."""
    if output.is_dir():
        raise UsageError(f"--output {output}: a folder (name a file)")
    suffix = output.suffix
    if given is None:
        kinds = [kind for kind, ending in SUFFIXES.items() if ending == suffix]
        if not kinds:
            raise UsageError(f"--output {output}: unknown suffix (.onnx, .pt2 and .safetensors are known)")
        return kinds[0]
    if suffix != SUFFIXES[given]:
        raise UsageError(f"--output {output}: {given} is written to a file that ends in {SUFFIXES[given]}")
    return given


def _need_onnx(kind: str) -> None:
    for package in ("onnx", "onnxscript", "onnxruntime"):
        if importlib.util.find_spec(package) is None:
            raise Failure(f"--format {kind}: {package} is not installed (pip install 'mnist_lit[export]')")


def _export_weights(loaded: ModelFile, output: Path) -> None:
    from mnist_lit.model.weights_file import card_path, load_weights, save_weights

    save_weights(output, loaded.model, loaded.origin)
    load_weights(output)
    _say("card", f"{card_path(output)}")


def _export_graph(loaded: ModelFile, kind: str, output: Path, *, with_filters: bool) -> None:
    from mnist_lit.model.weights_file import weights_sha256
    from mnist_lit.use.graph import DigitGraph
    from mnist_lit.use.graph_filters import non_linear

    model = loaded.model
    chain = FilterChain.parse(model.contract.filters).for_evaluation()
    if with_filters and (left := non_linear(chain)):
        raise UsageError(
            f"{loaded.source}: {left[0]} is not linear and cannot be in the graph "
            "(--without-filters: the graph then expects filtered images)"
        )
    inside = "in the graph" if with_filters else "not in the graph, which expects filtered images"
    _say("filters", f"{chain}, {inside}" if len(chain) else "none")
    entry = {
        "format": 1,
        "network": model.name,
        "contract": asdict(model.contract),
        "filters_in_graph": with_filters,
        "precision": "int8" if kind == "int8" else "float32",
        "weights_sha256": weights_sha256(model),
        **loaded.origin,
    }
    graph = DigitGraph(model, with_filters=with_filters)
    write = {"onnx": _write_onnx, "torch": _write_torch, "int8": _write_int8}[kind]
    write(graph, loaded, entry, chain, output)


def _checked(
    loaded: ModelFile, found: Any, entry: dict[str, Any], chain: FilterChain, *, exact: bool
) -> "tuple[Images, Images, Labels]":
    """Compare with PyTorch on the test images, say the result, put it into the entry; return both answers and truth."""
    from mnist_lit.data.idx import BUNDLED, read_set
    from mnist_lit.use.agreement import compare
    from mnist_lit.use.torch_backend import TorchBackend

    test = read_set(BUNDLED, "t10k", known_as="mnist")
    agreement, ours, theirs = compare(
        TorchBackend(loaded.model).answers,
        found,
        test.images,
        chain=chain,
        filters_inside=entry["filters_in_graph"],
    )
    if exact and (agreement.same < agreement.images or not agreement.probabilities <= TOLERANCE):
        raise Failure(f"{loaded.source}: the exported graph disagrees with PyTorch: {agreement} (nothing is written)")
    _say("checked", str(agreement))
    entry["checked"] = asdict(agreement)
    return ours, theirs, test.labels


def _write_onnx(graph: Any, loaded: ModelFile, entry: dict[str, Any], chain: FilterChain, output: Path) -> None:
    from mnist_lit.use.graph import onnx_model
    from mnist_lit.use.onnx_backend import OnnxBackend

    proto = onnx_model(graph)
    _checked(loaded, OnnxBackend(proto.SerializeToString(), str(output)).answers, entry, chain, exact=True)
    _save_onnx(proto, entry, output)


def _save_onnx(proto: Any, entry: dict[str, Any], output: Path) -> None:
    from mnist_lit.use.onnx_backend import with_entry

    data = with_entry(proto.SerializeToString(), entry)
    write_atomically(output, lambda file: file.write(data))


def _write_torch(graph: Any, loaded: ModelFile, entry: dict[str, Any], chain: FilterChain, output: Path) -> None:
    from mnist_lit.use.graph import ExportedGraph, program_bytes, torch_program

    program = torch_program(graph)
    _checked(loaded, ExportedGraph(program_bytes(program, entry)).answers, entry, chain, exact=True)
    data = program_bytes(program, entry)
    write_atomically(output, lambda file: file.write(data))


def _write_int8(graph: Any, loaded: ModelFile, entry: dict[str, Any], chain: FilterChain, output: Path) -> None:
    """Quantise; the answers may differ, so accuracy and latency are told instead."""
    from mnist_lit.data.idx import BUNDLED, read_set
    from mnist_lit.use.graph import onnx_model
    from mnist_lit.use.int8 import quantized
    from mnist_lit.use.latency import median_latency
    from mnist_lit.use.onnx_backend import OnnxBackend
    from mnist_lit.use.torch_backend import TorchBackend

    dataset = loaded.origin.get("dataset", "mnist")
    if dataset != "mnist":
        raise UsageError(f"--format int8: calibrated on MNIST, but {loaded.source} was trained on {dataset}")
    inside = entry["filters_in_graph"]
    training = read_set(BUNDLED, "train", known_as="mnist").images[:CALIBRATION_IMAGES]
    proto = onnx_model(graph)
    small = quantized(proto, training if inside else chain(training))
    backend = OnnxBackend(small.SerializeToString(), str(output))
    ours, theirs, labels = _checked(loaded, backend.answers, entry, chain, exact=False)
    entry["accuracy"] = {
        "int8": float((theirs == labels).mean()),
        "float32": float((ours == labels).mean()),
    }
    _say("accuracy", ", ".join(f"{name} {100 * value:.2f} %" for name, value in entry["accuracy"].items()))
    whole, torch_backend = OnnxBackend(proto.SerializeToString(), str(output)), TorchBackend(loaded.model)
    digit = training[:1]
    filtered = chain(digit)
    given = digit if inside else filtered
    latency = median_latency(
        {
            "int8": lambda: backend.probabilities(given),
            "float32": lambda: whole.probabilities(given),
            "PyTorch": lambda: torch_backend.probabilities(filtered),
        }
    )
    entry["latency_ms"] = {name: round(value, 4) for name, value in latency.items()}
    text = ", ".join(f"{name} {value:.3f} ms" for name, value in latency.items())
    _say("latency", f"{text} (one digit, one thread, median)")
    _save_onnx(small, entry, output)
