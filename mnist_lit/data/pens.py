"""Strokes drawn again with another pen, thinner or bolder than MNIST's, and smooth.

MNIST's strokes were thick for their height and went through a coarse reduction. A ballpoint on paper leaves thinner
ones. Every digit is enlarged, and what reaches a share of its stroke's own brightness becomes ink: faint strokes stay
whole where a fixed threshold would break them.
"""

from functools import cache

import torch
import torch.nn.functional as F
from torch import Tensor

from mnist_lit.data.corruption_parts import SIZE
from mnist_lit.data.counter_rng import uniform

_STREAM = 0x3800  # of `mnist_lit.data.counter_rng`; other consumers stay away from it
_DRAWS = 2
_SHARES = (0.44, 0.68)  # of the stroke's own brightness that counts as ink; 0.5 keeps its width
_LARGE = 2 * SIZE  # side of the images that are drawn
_SMOOTH, _RIDGE = 1.0, 1.5  # standard deviations of the blurs, enlarged pixels
_REACH = 3  # enlarged pixels to every side in which a stroke's own brightness is looked for
_FAINTEST = 0.3  # of the image's brightest, below which nothing is a stroke
_EDGE = 0.5  # how soft the edge of the ink is, in shares


@torch.no_grad()
def with_pens(images: Tensor, share: float, *, seed: int, epoch: int, indices: Tensor) -> Tensor:
    """Draw a share of a batch's images again, each with its own pen; the others stay as they are.

    Args:
        images: `(N, 1, 28, 28)`, uint8 or float, 0 to 255, light strokes on black; not changed.
        share: of the images, 0 to 1.
        seed: seed of the run.
        epoch: epoch, from 0.
        indices: `(N,)` int64, each sample's index in the training set.

    Returns:
        `(N, 1, 28, 28)` float32, 0 to 255.
    """
    u = uniform(seed, epoch, indices, _DRAWS, _STREAM).to(images.device)
    chosen = torch.nonzero(u[:, 0] < share)[:, 0]
    pixels = images.to(torch.float32, copy=True)
    if len(chosen):
        low, high = _SHARES
        pixels[chosen, 0] = _drawn(pixels[chosen, 0] / 255.0, low + (high - low) * u[chosen, 1]) * 255.0
    return pixels


def _drawn(x: Tensor, shares: Tensor) -> Tensor:
    """Draw `(n, 28, 28)` in [0, 1] again, ink being what reaches `(n,)` of the stroke's own brightness."""
    enlarge, blur = _matrices(x.device)
    fine = enlarge @ x @ enlarge.T
    ridge = torch.maximum(_most_near(fine), _FAINTEST * x.amax(dim=(1, 2), keepdim=True))
    ridge = (blur @ ridge @ blur.T).clamp(min=1e-6)
    ink = ((fine / ridge - shares[:, None, None]) / _EDGE + 0.5).clamp(0.0, 1.0)
    return F.avg_pool2d(ink[:, None], _LARGE // SIZE)[:, 0]


@cache
def _matrices(device: torch.device) -> tuple[Tensor, Tensor]:
    """What enlarges and smooths a column of pixels, `(56, 28)`, and what blurs an enlarged one, `(56, 56)`."""
    enlarged = F.interpolate(torch.eye(SIZE)[None, None], size=(_LARGE, SIZE), mode="bicubic")[0, 0]
    return (_blur(_SMOOTH) @ enlarged).to(device), _blur(_RIDGE).to(device)


def _blur(sigma: float) -> Tensor:
    """A Gaussian blur of a column of enlarged pixels, `(56, 56)`; rows sum to 1."""
    at = torch.arange(_LARGE, dtype=torch.float32)
    weights = torch.exp(-((at[:, None] - at) ** 2) / (2 * sigma**2))
    return weights / weights.sum(dim=1, keepdim=True)


def _most_near(x: Tensor) -> Tensor:
    """The largest value in the square of `_REACH` pixels to every side, `(n, H, W)`."""
    for dim in (1, 2):
        size = x.shape[dim]
        room = F.pad(x, (0, 0, _REACH, _REACH) if dim == 1 else (_REACH, _REACH))
        x = room.narrow(dim, 0, size)
        for start in range(1, 2 * _REACH + 1):
            x = torch.maximum(x, room.narrow(dim, start, size))
    return x
