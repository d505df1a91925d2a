"""Requests to servers and their answers, over connections that are used again.

The standard library's `http.client` reads the answers. This module knows no redirects, no
credentials, and not what a status means.
"""

from __future__ import annotations

import io
import threading
import time
from contextlib import contextmanager, suppress
from http.client import HTTPException
from pathlib import Path
from typing import IO, TYPE_CHECKING, NamedTuple

from hatch_wazcache.cache.remote.http_url import find_proxy
from hatch_wazcache.cache.remote.stores import CHUNK, RemoteError
from hatch_wazcache.cache.remote.wire import Wire, connect

if TYPE_CHECKING:
    import ssl
    from collections.abc import Callable, Iterator, Mapping
    from http.client import HTTPResponse

    from hatch_wazcache.cache.remote.http_url import HttpUrl, Origin

__all__ = ["Answer", "Connections", "Request"]

_PIECE = 1 << 18
"""The bytes that are read at once."""

_WORTH_READING = 1 << 16
"""The bytes of a body that nobody needs which are read, to use its connection again."""


class Request(NamedTuple):
    """What a server is asked."""

    method: str
    url: HttpUrl
    headers: Mapping[str, str]
    body: bytes | Path | None = None
    deadline: float = float("inf")
    """For the whole request, by `time.monotonic`. Without it, no silence may be too long."""
    watch: Callable[[int], object] = lambda _: None
    """Called with the number of bytes of the body that were sent so far."""


class Answer:
    """The answer to a request. Its body is read in pieces."""

    def __init__(self, response: HTTPResponse, wire: Wire, deadline: float, whole: bool) -> None:
        self.status = response.status
        self.headers = response.headers
        self._response = response
        self.wire = wire
        self._deadline = deadline
        self._usable = whole and not response.will_close

    @property
    def length(self) -> int | None:
        """The bytes of the body, if the server says how many."""
        return None if self._response.chunked else self._response.length

    def pieces(self, most: int) -> Iterator[bytes]:
        """Return the body in pieces, until its end, or until it has more than `most` bytes.

        Raises:
            RemoteError: the body ends before the length that the server has said.
        """
        usable, self._usable = self._usable, False
        left = most + 1
        while left > 0:
            self.wire.wait_until(self._deadline)
            piece = self._response.read1(min(left, _PIECE))
            if not piece:
                if self._response.length:  # the bytes that are missing
                    raise RemoteError("the answer ended too early")
                self._usable = usable
                return
            left -= len(piece)
            yield piece

    def finish(self) -> bool:
        """Read the rest of the body. Return whether the connection can be used again."""
        with self._response:
            if self._usable:
                self._deadline = min(self._deadline, time.monotonic() + 0.5)
                with suppress(OSError, HTTPException, ValueError, RemoteError):
                    for _ in self.pieces(_WORTH_READING):
                        pass
            return self._usable


class Connections:
    """Connections to servers. Each serves one request at a time, of any thread."""

    def __init__(self, tls: Callable[[], ssl.SSLContext]) -> None:
        """Connect to nothing yet.

        Args:
            tls: makes the settings of TLS, when a server needs them.
        """
        self._tls = tls
        self._lock = threading.Lock()
        self._idle: dict[Origin, list[Wire]] = {}
        self._open: set[Wire] = set()
        self._closed = False

    @contextmanager
    def ask(self, request: Request) -> Iterator[Answer]:
        """Send a request, and return the answer, of which only the head is read.

        Raises:
            RemoteError: there is no connection, or no answer.
            OSError, HTTPException, ValueError: the same.
        """
        origin = request.url.origin
        answer = self._answer(origin, request)
        try:
            yield answer
        finally:
            if answer.finish():
                with self._lock:
                    self._idle.setdefault(origin, []).append(answer.wire)
            else:
                self._drop(answer.wire)

    def close(self) -> None:
        """End all connections, also those that other threads wait on."""
        with self._lock:
            self._closed = True
            idle = [wire for wires in self._idle.values() for wire in wires]
            self._idle.clear()
            busy = self._open.difference(idle)
        for wire in idle:
            self._drop(wire)
        for wire in busy:
            wire.stop()

    def _answer(self, origin: Origin, request: Request) -> Answer:
        while wire := self._take_idle(origin):
            try:
                return self._exchange(wire, request)
            except TimeoutError:
                raise
            except (OSError, HTTPException):
                continue  # a server may close a connection between two requests
        tls = self._tls() if origin.scheme == "https" else None
        wire = connect(origin, tls, request.deadline)
        with self._lock:
            closed = self._closed
            self._open.add(wire)
        if closed:
            self._drop(wire)
            raise RemoteError("the connection was closed")
        return self._exchange(wire, request)

    def _take_idle(self, origin: Origin) -> Wire | None:
        while True:
            with self._lock:
                wires = self._idle.get(origin)
                if not wires:
                    return None
                wire = wires.pop()
            if wire.is_idle():
                return wire
            self._drop(wire)

    def _drop(self, wire: Wire) -> None:
        with self._lock:
            self._open.discard(wire)
        wire.close()

    def _exchange(self, wire: Wire, request: Request) -> Answer:
        try:
            try:
                whole = _send(wire, request)
            except OSError:
                # A server that refuses a large body answers, and closes the connection.
                wire.wait_until(min(request.deadline, time.monotonic() + 1))
                with suppress(OSError, HTTPException, ValueError):
                    return Answer(wire.read_head(request.method), wire, request.deadline, False)
                raise
            wire.wait_until(request.deadline)
            return Answer(wire.read_head(request.method), wire, request.deadline, whole)
        except BaseException:
            self._drop(wire)
            raise


def _send(wire: Wire, request: Request) -> bool:
    """Send a request. Return whether the server has not answered before it had all of it."""
    origin = request.url.origin
    with _open_body(request.body) as (file, size):
        headers = {"Host": origin.host_header, "Accept-Encoding": "identity", **request.headers}
        target = request.url.target
        if origin.scheme == "http" and (proxy := find_proxy(origin)):
            target = f"http://{origin.host_header}{target}"
            if proxy.login:
                headers["Proxy-Authorization"] = proxy.login
        if request.body is not None:
            headers["Content-Length"] = str(size)
        lines = [f"{request.method} {target} HTTP/1.1"]
        lines += [f"{name}: {value}" for name, value in headers.items()]
        wire.wait_until(request.deadline)
        wire.send_all("\r\n".join([*lines, "", ""]).encode("latin-1"))
        return _send_body(wire, request, file, size)


def _send_body(wire: Wire, request: Request, file: IO[bytes], size: int) -> bool:
    buffer = memoryview(bytearray(min(size, CHUNK)))
    sent = 0
    while sent < size:
        if wire.has_answered():
            return False
        piece = buffer[: _read_into(buffer[: size - sent], file)]
        while piece:
            wire.wait_until(request.deadline)
            count = wire.send(piece)
            piece = piece[count:]
            sent += count
            request.watch(sent)
    return True


@contextmanager
def _open_body(body: bytes | Path | None) -> Iterator[tuple[IO[bytes], int]]:
    if isinstance(body, Path):
        try:
            file: IO[bytes] = body.open("rb")
            size = body.stat().st_size
        except OSError as error:
            raise RemoteError(f"cannot read the file to upload: {error.strerror}") from error
    else:
        file, size = io.BytesIO(body or b""), len(body or b"")
    with file:
        yield file, size


def _read_into(buffer: memoryview, file: IO[bytes]) -> int:
    try:
        count = file.readinto(buffer)  # type: ignore[attr-defined]
    except OSError as error:
        raise RemoteError(f"cannot read the file to upload: {error.strerror}") from error
    if not count:
        raise RemoteError("the file to upload has become shorter")
    return int(count)
