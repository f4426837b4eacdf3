"""What every filter shares: the abstract base class and the rules that its parameters must meet.

A filter is a frozen dataclass whose fields are made by `parameter`: a default, a rule and one line of explanation.
The same rule refuses a wrong value, words the message and fills the listing of filters, so the three cannot disagree.
"""

import re
from abc import ABC, abstractmethod
from dataclasses import dataclass, field, fields
from typing import Any, ClassVar, Protocol, cast

import numpy as np
import numpy.typing as npt

Images = npt.NDArray[np.uint8]
"""Grey images, uint8, shape `(N, H, W)`; `(N, 28, 28)` for MNIST and its kin."""


class Rule(Protocol):
    """Which values a parameter takes."""

    @property
    def type_name(self) -> str:
        """The type in Python's notation, as in `int | tuple[int, int]`."""

    @property
    def allowed(self) -> str:
        """What is allowed, in words that follow “it must be”."""

    def check(self, value: object) -> Any:
        """Return the value in its one stored form.

        Raises:
            ValueError: the reason why it is refused, without the parameter's name.
        """


@dataclass(frozen=True)
class Whole:
    """A whole number from `low` to `high`; `odd` leaves out the even ones, `pair` also takes two of them.

    A pair is (width, height), as OpenCV's sizes are. A pair of equal numbers is stored as one number, so that equal
    filters are equal objects with equal texts.
    """

    low: int
    high: int
    odd: bool = False
    pair: bool = False

    @property
    def type_name(self) -> str:
        """`int`, or `int | tuple[int, int]` where a pair is taken too."""
        return "int | tuple[int, int]" if self.pair else "int"

    @property
    def allowed(self) -> str:
        """For example “an odd number from 1 to 27, or a pair of them”."""
        number = f"{'an odd' if self.odd else 'a whole'} number from {self.low} to {self.high}"
        return f"{number}, or a pair of them" if self.pair else number

    def check(self, value: object) -> int | tuple[int, int]:
        """Return an int, or a tuple of two different ints."""
        if not (self.pair and isinstance(value, (tuple, list))):
            return self._check_one(value)
        if len(value) != 2:
            raise ValueError(f"{show(value)} does not have two numbers")
        try:
            width, height = (self._check_one(one) for one in value)
        except ValueError as error:
            raise ValueError(f"in {show(value)} {error}") from None
        return width if width == height else (width, height)

    def _check_one(self, value: object) -> int:
        if isinstance(value, bool) or not isinstance(value, (int, np.integer)):
            raise ValueError(f"{show(value)} is not a whole number")
        if not self.low <= value <= self.high:
            raise ValueError(f"{show(value)} is out of range")
        if self.odd and value % 2 == 0:
            raise ValueError(f"{show(value)} is even")
        return int(value)


@dataclass(frozen=True)
class Real:
    """A finite number from `low` (or above it, if `above`) to `high`; whole numbers are taken and stored as floats."""

    low: float
    high: float
    above: bool = False

    @property
    def type_name(self) -> str:
        """Always `float`."""
        return "float"

    @property
    def allowed(self) -> str:
        """For example “a number above 0 and up to 100”."""
        return (
            f"a number above {self.low:g} and up to {self.high:g}"
            if self.above
            else f"a number from {self.low:g} to {self.high:g}"
        )

    def check(self, value: object) -> float:
        """Return a float."""
        if isinstance(value, bool) or not isinstance(value, (int, float, np.integer, np.floating)):
            raise ValueError(f"{show(value)} is not a number")
        # Compared before the conversion: float() of a huge whole number would overflow.
        if not self.low <= value <= self.high or (self.above and value == self.low):
            raise ValueError(f"{show(value)} is not a number" if value != value else f"{show(value)} is out of range")
        return float(value)


@dataclass(frozen=True)
class Choice:
    """One of a few words."""

    options: tuple[str, ...]

    @property
    def type_name(self) -> str:
        """Always `str`."""
        return "str"

    @property
    def allowed(self) -> str:
        """For example “rect, cross or ellipse”."""
        return f"{', '.join(self.options[:-1])} or {self.options[-1]}"

    def check(self, value: object) -> str:
        """Return the word."""
        if not isinstance(value, str) or value not in self.options:
            raise ValueError(f"{show(value)} is not one of them")
        return str(value)


def parameter(default: Any, rule: Rule, description: str) -> Any:
    """Make the dataclass field of a filter's parameter.

    Args:
        default: value when none is given.
        rule: which values are taken.
        description: one line for the listing of filters.
    """
    return field(default=default, metadata={"rule": rule, "description": description})


def rounds() -> Any:
    """Make the field `rounds`, which every filter has that can sensibly be repeated."""
    return parameter(1, Whole(1, 100), "how many times in a row the filter is applied")


def show(value: object, limit: int = 60) -> str:
    """Return the value's `repr` on one line of at most `limit` characters, for a message."""
    try:
        text = " ".join(repr(value).split())
    except (ValueError, RecursionError):  # an int of more digits than Python prints; a list of a thousand brackets
        text = f"this {type(value).__name__}"
    return text if len(text) <= limit else f"{text[: limit - 1]}…"


class Filter(ABC):
    """A filter: uint8 images in, uint8 images of the same shape out.

    Concrete filters are frozen dataclasses that define `_apply`. Their parameters are checked when they are made. The
    docstring's first line is what the listing of filters prints.

    Attributes:
        identity: text of a chain that leaves every image as it is, made of this filter alone; None where there is no
            such chain.
        training_only: whether the filter is random, so that it serves training and not evaluation.
    """

    identity: ClassVar[str | None] = None
    training_only: ClassVar[bool] = False

    def __post_init__(self) -> None:
        """Check every parameter and put it in its one stored form.

        Raises:
            ValueError: one line with filter, parameter, value and what is allowed.
        """
        for one in fields(cast(Any, self)):
            rule: Rule = one.metadata["rule"]
            try:
                value = rule.check(getattr(self, one.name))
            except ValueError as error:
                raise ValueError(f"{filter_name(type(self))}.{one.name}: {error}; it must be {rule.allowed}") from None
            object.__setattr__(self, one.name, value)  # the dataclass is frozen for everybody else

    def __call__(self, images: Images, first_index: int = 0) -> Images:
        """Filter a stack of images.

        Args:
            images: uint8, shape `(N, H, W)`, any N from 0; it is not modified.
            first_index: place of `images[0]` in the whole set. It matters to random filters only: a set filtered in
                pieces gives the same images as the set filtered at once.

        Returns:
            A new C-contiguous uint8 array of the same shape.

        Raises:
            ValueError: `images` is of another dtype or number of dimensions.
        """
        if not isinstance(images, np.ndarray) or images.dtype != np.uint8 or images.ndim != 3:
            kind = (
                f"{images.dtype} of shape {images.shape}" if isinstance(images, np.ndarray) else type(images).__name__
            )
            raise ValueError(
                f"{filter_name(type(self))}: images are {kind}; they must be a uint8 array of shape (N, H, W)"
            )
        if images.size == 0:
            return np.empty_like(images, order="C", subok=False)
        images = np.ascontiguousarray(images)
        for _ in range(getattr(self, "rounds", 1)):
            images = self._apply(images, first_index)
        return images

    @abstractmethod
    def _apply(self, images: Images, first_index: int) -> Images:
        """Filter once a C-contiguous stack that is not empty, into a new array."""

    def __str__(self) -> str:
        """Return the filter's text in a chain, with every parameter: `gaussian(kernel_size=5, sigma=1.0, rounds=1)`."""
        arguments = ", ".join(f"{one.name}={getattr(self, one.name)}" for one in fields(cast(Any, self)))
        return f"{filter_name(type(self))}({arguments})" if arguments else filter_name(type(self))


@dataclass(frozen=True)
class Parameter:
    """A filter's parameter as the listing shows it."""

    name: str
    type: str
    default: int | float | str | tuple[int, int]
    allowed: str
    description: str


def filter_name(kind: type[Filter]) -> str:
    """Return the filter's name in chain texts: `NonLocalMeans` is `non_local_means`."""
    return re.sub(r"(?<!^)(?=[A-Z])", "_", kind.__name__).lower()


def filter_summary(kind: type[Filter]) -> str:
    """Return the first line of the filter's docstring."""
    return (kind.__doc__ or "").partition("\n")[0]


def filter_parameters(kind: type[Filter]) -> tuple[Parameter, ...]:
    """Return the filter's parameters in the order of its text."""
    return tuple(
        Parameter(
            name=one.name,
            type=one.metadata["rule"].type_name,
            default=cast(Any, one.default),
            allowed=one.metadata["rule"].allowed,
            description=one.metadata["description"],
        )
        for one in fields(cast(Any, kind))
    )
