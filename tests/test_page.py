"""The page behind `draw`: its answers, its errors, and who gets none; without a browser and without a network."""

import asyncio
import base64
import io
import json
import re
import socket
import struct
import subprocess
import sys
import threading
import zlib
from pathlib import Path
from types import SimpleNamespace

import cv2
import httpx
import numpy as np
import pytest
from PIL import Image

import mnist_lit.use.page as command
from mnist_lit.data.digit_image import digit_from_image
from mnist_lit.errors import Failure, UsageError
from mnist_lit.use.page import guard, server
from mnist_lit.use.page.guard import allowed_hosts
from mnist_lit.use.page.server import MAX_DRAWING_BYTES, MAX_PHOTO_BYTES, create_app
from mnist_lit.use.recognizer import load_recognizer

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


@pytest.fixture(autouse=True)
def reader(monkeypatch):
    """A reader that reads nothing: these tests are about the page."""
    stub = SimpleNamespace(read_page=lambda image, recognizer: EmptyPage())
    monkeypatch.setitem(sys.modules, "mnist_lit.use.reader", stub)
    return stub


@pytest.fixture
def client():
    return Client(create_app(StandIn()))


def is_error(response, status):
    """Check the form of an error: JSON with one sentence, and nothing of the machine's insides."""
    assert response.status_code == status, response.text
    answer = response.json()
    assert set(answer) == {"error", "code"}
    assert "Traceback" not in answer["error"]
    assert str(Path(__file__).parents[1]) not in response.text
    return True


# Answers


def test_a_drawing_is_answered_with_all_that_the_page_shows(client):
    answer = client.post("/api/digit", content=DRAWING, headers=PNG).json()
    digit = digit_from_image(SEVEN).pixels
    assert answer["ink"] is True
    assert answer["answer"] == 3
    assert answer["confidence"] == pytest.approx(0.82)
    assert answer["probabilities"] == pytest.approx([0.82 if k == 3 else 0.02 for k in range(10)])
    assert answer["polarity"] == "dark on light"
    assert [stage["name"] for stage in answer["stages"]] == ["input", "invert"]
    np.testing.assert_array_equal(np.reshape(answer["stages"][0]["pixels"], (28, 28)), digit)
    np.testing.assert_array_equal(np.reshape(answer["stages"][1]["pixels"], (28, 28)), 255 - digit)
    np.testing.assert_array_equal(np.reshape(answer["attention"], (28, 28)), digit)


@pytest.mark.parametrize("level", [0, 128, 255])
def test_a_blank_drawing_has_no_ink_and_no_answer(client, level):
    answer = client.post("/api/digit", content=encoded(np.full((90, 120), level, np.uint8)), headers=PNG).json()
    assert answer["ink"] is False
    assert answer["answer"] is answer["confidence"] is answer["probabilities"] is None
    assert answer["stages"] == []


def test_light_ink_on_dark_is_told(client):
    answer = client.post("/api/digit", content=encoded(255 - SEVEN), headers=PNG).json()
    assert answer["polarity"] == "light on dark"
    np.testing.assert_array_equal(np.reshape(answer["stages"][0]["pixels"], (28, 28)), digit_from_image(SEVEN).pixels)


def test_each_digit_of_a_photo_comes_with_its_image(client, reader):
    image = digit_from_image(SEVEN).pixels
    entry = {"text": "3", "box": [0, 0, 9, 9]}
    page = SimpleNamespace(
        scaled=lambda factor: page,
        digits=(SimpleNamespace(image=image),),
        to_dict=lambda: {"lines": [{"numbers": [{"digits": [entry]}]}]},
    )
    reader.read_page = lambda image, recognizer: page
    answer = client.post("/api/read", content=DRAWING, headers=PNG).json()
    (told,) = answer["lines"][0]["numbers"][0]["digits"]
    pixels = np.frombuffer(base64.b64decode(told["image"]), np.uint8).reshape(28, 28)
    np.testing.assert_array_equal(pixels, image)
    again = client.post("/api/digit", content=encoded(pixels), headers=PNG).json()
    np.testing.assert_array_equal(np.reshape(again["stages"][0]["pixels"], (28, 28)), image)


def test_the_notes_on_a_photo_are_told(client):
    exif = Image.Exif()
    exif[274] = 6
    answer = client.post("/api/read", content=encoded(SEVEN, exif=exif), headers=PNG).json()
    assert answer["notes"] == ["EXIF orientation applied"]


TWINS = {
    "16 bit": lambda: encoded(SEVEN.astype(np.uint16) * 257),
    "palette": lambda: saved(Image.fromarray(SEVEN).convert("P")),
    "strokes on transparent": lambda: saved(
        Image.merge("RGBA", [*[Image.new("L", SEVEN.shape, 0)] * 3, Image.fromarray(255 - SEVEN)])
    ),
    "grey with alpha": lambda: saved(Image.fromarray(SEVEN).convert("LA")),
    "GIF": lambda: encoded(SEVEN, "GIF"),
    "TIFF": lambda: encoded(SEVEN, "TIFF"),
    "BMP": lambda: encoded(SEVEN, "BMP"),
    "WebP": lambda: encoded(SEVEN, "WEBP", lossless=True),
}


def saved(image, kind="PNG"):
    buffer = io.BytesIO()
    image.save(buffer, kind)
    return buffer.getvalue()


@pytest.mark.parametrize("kind", TWINS)
def test_every_kind_of_picture_is_seen_as_its_plain_twin(client, kind):
    answer = client.post("/api/digit", content=TWINS[kind](), headers=PNG).json()
    twin = digit_from_image(SEVEN).pixels
    assert np.abs(np.reshape(answer["stages"][0]["pixels"], (28, 28)) - twin.astype(int)).max() <= 2


def test_recorded_strokes_are_answered_right_by_the_bundled_weights():
    digits = np.stack([digit_from_image(ink(path["strokes"])).pixels for path in PATHS])
    answers = load_recognizer().probabilities(digits).argmax(axis=1)
    assert answers.tolist() == [path["digit"] for path in PATHS]
    assert set(answers) == set(range(10))


# Pictures that are none


def chunk(tag, body):
    return struct.pack(">I", len(body)) + tag + body + struct.pack(">I", zlib.crc32(tag + body))


def bomb(side=20_000):
    header = struct.pack(">IIBBBBB", side, side, 1, 0, 0, 0, 0)
    rows = zlib.compress(bytes((side // 8 + 1) * side), 9)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", rows) + chunk(b"IEND", b"")


BAD_PICTURES = {
    "nothing": b"",
    "truncated PNG": DRAWING[: len(DRAWING) // 2],
    "truncated JPEG": encoded(SEVEN, "JPEG")[:-200],
    "text": b"this is no picture\n",
    "base64 of a PNG": base64.b64encode(DRAWING),
    "bad base64": b"iVBORw0KGgo=====!!!",
    "data: URL of an SVG": b"data:image/svg+xml;base64,"
    + base64.b64encode(b"<svg xmlns='http://www.w3.org/2000/svg'/>"),
    "SVG": b'<?xml version="1.0"?><svg xmlns="http://www.w3.org/2000/svg"><script>alert(1)</script></svg>',
    "HEIC": b"\0\0\0\x20ftypheic\0\0\0\0mif1heic",
    "AVIF": b"\0\0\0\x20ftypavif\0\0\0\0avifmif1miaf",
    "PDF": b"%PDF-1.7\n1 0 obj",
    "EPS": b"%!PS-Adobe-3.0 EPSF-3.0\nshowpage\n",
    "PSD": b"8BPS\0\1" + b"\0" * 40,
    "one pixel": encoded(np.zeros((1, 1), np.uint8)),
    "a strip": encoded(np.zeros((1, 5000), np.uint8)),
    "a bomb": bomb(),
    "random bytes after a PNG's start": b"\x89PNG\r\n\x1a\n" + bytes(range(256)),
}


@pytest.mark.parametrize("path", QUESTIONS)
@pytest.mark.parametrize("kind", BAD_PICTURES)
def test_what_is_no_whole_picture_gets_400_and_the_page_goes_on(client, kind, path):
    assert is_error(client.post(path, content=BAD_PICTURES[kind], headers=PNG), 400)
    assert client.post("/api/digit", content=DRAWING, headers=PNG).status_code == 200


def test_flipped_and_cut_bytes_never_get_more_than_a_4xx(client):
    rng = np.random.default_rng(0)
    for source in (DRAWING, encoded(SEVEN, "JPEG"), encoded(SEVEN, "TIFF", compression="tiff_lzw")):
        for _ in range(40):
            data = np.frombuffer(source, np.uint8).copy()
            data[rng.integers(len(data), size=3)] = rng.integers(256, size=3)
            response = client.post("/api/digit", content=data[: rng.integers(1, len(data) + 1)].tobytes(), headers=PNG)
            assert response.status_code in (200, 400), response.text


# Sizes and types


async def in_chunks(size):
    for _ in range(0, size, 2**16):
        yield b"\0" * 2**16


@pytest.mark.parametrize(("path", "most"), [("/api/digit", MAX_DRAWING_BYTES), ("/api/read", MAX_PHOTO_BYTES)])
def test_a_body_beyond_the_cap_gets_413(client, path, most):
    assert is_error(client.post(path, content=b"\0" * (most + 1), headers=PNG), 413)
    assert is_error(client.post(path, content=in_chunks(most + 1), headers=PNG), 413)
    assert is_error(client.post(path, content=b"\0" * most, headers=PNG), 400)  # of the largest size, but no image


def test_caps_are_those_that_are_documented():
    assert (MAX_DRAWING_BYTES, MAX_PHOTO_BYTES) == (1024 * 1024, 10 * 1024 * 1024)


@pytest.mark.parametrize("length", ["-1", "1e9", "99999999999999999999999999", "abc", ""])
def test_an_odd_content_length_does_no_harm(client, length):
    response = client.post("/api/digit", content=DRAWING, headers={**PNG, "content-length": length})
    assert response.status_code in (200, 413)


@pytest.mark.parametrize("path", QUESTIONS)
@pytest.mark.parametrize(
    "kind",
    [
        "text/plain",
        "application/json",
        "image/svg+xml",
        "multipart/form-data; boundary=x",
        "image/heic",
        "",
        "image/png2",
    ],
)
def test_another_content_type_gets_415(client, path, kind):
    assert is_error(client.post(path, content=DRAWING, headers={"content-type": kind}), 415)


def test_a_file_of_unknown_type_is_taken_as_a_photo_by_its_bytes(client):
    unknown = {"content-type": "application/octet-stream"}
    assert client.post("/api/read", content=DRAWING, headers=unknown).status_code == 200
    assert is_error(client.post("/api/read", content=b"MZ\x90", headers=unknown), 400)


# Who gets no answer


@pytest.mark.parametrize(
    "host",
    [
        "evil.example",
        "evil.example:8000",
        "127.0.0.1.evil.example",
        "127.0.0.2",
        "localhost.",
        "a@localhost",
        "[::2]",
        "",
    ],
)
@pytest.mark.parametrize(("method", "path"), [("GET", "/"), ("POST", "/api/digit")])
def test_a_host_that_is_not_ours_gets_403(client, method, path, host):
    assert is_error(client.request(method, path, content=DRAWING, headers={**PNG, "host": host}), 403)


@pytest.mark.parametrize("host", ["127.0.0.1", "127.0.0.1:8000", "localhost:9000", "LOCALHOST", "[::1]:8000"])
def test_our_own_names_are_answered(client, host):
    assert client.get("/", headers={"host": host}).status_code == 200


def test_no_host_and_two_hosts_get_403(client):
    twice = [("host", "127.0.0.1:8000"), ("host", "evil.example")]
    assert is_error(client.get("/", headers=twice), 403)


@pytest.mark.parametrize(
    "origin",
    ["http://evil.example", "null", "http://127.0.0.1:9999", "http://localhost:8000", "file://", "127.0.0.1:8000", ""],
)
@pytest.mark.parametrize("path", QUESTIONS)
def test_another_origin_gets_403(client, path, origin):
    assert is_error(client.post(path, content=DRAWING, headers={**PNG, "origin": origin}), 403)


def test_the_pages_own_origin_is_answered(client):
    own = {**PNG, "origin": ADDRESS, "sec-fetch-site": "same-origin"}
    assert client.post("/api/digit", content=DRAWING, headers=own).status_code == 200


@pytest.mark.parametrize("site", ["cross-site", "same-site"])
def test_what_the_browser_calls_cross_site_gets_403(client, site):
    assert is_error(client.post("/api/digit", content=DRAWING, headers={**PNG, "sec-fetch-site": site}), 403)


def test_elsewhere_than_on_loopback_literal_addresses_are_ours_and_foreign_names_are_not():
    allowed = allowed_hosts("0.0.0.0")
    assert all(map(allowed, ("192.168.1.20", "fe80::1", "localhost", socket.gethostname().lower())))
    assert not any(map(allowed, ("evil.example", "192.168.1.20.evil.example")))


@pytest.mark.parametrize("path", QUESTIONS)
@pytest.mark.parametrize("method", ["GET", "HEAD", "PUT", "DELETE", "OPTIONS", "PATCH"])
def test_another_method_gets_405(client, path, method):
    response = client.request(method, path)
    assert response.status_code == 405
    assert response.headers["allow"] == "POST"
    assert method == "HEAD" or is_error(response, 405)


def test_the_page_itself_takes_no_posts(client):
    assert is_error(client.post("/", content=DRAWING, headers=PNG), 405)


@pytest.mark.parametrize(
    "path",
    [
        "/docs",
        "/redoc",
        "/openapi.json",
        "/index.html/",
        "/server.py",
        "/static/draw.js",
        "/../server.py",
        "/..%2fserver.py",
        "/%2e%2e/%2e%2e/pyproject.toml",
        "/http://evil.example/",
        "/api",
        "/api/digit/",
    ],
)
def test_there_is_nothing_but_the_page_and_its_two_questions(client, path):
    assert is_error(client.get(path), 404)


# What every response carries


EVERY_KIND_OF_RESPONSE = [
    ("GET", "/", {}),
    ("GET", "/draw.js", {}),
    ("GET", "/missing", {}),
    ("GET", "/api/digit", {}),
    ("GET", "/", {"host": "evil.example"}),
    ("POST", "/api/digit", PNG),
    ("POST", "/api/digit", {"content-type": "text/plain"}),
]


@pytest.mark.parametrize(("method", "path", "headers"), EVERY_KIND_OF_RESPONSE)
def test_every_response_carries_the_security_headers(client, method, path, headers):
    got = client.request(method, path, headers=headers).headers
    policy = got["content-security-policy"].split("; ")
    assert {"default-src 'none'", "script-src 'self'", "style-src 'self'", "connect-src 'self'"} <= set(policy)
    assert {"base-uri 'none'", "form-action 'none'", "frame-ancestors 'none'"} <= set(policy)
    assert "unsafe" not in got["content-security-policy"]
    assert got["x-content-type-options"] == "nosniff"
    assert got["referrer-policy"] == "no-referrer"
    assert got["cross-origin-opener-policy"] == got["cross-origin-resource-policy"] == "same-origin"
    assert "server" not in got


def test_a_fault_of_ours_tells_nothing_and_the_page_goes_on(client, monkeypatch, caplog):
    monkeypatch.setattr(server, "answer_photo", lambda recognizer, body: 1 / 0)
    response = client.post("/api/read", content=DRAWING, headers=PNG)
    assert is_error(response, 500)
    assert "ZeroDivisionError" not in response.text
    assert response.headers["x-content-type-options"] == "nosniff"
    assert [record.exc_info for record in caplog.records] == [None]  # one line, no traceback
    assert "ZeroDivisionError" in caplog.text
    assert client.post("/api/digit", content=DRAWING, headers=PNG).status_code == 200


# The queue


def ask_many(app, count, path, until):
    """Ask at the same time; `until` is called with the answers so far, until it says that it has seen enough."""

    async def together():
        transport = httpx.ASGITransport(app)
        async with httpx.AsyncClient(transport=transport, base_url=ADDRESS) as client:
            tasks = [asyncio.create_task(client.post(path, content=DRAWING, headers=PNG)) for _ in range(count)]
            while not until([task.result() for task in tasks if task.done()]):
                await asyncio.sleep(0.005)
            return await asyncio.gather(*tasks), await client.post(path, content=DRAWING, headers=PNG)

    return asyncio.run(asyncio.wait_for(together(), 20))


@pytest.mark.parametrize(
    ("path", "places"), [("/api/digit", 1 + server.DRAWINGS_WAITING), ("/api/read", 1 + server.PHOTOS_WAITING)]
)
def test_of_100_parallel_requests_those_beyond_the_line_get_503_and_the_rest_an_answer(path, places, reader):
    free = threading.Event()

    class Slow(StandIn):
        def probabilities(self, images):
            assert free.wait(10)
            return super().probabilities(images)

    def slow_reader(image, recognizer):
        assert free.wait(10)
        return EmptyPage()

    reader.read_page = slow_reader

    def until(answers):
        if len(answers) >= 100 - places:
            free.set()
        return free.is_set()

    answers, later = ask_many(create_app(Slow()), 100, path, until)
    refused = [answer for answer in answers if answer.status_code != 200]
    assert len(refused) == 100 - places
    assert all(is_error(answer, 503) and answer.headers["retry-after"] == "1" for answer in refused)
    assert later.status_code == 200


def test_drawings_are_answered_while_a_photo_is_read(reader):
    free = threading.Event()

    def slow_reader(image, recognizer):
        assert free.wait(10)
        return EmptyPage()

    reader.read_page = slow_reader

    async def both():
        transport = httpx.ASGITransport(create_app(StandIn()))
        async with httpx.AsyncClient(transport=transport, base_url=ADDRESS) as client:
            photo = asyncio.create_task(client.post("/api/read", content=DRAWING, headers=PNG))
            await asyncio.sleep(0.05)
            drawing = await client.post("/api/digit", content=DRAWING, headers=PNG)
            waiting = not photo.done()
            free.set()
            return waiting, drawing.status_code, (await photo).status_code

    assert asyncio.run(asyncio.wait_for(both(), 20)) == (True, 200, 200)


def test_a_body_that_does_not_come_gets_408_and_leaves_its_place(monkeypatch):
    monkeypatch.setattr(server, "BODY_SECONDS", 0.05)
    monkeypatch.setattr(guard, "_DRAIN_SECONDS", 0.05)
    monkeypatch.setattr(server, "DRAWINGS_WAITING", 0)

    async def trickle():
        yield DRAWING[:100]
        await asyncio.sleep(60)

    async def ask():
        transport = httpx.ASGITransport(create_app(StandIn()))
        async with httpx.AsyncClient(transport=transport, base_url=ADDRESS) as client:
            slow = await client.post("/api/digit", content=trickle(), headers=PNG)
            return slow, await client.post("/api/digit", content=DRAWING, headers=PNG)

    slow, later = asyncio.run(asyncio.wait_for(ask(), 20))
    assert is_error(slow, 408)
    assert later.status_code == 200


def test_a_client_that_goes_away_leaves_its_place(monkeypatch, caplog):
    monkeypatch.setattr(server, "DRAWINGS_WAITING", 0)
    app = create_app(StandIn())
    headers = [(b"host", b"127.0.0.1"), (b"content-type", b"image/png")]
    scope = {"type": "http", "method": "POST", "path": "/api/digit", "query_string": b"", "headers": headers}

    async def gone():
        return {"type": "http.disconnect"}

    async def nowhere(message):
        pass

    asyncio.run(app(scope, gone, nowhere))
    assert caplog.records == []
    assert Client(app).post("/api/digit", content=DRAWING, headers=PNG).status_code == 200


# The page's own files


def page_files(*suffixes):
    return {path.name: path.read_text(encoding="utf-8") for path in STATIC.iterdir() if path.suffix in suffixes}


def test_the_page_and_all_that_it_refers_to_are_served(client):
    page = client.get("/")
    assert page.headers["content-type"] == "text/html; charset=utf-8"
    references = re.findall(r'(?:href|src)="(/[^"]*)"', page.text)
    for text in page_files(".js").values():
        references += [f"/{name}" for name in re.findall(r'from "\./([^"]+)"', text)]
    assert len(references) > 8
    for path in references:
        assert client.get(path).status_code == 200, path


def test_the_page_has_nothing_inline_that_its_policy_would_block():
    page = page_files(".html")["index.html"]
    assert re.findall(r"<script(?![^>]*\bsrc=)|<style|\sstyle=|\son[a-z]+=|javascript:", page) == []


def test_the_page_names_no_other_host():
    for name, text in page_files(".html", ".js", ".css", ".svg").items():
        assert set(re.findall(r"(?:https?:)?//[a-z0-9.]+\.[a-z]+", text)) <= {"http://www.w3.org"}, name
    assert "http://www.w3.org/2000/svg" in page_files(".js")["view.js"]


def test_every_text_is_there_in_both_languages():
    texts = page_files(".js")["texts.js"]
    english, chinese = (
        set(re.findall(r"^  (\w+):", texts.split(f"const {name} = ", 1)[1].split("\n};", 1)[0], re.MULTILINE))
        for name in ("english", "chinese")
    )
    assert english == chinese
    used = {name for text in page_files(".html").values() for name in re.findall(r'data-(?:text|label)="(\w+)"', text)}
    used |= {name for text in page_files(".js").values() for name in re.findall(r"\btexts\(\)\.(\w+)", text)}
    assert used - {"percent"} <= english  # a number's own form is the same in both


def test_every_filter_has_a_chinese_name():
    from mnist_lit.data.filters import FILTERS, filter_name

    texts = page_files(".js")["texts.js"]
    chinese = texts.split("const chinese = ", 1)[1].split("filters: {", 1)[1].split("}", 1)[0]
    assert set(re.findall(r"(\w+):", chinese)) == {filter_name(one) for one in FILTERS}


# The command


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--port", "65536"], "--port: 65536 is not allowed"),
        (["--port", "-1"], "--port: -1 is not allowed"),
        (["--port", "many"], "invalid int value"),
        (["--host", "no such host"], "--host: 'no such host' is no address"),
        (["extra"], "unrecognized arguments"),
    ],
)
def test_wrong_use_is_one_line(words, message):
    with pytest.raises(UsageError, match=re.escape(message)):
        command.run(words)


def test_a_port_in_use_is_one_line_that_names_another():
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        with pytest.raises(Failure, match=rf"^port {port} on 127\.0\.0\.1: .*--port"):
            command.run(["--port", str(port), "--no-browser"])


def test_a_model_that_is_not_there_is_one_line(tmp_path):
    with pytest.raises(UsageError, match=r"none\.ckpt"):
        command.run(["--port", "0", "--no-browser", "--model", str(tmp_path / "none.ckpt")])


@pytest.mark.parametrize("missing", ["uvicorn", "fastapi"])
def test_without_the_extra_the_way_to_it_is_named(monkeypatch, missing):
    for name in [name for name in sys.modules if name.startswith("mnist_lit.use.page.")]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, missing, None)
    with pytest.raises(UsageError, match=re.escape(f"{missing}: not installed (pip install 'mnist_lit[page]')")):
        command.run(["--port", "0", "--no-browser"])


def test_importing_the_command_imports_nothing_heavy():
    code = (
        "import sys, mnist_lit.use.page; "
        "print([name for name in ('torch', 'cv2', 'fastapi', 'uvicorn', 'numpy') if name in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
