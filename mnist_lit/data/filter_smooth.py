"""Parameter objects of the filters that blur or sharpen; the arithmetic is in `mnist_lit.data.opencv`."""

from dataclasses import dataclass
from typing import ClassVar

import numpy as np
import numpy.typing as npt

from mnist_lit.data import opencv
from mnist_lit.data.filter_base import Filter, Images, Real, Whole, parameter, rounds

KERNEL = Whole(1, 27, odd=True)
KERNEL_OR_PAIR = Whole(1, 27, odd=True, pair=True)
SIDES = "window in pixels, or (width, height)"
SIGMA = Real(0, 100, above=True)
GREY_LEVELS = Real(0, 1000, above=True)


@dataclass(frozen=True)
class Gaussian(Filter):
    """Gaussian blur: softens edges, fades noise and thin strokes."""

    identity: ClassVar[str | None] = "gaussian(kernel_size=1)"

    kernel_size: int | tuple[int, int] = parameter(5, KERNEL_OR_PAIR, SIDES)
    sigma: float = parameter(1.0, SIGMA, "standard deviation of the Gaussian in pixels")
    rounds: int = rounds()

    def _apply(self, images: Images, first_index: int) -> Images:
        return opencv.gaussian(images, self.kernel_size, self.sigma)


@dataclass(frozen=True)
class Box(Filter):
    """Mean of a rectangle: blocky blur."""

    identity: ClassVar[str | None] = "box(kernel_size=1)"

    kernel_size: int | tuple[int, int] = parameter(3, KERNEL_OR_PAIR, SIDES)
    rounds: int = rounds()

    def _apply(self, images: Images, first_index: int) -> Images:
        return opencv.box(images, self.kernel_size)


@dataclass(frozen=True)
class Median(Filter):
    """Median of a square: removes salt and pepper, keeps edges."""

    identity: ClassVar[str | None] = "median(kernel_size=1)"

    kernel_size: int = parameter(3, KERNEL, "side of the square in pixels")
    rounds: int = rounds()

    def _apply(self, images: Images, first_index: int) -> Images:
        return opencv.median(images, self.kernel_size)


@dataclass(frozen=True)
class Bilateral(Filter):
    """Mean of near and like pixels: evens out strokes, keeps their edges."""

    identity: ClassVar[str | None] = "bilateral(kernel_size=1)"

    kernel_size: int = parameter(5, KERNEL, "diameter of the neighbourhood in pixels")
    sigma_color: float = parameter(50.0, GREY_LEVELS, "how many grey levels count as alike (standard deviation)")
    sigma_space: float = parameter(2.0, SIGMA, "how many pixels count as near (standard deviation)")
    rounds: int = rounds()

    def _apply(self, images: Images, first_index: int) -> Images:
        return opencv.bilateral(images, self.kernel_size, self.sigma_color, self.sigma_space)


@dataclass(frozen=True)
class NonLocalMeans(Filter):
    """Mean of pixels with like surroundings: removes noise, keeps the form of strokes (slow)."""

    identity: ClassVar[str | None] = "non_local_means(search_size=1)"

    strength: float = parameter(30.0, GREY_LEVELS, "difference of patches in grey levels at which the weight is 1/e")
    patch_size: int = parameter(3, Whole(1, 15, odd=True), "side of the compared patches in pixels")
    search_size: int = parameter(11, KERNEL, "side of the searched square in pixels")
    rounds: int = rounds()

    def _apply(self, images: Images, first_index: int) -> Images:
        return opencv.non_local_means(images, self.strength, self.patch_size, self.search_size)


@dataclass(frozen=True)
class Unsharp(Filter):
    """Unsharp mask: makes the edges of strokes steeper, and noise stronger."""

    identity: ClassVar[str | None] = "unsharp(amount=0.0)"

    kernel_size: int | tuple[int, int] = parameter(5, KERNEL_OR_PAIR, SIDES)
    sigma: float = parameter(1.0, SIGMA, "standard deviation of the Gaussian in pixels")
    amount: float = parameter(1.0, Real(0, 10), "share of the difference to the blurred image that is added")
    rounds: int = rounds()

    def _apply(self, images: Images, first_index: int) -> Images:
        return opencv.unsharp(images, self.kernel_size, self.sigma, self.amount)


@dataclass(frozen=True)
class RandomGaussian(Filter):
    """Gaussian blur with a sigma drawn for each image: for training only.

    The sigma of an image is a function of `seed` and of the image's place in the array. Images are filtered once,
    before training, so an image keeps its sigma in every epoch. Validation, test and use apply
    `FilterChain.for_evaluation`, which leaves this filter out.
    """

    identity: ClassVar[str | None] = "random_gaussian(kernel_size=1)"
    training_only: ClassVar[bool] = True

    kernel_size: int | tuple[int, int] = parameter((5, 9), KERNEL_OR_PAIR, SIDES)
    sigma_min: float = parameter(0.1, SIGMA, "smallest standard deviation in pixels, at most sigma_max")
    sigma_max: float = parameter(2.0, SIGMA, "largest standard deviation in pixels")
    seed: int = parameter(0, Whole(0, 2**63 - 1), "seed of the draws")

    def __post_init__(self) -> None:
        """Check every parameter, and that the range is not empty."""
        super().__post_init__()
        if self.sigma_min > self.sigma_max:
            raise ValueError(
                f"random_gaussian.sigma_min: {self.sigma_min} is above sigma_max {self.sigma_max}; "
                "it must be at most sigma_max"
            )

    def sigmas(self, first_index: int, count: int) -> npt.NDArray[np.float64]:
        """Return the sigmas of images `first_index` to `first_index + count − 1`: `(count,)`, uniform."""
        # Raw words of a bit generator: NumPy promises that they stay the same for ever; it does not for `Generator`.
        words = np.atleast_1d(np.random.Philox(key=self.seed).random_raw(first_index + count))[first_index:]
        uniform = (words >> np.uint64(11)) * 2.0**-53
        return np.asarray(self.sigma_min + (self.sigma_max - self.sigma_min) * uniform, np.float64)

    def _apply(self, images: Images, first_index: int) -> Images:
        return opencv.random_gaussian(images, self.kernel_size, self.sigmas(first_index, len(images)))
