"""An index of packages on this machine, which takes uploads as PyPI does, and serves them."""

from __future__ import annotations

import html
import threading
from contextlib import contextmanager
from email.parser import BytesParser
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator


class _Handler(BaseHTTPRequestHandler):
    server: _Server

    def do_POST(self) -> None:
        """Take a file, in the form that twine sends."""
        body = self.rfile.read(int(self.headers["Content-Length"]))
        head = f"Content-Type: {self.headers['Content-Type']}\n\n".encode()
        for part in BytesParser().parsebytes(head + body).get_payload():
            if name := part.get_filename():
                self.server.files[name] = part.get_payload(decode=True)
        self._answer(b"")

    def do_GET(self) -> None:
        """Answer with the list of the files of a project, or with a file."""
        kind, name = self.path.strip("/").split("/")
        if kind == "files":
            self._answer(self.server.files[name])
            return
        files = [file for file in self.server.files if file.startswith(name.replace("-", "_"))]
        links = "".join(f'<a href="/files/{html.escape(file)}">{file}</a>\n' for file in files)
        self._answer(links.encode(), 200 if files else 404)

    def _answer(self, body: bytes, status: int = 200) -> None:
        self.send_response(status)
        self.send_header("Content-Type", "text/html")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_arguments: object) -> None:
        """Print nothing."""


class _Server(ThreadingHTTPServer):
    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.files: dict[str, bytes] = {}


@contextmanager
def package_index() -> Iterator[tuple[str, dict[str, bytes]]]:
    """Run an index; gives its address, and the files that were uploaded to it."""
    with _Server() as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_port}", server.files
        finally:
            server.shutdown()
            thread.join()
