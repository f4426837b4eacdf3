"""What the page is told about a drawing or a photo: bytes of an image file in, plain JSON data out."""

import base64
import sys
from typing import Any

import cv2
import numpy as np
import numpy.typing as npt

from mnist_lit.data.digit_image import digit_from_image
from mnist_lit.data.image_files import decode_grey, decode_rgb
from mnist_lit.errors import Failure
from mnist_lit.use.recognizer import Recognizer

_WANTED_PHOTO_PIXELS = 16_000_000  # larger photos are reduced while they are decoded
MAX_DRAWING_PIXELS = 4 * 2**20  # a canvas on a large screen; the page sends a tenth of that


def answer_drawing(recognizer: Recognizer, data: bytes) -> dict[str, Any]:
    """Answer for an image of one digit.

    Args:
        recognizer: a trained network.
        data: the content of an image file.

    Returns:
        `ink`: False for a blank image, and then all below is None or empty;
        `text`: the answer, or `?` where the confidence is below that of the reader;
        `answer`, `confidence`, `probabilities` (10); `polarity`;
        `stages`: what the network sees, `name` and `pixels` (784 grey levels, row by row) of the normalised image and
        of the image after each filter;
        `attention`: 784 values from 0 to 255, where the network looked; None where the model cannot tell.

    Raises:
        Failure: the data is no image that can be read whole.
    """
    from mnist_lit.use.reader import CONFIDENCE_THRESHOLD

    digit = digit_from_image(decode_grey(data, "drawing", max_pixels=MAX_DRAWING_PIXELS).pixels)
    if not digit.has_ink:
        return {
            "ink": False,
            "text": "",
            "answer": None,
            "confidence": None,
            "probabilities": None,
            "polarity": digit.polarity,
            "stages": [],
            "attention": None,
        }
    probabilities = recognizer.probabilities(digit.pixels[None])[0]
    answer = int(probabilities.argmax())
    return {
        "ink": True,
        "text": str(answer) if probabilities[answer] >= CONFIDENCE_THRESHOLD else "?",
        "answer": answer,
        "confidence": round(float(probabilities[answer]), 6),
        "probabilities": [round(float(value), 6) for value in probabilities],
        "polarity": digit.polarity,
        "stages": [
            {"name": name, "pixels": np.asarray(image).reshape(-1).tolist()}
            for name, image in recognizer.stages(digit.pixels)
        ],
        "attention": _attention(recognizer, digit.pixels),
    }


def _attention(recognizer: Recognizer, image: npt.NDArray[np.uint8]) -> list[int] | None:
    try:
        heat = recognizer.attention(image)
    except Failure:  # an ONNX file has no gradients
        return None
    levels: list[int] = np.clip(np.rint(heat * 255), 0, 255).astype(int).reshape(-1).tolist()
    return levels


def answer_photo(recognizer: Recognizer, data: bytes) -> dict[str, Any]:
    """Read a photo of handwritten numbers.

    Args:
        recognizer: a trained network.
        data: the content of an image file.

    Returns:
        The page as plain data, see `mnist_lit.use.reader.Page.to_dict`; with the `image` of each digit, the base64 of
        784 grey levels, which `answer_drawing` takes exactly as they are; and `notes`: what was decided on the way.

    Raises:
        Failure: the data is no image that can be read whole.
        TooMuchInk: there is more on it than is read, see `mnist_lit.use.reader.read_page`.
    """
    from mnist_lit.use.reader import read_page

    image = decode_rgb(data, "photo", wanted_pixels=_WANTED_PHOTO_PIXELS)
    page = read_page(image.pixels, recognizer).scaled(image.reduction)
    answer = page.to_dict()
    told = [digit for line in answer["lines"] for number in line["numbers"] for digit in number["digits"]]
    for digit, entry in zip(page.digits, told, strict=True):
        entry["image"] = base64.b64encode(digit.image.tobytes()).decode("ascii")
    return {**answer, "notes": list(image.notes)}


def warm_up(recognizer: Recognizer) -> None:
    """Answer and read once: the first time takes a second or two, mostly for PyTorch to start."""
    sample = _sample_drawing()
    answer_drawing(recognizer, sample)
    answer_photo(recognizer, sample)
    if torch := sys.modules.get("torch"):  # an ONNX file runs without
        torch.set_num_threads(1)  # one small image at a time: more threads only wait for each other


def _sample_drawing() -> bytes:
    """A PNG of a printed 3."""
    canvas = np.full((120, 160), 255, np.uint8)
    cv2.putText(canvas, "3", (55, 95), cv2.FONT_HERSHEY_SIMPLEX, 3, 0, 8)
    return bytes(cv2.imencode(".png", canvas)[1])
