"""Types of the arrays that the reader passes around, and how they are scaled."""

from typing import Any, TypeAlias

import cv2
import numpy as np
import numpy.typing as npt

Floats: TypeAlias = npt.NDArray[np.float32]
Bytes: TypeAlias = npt.NDArray[np.uint8]
Matrix: TypeAlias = npt.NDArray[np.float64]


def resized(image: npt.NDArray[Any], scale: float) -> npt.NDArray[Any]:
    """Scale an image `(H, W)` or `(H, W, C)`, averaging where it shrinks."""
    height, width = (max(1, round(side * scale)) for side in image.shape[:2])
    how = cv2.INTER_AREA if scale < 1 else cv2.INTER_CUBIC
    return np.asarray(cv2.resize(image, (width, height), interpolation=how), image.dtype)
