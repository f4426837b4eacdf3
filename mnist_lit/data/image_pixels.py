"""From a decoded Pillow image to grey levels or colours on white paper: orientation, depth, transparency, size.

Pillow's plugins add attributes that have no types: `image` is one of its image files throughout.
"""

from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt
from PIL import Image

from mnist_lit.data.image_formats import count_frames, lacks_pieces
from mnist_lit.errors import Failure

_ORIENTATION, _BITS_PER_SAMPLE, _PHOTOMETRIC = 274, 258, 262  # tags of TIFF, the first of EXIF too
_TURNS = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}
_Bytes: TypeAlias = npt.NDArray[np.uint8]


def upright(name: str, kind: str, data: bytes, image: Any) -> tuple[Any, list[str]]:
    """Decode the first frame whole and turn it as EXIF says.

    Args:
        name: what errors call the file.
        kind: its format, one of `SUPPORTED`.
        data: its content.
        image: opened, not yet loaded.

    Returns:
        The image, and what is to be noted.

    Raises:
        Failure: its samples have no known white, or a piece of it is missing.
    """
    if image.mode in ("I", "F"):
        raise Failure(f"{name}: 32-bit or signed samples have no known white (save it with 8 or 16 bits)")
    notes: list[str] = []
    if getattr(image, "is_animated", False):
        notes.append(f"first frame of {count_frames(image, data)}")
    orientation = image.tag_v2.get(_ORIENTATION) if kind == "TIFF" else None  # Pillow itself turns a TIFF, on load
    image.load()
    if (kind == "PNG" and b"IEND" not in data) or (kind == "TIFF" and lacks_pieces(image, data)):
        raise Failure(f"{name}: truncated {kind} file (copy or save it again)")
    if kind != "TIFF":
        try:
            orientation = image.getexif().get(_ORIENTATION)
        except Exception:  # damaged metadata beside good pixels; Pillow raises almost anything here too
            notes.append("EXIF unreadable, orientation unknown")
        if orientation in _TURNS:
            image = image.transpose(_TURNS[orientation])
    if orientation in _TURNS:
        notes.append("EXIF orientation applied")
    return image, notes


def grey_on_paper(image: Any, notes: list[str]) -> _Bytes:
    """Return grey levels `(H, W)`, transparent parts on white; adds a note where only the opacity shows the ink."""
    grey, alpha = _grey_and_alpha(image)
    if alpha is None or not np.ptp(grey) < 16 <= np.ptp(alpha):
        return grey
    notes.append("white on transparent: opacity taken as ink")
    return 255 - alpha


def rgb_on_paper(image: Any, notes: list[str]) -> _Bytes:
    """Return colours `(H, W, 3)`; what is not said here is as in `grey_on_paper`."""
    has_alpha = image.has_transparency_data
    if image.mode == "RGB" and not has_alpha:
        return np.asarray(image)
    if image.mode in ("P", "CMYK", "YCbCr") and not has_alpha:
        return np.asarray(image.convert("RGB"))
    seen = len(notes)
    grey = grey_on_paper(image, notes)
    if len(notes) == seen and has_alpha and image.mode in ("P", "PA", "RGB", "RGBA"):
        return np.asarray(_on_white(image).convert("RGB"))
    return np.repeat(grey[..., None], 3, axis=2)


def reduced(image: Any, factor: int) -> Any:
    """Return the image with `factor` × `factor` pixels averaged to one, at least 1; an image of grey or colour."""
    if factor <= 1:
        return image
    if image.mode == "1" or image.mode.startswith("I;16"):
        image = Image.fromarray(grey_on_paper(image, []))
    elif image.mode not in ("L", "LA", "RGB", "RGBA", "LAB") or "transparency" in image.info:
        image = image.convert("RGBA" if image.has_transparency_data else "RGB")
    return image.reduce(factor)


def _on_white(image: Any) -> Any:
    paper = Image.new("RGBA", image.size, "white")
    paper.alpha_composite(image.convert("RGBA"))
    return paper


def _grey_and_alpha(image: Any) -> tuple[_Bytes, _Bytes | None]:
    """Grey levels on white paper `(H, W)` and, where the image has one, its opacity `(H, W)`."""
    if image.mode.startswith("I;16"):
        samples = np.asarray(image).astype(np.uint32)
        tags = getattr(image, "tag_v2", {})
        white = 4095 if tags.get(_BITS_PER_SAMPLE) == (12,) else 65535
        if tags.get(_PHOTOMETRIC) == 0:  # white is zero; Pillow sees to that up to 8 bits only
            samples = white - samples
        grey = ((samples * 255 + white // 2) // white).astype(np.uint8)
        if "transparency" not in image.info:
            return grey, None
        alpha = np.where(samples == image.info["transparency"], 0, 255).astype(np.uint8)
        return np.where(alpha, grey, 255).astype(np.uint8), alpha
    if image.has_transparency_data:
        image = image.convert("RGBA")
        return np.asarray(_on_white(image).convert("L")), np.asarray(image.getchannel("A"))
    if image.mode == "LAB":
        return np.asarray(image.getchannel("L")), None
    if image.mode not in ("1", "L", "RGB"):
        image = image.convert("RGB")
    return np.asarray(image.convert("L")), None
