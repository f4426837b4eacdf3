"""The PyTorch backend of a recogniser: filtered images in, probabilities out, and where the network looked."""

import copy
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cached_property
from typing import Any, NamedTuple

import cv2
import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn

from mnist_lit.data.filters import Images
from mnist_lit.model.checkpoint import Model
from mnist_lit.model.networks import Normalize

_SIZE = 28
_LEAST_SIDE = 7  # feature maps that are coarser than this show no place
_SMOOTHING = 1.2  # pixels; single positions of a fine map flicker
_LEAST_SPAN = 14.0  # pixels of the image that the centres of a map must span, half the field


class _Place(NamedTuple):
    """A layer whose feature maps show places.

    Attributes:
        number: which of the four-dimensional outputs of a forward pass it is.
        first: where in the image, in pixels, the centre of the map's first row lies.
        last: the same of its last row.
    """

    number: int
    first: float
    last: float


class TorchBackend:
    """A network on the CPU, in evaluation mode.

    Args:
        model: the trained network.
    """

    def __init__(self, model: Model) -> None:
        self._normalize = Normalize(model.contract.mean, model.contract.std)
        # Channels last makes the reference network 2.7 times faster on CPUs.
        self._network = model.network.eval().to(memory_format=torch.channels_last)

    def probabilities(self, images: Images) -> npt.NDArray[np.float32]:
        """Map uint8 `(N, 28, 28)`, N at least 1, to float32 `(N, 10)`."""
        return self.answers(images)[1]

    def answers(self, images: Images) -> tuple[npt.NDArray[np.float32], npt.NDArray[np.float32]]:
        """Map uint8 `(N, 28, 28)`, N at least 1, to logits and probabilities, float32 `(N, 10)` each."""
        with torch.inference_mode():
            logits = self._network(self._normalize(torch.from_numpy(_writeable(images))[:, None]))
            return logits.numpy(), torch.softmax(logits, dim=1).numpy()

    def attention(self, image: Images) -> npt.NDArray[np.float32]:
        """Map a filtered image, uint8 `(28, 28)`, to float32 `(28, 28)` in [0, 1].

        The deepest feature maps that still show places are weighted, position by position, with what they do for the
        logit of the answer; what speaks for it is summed over the maps (HiResCAM: Draelos and Carin, "Use HiResCAM
        instead of Grad-CAM for faithful explanations of convolutional neural networks", 2020) and laid over the image
        where the maps' receptive fields are centred.
        """
        inputs = self._normalize(torch.from_numpy(_writeable(image))[None, None])
        with torch.enable_grad(), _feature_maps(self._for_gradients) as maps:
            logits = self._for_gradients(inputs.requires_grad_())
        place = self._place
        features = maps[place.number]
        (gradient,) = torch.autograd.grad(logits.max(), features)
        heat = torch.relu((gradient * features.detach()).sum(dim=1))[0].numpy()
        at = (np.arange(_SIZE) - place.first) / (place.last - place.first) * (len(heat) - 1)
        rows, columns = np.meshgrid(at, at, indexing="ij")
        spread = cv2.remap(heat, columns.astype(np.float32), rows.astype(np.float32), cv2.INTER_LINEAR)
        smooth = cv2.GaussianBlur(spread, (0, 0), _SMOOTHING)
        return np.asarray(smooth / (smooth.max() or 1.0), np.float32)

    @cached_property
    def _for_gradients(self) -> nn.Module:
        """The network without in-place steps, which would overwrite the maps that are looked at."""
        network = copy.deepcopy(self._network).requires_grad_(False)
        for module in network.modules():
            if hasattr(module, "inplace"):
                setattr(module, "inplace", False)  # noqa: B010 - the type of a module knows no such attribute
        return network

    @cached_property
    def _place(self) -> _Place:
        """Find the deepest maps that are fine enough and see enough of the image.

        Where a row of a map is centred is measured: it is the centre of the pixels that the row's sum depends on.
        """
        noise = torch.rand(1, 1, _SIZE, _SIZE, generator=torch.Generator().manual_seed(0)).requires_grad_()
        with torch.enable_grad(), _feature_maps(self._for_gradients) as maps:
            self._for_gradients(noise)

        def centre(rows: Tensor) -> float:
            (gradient,) = torch.autograd.grad(rows.sum(), noise, retain_graph=True)
            weight = gradient.abs().sum(dim=(0, 1, 3)).numpy()
            return float((weight * np.arange(_SIZE)).sum() / max(float(weight.sum()), 1e-12))

        places = []
        for number, features in enumerate(maps):
            place = _Place(number, centre(features[:, :, 0]), centre(features[:, :, -1]))
            if features.shape[2] >= _LEAST_SIDE and place.last - place.first >= _LEAST_SPAN:
                places.append(place)
        return places[-1]


@contextmanager
def _feature_maps(network: nn.Module) -> Iterator[list[Tensor]]:
    """Collect the four-dimensional outputs of the innermost modules, in the order in which they are computed."""
    maps: list[Tensor] = []

    def keep(module: nn.Module, inputs: Any, output: Any) -> None:
        if isinstance(output, Tensor) and output.ndim == 4:
            maps.append(output)

    handles = [module.register_forward_hook(keep) for module in network.modules() if not list(module.children())]
    try:
        yield maps
    finally:
        for handle in handles:
            handle.remove()


def _writeable(images: Images) -> Images:
    """The array, or a copy where torch would complain of memory that is read-only or runs backwards."""
    return images if images.flags.writeable and images.flags.c_contiguous else images.copy()
