"""An exported network in whole numbers of 8 bits, calibrated on training images."""

import logging
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import onnx
from onnxruntime.quantization import (
    CalibrationDataReader,
    QuantFormat,
    QuantType,
    quantize_static,
)

from mnist_lit.data.filters import Images
from mnist_lit.use.onnx_backend import INPUT

_BATCH = 64


class _Images(CalibrationDataReader):  # type: ignore[misc]  # the library has no types
    def __init__(self, images: Images) -> None:
        self._batches: Iterator[Images] = (images[i : i + _BATCH, None] for i in range(0, len(images), _BATCH))

    def get_next(self) -> dict[str, Images] | None:
        """Return the next batch as the graph takes it."""
        batch = next(self._batches, None)
        return None if batch is None else {INPUT: batch}


def quantized(proto: Any, images: Images) -> Any:
    """Return the model with int8 convolutions and matrix products; filters and normalisation stay as they are.

    Args:
        proto: `onnx.ModelProto` of `mnist_lit.use.graph.onnx_model`.
        images: uint8 `(N, 28, 28)` as the graph takes them, from the training part; they set the ranges.

    Returns:
        Another `onnx.ModelProto`; weights with a scale for each channel, and of 7 bits: with 8, sums of two products
        would overflow on processors without VNNI.

    Source: ONNX Runtime's documentation, "Quantize ONNX models", on `reduce_range`.
    """
    exact = []
    for node in proto.graph.node:
        if any(name.startswith("network.") for name in node.input):
            break
        exact.append(node.name)
    logging.disable(logging.WARNING)  # the library recommends steps that the exporter has already taken
    try:
        with tempfile.TemporaryDirectory() as folder:
            source, target = Path(folder) / "float.onnx", Path(folder) / "int8.onnx"
            onnx.save(proto, source)
            quantize_static(
                source,
                target,
                _Images(images),
                quant_format=QuantFormat.QDQ,
                per_channel=True,
                reduce_range=True,
                activation_type=QuantType.QUInt8,
                weight_type=QuantType.QInt8,
                nodes_to_exclude=exact,
                op_types_to_quantize=["Conv", "Gemm", "MatMul", "Relu"],
            )
            return onnx.load(target)
    finally:
        logging.disable(logging.NOTSET)
