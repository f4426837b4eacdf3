"""The ONNX Runtime backend of a recogniser, for files that `export` wrote. PyTorch is not needed."""

import json
import os
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt

from mnist_lit.data.filters import Images
from mnist_lit.errors import Failure, UsageError
from mnist_lit.model.contract import Contract

METADATA_KEY = "mnist_lit"  # of the file's metadata: the entry, as JSON
FORMAT = 1
INPUT, LOGITS, PROBABILITIES = "images", "logits", "probabilities"
Answers: TypeAlias = tuple[npt.NDArray[np.float32], npt.NDArray[np.float32]]
"""Logits and probabilities, `(N, 10)` each."""

MAX_BYTES = 2**30
INSTALL = "pip install 'mnist_lit[export]'"


class OnnxBackend:
    """A network in ONNX Runtime on the CPU, on one thread: a digit is too small a job to share.

    Args:
        data: the content of an ONNX file.
        what: what the file is called, for messages.

    Raises:
        Failure: ONNX Runtime is not installed, or refuses the file.
    """

    def __init__(self, data: bytes, what: str) -> None:
        try:
            import onnxruntime
        except ImportError as error:
            raise Failure(f"{what}: ONNX Runtime is not installed ({INSTALL})") from error
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = options.inter_op_num_threads = 1
        options.log_severity_level = 4  # fatal: what goes wrong is raised, and told in one line
        # A graph may name other files for its weights, and would get any below the current folder: there are none here.
        options.add_session_config_entry("session.model_external_initializers_file_folder_path", os.devnull)
        try:
            self.session = onnxruntime.InferenceSession(data, options, providers=["CPUExecutionProvider"])
        except Exception as error:  # the runtime's own errors share no base class
            raise Failure(f"model corrupt: {what}") from error

    def probabilities(self, images: Images) -> npt.NDArray[np.float32]:
        """Map uint8 `(N, 28, 28)`, N at least 1, to float32 `(N, 10)`."""
        answers: npt.NDArray[np.float32] = self.session.run([PROBABILITIES], {INPUT: images[:, None]})[0]
        return answers

    def answers(self, images: Images) -> Answers:
        """Map uint8 `(N, 28, 28)`, N at least 1, to logits and probabilities, float32 `(N, 10)` each."""
        logits, probabilities = self.session.run([LOGITS, PROBABILITIES], {INPUT: images[:, None]})
        return logits, probabilities

    def attention(self, image: Images) -> npt.NDArray[np.float32]:
        """Raise `Failure`: attention needs gradients, which the runtime has not."""
        raise Failure("attention: an ONNX model cannot tell where it looked (give a .ckpt or .safetensors file)")


def load_onnx(path: Path) -> tuple[OnnxBackend, dict[str, Any], Contract]:
    """Load an exported network.

    Returns:
        The backend; the file's own entry; the contract in it.

    Raises:
        UsageError: the file is not one that `export` wrote, or one of another version.
        Failure: it is damaged, or ONNX Runtime is not installed.
    """
    try:
        with path.open("rb") as file:
            data = file.read(MAX_BYTES)
    except OSError as error:
        raise Failure(f"{path}: cannot be read: {error.strerror or error}") from error
    backend = OnnxBackend(data, str(path))
    session = backend.session
    try:
        entry = json.loads(session.get_modelmeta().custom_metadata_map[METADATA_KEY])
        contract, version, _ = Contract(**entry["contract"]), entry["format"], entry["network"]
    except (KeyError, TypeError, ValueError, RecursionError) as error:
        raise UsageError(f"{path}: not an export of mnist_lit (no usable preprocessing contract in it)") from error
    if version != FORMAT:
        raise UsageError(f"{path}: format {version} found, {FORMAT} expected (made by another version)")
    inputs = [(one.name, one.type, one.shape[1:]) for one in session.get_inputs()]
    outputs = [(one.name, one.shape[1:]) for one in session.get_outputs()]
    if inputs != [(INPUT, "tensor(uint8)", [1, 28, 28])] or outputs != [(LOGITS, [10]), (PROBABILITIES, [10])]:
        raise UsageError(f"{path}: not an export of mnist_lit (images in, logits and probabilities out are expected)")
    return backend, entry, contract
