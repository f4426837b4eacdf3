"""Parameter objects of the filters that map grey levels; the arithmetic is in `mnist_lit.data.opencv_tone`."""

from dataclasses import dataclass
from typing import ClassVar

from mnist_lit.data import opencv_tone
from mnist_lit.data.filter_base import Choice, Filter, Images, Real, Whole, parameter


@dataclass(frozen=True)
class Threshold(Filter):
    """White above a fixed grey level, black elsewhere."""

    value: int = parameter(127, Whole(0, 254), "the highest grey level that turns black")

    def _apply(self, images: Images, first_index: int) -> Images:
        return opencv_tone.threshold(images, self.value)


@dataclass(frozen=True)
class OtsuThreshold(Filter):
    """White above the level that splits the image best (Otsu), black elsewhere."""

    def _apply(self, images: Images, first_index: int) -> Images:
        return opencv_tone.otsu_threshold(images)


@dataclass(frozen=True)
class AdaptiveThreshold(Filter):
    """White above the mean of the surroundings, black elsewhere."""

    method: str = parameter("mean", Choice(tuple(opencv_tone.METHODS)), "how the surroundings are averaged")
    block_size: int = parameter(11, Whole(3, 27, odd=True), "side of the surroundings in pixels")
    offset: int = parameter(2, Whole(0, 254), "by how many grey levels a white pixel is above the mean")

    def _apply(self, images: Images, first_index: int) -> Images:
        return opencv_tone.adaptive_threshold(images, self.method, self.block_size, self.offset)


@dataclass(frozen=True)
class Clahe(Filter):
    """Histogram equalised tile by tile with a limit: brings out faint strokes, and noise."""

    clip_limit: float = parameter(40.0, Real(0, 256, above=True), "limit on the pixels of one level; 256 is no limit")
    tiles: int | tuple[int, int] = parameter(4, Whole(1, 14, pair=True), "tiles along each side, or (across, down)")

    def _apply(self, images: Images, first_index: int) -> Images:
        return opencv_tone.clahe(images, self.clip_limit, self.tiles)


@dataclass(frozen=True)
class EqualizeHist(Filter):
    """Histogram equalised over the image: spreads the grey levels within strokes."""

    def _apply(self, images: Images, first_index: int) -> Images:
        return opencv_tone.equalize_hist(images)


@dataclass(frozen=True)
class Gamma(Filter):
    """Brightness to a power: below 1 strokes look thicker, above 1 thinner."""

    identity: ClassVar[str | None] = "gamma(gamma=1.0)"

    gamma: float = parameter(0.5, Real(0, 10, above=True), "the exponent")

    def _apply(self, images: Images, first_index: int) -> Images:
        return opencv_tone.gamma(images, self.gamma)


@dataclass(frozen=True)
class Invert(Filter):
    """Black and white swapped: for digits that are dark on light."""

    identity: ClassVar[str | None] = "invert | invert"

    def _apply(self, images: Images, first_index: int) -> Images:
        return opencv_tone.invert(images)
