"""The preprocessing contract: what happens to an image before the network sees it, as plain data beside the weights."""

import math
from dataclasses import dataclass, fields

from mnist_lit.data.filters import FilterChain


@dataclass(frozen=True)
class Contract:
    """What happens to an image before the network sees it; it belongs to the weights.

    Attributes:
        filters: canonical text of the filter chain, `none` for no filter.
        mean: mean of the training pixels after the filters, in [0, 1].
        std: their standard deviation, above 0.
        polarity: what the network expects of ink and paper.
    """

    filters: str
    mean: float
    std: float
    polarity: str = "light on dark"

    def __post_init__(self) -> None:
        for field in fields(self):
            value = getattr(self, field.name)
            if not isinstance(value, field.type if isinstance(field.type, type) else object):
                raise ValueError(f"contract.{field.name}: {value!r} is not a {field.type}")
        FilterChain.parse(self.filters)
        if not (0.0 < self.std < math.inf):
            raise ValueError(f"contract.std: {self.std} is not allowed; it must be above 0 and finite")
        if not math.isfinite(self.mean):
            raise ValueError(f"contract.mean: {self.mean} is not allowed; it must be finite")
