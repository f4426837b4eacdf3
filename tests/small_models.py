"""Small trained-looking models for tests: a run folder, a weights file, a graph made by hand."""

import json
from dataclasses import asdict
from pathlib import Path

import numpy as np
import onnx
import torch
from onnx import TensorProto, helper, numpy_helper

from mnist_lit.model.checkpoint import KEY, Contract, Model, contract_entry
from mnist_lit.model.networks import build_network
from mnist_lit.use.onnx_backend import METADATA_KEY

CONTRACT = Contract("gaussian(kernel_size=5, sigma=1.0, rounds=1)", 0.13, 0.31)


def small_model(filters: str = CONTRACT.filters, seed: int = 0) -> Model:
    """An untrained compact network."""
    torch.manual_seed(seed)
    return Model(build_network("compact").eval(), "compact", Contract(filters, 0.13, 0.31))


def write_checkpoint(path: Path, model: Model, **config: object) -> Path:
    """Write a checkpoint as a training leaves it, and return its path."""
    path.parent.mkdir(parents=True, exist_ok=True)
    state = {f"network.{name}": value for name, value in model.network.state_dict().items()}
    entry = {**contract_entry(model.name, model.contract), "config": config}
    torch.save({"state_dict": state, "global_step": 7, KEY: entry}, path)
    return path


def write_graph(
    path: Path, *, entry: dict | None = None, name: str = "images", classes: int = 10, weights_in: str = ""
) -> Path:
    """Write an ONNX file by hand, and return its path: logit k is the mean of the image's row k, 0 to 1.

    With `weights_in`, the graph takes its weights from the file of that name.
    """
    rows = np.zeros((classes, 784), np.float32)
    for row in range(classes):
        rows[row, 28 * row : 28 * row + 28] = 1 / 255 / 28
    nodes = [
        helper.make_node("Cast", [name], ["float"], to=TensorProto.FLOAT),
        helper.make_node("Flatten", ["float"], ["flat"]),
        helper.make_node("Gemm", ["flat", "rows"], ["logits"], transB=1),
        helper.make_node("Softmax", ["logits"], ["probabilities"]),
    ]
    graph = helper.make_graph(
        nodes,
        "rows",
        [helper.make_tensor_value_info(name, TensorProto.UINT8, ["n", 1, 28, 28])],
        [helper.make_tensor_value_info(out, TensorProto.FLOAT, ["n", classes]) for out in ("logits", "probabilities")],
        [numpy_helper.from_array(rows, "rows")],
    )
    proto = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 20)], ir_version=10)
    onnx.checker.check_model(proto)
    if entry is not None:
        proto.metadata_props.add(key=METADATA_KEY, value=json.dumps(entry))
    if weights_in:
        (weights,) = proto.graph.initializer
        place = {"location": weights_in, "offset": "0", "length": str(len(weights.raw_data))}
        weights.ClearField("raw_data")
        weights.data_location = TensorProto.EXTERNAL
        for key, value in place.items():
            weights.external_data.add(key=key, value=value)
    path.write_bytes(proto.SerializeToString())
    return path


def graph_entry(**changes: object) -> dict:
    """What an exported file says of itself."""
    entry = {"format": 1, "network": "rows", "contract": asdict(CONTRACT), "filters_in_graph": False}
    return {**entry, "dataset": "mnist", **changes}
