"""Helpers for the tests of the page's server: a recognizer that always says 3, a client, a drawing."""

import asyncio
import io
import json
from pathlib import Path

import cv2
import httpx
import numpy as np
from PIL import Image

import mnist_lit.use.page as command

STATIC = Path(command.__file__).parent / "static"
PATHS = json.loads((Path(__file__).parent / "recorded_strokes.json").read_text(encoding="utf-8"))["paths"]
ADDRESS = "http://127.0.0.1:8000"
PNG = {"content-type": "image/png"}
QUESTIONS = ("/api/digit", "/api/read")


class StandIn:
    """A recognizer that says 3 to everything and sees one filter."""

    def probabilities(self, images):
        rows = np.full((len(images), 10), 0.02, np.float32)
        rows[:, 3] = 0.82
        return rows

    def stages(self, image):
        return [("input", image), ("invert", 255 - image)]

    def attention(self, image):
        return image.astype(np.float32) / 255


class Client:
    """Asks the application itself, one request after the other, without a network."""

    def __init__(self, app):
        self.app = app

    def request(self, method, path, **options):
        async def ask():
            transport = httpx.ASGITransport(self.app)
            async with httpx.AsyncClient(transport=transport, base_url=ADDRESS) as client:
                return await client.request(method, path, **options)

        return asyncio.run(ask())

    def get(self, path, **options):
        return self.request("GET", path, **options)

    def post(self, path, **options):
        return self.request("POST", path, **options)


class EmptyPage:
    """What the reader would give, without reading."""

    digits = ()

    def scaled(self, factor):
        return self

    def to_dict(self):
        return {"text": "", "width": 1, "height": 1, "polarity": "dark on light", "lines": []}


def encoded(pixels, kind="PNG", **options):
    buffer = io.BytesIO()
    Image.fromarray(pixels).save(buffer, kind, **options)
    return buffer.getvalue()


def ink(strokes, side=140):
    """Pen paths as a drawing, uint8, black on white."""
    canvas = np.full((side, side), 255, np.uint8)
    for stroke in strokes:
        points = np.rint(np.array(stroke) * side / 28 * 16).astype(np.int32)
        cv2.polylines(canvas, [points[:, None]], False, 0, round(side * 0.066), cv2.LINE_AA, shift=4)
    return canvas


SEVEN = ink(next(path["strokes"] for path in PATHS if path["digit"] == 7))
DRAWING = encoded(SEVEN)


def is_error(response, status):
    """Check the form of an error: JSON with one sentence, and nothing of the machine's insides."""
    assert response.status_code == status, response.text
    answer = response.json()
    assert set(answer) == {"error", "code"}
    assert "Traceback" not in answer["error"]
    assert str(Path(__file__).parents[1]) not in response.text
    return True


def page_files(*suffixes):
    return {path.name: path.read_text(encoding="utf-8") for path in STATIC.iterdir() if path.suffix in suffixes}
