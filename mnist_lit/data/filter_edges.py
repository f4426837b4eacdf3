"""Parameter objects of the filters for edges and local differences; the arithmetic is in `mnist_lit.data.opencv_edges`.

None of them has parameters that leave an image as it is, and none is worth repeating.
"""

from dataclasses import dataclass

from mnist_lit.data import opencv_edges
from mnist_lit.data.filter_base import Filter, Images, Real, Whole, parameter

SCALE = Real(0, 100, above=True)
SCALE_TEXT = "factor on the result; at 1 an upright edge between black and white gives 255"


@dataclass(frozen=True)
class Laplacian(Filter):
    """Absolute second derivative: the double outline of strokes."""

    kernel_size: int = parameter(1, Whole(1, 5, odd=True), "side of the kernel in pixels; 1 is the four neighbours")
    scale: float = parameter(1.0, SCALE, SCALE_TEXT)

    def _apply(self, images: Images, first_index: int) -> Images:
        return opencv_edges.laplacian(images, self.kernel_size, self.scale)


@dataclass(frozen=True)
class Sobel(Filter):
    """Length of the gradient: the outline of strokes."""

    kernel_size: int = parameter(3, Whole(3, 7, odd=True), "side of the kernel in pixels")
    scale: float = parameter(1.0, SCALE, SCALE_TEXT)

    def _apply(self, images: Images, first_index: int) -> Images:
        return opencv_edges.sobel(images, self.kernel_size, self.scale)


@dataclass(frozen=True)
class Scharr(Filter):
    """Length of the gradient by a kernel that treats all directions alike: the outline of strokes."""

    scale: float = parameter(1.0, SCALE, SCALE_TEXT)

    def _apply(self, images: Images, first_index: int) -> Images:
        return opencv_edges.scharr(images, self.scale)


@dataclass(frozen=True)
class LocalContrast(Filter):
    """Difference to the mean around, stretched to the full range: takes away brightness, haze and contrast."""

    kernel_size: int | tuple[int, int] = parameter(
        9, Whole(3, 27, odd=True, pair=True), "window of the mean in pixels, or (width, height)"
    )

    def _apply(self, images: Images, first_index: int) -> Images:
        return opencv_edges.local_contrast(images, self.kernel_size)
