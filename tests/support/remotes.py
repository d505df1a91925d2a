"""Servers for the shared cache: a folder behind HTTP, and machines that use it."""

from __future__ import annotations

import shutil
import threading
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import ClassVar

from hatch_wazcache.cache.remote.keys import SigningKey
from tests.support.projects import Project


@dataclass
class FolderServer:
    """An HTTP server whose objects are files of a folder. Tests change its attributes meanwhile."""

    folder: Path
    url: str = ""
    status: int = 0
    """The status of all answers; 0 for the right ones."""
    delay: float = 0.0
    """Seconds before each answer."""
    delay_of_puts: float = 0.0
    """Seconds before each answer to an upload."""
    rate: float = 0.0
    """Bytes of an entry in each second; 0 for all at once."""
    before: Callable[[str], None] = lambda _path: None
    """Called with the path of each object before it is sent."""
    requests: list[tuple[str, str]] = field(default_factory=list)
    """The method and the path of each request, in their order."""
    tokens: set[str] = field(default_factory=set)
    """The values of Authorization that it got."""

    @property
    def counts(self) -> Counter[str]:
        """How many requests of each kind there were: `GET sig`, `PUT zip`, …"""
        return Counter(f"{method} {path.rpartition('.')[2]}" for method, path in self.requests)

    def names(self, ending: str = "") -> list[str]:
        """List the objects whose names end so."""
        files = (p.relative_to(self.folder).as_posix() for p in self.folder.rglob("*"))
        return sorted(name for name in files if "." in name and name.endswith(ending))

    def paths(self, ending: str) -> list[Path]:
        return [self.folder / name for name in self.names(ending)]


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    state: ClassVar[FolderServer]
    stopping: ClassVar[threading.Event]

    def _begin(self) -> Path:
        state = self.state
        state.requests.append((self.command, self.path))
        state.tokens.add(self.headers.get("Authorization", ""))
        self.stopping.wait(state.delay)
        return state.folder / self.path.strip("/")

    def _answer(self, status: int, body: bytes = b"") -> None:
        self.send_response(status)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        rate = self.state.rate
        if not rate or not self.path.endswith(".zip"):
            self.wfile.write(body)
            return
        piece = max(int(rate / 10), 1)
        for start in range(0, len(body), piece):
            self.wfile.write(body[start : start + piece])
            self.wfile.flush()
            if self.stopping.wait(0.1):
                return

    def do_GET(self) -> None:
        path = self._begin()
        self.state.before(self.path)
        if self.state.status:
            self._answer(self.state.status)
        elif path.is_file():
            self._answer(200, path.read_bytes())
        else:
            self._answer(404)

    def do_PUT(self) -> None:
        path = self._begin()
        body = self.rfile.read(int(self.headers["Content-Length"]))
        self.stopping.wait(self.state.delay_of_puts)
        if self.state.status:
            self._answer(self.state.status)
            return
        path.parent.mkdir(parents=True, exist_ok=True)
        part = path.with_name(f"{path.name}-{threading.get_ident()}")
        part.write_bytes(body)
        part.replace(path)
        self._answer(201)

    def handle(self) -> None:
        try:
            super().handle()
        except ConnectionError:
            self.close_connection = True  # the client has dropped a transfer

    def log_message(self, *_words: object) -> None:
        """Say nothing."""


@contextmanager
def folder_server(folder: Path) -> Iterator[FolderServer]:
    """Run a server on a folder, which is made if it is missing."""
    folder.mkdir(parents=True, exist_ok=True)
    state, stopping = FolderServer(folder), threading.Event()
    handler = type("Handler", (_Handler,), {"state": state, "stopping": stopping})
    server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
    server.daemon_threads = True
    state.url = f"http://127.0.0.1:{server.server_port}"
    thread = threading.Thread(target=server.serve_forever, args=(0.05,))
    thread.start()
    try:
        yield state
    finally:
        stopping.set()
        server.shutdown()
        server.server_close()
        thread.join()


def readers(server: FolderServer, key: SigningKey, **more: str) -> dict[str, str]:
    """Return the variables of a machine that uses what a key has signed."""
    return {"WAZCACHE_REMOTE": server.url, "WAZCACHE_TRUSTED_KEYS": key.public, **more}


def writers(server: FolderServer, key: SigningKey) -> dict[str, str]:
    """Return the variables of a machine that also signs and uploads."""
    return readers(server, key, WAZCACHE_REMOTE_MODE="read-write", WAZCACHE_SIGNING_KEY=key.text)


def other_machine(project: Project, name: str = "second") -> Project:
    """Copy a project to a machine with another home and another cache."""
    folder = project.root.parent / name
    ignored = shutil.ignore_patterns("dist")
    shutil.copytree(project.root, folder / "project", ignore=ignored)
    home = {"HOME": str(folder / "home"), "XDG_CACHE_HOME": "", "XDG_CONFIG_HOME": ""}
    return Project(folder / "project", folder / "cache", home)
