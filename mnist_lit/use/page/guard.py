"""What stands before the page's application: who may ask, what every response carries, and no error with details.

The page is served on this machine, where every web site that the user visits could try to reach it: through a name
that points here (DNS rebinding, answered by checking Host) or by sending forms and scripts (answered by checking Origin
and Sec-Fetch-Site).
"""

import asyncio
import contextlib
import ipaddress
import logging
import re
import socket
from collections.abc import Callable, Iterable
from typing import TypeAlias

from starlette.datastructures import Headers, MutableHeaders
from starlette.responses import JSONResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send

_log = logging.getLogger(__name__)

Hosts: TypeAlias = Callable[[str], bool]
"""Whether a host name or address, in lower case, without brackets and port, is one of ours."""

CONTENT_SECURITY_POLICY = "; ".join(
    (
        "default-src 'none'",
        "script-src 'self'",
        "style-src 'self'",
        "img-src 'self' blob: data:",
        "connect-src 'self'",
        "base-uri 'none'",
        "form-action 'none'",
        "frame-ancestors 'none'",
    )
)
SECURITY_HEADERS = {
    "Content-Security-Policy": CONTENT_SECURITY_POLICY,
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Permissions-Policy": "camera=(), microphone=(), geolocation=(), payment=(), usb=()",
}
LOOPBACK_NAMES = frozenset({"127.0.0.1", "localhost", "::1"})

_DRAIN_BYTES = 128 * 2**20  # of a body that is refused, so that the sender gets to read the answer
_DRAIN_SECONDS = 10.0
_HOST = re.compile(r"(?:\[([0-9a-f:.]+)\]|([a-z0-9._-]+))(?::[0-9]{1,5})?", re.ASCII)


def error_response(status: int, message: str, code: str, headers: dict[str, str] | None = None) -> JSONResponse:
    """Make the answer to what cannot be done.

    Args:
        status: the HTTP status, 4xx or 5xx.
        message: one English sentence.
        code: one word for programs, by which the page finds the sentence in its own language.
        headers: further headers.
    """
    return JSONResponse({"error": message, "code": code}, status_code=status, headers=headers)


def is_loopback(host: str) -> bool:
    """Whether an address to serve on can be reached from this machine alone."""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host.lower() == "localhost"


def allowed_hosts(served: str) -> Hosts:
    """Return which Host headers are ours.

    Args:
        served: the address that is served on. On loopback only loopback's own names are allowed; elsewhere also this
            machine's name and every literal address, which no foreign name can stand for.
    """
    names = {*LOOPBACK_NAMES, served.lower()}
    if is_loopback(served):
        return names.__contains__
    own = socket.gethostname().lower()
    names |= {own, f"{own}.local"}

    def allowed(name: str) -> bool:
        if name in names:
            return True
        try:
            ipaddress.ip_address(name)
        except ValueError:
            return False
        return True

    return allowed


class _Body:
    """The request's body on its way in: knows whether all of it has come."""

    def __init__(self, receive: Receive) -> None:
        self._receive = receive
        self._finished = False

    async def receive(self) -> Message:
        message = await self._receive()
        if message["type"] != "http.request" or not message.get("more_body", False):
            self._finished = True
        return message

    async def drain(self) -> None:
        """Read on without keeping anything, within limits."""
        left = _DRAIN_BYTES
        while not self._finished and left > 0:
            left -= len((await self.receive()).get("body", b""))


class Guard:
    """ASGI middleware around the whole application.

    Args:
        app: the application.
        hosts: which Host headers are ours.
    """

    def __init__(self, app: ASGIApp, hosts: Hosts) -> None:
        self._app = app
        self._hosts = hosts

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a request, or let the application answer it."""
        if scope["type"] == "websocket":
            await send({"type": "websocket.close", "code": 1008})
            return
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        body = _Body(receive)
        started = False

        async def guarded_send(message: Message) -> None:
            nonlocal started
            if message["type"] == "http.response.start":
                started = True
                if message["status"] >= 400:
                    with contextlib.suppress(asyncio.TimeoutError):
                        await asyncio.wait_for(body.drain(), _DRAIN_SECONDS)
                headers = MutableHeaders(scope=message)
                for name, value in SECURITY_HEADERS.items():
                    headers[name] = value
            await send(message)

        refused = self._refusal(scope["method"], Headers(scope=scope))
        if refused is not None:
            await refused(scope, body.receive, guarded_send)
            return
        try:
            await self._app(scope, body.receive, guarded_send)
        except Exception as error:  # a fault of ours: the client learns nothing of it, the terminal one line
            _log.error("%s %s: unexpected %s: %s", scope["method"], scope["path"], type(error).__name__, error)
            if not started:
                response = error_response(500, "something went wrong here; it was not your input", "internal")
                await response(scope, body.receive, guarded_send)

    def _refusal(self, method: str, headers: Headers) -> JSONResponse | None:
        """Return the answer to a request that comes from elsewhere, or None."""
        hosts = headers.getlist("host")
        match = _HOST.fullmatch(hosts[0].lower()) if len(hosts) == 1 else None
        if match is None or not self._hosts(match[1] or match[2]):
            return error_response(403, "this page answers under its own address only", "host")
        if method in ("GET", "HEAD"):
            return None
        if any(not _same_place(origin, hosts[0]) for origin in headers.getlist("origin")) or not _own_site(
            headers.getlist("sec-fetch-site")
        ):
            return error_response(403, "requests from other pages are refused", "origin")
        return None


def _same_place(origin: str, host: str) -> bool:
    """Whether the page that asks was served under the Host that it asks."""
    scheme, separator, place = origin.lower().partition("://")
    return bool(separator) and scheme in ("http", "https") and place == host.lower()


def _own_site(sites: Iterable[str]) -> bool:
    """Whether the browser, where it says so at all, says that the request is the page's or the user's own."""
    return all(site in ("same-origin", "none") for site in sites)
