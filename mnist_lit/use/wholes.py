"""Whether some ink is one whole digit, by a small network that sees it and the ink around it.

The recognizer sees a group of strokes alone, normalised as MNIST was; what was cut off, and two digits that look like
one, it cannot know of. This network sees the group in its place on the line, at the line's scale, and beside it what is
not the group's. It is small enough to be computed by NumPy; `mnist_lit.study.fit_segments` trains it.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import cv2
import numpy as np
import numpy.typing as npt

from mnist_lit.use.arrays import Bytes, Floats
from mnist_lit.use.ink import Piece, union

ROWS, COLUMNS = 32, 40  # of a view, pixels
HEIGHT = 20.0  # of the line's digits in a view, pixels
CONVOLUTIONS = ((2, 16, 5), (16, 32, 3), (32, 48, 3))  # channels in and out, kernel size; each with a stride of 2
HIDDEN = 64
FEATURES = 48 * 4 * 5
_CHUNK = 256  # views at once


def view(pieces: Sequence[Piece], ink: Bytes, height: float, darkness: float) -> npt.NDArray[np.uint8]:
    """Draw a group and what is around it.

    Args:
        pieces: of the group.
        ink: uint8 `(H, W)`, the ink map.
        height: of the line's digits, pixels of the ink map.
        darkness: of the line's digits, in the ink map's levels; it is full ink in the view.

    Returns:
        uint8 `(2, 32, 40)`: the group's ink, and all other ink; the middle of the group's box is in the middle.
    """
    whole = union(pieces)
    tall, wide = max(2, round(ROWS * height / HEIGHT)), max(2, round(COLUMNS * height / HEIGHT))
    y, x = (whole.top + whole.bottom - tall) // 2, (whole.left + whole.right - wide) // 2
    field = np.zeros((tall, wide), np.uint8)
    _overlay(field, ink, -x, -y)
    mask = np.zeros((tall, wide), np.uint8)
    _overlay(mask, whole.mask.astype(np.uint8), whole.left - x, whole.top - y)
    own = field * np.asarray(cv2.dilate(mask, np.ones((3, 3), np.uint8)), np.uint8)  # with the soft edge of its strokes
    both = np.stack([own, field - own], axis=2)
    small = cv2.resize(both, (COLUMNS, ROWS), interpolation=cv2.INTER_AREA).astype(np.float32)
    return np.asarray(np.clip(small * (255.0 / max(darkness, 1.0)), 0, 255).transpose(2, 0, 1), np.uint8)


def _overlay(field: Bytes, image: Bytes, x: int, y: int) -> None:
    """Lay an image over a field, in place, with its corner at column `x` and row `y`: the larger value stays."""
    top, left = max(0, y), max(0, x)
    bottom, right = min(field.shape[0], y + image.shape[0]), min(field.shape[1], x + image.shape[1])
    if top < bottom and left < right:
        place = field[top:bottom, left:right]
        np.maximum(place, image[top - y : bottom - y, left - x : right - x], out=place)


@dataclass(frozen=True, eq=False)
class WholeDigits:
    """The network: three convolutions with strides of 2 and rectifiers, and two full connections.

    Attributes:
        weights: float32; `conv0` to `conv2` of `(inputs · k · k, outputs)`, `full0` `(960, 64)`, `full1` `(64, 1)`,
            and a bias for each, as `conv0_bias`.
    """

    weights: Mapping[str, Floats]

    def log_odds(self, views: npt.NDArray[np.uint8]) -> Floats:
        """How much speaks for a group being one whole digit, as the logarithm of its odds.

        Args:
            views: uint8 `(N, 2, 32, 40)`, as `view` makes them; any N from 0.

        Returns:
            float32 `(N,)`.
        """
        parts = [self._log_odds(views[start : start + _CHUNK]) for start in range(0, len(views), _CHUNK)]
        return np.concatenate([np.zeros(0, np.float32), *parts])

    def _log_odds(self, views: npt.NDArray[np.uint8]) -> Floats:
        x = views.transpose(0, 2, 3, 1).astype(np.float32) / np.float32(255)
        for layer, (_, _, size) in enumerate(CONVOLUTIONS):
            x = np.pad(x, ((0, 0), (size // 2, size // 2), (size // 2, size // 2), (0, 0)))
            windows = np.lib.stride_tricks.sliding_window_view(x, (size, size), axis=(1, 2))[:, ::2, ::2]
            rows = np.ascontiguousarray(windows).reshape(*windows.shape[:3], -1)  # channel, row, column: as PyTorch
            x = np.maximum(rows @ self.weights[f"conv{layer}"] + self.weights[f"conv{layer}_bias"], 0)
        x = x.reshape(len(x), -1)
        x = np.maximum(x @ self.weights["full0"] + self.weights["full0_bias"], 0)
        return np.asarray((x @ self.weights["full1"] + self.weights["full1_bias"])[:, 0], np.float32)
