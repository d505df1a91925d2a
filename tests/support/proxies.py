"""A real HTTP proxy for tests: CONNECT, and requests with a whole URL."""

from __future__ import annotations

import contextlib
import http.client
import socket
import threading
from typing import IO
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
        with contextlib.suppress(OSError), sock, sock.makefile("rb") as file:
            while seen := read_head(file):
                self.seen.append(seen)
                if self.answer:
                    sock.sendall(self.answer)
                    return
                if self.login and seen.headers.get("proxy-authorization") != self.login:
                    sock.sendall(answer(407))
                elif seen.method == "CONNECT":
                    self._tunnel(sock, seen)
                    return
                else:
                    sock.sendall(self._forward(seen, file))

    def _tunnel(self, sock: socket.socket, seen: Seen) -> None:
        with socket.create_connection(("127.0.0.1", self.hosts[seen.target])) as server:
            sock.sendall(b"HTTP/1.1 200 Connected\r\n\r\n")
            back = threading.Thread(target=self._copy, args=(server, sock), daemon=True)
            back.start()
            self._copy(sock, server)
            back.join()

    def _copy(self, source: socket.socket, target: socket.socket) -> None:
        left = self.bytes_until_death
        with contextlib.suppress(OSError):
            while left > 0 and (piece := source.recv(min(left, 1 << 16))):
                target.sendall(piece)
                left -= len(piece)
        for sock in (source, target):
            with contextlib.suppress(OSError):
                sock.shutdown(socket.SHUT_RDWR)

    def _forward(self, seen: Seen, file: IO[bytes]) -> bytes:
        parts = urlsplit(seen.target)
        body = file.read(int(seen.headers.get("content-length", 0)))
        port = self.hosts[f"{parts.hostname}:{parts.port or 80}"]
        server = http.client.HTTPConnection("127.0.0.1", port)
        with contextlib.closing(server):
            server.request(seen.method, parts.path, body, seen.headers)
            found = server.getresponse()
            return answer(found.status, found.read())
