"""Ones as much of the world writes them: with an upstroke on the left, some with a foot. MNIST has hardly any.

Nearly all of MNIST's ones are plain strokes, so that a network which knows nothing else takes a one with a long
upstroke for a 7, a 4 or a 9.
"""

import torch
from torch import Tensor

from mnist_lit.data.corruption_parts import CENTRE, SIZE
from mnist_lit.data.counter_rng import uniform

ONE = 1
_STREAM = 0x3000  # of `mnist_lit.data.counter_rng`; other consumers stay away from it
_DRAWS = 6
_ANGLES = (30.0, 65.0)  # of the upstroke below the horizontal, degrees, were the one upright; a 7's bar is level
_LENGTHS = (0.2, 0.7)  # of the upstroke, in heights of the one
_FOOT, _SIDES = 0.25, (0.1, 0.32)  # share of the ones with a foot, and how far that reaches on each side, in heights
_WIDTHS = (1.5, 6.0)  # of a stroke, pixels


def _between(u: Tensor, limits: tuple[float, float]) -> Tensor:
    return limits[0] + (limits[1] - limits[0]) * u


@torch.no_grad()
def with_upstrokes(images: Tensor, targets: Tensor, share: float, *, seed: int, epoch: int, indices: Tensor) -> Tensor:
    """Give a share of a batch's ones an upstroke, each one its own; what is no one stays as it is.

    Args:
        images: `(N, 1, 28, 28)`, uint8 or float, 0 to 255, light strokes on black; not changed.
        targets: `(N,)` int64, the digits.
        share: of the ones, 0 to 1.
        seed: seed of the run.
        epoch: epoch, from 0.
        indices: `(N,)` int64, each sample's index in the training set.

    Returns:
        `(N, 1, 28, 28)` float32, 0 to 255, digits centred by their mass as MNIST's are.
    """
    u = uniform(seed, epoch, indices, _DRAWS, _STREAM).to(images.device)
    chosen = torch.nonzero((targets == ONE) & (u[:, 0] < share))[:, 0]
    pixels = images.to(torch.float32, copy=True)
    if len(chosen):
        pixels[chosen, 0] = _drawn(pixels[chosen, 0] / 255.0, u[chosen]) * 255.0
    return pixels


def _drawn(x: Tensor, u: Tensor) -> Tensor:
    """Draw the upstrokes, and a foot on some: `(n, 28, 28)` in [0, 1] and `(n, 6)` in [0, 1) to `(n, 28, 28)`."""
    at = torch.arange(SIZE, dtype=torch.float32, device=x.device)
    level = x.amax(dim=(1, 2)).clamp(min=1e-6)
    inked = x.amax(dim=2) > 0.5 * level[:, None]
    top = inked.float().argmax(dim=1)
    bottom = SIZE - 1 - inked.flip(1).float().argmax(dim=1)
    rows = torch.arange(len(x), device=x.device)

    def middle(row: Tensor) -> Tensor:
        return (x[rows, row] @ at) / x[rows, row].sum(dim=1).clamp(min=1e-6)

    head, foot = middle(top), middle(bottom)
    height = (bottom - top + 1).float()
    slant = (head - foot) / height  # columns to the right for each row up
    width = (x.sum(dim=(1, 2)) / level / torch.hypot(height, head - foot)).clamp(*_WIDTHS)
    start = torch.stack([top + width / 2, head], dim=1)
    angle = torch.deg2rad(_between(u[:, 1], _ANGLES))
    length = _between(u[:, 2], _LENGTHS) * height
    down, left = length * torch.sin(angle), length * torch.cos(angle)
    end = start + torch.stack([down, -left - slant * down], dim=1)
    drawn = torch.maximum(x, _stroke(start, end, width) * level[:, None, None])

    ground = bottom - width / 2
    left_end = torch.stack([ground, foot - _between(u[:, 4], _SIDES) * height], dim=1)
    right_end = torch.stack([ground, foot + _between(u[:, 5], _SIDES) * height], dim=1)
    serif = _stroke(left_end, right_end, width) * level[:, None, None]
    drawn = torch.where((u[:, 3] < _FOOT)[:, None, None], torch.maximum(drawn, serif), drawn)
    return _centred(drawn)


def _stroke(start: Tensor, end: Tensor, width: Tensor) -> Tensor:
    """A straight stroke with round ends: points `(n, 2)` (row, column) and widths `(n,)` to `(n, 28, 28)`."""
    at = torch.arange(SIZE, dtype=torch.float32, device=start.device)
    place = torch.stack(torch.meshgrid(at, at, indexing="ij"), dim=2)[None] - start[:, None, None]
    along = (end - start)[:, None, None]
    share = ((place * along).sum(dim=3) / (along**2).sum(dim=3).clamp(min=1e-6)).clamp(0.0, 1.0)
    away: Tensor = torch.linalg.vector_norm(place - share[..., None] * along, dim=3)
    return (width[:, None, None] / 2 + 0.5 - away).clamp(0.0, 1.0)


def _centred(x: Tensor) -> Tensor:
    """Move each image `(n, 28, 28)` by whole pixels so that its centre of mass is in the middle."""
    at = torch.arange(SIZE, device=x.device)
    mass = x.sum(dim=(1, 2)).clamp(min=1e-6)
    rows = at + ((x.sum(dim=2) @ at.float()) / mass - CENTRE).round().long()[:, None]
    columns = at + ((x.sum(dim=1) @ at.float()) / mass - CENTRE).round().long()[:, None]
    moved = torch.take_along_dim(x, rows.remainder(SIZE)[:, :, None], dim=1)
    return torch.take_along_dim(moved, columns.remainder(SIZE)[:, None], dim=2)
