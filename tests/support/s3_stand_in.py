"""A server that answers as a test says, for what a real object store does only by chance."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer


@dataclass
class Answers:
    """What the server says, and what it was asked."""

    status: int = 200
    body: bytes = b"hello"
    headers: dict[str, str] = field(default_factory=dict)
    raw: bytes = b""
    """Sent in place of all of these."""
    asked: list[str] = field(default_factory=list)
    """The header Authorization of each request."""
    port: int = 0


@contextmanager
def answering(answers: Answers) -> Iterator[Answers]:
    """Run a server at `answers.port`."""

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self) -> None:
            answers.asked.append(self.headers.get("Authorization", ""))
            if answers.raw:
                self.wfile.write(answers.raw)
                self.close_connection = True
                return
            self.send_response(answers.status)
            usual = {
                "Content-Length": str(len(answers.body)),
                "ETag": '"1"',
                "Last-Modified": "Mon, 02 Nov 2026 10:00:00 GMT",
            }
            for name, value in {**usual, **answers.headers}.items():
                self.send_header(name, value)
            self.end_headers()
            self.wfile.write(answers.body)
            if "Content-Length" in answers.headers:
                self.close_connection = True

        def do_PUT(self) -> None:
            self.rfile.read(int(self.headers.get("Content-Length", "0")))
            self.do_GET()

        def log_message(self, *words: object) -> None:
            """Say nothing."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    answers.port = server.server_address[1]
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
    thread.start()
    try:
        yield answers
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
