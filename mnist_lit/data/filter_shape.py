"""Parameter objects of the filters for form and position; the arithmetic is in `mnist_lit.data.opencv_shape`.

`rounds` is given where a second time does more than the first: opening, closing and centring are done when they are
done.
"""

from dataclasses import dataclass
from typing import ClassVar

from mnist_lit.data import opencv_shape
from mnist_lit.data.filter_base import Choice, Filter, Images, Whole, parameter, rounds

KERNEL_OR_PAIR = Whole(1, 27, odd=True, pair=True)
KERNEL_TEXT = "structuring element in pixels, or (width, height)"
SHAPE = Choice(tuple(opencv_shape.SHAPES))
SHAPE_TEXT = "shape of the structuring element"


@dataclass(frozen=True)
class Erode(Filter):
    """Minimum of a neighbourhood: thinner strokes."""

    identity: ClassVar[str | None] = "erode(kernel_size=1)"

    kernel_size: int | tuple[int, int] = parameter(3, KERNEL_OR_PAIR, KERNEL_TEXT)
    shape: str = parameter("cross", SHAPE, SHAPE_TEXT)
    rounds: int = rounds()

    def _apply(self, images: Images, first_index: int) -> Images:
        return opencv_shape.erode(images, self.kernel_size, self.shape)


@dataclass(frozen=True)
class Dilate(Filter):
    """Maximum of a neighbourhood: thicker strokes."""

    identity: ClassVar[str | None] = "dilate(kernel_size=1)"

    kernel_size: int | tuple[int, int] = parameter(3, KERNEL_OR_PAIR, KERNEL_TEXT)
    shape: str = parameter("cross", SHAPE, SHAPE_TEXT)
    rounds: int = rounds()

    def _apply(self, images: Images, first_index: int) -> Images:
        return opencv_shape.dilate(images, self.kernel_size, self.shape)


@dataclass(frozen=True)
class Open(Filter):
    """Erode, then dilate: removes white specks."""

    identity: ClassVar[str | None] = "open(kernel_size=1)"

    kernel_size: int | tuple[int, int] = parameter(3, KERNEL_OR_PAIR, KERNEL_TEXT)
    shape: str = parameter("cross", SHAPE, SHAPE_TEXT)

    def _apply(self, images: Images, first_index: int) -> Images:
        return opencv_shape.opening(images, self.kernel_size, self.shape)


@dataclass(frozen=True)
class Close(Filter):
    """Dilate, then erode: fills black specks and gaps."""

    identity: ClassVar[str | None] = "close(kernel_size=1)"

    kernel_size: int | tuple[int, int] = parameter(3, KERNEL_OR_PAIR, KERNEL_TEXT)
    shape: str = parameter("cross", SHAPE, SHAPE_TEXT)

    def _apply(self, images: Images, first_index: int) -> Images:
        return opencv_shape.closing(images, self.kernel_size, self.shape)


@dataclass(frozen=True)
class TopHat(Filter):
    """What an opening removes: strokes stay, haze and wide areas go."""

    kernel_size: int | tuple[int, int] = parameter(9, KERNEL_OR_PAIR, KERNEL_TEXT)
    shape: str = parameter("rect", SHAPE, SHAPE_TEXT)

    def _apply(self, images: Images, first_index: int) -> Images:
        return opencv_shape.top_hat(images, self.kernel_size, self.shape)


@dataclass(frozen=True)
class Deskew(Filter):
    """Shear by the image moments: sets a slanting digit upright."""

    def _apply(self, images: Images, first_index: int) -> Images:
        return opencv_shape.deskew(images)


@dataclass(frozen=True)
class Center(Filter):
    """Shift by whole pixels: puts the centre of mass in the middle."""

    def _apply(self, images: Images, first_index: int) -> Images:
        return opencv_shape.center(images)
