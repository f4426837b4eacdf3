"""The page behind `draw`: its errors, and who gets no answer; without a browser and without a network."""

import base64
import socket
import struct
import zlib

import numpy as np
import pytest
from page_checks import ADDRESS, DRAWING, PNG, QUESTIONS, SEVEN, encoded, is_error

from mnist_lit.use.page import server
from mnist_lit.use.page.guard import allowed_hosts
from mnist_lit.use.page.server import MAX_DRAWING_BYTES, MAX_PHOTO_BYTES

pytestmark = pytest.mark.usefixtures("reader")


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
    "SVG": b'<?xml version="1.0" encoding="UTF-8"?><svg xmlns="http://www.w3.org/2000/svg"><script>alert(1)</script></svg>',
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


OTHER_FORMATS = {"data: URL of an SVG", "SVG", "HEIC", "AVIF", "PDF", "EPS", "PSD"}


@pytest.mark.parametrize("path", QUESTIONS)
@pytest.mark.parametrize("kind", BAD_PICTURES)
def test_what_is_no_whole_picture_gets_400_or_415_and_the_page_goes_on(client, kind, path):
    status = 415 if kind in OTHER_FORMATS else 400
    assert is_error(client.post(path, content=BAD_PICTURES[kind], headers=PNG), status)
    assert client.post("/api/digit", content=DRAWING, headers=PNG).status_code == 200


def test_flipped_and_cut_bytes_never_get_more_than_a_4xx(client):
    rng = np.random.default_rng(0)
    for source in (DRAWING, encoded(SEVEN, "JPEG"), encoded(SEVEN, "TIFF", compression="tiff_lzw")):
        for _ in range(40):
            data = np.frombuffer(source, np.uint8).copy()
            data[rng.integers(len(data), size=3)] = rng.integers(256, size=3)
            response = client.post("/api/digit", content=data[: rng.integers(1, len(data) + 1)].tobytes(), headers=PNG)
            assert response.status_code in (200, 400, 415), response.text


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
