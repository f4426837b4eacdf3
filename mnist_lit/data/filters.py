"""The OpenCV filters and the chain of them that images go through before the network.

A chain is written the same in YAML, on the command line, in checkpoints and in messages::

    gaussian(kernel_size=5, sigma=1.0, rounds=5) | median(kernel_size=3)

Filters take and give uint8 `(N, H, W)`. The arithmetic is in the modules `opencv…`, the parameter objects are in
`filter_…`.
"""

import ast
import difflib
import warnings
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any

from mnist_lit.data.filter_base import (
    Filter,
    Images,
    Parameter,
    filter_name,
    filter_parameters,
    filter_summary,
    show,
)
from mnist_lit.data.filter_edges import Laplacian, LocalContrast, Scharr, Sobel
from mnist_lit.data.filter_shape import Center, Close, Deskew, Dilate, Erode, Open, TopHat
from mnist_lit.data.filter_smooth import Bilateral, Box, Gaussian, Median, NonLocalMeans, RandomGaussian, Unsharp
from mnist_lit.data.filter_tone import AdaptiveThreshold, Clahe, EqualizeHist, Gamma, Invert, OtsuThreshold, Threshold

__all__ = [
    "FILTERS",
    "AdaptiveThreshold",
    "Bilateral",
    "Box",
    "Center",
    "Clahe",
    "Close",
    "Deskew",
    "Dilate",
    "EqualizeHist",
    "Erode",
    "Filter",
    "FilterChain",
    "Gamma",
    "Gaussian",
    "Images",
    "Invert",
    "Laplacian",
    "LocalContrast",
    "Median",
    "NonLocalMeans",
    "Open",
    "OtsuThreshold",
    "Parameter",
    "RandomGaussian",
    "Scharr",
    "Sobel",
    "Threshold",
    "TopHat",
    "Unsharp",
    "filter_name",
    "filter_parameters",
    "filter_summary",
]

FILTERS: tuple[type[Filter], ...] = (
    Gaussian,
    Box,
    Median,
    Bilateral,
    NonLocalMeans,
    Unsharp,
    Laplacian,
    Sobel,
    Scharr,
    LocalContrast,
    Erode,
    Dilate,
    Open,
    Close,
    TopHat,
    Threshold,
    OtsuThreshold,
    AdaptiveThreshold,
    Clahe,
    EqualizeHist,
    Gamma,
    Invert,
    Deskew,
    Center,
    RandomGaussian,
)
"""Every filter there is, in the order in which they are documented."""

MAX_FILTERS = 16
MAX_TEXT = 2000
EXAMPLE = "gaussian(kernel_size=5, sigma=1.0) | median(kernel_size=3)"


@dataclass(frozen=True)
class FilterChain:
    """Filters applied one after the other; equal chains have equal texts, and the text reads back as an equal chain.

    Attributes:
        filters: the filters in the order in which they are applied; none of them is the chain `none`.

    Example:
        >>> chain = FilterChain.parse("gaussian(sigma=1) | median(rounds=2)")
        >>> print(chain)
        gaussian(kernel_size=5, sigma=1.0, rounds=1) | median(kernel_size=3, rounds=2)
        >>> FilterChain.parse(str(chain)) == chain
        True
        >>> print(FilterChain())
        none
    """

    filters: tuple[Filter, ...] = ()

    def __init__(self, filters: Iterable[Filter] = ()) -> None:
        chain = tuple(filters)
        for one in chain:
            if not isinstance(one, Filter):
                raise ValueError(f"filters: {show(one)} is not a filter; FilterChain.parse reads a text")
        if len(chain) > MAX_FILTERS:
            raise ValueError(f"filters: {len(chain)} filters in a chain; at most {MAX_FILTERS} are allowed")
        object.__setattr__(self, "filters", chain)

    @classmethod
    def parse(cls, text: str) -> "FilterChain":
        """Read a chain from its text; parameters that are left out take their defaults. Nothing in it is executed.

        Args:
            text: for example `gaussian(kernel_size=5, sigma=1.0) | median(kernel_size=3)`, `deskew`, or `none`.

        Raises:
            ValueError: one line that names what is wrong and what would be right.
        """
        if not isinstance(text, str):
            raise ValueError(f"filters: {show(text)} is not a text; write for example: {EXAMPLE}")
        if len(text) > MAX_TEXT:
            raise ValueError(f"filters: the text has {len(text)} characters; at most {MAX_TEXT} are allowed")
        text = " ".join(text.split())  # a YAML text may run over several lines
        if text == "none":
            return cls()
        return cls(_read_filter(node) for node in _split(_syntax_tree(text)))

    @property
    def training_only(self) -> bool:
        """Whether any filter of the chain is random."""
        return any(one.training_only for one in self.filters)

    def for_evaluation(self) -> "FilterChain":
        """Return the chain without its random filters: the one that validation, test and use apply.

        A random filter is an augmentation: it widens what the network has seen, and an image to be judged is shown as
        it is. A chain without random filters is returned unchanged.
        """
        return FilterChain(one for one in self.filters if not one.training_only)

    def __call__(self, images: Images, first_index: int = 0) -> Images:
        """Apply the filters in turn.

        Args:
            images: uint8 `(N, H, W)`; not modified.
            first_index: place of `images[0]` in the whole set, for random filters; see `Filter.__call__`.

        Returns:
            uint8 `(N, H, W)`: a new array, or `images` itself where the chain is empty.
        """
        for one in self.filters:
            images = one(images, first_index)
        return images

    def stages(self, images: Images) -> list[tuple[str, Images]]:
        """Return the text of each filter with the images as they are after it, for the filter sheet."""
        stages = []
        for one in self.filters:
            images = one(images)
            stages.append((str(one), images))
        return stages

    def __iter__(self) -> Iterator[Filter]:
        return iter(self.filters)

    def __len__(self) -> int:
        return len(self.filters)

    def __str__(self) -> str:
        return " | ".join(map(str, self.filters)) or "none"


def _syntax_tree(text: str) -> ast.expr:
    """Parse the text as an expression, with every way of failing turned into one line."""
    try:
        if "#" in text:
            raise ValueError("a comment would swallow what follows")
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # Python's own remarks on odd literals; what matters is refused below
            return ast.parse(text, mode="eval").body
    except (SyntaxError, ValueError, MemoryError, RecursionError):
        raise ValueError(f"filters: {show(text)} cannot be read; write for example: {EXAMPLE}") from None


def _split(node: ast.expr) -> list[ast.expr]:
    """Return the operands of `a | b | c` in order."""
    operands: list[ast.expr] = []
    while isinstance(node, ast.BinOp) and isinstance(node.op, ast.BitOr):
        operands.append(node.right)
        node = node.left
    return [node, *reversed(operands)]


def _read_filter(node: ast.expr) -> Filter:
    """Make the filter of one link of the chain: a name or a call with named arguments."""
    call = node if isinstance(node, ast.Call) else ast.Call(func=node, args=[], keywords=[])
    if not isinstance(call.func, ast.Name):
        raise ValueError(f"filters: {_source(node)} is not a filter; write for example: {EXAMPLE}")
    names = {filter_name(kind): kind for kind in FILTERS}
    name = call.func.id
    if name == "none":
        raise ValueError("filters: none stands alone; it is the chain without a filter")
    if name not in names:
        raise ValueError(f"filters: there is no {show(name)}{_guess(name, names)}; the filters are {', '.join(names)}")
    kind = names[name]
    parameters = [one.name for one in filter_parameters(kind)]
    if call.args or any(keyword.arg is None for keyword in call.keywords):
        raise ValueError(f"{name}: {_source(node)} has an argument without a name; write for example: {kind()}")
    arguments: dict[str, Any] = {}
    for keyword in call.keywords:
        key = str(keyword.arg)
        if key not in parameters:
            known = f"its parameters are {', '.join(parameters)}" if parameters else "it has no parameters"
            raise ValueError(f"{name}: there is no parameter {show(key)}{_guess(key, parameters)}; {known}")
        if key in arguments:
            raise ValueError(f"{name}.{key}: given twice")
        arguments[key] = _read_value(keyword.value, f"{name}.{key}")
    return kind(**arguments)


def _read_value(node: ast.expr, where: str) -> object:
    """Return the literal that the node holds; a bare word is a text, so that nobody has to quote inside quotes."""
    if isinstance(node, ast.Name):
        return node.id
    try:
        return ast.literal_eval(node)
    except (ValueError, TypeError, SyntaxError, MemoryError, RecursionError):
        raise ValueError(f"{where}: {_source(node)} is not a plain value; write a number, a pair or a word") from None


def _source(node: ast.expr) -> str:
    """Return the node's text for a message."""
    try:
        return show(ast.unparse(node))
    except (ValueError, RecursionError):
        return "this"


def _guess(word: str, known: Iterable[str]) -> str:
    """Return “, did you mean X?” or nothing."""
    close = difflib.get_close_matches(word, list(known), n=1)
    return f" (did you mean {close[0]}?)" if close else ""
