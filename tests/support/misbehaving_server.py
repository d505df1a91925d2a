"""A real HTTP server for tests. It keeps what is put, and can misbehave in each way of `WAYS`."""

from __future__ import annotations

import contextlib
import gzip
import os
import random
import socket
import ssl
import struct
import threading
from collections.abc import Callable, Iterator
from typing import IO, NamedTuple

from typing_extensions import Self

CHUNK = 1 << 14


class Seen(NamedTuple):
    """A request, as the server saw it."""

    method: str
    target: str
    headers: dict[str, str]
    """The names are in small letters."""
    body: bytes


class Talk:
    """One request on one connection, and what is sent back."""

    def __init__(self, server: Server, sock: socket.socket, seen: Seen) -> None:
        self.server, self.sock, self.seen = server, sock, seen

    def good(self, status: int = 0) -> bytes:
        """Return the right answer."""
        seen, objects = self.seen, self.server.objects
        if seen.method == "PUT":
            objects[seen.target] = seen.body
            return answer(status or 201)
        found = objects.get(seen.target)
        return answer(status or 404) if found is None else answer(status or 200, found)

    def body(self) -> bytes:
        """Return the object that is asked for; for others, something."""
        return self.server.objects.get(self.seen.target, b"something")

    def send(self, data: bytes) -> None:
        self.sock.sendall(data)

    def wait(self, seconds: float = 3600) -> None:
        """Do nothing, but not longer than the server lives."""
        if self.server.ended.wait(seconds):
            raise ConnectionAbortedError

    def reset(self) -> None:
        """End the connection with an RST instead of a FIN."""
        self.sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        raise ConnectionAbortedError


def read_head(file: IO[bytes]) -> Seen | None:
    """Read a request up to its body; None at the end of the connection."""
    line = file.readline()
    if not line:
        return None
    method, target, _ = line.decode("latin-1").split()
    headers = {}
    while text := file.readline().decode("latin-1").strip():
        name, _, value = text.partition(":")
        headers[name.lower()] = value.strip()
    return Seen(method, target, headers, b"")


def answer(status: int, body: bytes = b"", **headers: str) -> bytes:
    lines = [f"HTTP/1.1 {status} Whatever", f"Content-Length: {len(body)}"]
    lines += [f"{name.replace('_', '-')}: {value}" for name, value in headers.items()]
    return "\r\n".join([*lines, "", ""]).encode() + body


def _drips(talk: Talk, *, at_once: str = "") -> None:
    head, mark, rest = talk.good().partition(at_once.encode() or b"H")
    talk.send(head + mark)
    for letter in rest:
        talk.send(bytes([letter]))
        talk.wait(talk.server.pause)


def _half(talk: Talk, then: Callable[[Talk], None]) -> None:
    whole = talk.good()
    talk.send(whole[: -(len(whole) // 3) or None])
    then(talk)


def _ends(talk: Talk) -> None:
    raise ConnectionAbortedError


def _longer(talk: Talk) -> None:
    talk.send(answer(200, talk.body() + b"and more"))


def _more_than_it_says(talk: Talk) -> None:
    talk.send(talk.good() + b"and more" * 1000)


def _continues(talk: Talk) -> None:
    talk.send(b"HTTP/1.1 100 Continue\r\n\r\n" * 3 + talk.good())


def _encoded(talk: Talk) -> None:
    talk.send(answer(200, gzip.compress(talk.body()), Content_Encoding="gzip"))


def _other_bytes(talk: Talk) -> None:
    talk.send(answer(200, os.urandom(len(talk.body()))))


def _other_object(talk: Talk) -> None:
    objects = [*talk.server.objects.values()] or [b"another"]
    talk.send(answer(200, random.choice(objects)))


def _endless(talk: Talk, head: bytes, piece: bytes, pause: float = 0) -> None:
    talk.send(head)
    while True:
        talk.send(piece)
        talk.wait(pause)


def _chunk(body: bytes) -> bytes:
    return b"%x\r\n%b\r\n" % (len(body), body)


def _redirects(talk: Talk, to: str) -> None:
    talk.send(answer(talk.server.redirect, Location=to))


_HEAD = b"HTTP/1.1 200 OK\r\n"
_CHUNKED = _HEAD + b"Transfer-Encoding: chunked\r\n\r\n"

WAYS: dict[str, Callable[[Talk], None]] = {
    "drips": lambda talk: _drips(talk, at_once="\r\n\r\n"),
    "drips the head": _drips,
    "silent": Talk.wait,
    "silent in the middle": lambda talk: _half(talk, Talk.wait),
    "reset": Talk.reset,
    "reset in the middle": lambda talk: _half(talk, Talk.reset),
    "closed": _ends,
    "closed in the middle": lambda talk: _half(talk, _ends),
    **{
        str(status): lambda talk, status=status: talk.send(answer(status, b"what the server says"))
        for status in (400, 401, 403, 404, 405, 407, 410, 413, 429, 500, 502, 503, 507)
    },
    "redirect loop": lambda talk: _redirects(talk, talk.seen.target),
    "redirect to garbage": lambda talk: _redirects(talk, "http://[::1\x7f/%"),
    "redirect to a file": lambda talk: _redirects(talk, "file:///etc/passwd"),
    "redirect to nowhere": lambda talk: talk.send(answer(302)),
    "empty": lambda talk: talk.send(answer(200)),
    "no content": lambda talk: talk.send(b"HTTP/1.1 204 Gone\r\n\r\n"),
    "partial": lambda talk: talk.send(answer(206, talk.body()[1:])),
    "short": lambda talk: talk.send(answer(200, talk.body()[:-1])),
    "long": _longer,
    "more than it says": _more_than_it_says,
    "endless": lambda talk: _endless(talk, _HEAD + b"\r\n", bytes(CHUNK)),
    "endless chunks": lambda talk: _endless(talk, _CHUNKED, _chunk(bytes(CHUNK))),
    "endless trailers": lambda talk: _endless(
        talk, _CHUNKED + _chunk(talk.body()) + b"0\r\n", b"A: b\r\n"
    ),
    "endless chunk": lambda talk: _endless(talk, _CHUNKED + b"-1\r\n", bytes(CHUNK)),
    "chunk of garbage": lambda talk: talk.send(_CHUNKED + b"-1\r\n" + os.urandom(100)),
    "endless headers": lambda talk: _endless(talk, _HEAD, b"A: b\r\n", 0.01),
    "enormous headers": lambda talk: talk.send(_HEAD + (b"A: " + b"b" * 60_000 + b"\r\n") * 99),
    "endless line": lambda talk: _endless(talk, b"", b"H" * CHUNK),
    "endless 100": lambda talk: _endless(talk, b"", b"HTTP/1.1 100 Continue\r\n\r\n", 0.001),
    "100 first": _continues,
    "gzip": _encoded,
    "garbage": lambda talk: talk.send(os.urandom(3000)),
    "garbage in a head": lambda talk: talk.send(_HEAD + os.urandom(3000) + b"\r\n\r\n"),
    "another protocol": lambda talk: talk.send(b"220 ftp.example ESMTP\r\n"),
    "wrong length": lambda talk: talk.send(
        _HEAD + b"Content-Length: -7\r\nContent-Length: many\r\n\r\n" + talk.body()
    ),
    "other bytes": _other_bytes,
    "another object": _other_object,
}
"""What a server can do that it should not. Most ways hold for every request."""


class Server:
    """Listens on this machine, and serves each connection in a thread."""

    def __init__(self, tls: ssl.SSLContext | None = None) -> None:
        self.objects: dict[str, bytes] = {}
        self.seen: list[Seen] = []
        self.way: Callable[[Seen], str | Callable[[Talk], None]] = lambda _: ""
        """Chooses how to misbehave, by a name in `WAYS`; an empty one for a right answer."""
        self.pause = 0.2
        """The seconds between two bytes, for `drips`."""
        self.redirect = 307
        self.refuses_early = 0
        """A status to answer with, before the body of a request is read."""
        self.taking: Callable[[Seen, int], None] = lambda _, __: None
        """Called with the bytes so far, while a body comes."""
        self.connections = 0
        self.ended = threading.Event()
        self._tls = tls
        self._open: set[socket.socket] = set()
        self._socket = socket.create_server(("127.0.0.1", 0), backlog=100)
        self.port: int = self._socket.getsockname()[1]
        self.host = f"127.0.0.1:{self.port}"
        threading.Thread(target=self._accept, daemon=True).start()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def misbehave(self, way: str | Callable[[Talk], None]) -> None:
        """Do this with every request from now on."""
        self.way = lambda _: way

    def close(self) -> None:
        self.ended.set()
        with contextlib.suppress(OSError):
            self._socket.shutdown(socket.SHUT_RDWR)
        self._socket.close()
        for sock in list(self._open):
            with contextlib.suppress(OSError):
                sock.shutdown(socket.SHUT_RDWR)

    def _accept(self) -> None:
        while True:
            try:
                sock, _ = self._socket.accept()
            except OSError:
                return
            self.connections += 1
            self._open.add(sock)
            threading.Thread(target=self._serve, args=(sock,), daemon=True).start()

    def _serve(self, sock: socket.socket) -> None:
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        raw = sock
        with contextlib.suppress(OSError, ValueError):
            if self._tls is not None:
                sock = self._tls.wrap_socket(sock, server_side=True)
            with sock, sock.makefile("rb") as file:
                for seen in self._requests(sock, file):
                    self.seen.append(seen)
                    chosen = self.way(seen)
                    talk = Talk(self, sock, seen)
                    if not chosen:
                        talk.send(talk.good())
                    else:
                        (WAYS[chosen] if isinstance(chosen, str) else chosen)(talk)
        self._open.discard(raw)
        raw.close()

    def _requests(self, sock: socket.socket, file: IO[bytes]) -> Iterator[Seen]:
        while head := read_head(file):
            if self.refuses_early and head.method == "PUT":
                sock.sendall(answer(self.refuses_early))
                return
            length = int(head.headers.get("content-length", 0))
            body = bytearray()
            while len(body) < length:
                piece = file.read(min(CHUNK, length - len(body)))
                if not piece:
                    return  # a real server keeps no part
                body += piece
                self.taking(head, len(body))
            yield head._replace(body=bytes(body))
