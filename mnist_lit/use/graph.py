"""A network as other runtimes get it: uint8 images in, logits and probabilities out, one graph between."""

import copy
import io
import json
import logging
import warnings
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn

from mnist_lit.data.filters import FilterChain, Images
from mnist_lit.model.checkpoint import Model
from mnist_lit.model.contract import Contract
from mnist_lit.model.networks import Normalize
from mnist_lit.use.graph_filters import graph_filters
from mnist_lit.use.onnx_backend import INPUT, LOGITS, METADATA_KEY, PROBABILITIES, Answers


class DigitGraph(nn.Module):
    """Filters, scaling, normalisation and network in one module, with as few steps as there can be.

    The scale, and the mean where it can be, go into the first convolution; the exporter folds batch normalisation.

    Args:
        model: the trained network.
        with_filters: whether the contract's filters are inside; they must be linear then.
    """

    def __init__(self, model: Model, *, with_filters: bool) -> None:
        super().__init__()
        chain = FilterChain.parse(model.contract.filters).for_evaluation() if with_filters else FilterChain()
        self.filters = graph_filters(chain)
        self.network = copy.deepcopy(model.network).to(memory_format=torch.contiguous_format)
        self.eval().requires_grad_(False)
        self.normalize = _folded(model.contract, self.network)

    def forward(self, images: Tensor) -> tuple[Tensor, Tensor]:
        """Map uint8 `(N, 1, 28, 28)` to logits and probabilities, float32 `(N, 10)` each."""
        logits = self.network(self.normalize(self.filters(images.float())))
        return logits, torch.softmax(logits, dim=1)


class Shift(nn.Module):
    """Take a number from every pixel.

    Args:
        offset: the number.
    """

    def __init__(self, offset: float) -> None:
        super().__init__()
        self.offset = offset

    def forward(self, images: Tensor) -> Tensor:
        """Map `(N, 1, 28, 28)` to the same shape."""
        return images - self.offset


def _folded(contract: Contract, network: nn.Module) -> nn.Module:
    """Put the normalisation into the network's first convolution, and return what is left to do before it.

    A convolution that pads its input with zeros, which stand for the mean, needs the mean taken away before it. A
    network with several convolutions of one map may look at the image with each of them, and is left as it is.
    """
    first = next(module for module in network.modules() if not list(module.children()))
    of_images = [m for m in network.modules() if isinstance(m, nn.Conv2d) and m.in_channels == 1]
    if not isinstance(first, nn.Conv2d) or of_images != [first] or first.padding_mode != "zeros":
        return Normalize(contract.mean, contract.std)
    mean, scale = 255.0 * contract.mean, 1.0 / (255.0 * contract.std)
    first.weight.mul_(scale)
    if any(first.padding):
        return Shift(mean)
    if first.bias is None:
        first.bias = nn.Parameter(torch.zeros(first.out_channels), requires_grad=False)
    first.bias.sub_(mean * first.weight.sum(dim=(1, 2, 3)))
    return nn.Identity()


def _example() -> tuple[tuple[Tensor], dict[str, Any]]:
    """Two images, since one would be taken for a constant, and the word that their number may change."""
    return (torch.zeros(2, 1, 28, 28, dtype=torch.uint8),), {"images": {0: torch.export.Dim("n")}}


def onnx_model(graph: DigitGraph) -> Any:
    """Return the graph as an `onnx.ModelProto`, without the exporter's notes on modules and source files."""
    images, shapes = _example()
    logging.disable(logging.WARNING)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # the exporter's remarks on its own workings
            program: Any = torch.onnx.export(
                graph,
                images,
                dynamo=True,
                verbose=False,
                input_names=[INPUT],
                output_names=[LOGITS, PROBABILITIES],
                dynamic_shapes=shapes,
            )
    finally:
        logging.disable(logging.NOTSET)
    proto = program.model_proto
    for part in (proto.graph, *proto.graph.node, *proto.graph.value_info, *proto.graph.input, *proto.graph.output):
        del part.metadata_props[:]
    return proto


def torch_program(graph: DigitGraph) -> torch.export.ExportedProgram:
    """Return the graph as a program of `torch.export`, without its notes on source files."""
    images, shapes = _example()
    program = torch.export.export(graph, images, dynamic_shapes=shapes)
    for node in program.graph.nodes:
        node.meta.pop("stack_trace", None)
    return program


def program_bytes(program: torch.export.ExportedProgram, entry: dict[str, Any]) -> bytes:
    """Return the content of a `.pt2` file, with `entry` in it as an extra file."""
    file = io.BytesIO()
    torch.export.save(program, file, extra_files={f"{METADATA_KEY}.json": json.dumps(entry)})
    return file.getvalue()


class ExportedGraph:
    """A `.pt2` file loaded back.

    Args:
        data: the content of the file, made by `program_bytes`.
    """

    def __init__(self, data: bytes) -> None:
        self._module = torch.export.load(io.BytesIO(data)).module()

    def answers(self, images: Images) -> Answers:
        """Map uint8 `(N, 28, 28)`, N at least 1, to logits and probabilities, float32 `(N, 10)` each."""
        with torch.inference_mode():
            logits, probabilities = self._module(torch.from_numpy(images.copy())[:, None])
        return logits.numpy(), probabilities.numpy()

    def probabilities(self, images: Images) -> npt.NDArray[np.float32]:
        """Map uint8 `(N, 28, 28)`, N at least 1, to float32 `(N, 10)`."""
        return self.answers(images)[1]
