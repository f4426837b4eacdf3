"""Random geometric transforms for training: a whole batch at once on its device, one draw per sample.

The affine and the elastic part are added up to one displacement, so that pixels are interpolated once.

What a sample gets is a function of (seed, epoch, sample index), see `mnist_lit.data.counter_rng`: the same on one and
on many devices, with and without worker processes, before and after a resume.
"""

import functools
import math
from dataclasses import dataclass, fields

import torch
import torch.nn.functional as F
from torch import Tensor

from mnist_lit.data.counter_rng import uniform

_CONTROL = 7  # control points of the elastic field along each axis, 7 pixels apart
_AFFINE = 6  # draws of the affine part; those of the elastic part follow


@dataclass(frozen=True)
class Augmentation:
    """How far a training image may be turned, moved, stretched, slanted and bent; all drawn uniformly from ±range.

    Args:
        degrees: rotation, in degrees, 0 to 180.
        translate: shift along each axis, in pixels, 0 to 28.
        scale: relative change of size along each axis, 0 to 0.9 (0.1: from 0.9 to 1.1).
        shear: slant along the horizontal axis, in degrees, 0 to 80.
        elastic: how far the control points of a smooth field, 7 pixels apart, move along each axis, in pixels, 0 to 14.
    """

    degrees: float = 0.0
    translate: float = 0.0
    scale: float = 0.0
    shear: float = 0.0
    elastic: float = 0.0

    def __post_init__(self) -> None:
        limits = {"degrees": 180.0, "translate": 28.0, "scale": 0.9, "shear": 80.0, "elastic": 14.0}
        for field in fields(self):
            value = getattr(self, field.name)
            if not 0.0 <= value <= limits[field.name]:
                raise ValueError(f"data.augment.{field.name}: {value} is not allowed; 0 to {limits[field.name]:g} is")

    @property
    def is_identity(self) -> bool:
        """Whether every range is zero, so that images pass unchanged."""
        return not any(getattr(self, field.name) for field in fields(self))


def affine_matrices(augmentation: Augmentation, draws: Tensor) -> Tensor:
    """Turn uniform numbers into inverse affine matrices in the coordinates of `affine_grid`.

    Args:
        augmentation: how far each transform may go.
        draws: `(N, 6 or more)` in [0, 1): rotation, shift x, shift y, scale x, scale y, shear.

    Returns:
        `(N, 2, 3)` float32: where in the input (coordinates from -1 to 1) an output pixel is taken from.
    """
    signed = draws * 2.0 - 1.0
    angle = signed[:, 0] * math.radians(augmentation.degrees)
    shift = signed[:, 1:3] * (augmentation.translate * 2.0 / 28.0)
    scale = 1.0 / (1.0 + signed[:, 3:5] * augmentation.scale)
    slant = torch.tan(signed[:, 5] * math.radians(augmentation.shear))
    cos, sin = torch.cos(angle), torch.sin(angle)
    row_x = torch.stack([scale[:, 0] * cos, scale[:, 0] * (sin + slant * cos)], dim=1)
    row_y = torch.stack([-scale[:, 1] * sin, scale[:, 1] * (cos - slant * sin)], dim=1)
    linear = torch.stack([row_x, row_y], dim=1)
    return torch.cat([linear, -(linear @ shift[:, :, None])], dim=2)


@functools.lru_cache(maxsize=8)
def _spline(device: torch.device) -> Tensor:
    """Return the weights of the control points in every pixel along one axis, `(28, 7)`; rows sum to 1."""
    position = (torch.arange(28, dtype=torch.float64) + 0.5) * ((_CONTROL - 3) / 28.0)
    distance = (position[:, None] + 1.0 - torch.arange(_CONTROL, dtype=torch.float64)).abs()
    near = 2.0 / 3.0 - distance**2 + distance**3 / 2.0
    far = (2.0 - distance).clamp(min=0.0) ** 3 / 6.0
    return torch.where(distance < 1.0, near, far).to(device, torch.float32)


def elastic_field(pixels: float, draws: Tensor) -> Tensor:
    """Turn uniform numbers into smooth displacements: a cubic B-spline over control points on a grid.

    Args:
        pixels: how far a control point moves at most, along each axis.
        draws: `(N, 98)` in [0, 1): 7 × 7 control points, of the displacement along x, then along y.

    Returns:
        `(N, 28, 28, 2)` float32: x and y, in the coordinates of `affine_grid` (2 is the width of the image).

    Source: Simard et al. 2003 (elastic distortions, by smoothed noise); B-splines in its place: Rueckert et al. 1999.
    """
    control = (draws * 2.0 - 1.0).view(-1, 2, _CONTROL, _CONTROL) * (pixels * 2.0 / 28.0)
    weights = _spline(draws.device)
    return (weights @ control @ weights.T).permute(0, 2, 3, 1)


def random_warp(images: Tensor, augmentation: Augmentation, *, seed: int, epoch: int, indices: Tensor) -> Tensor:
    """Turn, move, stretch, slant and bend each image by its own random amounts.

    Args:
        images: `(N, 1, 28, 28)`, uint8 or float, 0 to 255.
        augmentation: how far.
        seed: seed of the run.
        epoch: epoch, from 0.
        indices: `(N,)` int64, each sample's index in the training set.

    Returns:
        `(N, 1, 28, 28)` float32, 0 to 255; bilinear, black outside.
    """
    pixels = images.float()
    if augmentation.is_identity:
        return pixels
    bends = augmentation.elastic > 0
    draws = uniform(seed, epoch, indices, _AFFINE + (2 * _CONTROL * _CONTROL if bends else 0))
    grid = F.affine_grid(affine_matrices(augmentation, draws), list(pixels.shape), align_corners=False)
    if bends:
        grid = grid + elastic_field(augmentation.elastic, draws[:, _AFFINE:])
    return F.grid_sample(pixels, grid, mode="bilinear", padding_mode="zeros", align_corners=False)
