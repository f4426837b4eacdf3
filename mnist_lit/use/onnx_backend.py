"""The ONNX Runtime backend of a recogniser, for files that `export` wrote. PyTorch is not needed.

A file is the graph and, after it, metadata with one entry of plain data: the network's name, the contract, where the
weights come from, and how many bytes the graph has with which SHA-256, so that damage is noticed.
"""

import hashlib
import json
import os
import re
import threading
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
INSTALL = "pip install onnxruntime"
# A tensor that names another file has an entry with this key, in any way that protobuf can write it. The runtime up to
# 1.23 would follow it anywhere.
_OTHER_FILE = re.compile(rb"(?:\x0a|\x8a\x80*\x00)(?:\x08|\x88\x80*\x00)location")


def has_onnx_runtime() -> bool:
    """Tell whether ONNX Runtime can be used; there are systems without a wheel of it."""
    try:
        import onnxruntime  # noqa: F401
    except ImportError:
        return False
    return True


class _OneImage(threading.local):
    """Runs a session on one image, into and out of arrays that are kept: made anew, they take a tenth of the time.

    Each thread has arrays of its own.

    Args:
        session: an `onnxruntime.InferenceSession`.
    """

    def __init__(self, session: Any) -> None:
        from onnxruntime import OrtValue

        self._session = session
        self._image = np.zeros((1, 1, 28, 28), np.uint8)
        self._probabilities = np.zeros((1, 10), np.float32)
        self._binding = session.io_binding()
        # On the CPU a value made from an array is that array's memory, not a copy.
        self._binding.bind_ortvalue_input(INPUT, OrtValue.ortvalue_from_numpy(self._image))
        self._binding.bind_ortvalue_output(PROBABILITIES, OrtValue.ortvalue_from_numpy(self._probabilities))

    def probabilities(self, images: Images) -> npt.NDArray[np.float32]:
        """Map uint8 `(1, 28, 28)` to float32 `(1, 10)`."""
        self._image[0] = images
        self._session.run_with_iobinding(self._binding)
        return self._probabilities.copy()


class OnnxBackend:
    """A network in ONNX Runtime on the CPU, on one thread: a digit is too small a job to share.

    Args:
        data: the content of an ONNX file.
        what: what the file is called, for messages.

    Raises:
        Failure: ONNX Runtime is not installed, or refuses the file; or its weights are in another file.
    """

    def __init__(self, data: bytes, what: str) -> None:
        try:
            import onnxruntime
        except ImportError as error:
            raise Failure(f"{what}: ONNX Runtime is not installed ({INSTALL})") from error
        if _OTHER_FILE.search(data):
            raise Failure(f"{what}: refused: it names another file for its weights (export it into one file)")
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = options.inter_op_num_threads = 1
        options.log_severity_level = 4  # fatal: what goes wrong is raised, and told in one line
        options.add_session_config_entry("session.load_model_format", "ONNX")  # never the runtime's own binary format
        # Nor would it find one: what is not refused above is looked for where there is nothing.
        options.add_session_config_entry("session.model_external_initializers_file_folder_path", os.devnull)
        self._what = what
        try:
            # Without its fallback, which prints to standard output and tries the same again.
            self.session = onnxruntime.InferenceSession(
                data, options, providers=["CPUExecutionProvider"], enable_fallback=0
            )
        except Exception as error:  # the runtime's own errors share no base class
            raise Failure(f"model corrupt: {what}") from error
        self._one_image: _OneImage | None = None

    def probabilities(self, images: Images) -> npt.NDArray[np.float32]:
        """Map uint8 `(N, 28, 28)`, N at least 1, to float32 `(N, 10)`."""
        if len(images) > 1:
            answers: npt.NDArray[np.float32] = self._run([PROBABILITIES], images)[0]
            return answers
        try:
            self._one_image = self._one_image or _OneImage(self.session)
            return self._one_image.probabilities(images)
        except Exception as error:  # as above
            raise self._failure() from error

    def answers(self, images: Images) -> Answers:
        """Map uint8 `(N, 28, 28)`, N at least 1, to logits and probabilities, float32 `(N, 10)` each."""
        logits, probabilities = self._run([LOGITS, PROBABILITIES], images)
        return logits, probabilities

    def attention(self, image: Images) -> npt.NDArray[np.float32]:
        """Raise `Failure`: attention needs gradients, which the runtime has not."""
        raise Failure("attention: an ONNX model cannot tell where it looked (give a .ckpt or .safetensors file)")

    def _run(self, outputs: list[str], images: Images) -> Any:
        try:
            return self.session.run(outputs, {INPUT: images[:, None]})
        except Exception as error:  # as above
            raise self._failure() from error

    def _failure(self) -> Failure:
        return Failure(f"model corrupt: {self._what} (it fails while it runs)")


def with_entry(graph: bytes, entry: dict[str, Any]) -> bytes:
    """Return the content of an ONNX file: a graph, and metadata with `entry` after it.

    Args:
        graph: a serialised `onnx.ModelProto` without metadata; in protobuf, joining two messages merges them.
        entry: plain data.
    """
    import onnx

    sealed = {**entry, "graph_bytes": len(graph), "graph_sha256": hashlib.sha256(graph).hexdigest()}
    end = onnx.ModelProto()
    end.metadata_props.add(key=METADATA_KEY, value=json.dumps(sealed, ensure_ascii=False))
    return graph + bytes(end.SerializeToString())


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
    _check_graph(path, data, entry)
    try:
        inputs = [(one.name, one.type, one.shape[1:]) for one in session.get_inputs()]
        outputs = [(one.name, one.type, one.shape[1:]) for one in session.get_outputs()]
    except ValueError as error:  # a name that is no UTF-8
        raise Failure(f"model corrupt: {path}") from error
    expected = [(name, "tensor(float)", [10]) for name in (LOGITS, PROBABILITIES)]
    if inputs != [(INPUT, "tensor(uint8)", [1, 28, 28])] or outputs != expected:
        raise UsageError(f"{path}: not an export of mnist_lit (images in, logits and probabilities out are expected)")
    for answers in backend.answers(np.array([0, 255], np.uint8)[:, None, None].repeat(28, 1).repeat(28, 2)):
        if answers.shape != (2, 10) or not np.isfinite(answers).all():
            raise Failure(f"model corrupt: {path} (its answers are not finite)")
    return backend, entry, contract


def _check_graph(path: Path, data: bytes, entry: dict[str, Any]) -> None:
    """Refuse a graph that is not the one that was exported, where the entry tells which that was."""
    expected, length = entry.get("graph_sha256"), entry.get("graph_bytes")
    if expected is None or not isinstance(length, int):
        return
    found = hashlib.sha256(data[:length]).hexdigest()
    if found != expected:
        raise Failure(
            f"model corrupt: {path}: not the graph that was exported: SHA-256 {expected} expected, {found} found "
            "(copy or export it again)"
        )
