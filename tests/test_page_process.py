"""`draw` as a process of its own: its speed, what it stands, and how it ends."""

import os
import signal
import socket
import statistics
import subprocess
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from urllib.parse import urlsplit

import cv2
import httpx
import numpy as np
import pytest
import torch
import uvicorn
from browser import DIGITS, TIMEOUT, start, wait_for

from mnist_lit.use.page.server import create_app
from mnist_lit.use.recognizer import load_recognizer

pytestmark = pytest.mark.slow

PNG = {"content-type": "image/png"}
posix_only = pytest.mark.skipif(os.name == "nt", reason="Windows delivers no SIGINT or SIGTERM to a child process")


def drawing():
    """A 3 as the page sends it."""
    canvas = np.full((288, 384), 255, np.uint8)
    for stroke in DIGITS[3]:
        points = np.rint((np.array(stroke) * 288 / 28 + (48, 0)) * 16).astype(np.int32)
        cv2.polylines(canvas, [points[:, None]], False, 0, 19, cv2.LINE_AA, shift=4)
    return bytes(cv2.imencode(".png", canvas)[1])


def test_a_drawing_is_answered_with_less_than_50_ms_of_work():
    # Processor time of server and client together: what it takes where nothing else runs, as other tests do here.
    torch.set_num_threads(1)
    app = create_app(load_recognizer())
    server = uvicorn.Server(uvicorn.Config(app, port=0, http="h11", ws="none", lifespan="off", log_level="critical"))
    thread = threading.Thread(target=server.run)
    thread.start()
    try:
        wait_for(lambda: server.started)
        port = server.servers[0].sockets[0].getsockname()[1]
        image, seconds = drawing(), []
        with httpx.Client(base_url=f"http://127.0.0.1:{port}") as client:
            for _ in range(40):
                began = time.process_time()
                assert client.post("/api/digit", content=image, headers=PNG).json()["answer"] == 3
                seconds.append(time.process_time() - began)
    finally:
        server.should_exit = True
        thread.join(TIMEOUT)
    assert statistics.median(seconds) < 0.050


def test_50_mb_get_413_and_100_parallel_requests_an_answer_each_and_the_page_is_still_there(address):
    def chunks():
        for _ in range(800):
            yield b"\0" * 2**16

    for path in ("/api/digit", "/api/read"):
        assert httpx.post(f"{address}{path[1:]}", content=chunks(), headers=PNG, timeout=60).status_code == 413
        answered = httpx.post(f"{address}{path[1:]}", content=b"\0" * (50 * 2**20), headers=PNG, timeout=60)
        assert answered.status_code == 413
        assert answered.json()["error"]
    image = drawing()
    with ThreadPoolExecutor(100) as many:
        url = f"{address}api/digit"
        done = list(many.map(lambda _: httpx.post(url, content=image, headers=PNG, timeout=60), range(100)))
    assert {response.status_code for response in done} <= {200, 503}
    assert all(response.status_code == 200 or response.json()["error"] for response in done)
    assert httpx.post(f"{address}api/digit", content=image, headers=PNG).json()["answer"] == 3


def test_each_bad_request_gets_its_status_and_the_page_is_still_there(address):
    url, image = f"{address}api/digit", drawing()
    svg = b"data:image/svg+xml;base64,PHN2ZyB4bWxucz0iaHR0cDovL3d3dy53My5vcmcvMjAwMC9zdmciLz4="
    asked = {
        "bad base64": (400, httpx.post(url, content=b"iVBORw0KGgo=====!!!", headers=PNG)),
        "data: URL of an SVG": (415, httpx.post(url, content=svg, headers=PNG)),
        "SVG": (415, httpx.post(url, content=svg, headers={"content-type": "image/svg+xml"})),
        "Host": (403, httpx.post(url, content=image, headers={**PNG, "host": "evil.example"})),
        "Origin": (403, httpx.post(url, content=image, headers={**PNG, "origin": "http://evil.example"})),
        "GET": (405, httpx.get(url)),
    }
    assert {name: response.status_code for name, (_, response) in asked.items()} == {
        name: status for name, (status, _) in asked.items()
    }
    assert all(set(response.json()) == {"error", "code"} for _, response in asked.values())
    assert httpx.post(url, content=image, headers=PNG).json()["answer"] == 3


@pytest.mark.parametrize(
    "junk",
    [
        b"\0" * 1000,
        b"GET / HTTP/9.9\r\n\r\n",
        b"POST /api/digit HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Length: -5\r\n\r\n",
        b"POST /api/digit HTTP/1.1\r\nHost: 127.0.0.1\r\nTransfer-Encoding: chunked\r\n\r\nZZ\r\n",
        b"GET / HTTP/1.1\r\nHost: 127.0.0.1\r\nX: " + b"a" * 200_000 + b"\r\n\r\n",
        b"POST /api/digit HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: image/png\r\nContent-Length: 500\r\n\r\nhalf",
    ],
)
def test_junk_on_the_line_does_not_end_the_server(address, junk):
    place = urlsplit(address)
    with socket.create_connection((place.hostname, place.port), timeout=10) as line:
        line.sendall(junk)
    assert httpx.get(address).status_code == 200


@posix_only
@pytest.mark.parametrize(("signum", "status"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_a_signal_ends_the_server_calmly(tmp_path, signum, status):
    process, url = start(tmp_path)
    assert httpx.get(url).status_code == 200
    process.send_signal(signum)
    out, err = process.communicate(timeout=TIMEOUT)
    assert process.returncode == status
    assert err == ""
    assert "Traceback" not in out


def test_serving_to_others_is_warned_of(tmp_path):
    process, url = start(tmp_path, "--host", "0.0.0.0")
    assert httpx.get(url).status_code == 200
    process.terminate()
    _, err = process.communicate(timeout=TIMEOUT)
    assert err == "draw: --host 0.0.0.0: every machine that can reach this one can use the page\n"


def test_a_second_server_on_the_port_is_refused_in_one_line(address, tmp_path):
    words = ["draw", "--no-browser", "--port", str(urlsplit(address).port)]
    done = subprocess.run(
        [sys.executable, "-m", "mnist_lit", *words], cwd=tmp_path, capture_output=True, text=True, timeout=TIMEOUT
    )
    assert done.returncode == 1
    assert done.stdout == ""
    assert done.stderr.startswith(f"draw: port {urlsplit(address).port} on 127.0.0.1: ")
    assert done.stderr.count("\n") == 1
