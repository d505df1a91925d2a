"""A stand-in for Google Cloud Storage: the part of its XML API that obstore uses, in memory.

There is no server for this API that tests could start: fake-gcs-server has uploads only in the JSON
API. It checks the token of each request. https://cloud.google.com/storage/docs/xml-api/overview
"""

from __future__ import annotations

import re
import ssl
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import parse_qs, unquote, urlsplit

_BUCKET = "/wazcache/"


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    objects: dict[str, bytes]
    parts: dict[str, dict[str, bytes]]
    tokens: Mapping[str, bool]
    """Whether the user of a token may also write."""

    def do_GET(self) -> None:
        if self._may(writes=False):
            body = self.objects.get(self._name)
            self._answer(404 if body is None else 200, body or b"<Code>NoSuchKey</Code>")

    def do_PUT(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"]))
        if not self._may(writes=True):
            return
        query = self._query
        if "uploadId" in query:
            self.parts[query["uploadId"][0]][query["partNumber"][0]] = body
        else:
            self.objects[self._name] = body
        self._answer(200)

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length", "0")))
        if not self._may(writes=True):
            return
        query = self._query
        if "uploads" in query:
            upload = str(len(self.parts))
            self.parts[upload] = {}
            names = f"<Bucket>wazcache</Bucket><Key>{self._name}</Key><UploadId>{upload}</UploadId>"
            result = f"<InitiateMultipartUploadResult>{names}</InitiateMultipartUploadResult>"
        else:
            parts = self.parts.pop(query["uploadId"][0])
            numbers = re.findall(r"<PartNumber>(\d+)</PartNumber>", body.decode())
            self.objects[self._name] = b"".join(parts[number] for number in numbers)
            etag = "<ETag>&quot;1&quot;</ETag>"
            result = f"<CompleteMultipartUploadResult>{etag}</CompleteMultipartUploadResult>"
        self._answer(200, result.encode())

    def do_DELETE(self) -> None:
        if self._may(writes=True):
            self.parts.pop(self._query["uploadId"][0])
            self._answer(204)

    @property
    def _name(self) -> str:
        return unquote(urlsplit(self.path).path).removeprefix(_BUCKET)

    @property
    def _query(self) -> dict[str, list[str]]:
        return parse_qs(urlsplit(self.path).query, keep_blank_values=True)

    def _may(self, *, writes: bool) -> bool:
        token = self.headers.get("Authorization", "").removeprefix("Bearer ")
        if token not in self.tokens:
            self._answer(401, b"<Code>AuthenticationRequired</Code>")
        elif writes and not self.tokens[token]:
            self._answer(403, b"<Code>AccessDenied</Code>")
        else:
            return True
        return False

    def _answer(self, status: int, body: bytes = b"") -> None:
        self.send_response(status)
        self.send_header("Content-Length", str(len(body)))
        self.send_header("ETag", '"1"')
        self.send_header("Last-Modified", "Mon, 02 Nov 2026 10:00:00 GMT")
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *words: object) -> None:
        """Say nothing."""


class _Server(ThreadingHTTPServer):
    daemon_threads = True

    def handle_error(self, request: object, client_address: object) -> None:
        """Say nothing of clients that go away: tests drop transfers, and distrust certificates."""


@contextmanager
def gcs_stand_in(
    tokens: Mapping[str, bool], certificate: Path | None, key: Path | None
) -> Iterator[int]:
    """Run the server, with an empty bucket; yields its port."""
    empty = {"objects": {}, "parts": {}, "tokens": tokens}
    server = _Server(("127.0.0.1", 0), type("Handler", (_Handler,), empty))
    if certificate:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(certificate, key)
        server.socket = context.wrap_socket(
            server.socket, server_side=True, do_handshake_on_connect=False
        )
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
    thread.start()
    try:
        yield int(server.server_address[1])
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
