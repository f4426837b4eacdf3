"""OpenCV's linear filters as PyTorch modules, equal to the byte, so that they can go into an exported graph.

Grey levels are whole numbers in float32, which holds them and all sums here exactly: nothing depends on the order in
which a runtime adds. A filter takes and gives `(N, 1, 28, 28)`, 0 to 255.
"""

import cv2
import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from mnist_lit.data.filters import Box, Filter, FilterChain, Gaussian, Invert, Unsharp
from mnist_lit.data.opencv import pair

LINEAR: tuple[type[Filter], ...] = (Gaussian, Box, Unsharp, Invert)
"""The filters that can be in a graph: linear up to the rounding and saturation of uint8."""


class GraphGaussian(nn.Module):
    """`cv2.GaussianBlur` on uint8: fixed-point kernels of 1/256, rounded once at the end.

    Args:
        kernel_size: odd; one number of pixels, or (width, height).
        sigma: standard deviation in pixels.
    """

    across: Tensor
    down: Tensor

    def __init__(self, kernel_size: int | tuple[int, int], sigma: float) -> None:
        super().__init__()
        width, height = pair(kernel_size)
        self.padding = (width // 2, width // 2, height // 2, height // 2)
        self.register_buffer("across", _fixed_point_kernel(width, sigma).view(1, 1, 1, width))
        self.register_buffer("down", _fixed_point_kernel(height, sigma).view(1, 1, height, 1))

    def forward(self, images: Tensor) -> Tensor:
        """Blur."""
        padded = F.pad(images, self.padding, mode="reflect")
        sums = F.conv2d(F.conv2d(padded, self.across), self.down)  # below 2^24
        return torch.floor((sums + 32768.0) * (1.0 / 65536.0))


def _fixed_point_kernel(size: int, sigma: float) -> Tensor:
    """OpenCV's own kernel in units of 1/256, read off its answer to a single white pixel.

    A weight k gives round(255 k / 256), which is k up to 128; the middle one, which may be larger, is what is missing
    to 256.
    """
    line = np.zeros((1, 4 * size + 1), np.uint8)
    line[0, 2 * size] = 255
    answer = np.asarray(cv2.GaussianBlur(line, (size, 1), sigmaX=sigma))[0].astype(np.float32)
    kernel = answer[2 * size - size // 2 : 2 * size + size // 2 + 1].copy()
    kernel[size // 2] = 0.0
    kernel[size // 2] = 256.0 - kernel.sum()
    return torch.from_numpy(kernel)


class GraphBox(nn.Module):
    """`cv2.blur` on uint8: the rounded mean. The area is odd, so no mean lies half-way between two grey levels.

    Args:
        kernel_size: odd; one number of pixels, or (width, height).
    """

    ones: Tensor

    def __init__(self, kernel_size: int | tuple[int, int]) -> None:
        super().__init__()
        width, height = pair(kernel_size)
        self.padding = (width // 2, width // 2, height // 2, height // 2)
        self.area = float(width * height)
        self.register_buffer("ones", torch.ones(1, 1, height, width))

    def forward(self, images: Tensor) -> Tensor:
        """Blur."""
        sums = F.conv2d(F.pad(images, self.padding, mode="reflect"), self.ones)
        return torch.floor(sums / self.area + 0.5)


class GraphUnsharp(nn.Module):
    """`cv2.addWeighted` of an image and its blur, looked up: near a half its rounding is that of its own arithmetic.

    Args:
        kernel_size: odd; one number of pixels, or (width, height).
        sigma: standard deviation in pixels.
        amount: share of the difference that is added.
    """

    table: Tensor

    def __init__(self, kernel_size: int | tuple[int, int], sigma: float, amount: float) -> None:
        super().__init__()
        self.blur = GraphGaussian(kernel_size, sigma)
        image, blurred = (level.astype(np.uint8) for level in np.mgrid[:256, :256])
        table = np.asarray(cv2.addWeighted(image, 1 + amount, blurred, -amount, 0), np.uint8)
        self.register_buffer("table", torch.from_numpy(table.reshape(-1)))

    def forward(self, images: Tensor) -> Tensor:
        """Sharpen."""
        index = (images * 256.0 + self.blur(images)).to(torch.int64)
        return self.table[index].float()


class GraphInvert(nn.Module):
    """`cv2.bitwise_not` on uint8."""

    def forward(self, images: Tensor) -> Tensor:
        """Swap black and white."""
        return 255.0 - images


def non_linear(chain: FilterChain) -> list[Filter]:
    """Return the filters of a chain that cannot be in a graph."""
    return [one for one in chain if not isinstance(one, LINEAR)]


def graph_filters(chain: FilterChain) -> nn.Sequential:
    """Return a chain of linear filters as one module.

    Raises:
        ValueError: a filter is not linear.
    """
    if left := non_linear(chain):
        raise ValueError(f"{left[0]} is not linear")
    return nn.Sequential(*(module for one in chain for module in [_graph_filter(one)] * getattr(one, "rounds", 1)))


def _graph_filter(one: Filter) -> nn.Module:
    if isinstance(one, Gaussian):
        return GraphGaussian(one.kernel_size, one.sigma)
    if isinstance(one, Box):
        return GraphBox(one.kernel_size)
    if isinstance(one, Unsharp):
        return GraphUnsharp(one.kernel_size, one.sigma, one.amount)
    return GraphInvert()
