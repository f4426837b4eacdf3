"""Random geometric transforms for training: a whole batch at once on its device, one draw per sample.

What a sample gets is a function of (seed, epoch, sample index), see `mnist_lit.data.counter_rng`: the same on one and
on many devices, with and without worker processes, before and after a resume.
"""

import math
from dataclasses import dataclass, fields

import torch
import torch.nn.functional as F
from torch import Tensor

from mnist_lit.data.counter_rng import uniform


@dataclass(frozen=True)
class AffineRange:
    """How far a training image may be turned, moved, stretched and slanted; each value is drawn uniformly from ±range.

    Args:
        degrees: rotation, in degrees, 0 to 180.
        translate: shift along each axis, in pixels, 0 to 28.
        scale: relative change of size along each axis, 0 to 0.9 (0.1: from 0.9 to 1.1).
        shear: slant along the horizontal axis, in degrees, 0 to 80.
    """

    degrees: float = 0.0
    translate: float = 0.0
    scale: float = 0.0
    shear: float = 0.0

    def __post_init__(self) -> None:
        limits = {"degrees": 180.0, "translate": 28.0, "scale": 0.9, "shear": 80.0}
        for field in fields(self):
            value = getattr(self, field.name)
            if not 0.0 <= value <= limits[field.name]:
                raise ValueError(f"data.augment.{field.name}: {value} is not allowed; 0 to {limits[field.name]:g} is")

    @property
    def is_identity(self) -> bool:
        """Whether every range is zero, so that images pass unchanged."""
        return not any(getattr(self, field.name) for field in fields(self))


def affine_matrices(ranges: AffineRange, draws: Tensor) -> Tensor:
    """Turn uniform numbers into inverse affine matrices in the coordinates of `affine_grid`.

    Args:
        ranges: how far each transform may go.
        draws: `(N, 6)` in [0, 1): rotation, shift x, shift y, scale x, scale y, shear.

    Returns:
        `(N, 2, 3)` float32: where in the input (coordinates from -1 to 1) an output pixel is taken from.
    """
    signed = draws * 2.0 - 1.0
    angle = signed[:, 0] * math.radians(ranges.degrees)
    shift = signed[:, 1:3] * (ranges.translate * 2.0 / 28.0)
    scale = 1.0 / (1.0 + signed[:, 3:5] * ranges.scale)
    slant = torch.tan(signed[:, 5] * math.radians(ranges.shear))
    cos, sin = torch.cos(angle), torch.sin(angle)
    row_x = torch.stack([scale[:, 0] * cos, scale[:, 0] * (sin + slant * cos)], dim=1)
    row_y = torch.stack([-scale[:, 1] * sin, scale[:, 1] * (cos - slant * sin)], dim=1)
    linear = torch.stack([row_x, row_y], dim=1)
    return torch.cat([linear, -(linear @ shift[:, :, None])], dim=2)


def random_affine(images: Tensor, ranges: AffineRange, *, seed: int, epoch: int, indices: Tensor) -> Tensor:
    """Turn, move, stretch and slant each image by its own random amounts.

    Args:
        images: `(N, 1, 28, 28)`, uint8 or float, 0 to 255.
        ranges: how far.
        seed: seed of the run.
        epoch: epoch, from 0.
        indices: `(N,)` int64, each sample's index in the training set.

    Returns:
        `(N, 1, 28, 28)` float32, 0 to 255; bilinear, black outside.
    """
    pixels = images.float()
    if ranges.is_identity:
        return pixels
    theta = affine_matrices(ranges, uniform(seed, epoch, indices, 6))
    grid = F.affine_grid(theta, list(pixels.shape), align_corners=False)
    return F.grid_sample(pixels, grid, mode="bilinear", padding_mode="zeros", align_corners=False)
