"""PyPI's side of an upload, on this machine: it exchanges tokens, and takes distributions.

Programs reach it as `https://upload.pypi.org`, through a proxy: so nothing in a recipe is changed
for the test. All other hosts are passed on.
"""

from __future__ import annotations

import base64
import email
import email.policy
import json
import socket
import ssl
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

import requests.certs
import trustme

HOSTS = ("upload.pypi.org", "pypi.python.org")
"""The second one says what was uploaded before: here, nothing."""
UPLOAD_TOKEN = "pypi-made-for-this-test"


def identity(system: str, audience: str) -> str:
    """Return a token that says who a job is, as a CI makes it; its signature says nothing."""
    parts = ({"alg": "none"}, {"iss": system, "aud": audience}, {})
    return ".".join(
        base64.urlsafe_b64encode(json.dumps(part).encode()).decode().rstrip("=") for part in parts
    )


@dataclass
class FakePyPI:
    """What was uploaded, and the environment in which programs reach it."""

    environment: dict[str, str] = field(default_factory=dict)
    exchanged: list[str] = field(default_factory=list)
    """The identity tokens that were exchanged."""
    uploads: dict[str, bytes] = field(default_factory=dict)
    """The distributions, in the order of their uploads."""
    attestations: dict[str, list[object]] = field(default_factory=dict)
    uploaded_again: list[str] = field(default_factory=list)


@contextmanager
def fake_pypi(folder: Path) -> Iterator[FakePyPI]:
    """Run it until the end of the block."""
    authority = trustme.CA()
    bundle = folder / "certificates.pem"
    bundle.write_bytes(Path(requests.certs.where()).read_bytes() + authority.cert_pem.bytes())
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert(*HOSTS).configure_cert(context)
    pypi = FakePyPI()
    handler = type("Handler", (_Handler,), {"pypi": pypi, "context": context})
    server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
    server.daemon_threads = True
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    address = f"http://127.0.0.1:{server.server_port}"
    pypi.environment = {
        "HTTPS_PROXY": address,
        "https_proxy": address,
        "NO_PROXY": "127.0.0.1,localhost",
        "REQUESTS_CA_BUNDLE": str(bundle),
        "ACTIONS_ID_TOKEN_REQUEST_URL": f"{address}/identity?of=job",
        "ACTIONS_ID_TOKEN_REQUEST_TOKEN": "of-the-job",
    }
    try:
        yield pypi
    finally:
        server.shutdown()
        server.server_close()


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    pypi: FakePyPI
    context: ssl.SSLContext

    def log_message(self, *_words: object) -> None:
        """Be quiet."""

    def do_CONNECT(self) -> None:
        host, _, port = self.path.rpartition(":")
        if host not in HOSTS:
            self._pass_on(host, int(port))
            return
        self.send_response(200)
        self.end_headers()
        self.wfile.flush()
        self.connection = self.context.wrap_socket(self.connection, server_side=True)
        self.rfile = self.connection.makefile("rb")
        self.wfile = self.connection.makefile("wb", 0)
        self.close_connection = False
        while not self.close_connection:
            self.handle_one_request()

    def _pass_on(self, host: str, port: int) -> None:
        other = socket.create_connection((host, port))
        self.send_response(200)
        self.end_headers()
        self.wfile.flush()
        pairs = ((self.connection, other), (other, self.connection))
        threads = [threading.Thread(target=_copy, args=pair, daemon=True) for pair in pairs]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        self.close_connection = True

    def do_GET(self) -> None:
        url = urlsplit(self.path)
        if url.path == "/_/oidc/audience":
            self._answer({"audience": "pypi"})
        elif url.path == "/identity":  # GitHub's own server, for jobs with `id-token: write`
            assert self.headers["Authorization"] == "bearer of-the-job"
            self._answer({"value": identity("github", parse_qs(url.query)["audience"][0])})
        else:
            self._answer({}, 404)

    def do_POST(self) -> None:
        data = self.rfile.read(int(self.headers["Content-Length"]))
        if self.path == "/_/oidc/mint-token":
            self.pypi.exchanged.append(json.loads(data)["token"])
            self._answer({"success": True, "token": UPLOAD_TOKEN})
            return
        assert self.path == "/legacy/"
        expected = base64.b64encode(f"__token__:{UPLOAD_TOKEN}".encode()).decode()
        if self.headers["Authorization"] != f"Basic {expected}":
            self._answer({}, 403)
            return
        name, content, fields = _form(self.headers["Content-Type"], data)
        if name in self.pypi.uploads:
            self.pypi.uploaded_again.append(name)
            self.send_response(400, "File already exists")
            self.send_header("Content-Length", "0")
            self.end_headers()
            return
        self.pypi.uploads[name] = content
        self.pypi.attestations[name] = json.loads(fields.get("attestations", "[]"))
        self._answer({})

    def _answer(self, value: object, status: int = 200) -> None:
        data = json.dumps(value).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)


def _form(kind: str, data: bytes) -> tuple[str, bytes, dict[str, str]]:
    """Read a form; return the file's name and content, and the other fields."""
    head = f"Content-Type: {kind}\r\n\r\n".encode()
    message = email.message_from_bytes(head + data, policy=email.policy.HTTP)
    fields: dict[str, str] = {}
    file = ("", b"")
    for part in message.iter_parts():
        content = part.get_payload(decode=True)
        if (name := part.get_filename()) is not None:
            file = (name, content)
        else:
            key = part.get_param("name", header="content-disposition")
            fields[str(key)] = content.decode()
    return (*file, fields)


def _copy(source: socket.socket, to: socket.socket) -> None:
    with suppress(OSError):
        while data := source.recv(1 << 16):
            to.sendall(data)
    with suppress(OSError):
        to.shutdown(socket.SHUT_WR)
