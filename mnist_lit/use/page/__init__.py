"""`python -m mnist_lit draw`: a page to draw a digit on, served on this machine, and the network's answer to it.

`server` is the application, `guard` what stands before it, `static` the page itself: plain HTML, CSS and JavaScript.
"""

import os
import signal
import socket
import sys
import threading
from collections.abc import Sequence
from pathlib import Path
from types import FrameType
from typing import NoReturn

from mnist_lit.arguments import ArgumentParser
from mnist_lit.errors import Failure, UsageError

DEFAULT_HOST, DEFAULT_PORT = "127.0.0.1", 8000


class _Terminated(BaseException):
    """SIGTERM, as an exception that no `except Exception` swallows."""


def run(args: Sequence[str]) -> int:
    """Run the command: serve until Ctrl-C (which `mnist_lit.cli` turns into 130) or SIGTERM (143).

    Raises:
        UsageError: an option is wrong, or the extra `page` is not installed.
        Failure: the port is taken, or the model cannot be read.
    """
    parser = ArgumentParser("draw", "Open a page to draw a digit on, and watch the network answer.")
    parser.add_argument("--port", type=int, default=DEFAULT_PORT, help="port to serve on, 0 for any free one (8000)")
    parser.add_argument(
        "--host", default=DEFAULT_HOST, help="address to serve on (127.0.0.1: this machine alone can reach the page)"
    )
    parser.add_argument(
        "--model", type=Path, metavar="FILE", help="run folder, .ckpt, .safetensors or .onnx (the bundled weights)"
    )
    parser.add_argument("--no-browser", action="store_true", help="do not open the page in the browser")
    options = parser.parse_args(args)
    if not 0 <= options.port <= 65535:
        raise UsageError(f"--port: {options.port} is not allowed; 0 to 65535 is")
    before = _on_sigterm(_terminate)
    try:
        _serve(options.host, options.port, options.model, open_browser=not options.no_browser)
    except _Terminated:
        return 128 + signal.SIGTERM
    finally:
        _on_sigterm(before)
    return 0


def _terminate(signum: int, frame: FrameType | None) -> NoReturn:
    raise _Terminated


def _on_sigterm(handler: object) -> object:
    """Set the handler and return the one before; nothing where Python allows none (outside the main thread)."""
    if threading.current_thread() is not threading.main_thread():
        return None
    return signal.signal(signal.SIGTERM, handler)  # type: ignore[arg-type]


def _serve(host: str, port: int, model: Path | None, *, open_browser: bool) -> None:
    try:
        import uvicorn

        from mnist_lit.use.page.guard import allowed_hosts, is_loopback
        from mnist_lit.use.page.server import create_app
    except ModuleNotFoundError as error:
        if (error.name or "").startswith("mnist_lit"):
            raise
        raise UsageError(f"{error.name}: not installed (pip install 'mnist_lit[page]')") from None

    listener = _listen(host, port)
    with listener:
        import cv2

        from mnist_lit.use.recognizer import load_recognizer

        cv2.setNumThreads(min(2, os.cpu_count() or 1))
        recognizer = load_recognizer(model)
        address = f"http://{_for_url(host, listener.getsockname()[0])}:{listener.getsockname()[1]}/"
        print(f"model      {recognizer.source}, filters: {recognizer.contract.filters}")  # noqa: T201
        print(f"page       {address}  (Ctrl-C stops)", flush=True)  # noqa: T201
        if not is_loopback(host):
            print(  # noqa: T201
                f"draw: --host {host}: every machine that can reach this one can use the page", file=sys.stderr
            )
        if open_browser:
            threading.Thread(target=_open_browser, args=(address,), daemon=True).start()
        config = uvicorn.Config(
            create_app(recognizer, hosts=allowed_hosts(host), warm=True),
            http="h11",
            ws="none",
            loop="asyncio",
            lifespan="off",
            log_config=None,
            log_level="critical",  # what a client sends wrongly is told to the client
            access_log=False,
            proxy_headers=False,
            server_header=False,
            timeout_graceful_shutdown=2,
        )

        class Server(uvicorn.Server):
            """Remembers what stopped it: the signal that uvicorn raises again at its end can get lost in asyncio's."""

            stopped_by = 0

            def handle_exit(self, sig: int, frame: FrameType | None) -> None:
                self.stopped_by = self.stopped_by or sig
                super().handle_exit(sig, frame)

        server = Server(config)
        server.run(sockets=[listener])
        if server.stopped_by == signal.SIGTERM:
            raise _Terminated
        if server.stopped_by:
            raise KeyboardInterrupt


def _listen(host: str, port: int) -> socket.socket:
    """Take the port before anything slow happens.

    Raises:
        UsageError: there is no such address on this machine.
        Failure: the port is taken or not allowed.
    """
    try:
        family, kind, protocol, _, address = socket.getaddrinfo(
            host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
        )[0]
    except (OSError, UnicodeError):
        raise UsageError(f"--host: {host!r} is no address of this machine (127.0.0.1 is)") from None
    listener = socket.socket(family, kind, protocol)
    try:
        if os.name != "nt":  # there it would allow two programs on one port
            listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind(address)
        listener.listen(128)
    except OSError as error:
        listener.close()
        choice = f"choose another: --port {port + 1 if 1024 <= port < 65535 else DEFAULT_PORT}, or 0 for any free one"
        raise Failure(f"port {port} on {host}: {error.strerror or error} ({choice})") from None
    return listener


def _for_url(host: str, bound: str) -> str:
    """The host as a browser on this machine can use it."""
    if bound == "0.0.0.0":
        return "127.0.0.1"
    if bound == "::":
        return "[::1]"
    return f"[{bound}]" if ":" in bound else host


def _open_browser(address: str) -> None:
    """Open the page where there is a screen; a text browser would take over the terminal."""
    if sys.platform in ("win32", "darwin") or os.environ.get("DISPLAY") or os.environ.get("WAYLAND_DISPLAY"):
        import webbrowser

        webbrowser.open(address)
