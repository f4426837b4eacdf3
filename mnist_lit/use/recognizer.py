"""A trained network with its preprocessing, ready to answer: raw digits in, probabilities out.

Two backends do the arithmetic: PyTorch for run folders, checkpoints and weights files, ONNX Runtime for `.onnx` files
and the bundled network. The second starts without PyTorch, in a fraction of its time and memory.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Protocol

import numpy as np
import numpy.typing as npt

from mnist_lit.data.filters import FilterChain, Images
from mnist_lit.data.sources import class_names
from mnist_lit.model.contract import Contract
from mnist_lit.use.model_files import BUNDLED_GRAPH, BUNDLED_NAME, ONNX, find_model, load_model_file
from mnist_lit.use.onnx_backend import has_onnx_runtime, load_onnx

SIZE = 28
CHUNK = 128  # images at once: what is in memory on the way stays below 20 MB


class Backend(Protocol):
    """What a runtime offers."""

    def probabilities(self, images: Images) -> npt.NDArray[np.float32]:
        """Map uint8 `(N, 28, 28)`, N at least 1, to float32 `(N, 10)`."""

    def attention(self, image: Images) -> npt.NDArray[np.float32]:
        """Map a filtered image, uint8 `(28, 28)`, to float32 `(28, 28)` in [0, 1]."""


@dataclass(frozen=True, eq=False)
class Recognizer:
    """A trained network that takes images as `digit_from_image` makes them.

    Attributes:
        source: the file it is from, or "bundled weights".
        network_name: name of the network, see `mnist_lit.model.networks`.
        contract: the preprocessing it was trained with.
        backend: the runtime with the network in it.
        filters_inside: whether the backend applies the filter chain itself.
        dataset: the data set it was trained on, which gives the ten answers their names.
    """

    source: str
    network_name: str
    contract: Contract
    backend: Backend
    filters_inside: bool = False
    dataset: str = "mnist"

    @cached_property
    def chain(self) -> FilterChain:
        """The filters of the contract, without random ones."""
        return FilterChain.parse(self.contract.filters).for_evaluation()

    @property
    def class_names(self) -> Sequence[str]:
        """What the ten answers are called."""
        return class_names(self.dataset)

    def probabilities(self, images: Images) -> npt.NDArray[np.float32]:
        """Classify digits.

        Args:
            images: uint8 `(N, 28, 28)`, any N from 0, light on dark, not filtered.

        Returns:
            float32 `(N, 10)`; each row sums to 1.

        Raises:
            ValueError: `images` is of another shape or dtype.
        """
        if images.ndim != 3 or images.shape[1:] != (SIZE, SIZE) or images.dtype != np.uint8:
            raise ValueError(f"images must be uint8 (N, {SIZE}, {SIZE}), not {images.dtype} {images.shape}")
        if len(images) == 0:
            return np.empty((0, 10), np.float32)
        if not self.filters_inside:
            images = self.chain(images)
        if len(images) <= CHUNK:
            return self.backend.probabilities(images)
        starts = range(0, len(images), CHUNK)
        return np.concatenate([self.backend.probabilities(images[start : start + CHUNK]) for start in starts])

    def stages(self, image: Images) -> list[tuple[str, Images]]:
        """Return the image `(28, 28)`, uint8, as `input` and after each filter, with the filters' texts."""
        return [("input", image), *((text, out[0]) for text, out in self.chain.stages(image[None]))]

    def attention(self, image: Images) -> npt.NDArray[np.float32]:
        """Show where the network looked for its answer.

        Args:
            image: uint8 `(28, 28)`, light on dark, not filtered.

        Returns:
            float32 `(28, 28)`, 0 nothing to 1 most; all 0 where nothing speaks for the answer.

        Raises:
            Failure: the backend cannot tell.
        """
        return self.backend.attention(self.chain(image[None])[0])


class BundledBackend:
    """The bundled network: ONNX Runtime answers; PyTorch, started when first asked, shows where it looked.

    Args:
        graph: the backend that answers.
    """

    def __init__(self, graph: Backend) -> None:
        self._graph = graph

    def probabilities(self, images: Images) -> npt.NDArray[np.float32]:
        """Map uint8 `(N, 28, 28)`, N at least 1, to float32 `(N, 10)`."""
        return self._graph.probabilities(images)

    def attention(self, image: Images) -> npt.NDArray[np.float32]:
        """Map a filtered image, uint8 `(28, 28)`, to float32 `(28, 28)` in [0, 1]."""
        return self._with_gradients.attention(image)

    @cached_property
    def _with_gradients(self) -> Backend:
        from mnist_lit.use.torch_backend import TorchBackend

        return TorchBackend(load_model_file(None).model)


def load_recognizer(path: Path | None = None) -> Recognizer:
    """Load a trained network with its preprocessing.

    Args:
        path: a run folder, a `.ckpt`, `.safetensors` or `.onnx` file; None for the network that comes with the package
            (by PyTorch where there is no ONNX Runtime).

    Raises:
        UsageError: the file is missing, is a URL, is not a model of this project, or does not fit its network.
        Failure: the file is damaged, or its runtime is not installed.
    """
    bundled = path is None and has_onnx_runtime()
    file = BUNDLED_GRAPH if bundled else find_model(path)
    if file.suffix == ONNX:
        graph, entry, contract = load_onnx(file)
        return Recognizer(
            BUNDLED_NAME if bundled else str(file),
            str(entry["network"]),
            contract,
            BundledBackend(graph) if bundled else graph,
            filters_inside=entry.get("filters_in_graph") is True,
            dataset=str(entry.get("dataset", "mnist")),
        )
    from mnist_lit.use.torch_backend import TorchBackend

    loaded = load_model_file(path)
    model = loaded.model
    return Recognizer(
        loaded.source,
        model.name,
        model.contract,
        TorchBackend(model),
        dataset=str(loaded.origin.get("dataset", "mnist")),
    )
