"""The single corruptions of `mnist_lit.data.training_corruptions`: pure functions on torch tensors, and their table.

Each takes images x `(n, 28, 28)` in [0, 1] and uniform numbers u `(n, draws or more)` in [0, 1), and returns
`(n, 28, 28)`, which the caller clips to [0, 1]. The first columns of u set a sample's severity. Samples never mix.
Kinds and ranges follow ImageNet-C (Hendrycks & Dietterich 2019, arXiv 1903.12261) as far as 28 × 28 pixels can bear it.
"""

import functools
import math
from collections.abc import Callable
from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor

from mnist_lit.data.corruption_parts import CENTRE, SIZE

_PIXELS = SIZE * SIZE
_CONTROL = 5  # control points of the elastic field, per side

# Luminance table of the JPEG standard (ITU-T T.81, annex K, table K.1).
_JPEG_TABLE = (
    (16, 11, 10, 16, 24, 40, 51, 61),
    (12, 12, 14, 19, 26, 58, 60, 55),
    (14, 13, 16, 24, 40, 57, 69, 56),
    (14, 17, 22, 29, 51, 87, 80, 62),
    (18, 22, 37, 56, 68, 109, 103, 77),
    (24, 35, 55, 64, 81, 104, 113, 92),
    (49, 64, 78, 87, 103, 121, 120, 101),
    (72, 92, 95, 98, 112, 100, 103, 99),
)


def _between(u: Tensor, low: float, high: float) -> Tensor:
    """Scale a column of uniform numbers `(n,)` to [low, high), shaped `(n, 1, 1)` to meet images."""
    return (low + (high - low) * u)[:, None, None]


@functools.lru_cache(maxsize=8)
def _positions(device: torch.device) -> tuple[Tensor, Tensor]:
    """Return row and column of every pixel, `(28, 28)` float32 each."""
    axis = torch.arange(SIZE, dtype=torch.float32, device=device)
    return axis[:, None].expand(SIZE, SIZE), axis[None, :].expand(SIZE, SIZE)


def _convolve(x: Tensor, kernels: Tensor, border: str) -> Tensor:
    """Filter image i with kernel i: `kernels` is `(n, k, k)` with odd k, `border` a mode of `F.pad`."""
    k = kernels.shape[-1]
    padded = F.pad(x[:, None], [k // 2] * 4, mode=border)[:, 0]
    out = torch.zeros_like(x)
    for row in range(k):  # for few and small images this is faster than a grouped convolution
        for column in range(k):
            out.addcmul_(kernels[:, row, column, None, None], padded[:, row : row + SIZE, column : column + SIZE])
    return out


def _banded(x: Tensor, weights: Tensor) -> Tensor:
    """Apply a linear map along both axes: `weights` is `(n, 28, 28)`, from input (last axis) to output position."""
    return torch.bmm(torch.bmm(weights, x), weights.transpose(1, 2))


def gaussian_noise(x: Tensor, u: Tensor) -> Tensor:
    """Add normal noise of standard deviation 0.05 to 0.4 (Box & Muller 1958)."""
    half = _PIXELS // 2
    radius = torch.sqrt(-2.0 * torch.log1p(-u[:, 1 : 1 + half]))
    angle = 2.0 * math.pi * u[:, 1 + half :]
    noise = torch.cat([radius * torch.cos(angle), radius * torch.sin(angle)], dim=1)
    return x + _between(u[:, 0], 0.05, 0.4) * noise.view_as(x)


def gaussian_blur(x: Tensor, u: Tensor) -> Tensor:
    """Blur with a Gaussian of sigma 0.5 to 2 px."""
    rows, columns = _positions(x.device)
    weights = torch.exp(-((rows - columns) ** 2) / (2.0 * _between(u[:, 0], 0.5, 2.0) ** 2))
    return _banded(x, weights / weights.sum(dim=2, keepdim=True))


def defocus_blur(x: Tensor, u: Tensor) -> Tensor:
    """Blur with a disk of radius 1 to 2.5 px."""
    axis = torch.arange(-2.0, 3.0, device=x.device)
    distance = torch.hypot(axis[:, None], axis[None, :])
    disk = (_between(u[:, 0], 1.0, 2.5) + 0.5 - distance).clamp(0.0, 1.0)
    return _convolve(x, disk / disk.sum(dim=(1, 2), keepdim=True), "replicate")


def zoom_blur(x: Tensor, u: Tensor) -> Tensor:
    """Average six copies enlarged from 1 to a factor of 1.15 to 1.5, about the centre."""
    rows, columns = _positions(x.device)
    steps = torch.linspace(0.0, 1.0, 6, device=x.device)[None, :, None, None]
    source = CENTRE + (rows - CENTRE) / (1.0 + steps * _between(u[:, 0], 0.15, 0.5)[:, None])
    weights = (1.0 - (source - columns).abs()).clamp_min(0.0)  # (n, 6, 28, 28): linear interpolation as matrices
    n, copies = weights.shape[:2]
    tall = torch.bmm(weights.view(n, copies * SIZE, SIZE), x).view(n, copies, SIZE, SIZE)
    wide = tall.transpose(1, 2).reshape(n, SIZE, copies * SIZE)
    return torch.bmm(wide, weights.transpose(2, 3).reshape(n, copies * SIZE, SIZE)) / copies


# A needle of ice is the mean over seven pixels, (row, column) from its middle; the three angles are about 60° apart.
_NEEDLES = (
    ((-1, -3), (-1, -2), (0, -1), (0, 0), (0, 1), (1, 2), (1, 3)),
    ((-3, -1), (-2, -1), (-1, 0), (0, 0), (1, 0), (2, 1), (3, 1)),
    ((3, -3), (2, -2), (1, -1), (0, 0), (-1, 1), (-2, 2), (-3, 3)),
)


def frost(x: Tensor, u: Tensor) -> Tensor:
    """Let needles of ice grow over one side of the image, and dim the digit under them a little."""
    rows, columns = _positions(x.device)
    seeds = (u[:, 3:].view(-1, 1, SIZE, SIZE) - 0.8).clamp_min(0.0) * 5.0  # a fifth of the pixels
    padded = F.pad(seeds, [3] * 4, mode="reflect")[:, 0]
    ice = torch.zeros_like(x)
    for needle in _NEEDLES:
        taps = [padded[:, 3 + r : 3 + r + SIZE, 3 + c : 3 + c + SIZE] for r, c in needle]
        ice = torch.maximum(ice, functools.reduce(torch.add, taps))
    ice = (ice * (3.0 / 7.0)).clamp_max(1.0)
    angle = _between(u[:, 1], 0.0, 2.0 * math.pi)
    outward = torch.cos(angle) * (rows - CENTRE) + torch.sin(angle) * (columns - CENTRE)
    cover = torch.sigmoid((outward - _between(u[:, 2], -8.0, 6.0)) / 2.0)
    return x * (1.0 - 0.4 * cover) + _between(u[:, 0], 0.4, 1.0) * cover * ice


def contrast(x: Tensor, u: Tensor) -> Tensor:
    """Draw all values to the image's mean: 0.15 to 0.6 of the distance is left."""
    mean = x.mean(dim=(1, 2), keepdim=True)
    return mean + (x - mean) * _between(u[:, 0], 0.15, 0.6)


def gamma(x: Tensor, u: Tensor) -> Tensor:
    """Raise values to a power of 1/4 to 4, evenly on a logarithmic scale."""
    return x ** torch.exp(_between(u[:, 0], -math.log(4.0), math.log(4.0)))


@functools.lru_cache(maxsize=8)
def _cosines(device: torch.device) -> tuple[Tensor, Tensor]:
    """Return the orthonormal 8 × 8 matrix of the DCT-II and the JPEG table, both float32."""
    k = torch.arange(8, dtype=torch.float64)
    matrix = torch.cos(math.pi * (2.0 * k[None, :] + 1.0) * k[:, None] / 16.0) / 2.0
    matrix[0] /= math.sqrt(2.0)
    return matrix.float().to(device), torch.tensor(_JPEG_TABLE, dtype=torch.float32, device=device)


def jpeg(x: Tensor, u: Tensor) -> Tensor:
    """Compress as JPEG of quality 4 to 25 would (8 × 8 blocks from the top-left corner, luminance alone)."""
    cosines, table = _cosines(x.device)
    quality = _between(u[:, 0], 4.0, 25.0)[:, :, :, None, None]
    steps = torch.round(table * (50.0 / quality)).clamp(1.0, 255.0)
    padded = F.pad(x[:, None], [0, 4, 0, 4], mode="replicate") * 255.0 - 128.0
    blocks = padded.view(-1, 4, 8, 4, 8).transpose(2, 3)
    kept = torch.round(cosines @ blocks @ cosines.T / steps) * steps
    decoded = (cosines.T @ kept @ cosines).transpose(2, 3).reshape(-1, 32, 32)
    return (decoded[:, :SIZE, :SIZE] + 128.0) / 255.0


@functools.lru_cache(maxsize=8)
def _pixelations(device: torch.device) -> Tensor:
    """Return `(4, 28, 28)`: means over 7, 9, 11 and 14 equal cells per axis, spread over their cells again."""
    edges = torch.arange(SIZE + 1, dtype=torch.float64)
    maps = []
    for cells in (7, 9, 11, 14):
        size = SIZE / cells
        start = torch.arange(cells, dtype=torch.float64)[:, None] * size
        overlap = (torch.minimum(edges[1:], start + size) - torch.maximum(edges[:-1], start)).clamp_min(0.0)
        maps.append(overlap.T @ overlap / size)
    return torch.stack(maps).float().to(device)


def pixelate(x: Tensor, u: Tensor) -> Tensor:
    """Show the image in 7, 9, 11 or 14 large pixels per side."""
    maps = _pixelations(x.device)
    return _banded(x, maps[(u[:, 0] * len(maps)).long()])


@functools.lru_cache(maxsize=8)
def _bend(device: torch.device) -> Tensor:
    """Return `(25, 784)`: from 5 × 5 control points to 28 × 28 pixels, cubic, without the part that is affine."""
    unit = torch.eye(_CONTROL**2, dtype=torch.float64).view(-1, 1, _CONTROL, _CONTROL)
    smooth = F.interpolate(unit, size=(SIZE, SIZE), mode="bicubic", align_corners=True).view(-1, _PIXELS)
    axis = torch.arange(SIZE, dtype=torch.float64) - CENTRE
    rows, columns = axis.repeat_interleave(SIZE), axis.repeat(SIZE)
    for part in (torch.ones_like(rows), rows, columns):  # orthogonal to each other
        smooth = smooth - (smooth @ part)[:, None] * part / (part @ part)
    return smooth.float().to(device)


def elastic(x: Tensor, u: Tensor) -> Tensor:
    """Bend the image by a smooth random field of up to about 0.8 to 2.4 px (bilinear, black outside).

    The field's affine part is taken out: as a whole the digit is not shifted, turned, slanted or scaled.
    """
    field = (u[:, 1:] * 2.0 - 1.0).view(-1, 2, _CONTROL**2)
    bend = torch.bmm(field, _bend(x.device).expand(len(x), -1, -1)).view(-1, 2, SIZE, SIZE)
    moved = bend * _between(u[:, 0], 0.8, 2.4)[:, None]
    rows, columns = _positions(x.device)
    grid = torch.stack([columns + moved[:, 0], rows + moved[:, 1]], dim=3) / CENTRE - 1.0
    return F.grid_sample(x[:, None], grid, mode="bilinear", padding_mode="zeros", align_corners=True)[:, 0]


def quantise(x: Tensor, u: Tensor) -> Tensor:
    """Leave 2, 3, 4 or 5 grey levels."""
    steps = torch.floor(_between(u[:, 0], 1.0, 5.0))
    return torch.floor(x * steps + 0.5) / steps


def inverse(x: Tensor, u: Tensor) -> Tensor:
    """Turn the whole image into its negative."""
    return 1.0 - x


def _beside(x: Tensor) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Return the neighbours above, below, left and right of every pixel; at the border, the pixel itself."""
    padded = F.pad(x[:, None], [1] * 4, mode="replicate")[:, 0]
    return padded[:, :-2, 1:-1], padded[:, 2:, 1:-1], padded[:, 1:-1, :-2], padded[:, 1:-1, 2:]


def thicken(x: Tensor, u: Tensor) -> Tensor:
    """Widen strokes: 0.4 to 1 of the way to the largest value of the pixel and its four neighbours."""
    return x + _between(u[:, 0], 0.4, 1.0) * (functools.reduce(torch.maximum, _beside(x), x) - x)


def thin(x: Tensor, u: Tensor) -> Tensor:
    """Narrow strokes: 0.2 to 0.7 of the way to the smallest value of the pixel and its four neighbours."""
    return x + _between(u[:, 0], 0.2, 0.7) * (functools.reduce(torch.minimum, _beside(x), x) - x)


def erase(x: Tensor, u: Tensor) -> Tensor:
    """Cover two rectangles, each with one grey of its own (Zhong et al. 2017, arXiv 1708.04896, random erasing).

    Areas are 2 to 40 % of the image for the first and 1 to 20 % for the second, aspect ratios 0.3 to 3.3 as published.
    """
    rows, columns = _positions(x.device)
    for first, largest in ((0, 0.4), (5, 0.2)):
        area = _between(u[:, first + 1], largest / 20.0, largest) * _PIXELS
        ratio = torch.exp(_between(u[:, first + 2], -math.log(3.3), math.log(3.3)))
        inside = torch.ones_like(x, dtype=torch.bool)
        for at, axis, length in ((3, rows, (area * ratio).sqrt()), (4, columns, (area / ratio).sqrt())):
            side = torch.round(length).clamp(2.0, float(SIZE))
            start = torch.floor(u[:, first + at, None, None] * (SIZE - side + 1.0))
            inside = inside & (axis >= start) & (axis < start + side)
        x = torch.where(inside, u[:, first, None, None], x)
    return x


def grid(x: Tensor, u: Tensor) -> Tensor:
    """Cut a lattice of squares out: every 6 to 10 px, a third to a half wide (Chen et al. 2020, GridMask)."""
    rows, columns = _positions(x.device)
    period = torch.floor(_between(u[:, 0], 6.0, 11.0))
    hole = torch.floor(period * _between(u[:, 1], 0.33, 0.5))
    cut = (torch.remainder(rows + torch.floor(u[:, 2, None, None] * period), period) < hole) & (
        torch.remainder(columns + torch.floor(u[:, 3, None, None] * period), period) < hole
    )
    return torch.where(cut, 0.0, x)


def hairs(x: Tensor, u: Tensor) -> Tensor:
    """Lay one to three light hairs over the image: thin arcs of a circle, 5 to 30 px in radius, 0.5 to 1 in height."""
    rows, columns = _positions(x.device)
    for first in (0, 6, 12):
        height, radius, angle, offset, width = (u[:, first + k] for k in range(5))
        bend = _between(radius, 5.0, 30.0)
        turn = _between(angle, 0.0, 2.0 * math.pi)
        far = bend + _between(offset, -9.0, 9.0)  # from the image's centre to that of the circle
        distance = torch.hypot(rows - CENTRE - torch.sin(turn) * far, columns - CENTRE - torch.cos(turn) * far)
        profile = (_between(width, 0.9, 1.7) - (distance - bend).abs()).clamp(0.0, 1.0)
        hair = profile * _between(height, 0.5, 1.0)
        there = (u[:, first + 5, None, None] < 0.5) | (first == 0)
        x = torch.where(there, torch.maximum(x, hair), x)
    return x


@functools.lru_cache(maxsize=8)
def _light(device: torch.device) -> Tensor:
    """Return `(9, 784)`: from 3 × 3 control points to 28 × 28 pixels, cubic."""
    unit = torch.eye(9, dtype=torch.float64).view(-1, 1, 3, 3)
    smooth = F.interpolate(unit, size=(SIZE, SIZE), mode="bicubic", align_corners=True).view(9, _PIXELS)
    return smooth.float().to(device)


def uneven(x: Tensor, u: Tensor) -> Tensor:
    """Light the paper unevenly: a smooth field of height 0.1 to 0.5 that lightens what is not ink."""
    light = (u[:, 1:] @ _light(x.device)).view_as(x).clamp(0.0, 1.0) * _between(u[:, 0], 0.1, 0.5)
    return x + (1.0 - x) * light


class Recipe(NamedTuple):
    """One training corruption.

    Attributes:
        apply: `(n, 28, 28)` in [0, 1] and `(n, draws)` uniform numbers to `(n, 28, 28)`.
        draws: how many uniform numbers one sample takes.
    """

    apply: Callable[[Tensor, Tensor], Tensor]
    draws: int


RECIPES: dict[str, Recipe] = {
    "gaussian_noise": Recipe(gaussian_noise, 1 + _PIXELS),
    "gaussian_blur": Recipe(gaussian_blur, 1),
    "defocus_blur": Recipe(defocus_blur, 1),
    "zoom_blur": Recipe(zoom_blur, 1),
    "frost": Recipe(frost, 3 + _PIXELS),
    "contrast": Recipe(contrast, 1),
    "gamma": Recipe(gamma, 1),
    "jpeg": Recipe(jpeg, 1),
    "pixelate": Recipe(pixelate, 1),
    "elastic": Recipe(elastic, 1 + 2 * _CONTROL * _CONTROL),
    "quantise": Recipe(quantise, 1),
    "inverse": Recipe(inverse, 0),
    "thicken": Recipe(thicken, 1),
    "thin": Recipe(thin, 1),
    "erase": Recipe(erase, 10),
    "grid": Recipe(grid, 4),
    "hairs": Recipe(hairs, 18),
    "uneven": Recipe(uneven, 10),
}
