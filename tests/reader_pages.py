"""Hand-made pages for the tests of the reader: MNIST's training digits, written where a test wants them."""

from functools import cache

import cv2
import numpy as np

from mnist_lit.data.idx import BUNDLED, read_set
from mnist_lit.study.page_ink import stroke

INDEX = (2581, 3468, 2979, 10, 3639, 3669, 1707, 773, 976, 3263)  # of a plain 0, 1, … 9 in the training set
BLACK, BLUE, RED, GREEN, PENCIL = (
    (0.11, 0.11, 0.13),
    (0.13, 0.20, 0.55),
    (0.70, 0.13, 0.16),
    (0.08, 0.40, 0.22),
    (0.40, 0.40, 0.42),
)


@cache
def shapes():
    images = read_set(BUNDLED, "train").images
    return tuple(images[index] for index in INDEX)


class Sheet:
    """White paper, `(H, W, 3)`, 0 to 1; `boxes` has the place of every digit written on it."""

    def __init__(self, width=700, height=400, paper=(0.96, 0.96, 0.95)):
        self.light = np.full((height, width, 3), 1.0, np.float32) * np.array(paper, np.float32)
        self.boxes = []

    def write(self, text, x, y, height=60, colour=BLACK, gap=0.25, climb=0.0, thinness=0.55):
        """Write a number with its first digit's top left at (x, y); `climb` is pixels up per pixel to the right."""
        for digit in text:
            ink = stroke(shapes()[int(digit)], height, thinness)
            self.put(ink, round(x), round(y - climb * x), colour)
            x += ink.shape[1] + gap * height
        return self

    def put(self, ink, left, top, colour=BLACK):
        place = self.light[top : top + ink.shape[0], left : left + ink.shape[1]]
        place += ink[..., None] * (np.array(colour, np.float32) - place)
        self.boxes.append((left, top, left + ink.shape[1], top + ink.shape[0]))

    def rule(self, spacing, across=True, down=False, colour=(0.62, 0.74, 0.86), start=20):
        if across:
            self.light[start::spacing] *= np.array(colour, np.float32)
        if down:
            self.light[:, start::spacing] *= np.array(colour, np.float32)
        return self

    def photo(self, light=1.0, blur=0.8, noise=0.01, seed=0):
        """What a camera sees under `light`, `(H, W)` or one number."""
        seen = self.light * (light[..., None] if np.ndim(light) else light)
        seen = cv2.GaussianBlur(seen.astype(np.float32), (0, 0), blur)
        seen = seen + noise * np.random.default_rng(seed).standard_normal(seen.shape)
        return np.clip(255 * seen, 0, 255).astype(np.uint8)


def turned(image, degrees):
    """The image turned clockwise, the border's colour around it."""
    height, width = image.shape[:2]
    matrix = cv2.getRotationMatrix2D((width / 2, height / 2), -degrees, 1.0)
    return cv2.warpAffine(image, matrix, (width, height), borderMode=cv2.BORDER_REPLICATE)


def grass(blades, side):
    """Uint8 `(side, side)`: short dark strokes on light ground, `blades` by `blades`, none of which touch."""
    image = np.full((side, side), 230, np.uint8)
    cell = side / blades
    middles = (np.indices((blades, blades)).reshape(2, -1).T + 0.5) * cell
    angles = np.random.default_rng(0).uniform(0, np.pi, len(middles))
    half = cell / 3 * np.stack([np.cos(angles), np.sin(angles)], axis=1)
    for start, end in zip(np.rint(middles - half).astype(int), np.rint(middles + half).astype(int), strict=True):
        cv2.line(image, start.tolist(), end.tolist(), 40, 2, cv2.LINE_AA)
    return image
