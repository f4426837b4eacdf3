"""Training images that are no digit: two digits as one, a digit with part of its neighbour, part of a digit.

A reader cuts writing up in several ways and has to see which cut is right; a network that has only ever seen digits is
sure of everything. These images are trained on with the same probability for every class.

Source: Hendrycks et al. 2019, arXiv 1812.04606 (outlier exposure).
"""

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor

from mnist_lit.data.counter_rng import uniform

NO_DIGIT = -1
"""The target of such an image."""

_STREAM = 0x4800  # between the sample order and the corruptions
_PAIR, _NEIGHBOUR = 0.55, 0.9  # shares of the kinds, summed up; the rest are parts of one digit
_NARROW = 10  # pixels: part of a digit that is no wider, most of them ones, may well be one itself
_INK = 40.0  # grey level from which a pixel counts for the box of a digit
_SIZE, _WIDE, _BOX = 28, 56, 20.0  # of the image; of the canvas for two; of the longer side afterwards


@dataclass(frozen=True)
class Outliers:
    """Replace training images by what is no digit.

    Args:
        p: probability that a sample is replaced, 0 to 1.

    Raises:
        ValueError: `p` is not allowed.
    """

    p: float = 0.0

    def __post_init__(self) -> None:
        if not 0.0 <= self.p <= 1.0:
            raise ValueError(f"data.outliers.p: {self.p} is not allowed; 0 to 1 is")

    @torch.no_grad()
    def __call__(
        self, images: Tensor, targets: Tensor, pool: Tensor, *, seed: int, epoch: int, indices: Tensor
    ) -> tuple[Tensor, Tensor]:
        """Replace some images of a batch on its device.

        Args:
            images: `(N, 1, 28, 28)`, uint8 or float, 0 to 255; not changed.
            targets: `(N,)` int64.
            pool: `(M, 1, 28, 28)` uint8, all training images, which neighbours are taken from.
            seed: seed of the run.
            epoch: epoch, from 0.
            indices: `(N,)` int64, each sample's index in the training set.

        Returns:
            Images, float32, and targets, with `NO_DIGIT` for those replaced. A sample's result does not depend on the
            other samples of the batch.
        """
        draws = uniform(seed, epoch, indices, 7, _STREAM)
        chosen = torch.nonzero(draws[:, 0] < self.p)[:, 0]
        pixels = images.float()
        if len(chosen) == 0:
            return pixels, targets
        draws = draws[chosen]
        partners = (draws[:, 1].double() * len(pool)).long().to(pool.device)
        others = pool[partners].to(images.device, torch.float32)
        pixels, targets = pixels.clone(), targets.clone()
        pixels[chosen] = fit_box(compose(pixels[chosen, 0], others[:, 0], draws[:, 2:]))[:, None]
        targets[chosen] = NO_DIGIT
        return pixels, targets


def compose(digits: Tensor, others: Tensor, draws: Tensor) -> Tensor:
    """Put two digits side by side, or parts of them.

    Args:
        digits: `(n, 28, 28)` float32, 0 to 255.
        others: their neighbours, alike.
        draws: `(n, 5)` in [0, 1): kind, side, share that is kept, distance, difference in height.

    Returns:
        `(n, 28, 56)` float32.
    """
    kind, side, share, gap, lift = draws.unbind(dim=1)
    first, after = _columns(digits)
    is_neighbour, is_part = (kind >= _PAIR) & (kind < _NEIGHBOUR), (kind >= _NEIGHBOUR) & (after - first > _NARROW)
    on_left = side < 0.5
    # A neighbour's nearer part, a quarter to half of it; of a digit by itself the left or right 40 to 70 %.
    others = torch.where(is_neighbour[:, None, None], _part(others, 0.25 + 0.25 * share, on_left), others)
    digits = torch.where(is_part[:, None, None], _part(digits, 0.4 + 0.3 * share, on_left), digits)
    others = torch.where(is_part[:, None, None], torch.zeros_like(others), others)
    swaps = (is_neighbour & ~on_left)[:, None, None]
    left, right = torch.where(swaps, others, digits), torch.where(swaps, digits, others)
    away = _columns(left)[1] - _columns(right)[0] + torch.round(gap * 6.0 - 4.0).long()  # overlap by up to 4 pixels
    down = torch.round(lift * 6.0 - 3.0).long()
    rows = torch.arange(_SIZE, device=digits.device)[None, :, None] - down[:, None, None]
    columns = torch.arange(_WIDE, device=digits.device)[None, None, :] - away[:, None, None]
    inside = (rows >= 0) & (rows < _SIZE) & (columns >= 0) & (columns < _SIZE)
    places = rows.clamp(0, _SIZE - 1) * _SIZE + columns.clamp(0, _SIZE - 1)
    moved = right.flatten(1).gather(1, places.flatten(1)).view(inside.shape) * inside
    return torch.maximum(F.pad(left, (0, _WIDE - _SIZE)), moved)


def _columns(images: Tensor) -> tuple[Tensor, Tensor]:
    """The first column with ink and the one after the last, `(n,)` int64 each; 0 and 28 where there is none."""
    return _extent((images > _INK).any(dim=1))


def _extent(ink: Tensor) -> tuple[Tensor, Tensor]:
    """The first True of each row `(n, w)` and the place after the last; 0 and w where there is none."""
    first, last = ink.int().argmax(dim=1), ink.shape[1] - ink.int().flip(1).argmax(dim=1)
    return first, last


def _part(images: Tensor, share: Tensor, from_left: Tensor) -> Tensor:
    """Keep a share of the width of each digit, from its left or from its right."""
    first, after = _columns(images)
    width = (after - first) * share
    column = torch.arange(_SIZE, device=images.device)[None]
    kept = torch.where(from_left[:, None], column < (first + width)[:, None], column >= (after - width)[:, None])
    return images * kept[:, None, :]


def fit_box(canvas: Tensor) -> Tensor:
    """Scale what stands on each canvas to a longer side of 20 pixels and centre it by its mass, as MNIST's digits are.

    Args:
        canvas: `(n, 28, w)` float32, 0 to 255.

    Returns:
        `(n, 28, 28)` float32, 0 to 255; black where the canvas is.
    """
    height, width = canvas.shape[1:]
    ink = canvas > _INK
    (left, right), (top, bottom) = _extent(ink.any(dim=1)), _extent(ink.any(dim=2))
    scale = _BOX / torch.maximum(right - left, bottom - top)
    smooth = F.avg_pool2d(canvas[:, None], 3, stride=1, padding=1)
    canvas = torch.where((scale < 0.75)[:, None, None, None], smooth, canvas[:, None])
    canvas = canvas * (255.0 / canvas.amax(dim=(1, 2, 3), keepdim=True).clamp(min=1.0))
    mass = canvas[:, 0].sum(dim=(1, 2)).clamp(min=1.0)
    rows = torch.arange(height, device=canvas.device, dtype=torch.float32)
    columns = torch.arange(width, device=canvas.device, dtype=torch.float32)
    middle_y = (canvas[:, 0].sum(dim=2) @ rows) / mass
    middle_x = (canvas[:, 0].sum(dim=1) @ columns) / mass
    offset = torch.arange(_SIZE, device=canvas.device, dtype=torch.float32) - (_SIZE - 1) / 2
    y = (middle_y[:, None] + offset / scale[:, None] + 0.5) * (2.0 / height) - 1.0
    x = (middle_x[:, None] + offset / scale[:, None] + 0.5) * (2.0 / width) - 1.0
    grid = torch.stack([x[:, None, :].expand(-1, _SIZE, -1), y[:, :, None].expand(-1, -1, _SIZE)], dim=3)
    return F.grid_sample(canvas, grid, mode="bilinear", padding_mode="zeros", align_corners=False)[:, 0]
