"""A real HTTP proxy for tests: CONNECT, and requests with a whole URL."""

from __future__ import annotations

import contextlib
import socket
import threading
from urllib.parse import urlsplit

from typing_extensions import Self

from tests.support.misbehaving_server import Seen, answer, read_head


class Proxy:
    """Listens on this machine. It finds hosts by its own list, not by the system's."""

    def __init__(self, hosts: dict[str, int]) -> None:
        """Serve at once.

        Args:
            hosts: `host:port`, as a client names it, with the real port on this machine.
        """
        self.hosts = hosts
        self.login = ""
        """What `Proxy-Authorization` must be."""
        self.answer = b""
        """What to answer instead, before the connection is closed."""
        self.bytes_until_death = 1 << 60
        """The bytes of a tunnel after which it breaks."""
        self.seen: list[Seen] = []
        self._socket = socket.create_server(("127.0.0.1", 0), backlog=100)
        self.port: int = self._socket.getsockname()[1]
        threading.Thread(target=self._accept, daemon=True).start()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        with contextlib.suppress(OSError):
            self._socket.shutdown(socket.SHUT_RDWR)
        self._socket.close()

    def _accept(self) -> None:
        while True:
            try:
                sock, _ = self._socket.accept()
            except OSError:
                return
            threading.Thread(target=self._serve, args=(sock,), daemon=True).start()

    def _serve(self, sock: socket.socket) -> None:
        servers: dict[str, socket.socket] = {}
        with contextlib.suppress(OSError, ValueError), sock, sock.makefile("rb") as file:
            while seen := read_head(file):
                self.seen.append(seen)
                body = file.read(int(seen.headers.get("content-length", 0)))
                if self.answer:
                    sock.sendall(self.answer)
                    return
                if self.login and seen.headers.get("proxy-authorization") != self.login:
                    sock.sendall(answer(407))
                elif seen.method == "CONNECT":
                    sock.sendall(b"HTTP/1.1 200 Connected\r\n\r\n")
                    self._copy(sock, self._join(sock, seen.target, servers))
                else:
                    parts = urlsplit(seen.target)
                    place = f"{parts.hostname}:{parts.port or 80}"
                    lines = [f"{seen.method} {parts.path} HTTP/1.1"]
                    lines += [f"{name}: {value}" for name, value in seen.headers.items()]
                    head = "\r\n".join([*lines, "", ""]).encode("latin-1")
                    self._join(sock, place, servers).sendall(head + body)
        for server in servers.values():
            server.close()

    def _join(
        self, sock: socket.socket, place: str, servers: dict[str, socket.socket]
    ) -> socket.socket:
        """Connect a client's connection with a server: what the server sends goes back."""
        if place not in servers:
            server = servers[place] = socket.create_connection(("127.0.0.1", self.hosts[place]))
            threading.Thread(target=self._copy, args=(server, sock), daemon=True).start()
        return servers[place]

    def _copy(self, source: socket.socket, target: socket.socket) -> None:
        left = self.bytes_until_death
        with contextlib.suppress(OSError):
            while left > 0 and (piece := source.recv(min(left, 1 << 16))):
                target.sendall(piece)
                left -= len(piece)
        for sock in (source, target):
            with contextlib.suppress(OSError):
                sock.shutdown(socket.SHUT_RDWR)
