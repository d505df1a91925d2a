"""A connection to a server, with or without a proxy and TLS. Every wait on it ends.

It knows no HTTP but the one request that asks a proxy for a tunnel.
"""

from __future__ import annotations

import http.client
import io
import socket
import ssl
import threading
import time
from contextlib import suppress
from queue import Empty, SimpleQueue
from typing import TYPE_CHECKING, Any, cast

from hatch_wazcache.cache.remote.http_url import Proxy, find_proxy, status_text
from hatch_wazcache.cache.remote.stores import CONNECT_TIMEOUT, SILENCE_TIMEOUT, RemoteError
from hatch_wazcache.util.terminal import printable

if TYPE_CHECKING:
    from hatch_wazcache.cache.remote.http_url import Origin

__all__ = ["Wire", "connect"]

_SERVER_IS_SILENT = "the server was silent for too long"


class Wire:
    """A connected socket. Reading and writing wait until `deadline` at most.

    It has the methods of a socket that `http.client.HTTPResponse` needs.
    """

    def __init__(self, sock: socket.socket) -> None:
        self.sock = sock
        self.deadline = 0.0
        """By `time.monotonic`."""
        self._early = b""
        self._ended = False

    def wait_until(self, deadline: float) -> None:
        """Allow the usual silence from now on, but not beyond a deadline."""
        self.deadline = min(deadline, time.monotonic() + SILENCE_TIMEOUT)

    def makefile(self, mode: str) -> io.BufferedReader:
        """Return a reader of the bytes to come. It does not close the connection."""
        assert mode == "rb"
        return io.BufferedReader(_Reader(self))

    def read_head(self, method: str) -> http.client.HTTPResponse:
        """Read an answer up to its body. `http.client` bounds its lines and their number."""
        answer = http.client.HTTPResponse(cast("socket.socket", self), method=method)
        try:
            answer.begin()
        except BaseException:
            answer.close()
            raise
        return answer

    def receive_into(self, buffer: memoryview) -> int:
        """Receive some bytes; 0 of them at the end."""
        if self._early or self._ended:
            count = min(len(buffer), len(self._early))
            buffer[:count] = self._early[:count]
            self._early = self._early[count:]
            return count
        self.sock.settimeout(self._left())
        return self.sock.recv_into(buffer)

    def has_answered(self) -> bool:
        """Whether an answer has begun, or the connection has ended. Does not wait.

        An interim answer, such as `100 Continue`, is no answer.
        """
        if not self._early and not self._ended:
            self.sock.settimeout(0)
            try:
                self._early = self.sock.recv(1 << 16)
            except (BlockingIOError, ssl.SSLWantReadError, ssl.SSLWantWriteError):
                return False
            except OSError:
                self._early = b""
            self._ended = not self._early
        return self._ended or not self._early.startswith(b"HTTP/1.1 1")

    def is_idle(self) -> bool:
        """Whether the connection is open, and nothing has come that nobody asked for."""
        return not self.has_answered() and not self._early

    def send(self, data: memoryview) -> int:
        """Send some bytes, and return how many."""
        self.sock.settimeout(self._left())
        return self.sock.send(data)

    def send_all(self, data: bytes) -> None:
        """Send a few bytes."""
        self.sock.settimeout(self._left())
        self.sock.sendall(data)

    def stop(self) -> None:
        """End the connection for a thread that waits on it, which closes it then.

        `SSLSocket.shutdown` would make it a socket without TLS, while that thread may send.
        """
        with suppress(OSError):
            socket.socket.shutdown(self.sock, socket.SHUT_RDWR)

    def close(self) -> None:
        """Close the connection. No other thread may use it."""
        self.stop()
        self.sock.close()

    def _left(self) -> float:
        left = self.deadline - time.monotonic()
        if left <= 0:
            raise TimeoutError(_SERVER_IS_SILENT)
        return left


class _Reader(io.RawIOBase):
    """The bytes that come over a wire, as a file."""

    def __init__(self, wire: Wire) -> None:
        self._wire = wire

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        return self._wire.receive_into(memoryview(buffer))


def connect(origin: Origin, context: ssl.SSLContext | None, deadline: float) -> Wire:
    """Connect to a server, by the proxy that the environment names for it.

    Args:
        origin: the server.
        context: for TLS; None for a server without it.
        deadline: until when, by `time.monotonic`.

    Raises:
        RemoteError: there is no connection.
    """
    proxy = find_proxy(origin)
    place = proxy.place if proxy else origin.place
    host, port = (proxy.host, proxy.port) if proxy else (origin.host, origin.port)
    wire = Wire(_open_socket(host, port, place, min(deadline, time.monotonic() + CONNECT_TIMEOUT)))
    try:
        wire.wait_until(deadline)
        if context is not None:
            if proxy:
                _open_tunnel(wire, origin, proxy)
            wire.sock = _wrap(wire, origin, context)
    except BaseException:
        wire.close()
        raise
    return wire


def _open_socket(host: str, port: int, place: str, deadline: float) -> socket.socket:
    addresses = _resolve(host, port, deadline)
    problem = ""
    for number, (family, kind, protocol, _, address) in enumerate(addresses):
        # A share for each address: the first may be one that never answers.
        left = (deadline - time.monotonic()) / (len(addresses) - number)
        if left <= 0:
            break
        sock = socket.socket(family, kind, protocol)
        try:
            sock.settimeout(left)
            sock.connect(address)
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        except OSError as error:
            sock.close()
            if not isinstance(error, TimeoutError):
                problem = error.strerror or type(error).__name__
        else:
            return sock
    text = problem or "it was silent for too long"
    raise RemoteError(f"no connection to {place}: {printable(text)}", refuses=not problem)


def _resolve(host: str, port: int, deadline: float) -> list[Any]:
    """Ask the system for the addresses of a host.

    The system may need half a minute to give up, and cannot be interrupted: so a thread asks.
    """
    answers: SimpleQueue[list[Any] | None] = SimpleQueue()

    def ask() -> None:
        try:
            answers.put(list(socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)))
        except (OSError, UnicodeError):
            answers.put(None)

    try:
        threading.Thread(target=ask, daemon=True).start()
    except RuntimeError:  # the system allows no more threads
        ask()
    try:
        addresses = answers.get(timeout=max(deadline - time.monotonic(), 0.001))
    except Empty:
        text = f"the system did not find {printable(host)} in time"
        raise RemoteError(text, refuses=True) from None
    if not addresses:
        raise RemoteError(f"the system does not know the host {printable(host)}")
    return addresses


def _open_tunnel(wire: Wire, origin: Origin, proxy: Proxy) -> None:
    lines = [f"CONNECT {origin.host_and_port} HTTP/1.1", f"Host: {origin.host_and_port}"]
    if proxy.login:
        lines.append(f"Proxy-Authorization: {proxy.login}")
    try:
        wire.send_all("\r\n".join([*lines, "", ""]).encode("latin-1"))
        answer = wire.read_head("CONNECT")
    except (OSError, http.client.HTTPException, ValueError) as error:
        silent = isinstance(error, TimeoutError)
        raise RemoteError(f"{proxy.place} opened no tunnel", refuses=silent) from error
    with answer:
        if answer.status != 200:
            raise RemoteError(
                f"{proxy.place} answered {status_text(answer.status)}",
                refuses=answer.status in {401, 403, 407},
            )


def _wrap(wire: Wire, origin: Origin, context: ssl.SSLContext) -> ssl.SSLSocket:
    wire.sock.settimeout(max(wire.deadline - time.monotonic(), 0.001))
    try:
        return context.wrap_socket(wire.sock, server_hostname=origin.host)
    except ssl.SSLCertVerificationError as error:
        problem = f"the certificate of {origin.place} is not accepted"
        text = f"{problem}: {printable(error.verify_message or '')}"
        raise RemoteError(text, refuses=True) from error
    except (OSError, ValueError) as error:  # ValueError: a host that no certificate can name
        reason = getattr(error, "reason", None) or getattr(error, "strerror", None)
        text = f"no TLS with {origin.place}"
        raise RemoteError(
            f"{text}: {printable(str(reason))}" if reason else text,
            refuses=isinstance(error, TimeoutError),
        ) from error
