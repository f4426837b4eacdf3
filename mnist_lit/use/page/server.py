"""The application behind the page: two questions, `POST /api/digit` and `POST /api/read`, and the page's own files.

Bodies are image files as they are; answers and errors are JSON. Nothing that a client sends is taken for a path or a
URL. Each question has one worker thread and a short line before it, so that drawing stays quick while a photo is read.
"""

import asyncio
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from importlib.resources import files
from typing import Any

from fastapi import FastAPI, Request, Response
from fastapi.responses import JSONResponse
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect

from mnist_lit.data.image_formats import SUPPORTED, format_of
from mnist_lit.errors import Failure
from mnist_lit.use.ink import TooMuchInk
from mnist_lit.use.page.answers import answer_drawing, answer_photo, warm_up
from mnist_lit.use.page.guard import Guard, Hosts, allowed_hosts, error_response
from mnist_lit.use.recognizer import Recognizer

MAX_DRAWING_BYTES = 2**20
MAX_PHOTO_BYTES = 10 * 2**20
DRAWINGS_WAITING = 16
PHOTOS_WAITING = 3
BODY_SECONDS = 20.0  # for a body to arrive
IMAGE_TYPES = tuple(f"image/{kind}" for kind in ("png", "jpeg", "bmp", "x-ms-bmp", "gif", "tiff", "webp"))
PHOTO_TYPES = (*IMAGE_TYPES, "application/octet-stream")  # what browsers say of a file whose suffix they do not know

_MEDIA_TYPES = {
    "html": "text/html; charset=utf-8",
    "css": "text/css; charset=utf-8",
    "js": "text/javascript; charset=utf-8",
    "svg": "image/svg+xml",
}


class _Refused(Exception):  # noqa: N818 - a way out, not a fault
    """A request that gets an error as its answer."""

    def __init__(self, status: int, message: str, code: str, headers: dict[str, str] | None = None) -> None:
        self.response = error_response(status, message, code, headers)


class Lane:
    """One worker thread with a short line before it; who finds the line full is turned away.

    Args:
        answer: what the thread does with a body.
        max_bytes: of a body.
        types: content types that are taken.
        waiting: how many may wait.
    """

    def __init__(
        self, answer: Callable[[bytes], dict[str, Any]], *, max_bytes: int, types: tuple[str, ...], waiting: int
    ) -> None:
        self._answer = answer
        self._max_bytes = max_bytes
        self._types = types
        self._free = 1 + waiting
        self._thread = ThreadPoolExecutor(max_workers=1)

    def begin(self, job: Callable[[], None]) -> None:
        """Do something on the thread before the first answer."""
        self._thread.submit(job)

    async def __call__(self, request: Request) -> Response:
        """Answer a request."""
        self._check_type(request)
        with self._place():
            body = await self._body(request)
            answer = await asyncio.get_running_loop().run_in_executor(self._thread, self._answer, body)
        return JSONResponse(answer, headers={"Cache-Control": "no-store"})

    def _check_type(self, request: Request) -> None:
        given = request.headers.get("content-type", "").partition(";")[0].strip().lower()
        if given not in self._types:
            raise _Refused(415, f"unsupported content type; supported: {', '.join(self._types)}", "type")

    @contextmanager
    def _place(self) -> Iterator[None]:
        """Hold a place in the line, from before the body is read: bodies in memory are bounded too."""
        if self._free == 0:
            raise _Refused(503, "busy with other requests; try again in a second", "busy", {"Retry-After": "1"})
        self._free -= 1
        try:
            yield
        finally:
            self._free += 1

    async def _body(self, request: Request) -> bytes:
        """Read the body, which may be sent in chunks without saying how long it will be."""
        length = request.headers.get("content-length", "0")
        if length.isdecimal() and int(length[:20]) > self._max_bytes:
            raise self._too_large()
        body = bytearray()

        async def collect() -> None:
            async for chunk in request.stream():
                if len(body) + len(chunk) > self._max_bytes:
                    raise self._too_large()
                body.extend(chunk)

        try:
            await asyncio.wait_for(collect(), BODY_SECONDS)
        except asyncio.TimeoutError:
            raise _Refused(408, f"the image did not arrive within {BODY_SECONDS:.0f} seconds", "slow") from None
        self._check_start(bytes(body[:4096]))
        return bytes(body)

    def _check_start(self, start: bytes) -> None:
        """Refuse what is something else than its content type says."""
        kind = "a data: URL" if start[:5].lower() == b"data:" else format_of(start)
        if kind is not None and kind not in SUPPORTED:
            raise _Refused(415, f"unsupported: {kind}; supported: {', '.join(SUPPORTED)}", "type")

    def _too_large(self) -> _Refused:
        return _Refused(413, f"larger than the {self._max_bytes:,} bytes allowed; make it smaller", "large")


def create_app(recognizer: Recognizer, *, hosts: Hosts | None = None, warm: bool = False) -> FastAPI:
    """Make the application.

    Args:
        recognizer: the trained network that answers.
        hosts: which Host headers are answered, see `mnist_lit.use.page.guard.allowed_hosts`; loopback's names if left
            out.
        warm: whether to answer once in the background at once, so that the first answer is not slow.
    """
    app = FastAPI(title="mnist_lit", docs_url=None, redoc_url=None, openapi_url=None, redirect_slashes=False)
    app.add_middleware(Guard, hosts=hosts or allowed_hosts("127.0.0.1"))
    app.add_exception_handler(_Refused, _refused)
    app.add_exception_handler(Failure, _bad_image)
    app.add_exception_handler(HTTPException, _http_error)
    app.add_exception_handler(ClientDisconnect, _gone)
    digit = Lane(
        lambda body: answer_drawing(recognizer, body),
        max_bytes=MAX_DRAWING_BYTES,
        types=IMAGE_TYPES,
        waiting=DRAWINGS_WAITING,
    )
    read = Lane(
        lambda body: answer_photo(recognizer, body),
        max_bytes=MAX_PHOTO_BYTES,
        types=PHOTO_TYPES,
        waiting=PHOTOS_WAITING,
    )
    if warm:
        digit.begin(lambda: warm_up(recognizer))
    app.add_route("/api/digit", _endpoint(digit), methods=["POST"])
    app.add_route("/api/read", _endpoint(read), methods=["POST"])
    for path, content in _page_files().items():
        app.add_route(path, _constant(content, path), methods=["GET"])
    return app


def _endpoint(lane: Lane) -> Callable[[Request], Any]:
    async def endpoint(request: Request) -> Response:
        return await lane(request)

    return endpoint


def _page_files() -> dict[str, bytes]:
    """Read the page's own files once; their paths are all that can be asked for."""
    static = files("mnist_lit.use.page") / "static"
    found = {
        f"/{file.name}": file.read_bytes() for file in static.iterdir() if file.name.rpartition(".")[2] in _MEDIA_TYPES
    }
    found["/"] = found.pop("/index.html")
    return found


def _constant(content: bytes, path: str) -> Callable[[Request], Any]:
    media_type = _MEDIA_TYPES[path.rpartition(".")[2] if path != "/" else "html"]

    async def endpoint(request: Request) -> Response:
        return Response(content, media_type=media_type, headers={"Cache-Control": "no-cache"})

    return endpoint


def _refused(request: Request, error: Exception) -> Response:
    assert isinstance(error, _Refused)
    return error.response


def _bad_image(request: Request, error: Exception) -> Response:
    if isinstance(error, TooMuchInk):
        return error_response(400, f"photo: {error}", "full")
    return error_response(400, str(error), "image")


def _http_error(request: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)
    code = {404: "missing", 405: "method"}.get(error.status_code, "http")
    return error_response(error.status_code, str(error.detail), code, dict(error.headers or {}))


def _gone(request: Request, error: Exception) -> Response:
    return Response(status_code=400)  # nobody is left to read it
