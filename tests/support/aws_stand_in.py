"""A stand-in for what gives jobs of GitHub their rights: GitHub's tokens, and STS of AWS."""

from __future__ import annotations

import json
import ssl
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import NamedTuple
from urllib.parse import parse_qs, urlsplit

from tests.support.remote_servers import PASSWORD, Certificates

TOKEN = "header.payload.signature"
"""What GitHub says of a job."""

# The session token is empty: versitygw accepts no other. AWS always gives one.
_ANSWER = """\
<AssumeRoleWithWebIdentityResponse xmlns="https://sts.amazonaws.com/doc/2011-06-15/">
<AssumeRoleWithWebIdentityResult><Credentials>
<AccessKeyId>{user}</AccessKeyId><SecretAccessKey>{password}</SecretAccessKey>
<SessionToken></SessionToken><Expiration>2036-01-01T00:00:00Z</Expiration>
</Credentials></AssumeRoleWithWebIdentityResult></AssumeRoleWithWebIdentityResponse>
"""


class StandIn(NamedTuple):
    """A server that runs."""

    url: str
    roles: list[str]
    """The roles that were asked for."""


@contextmanager
def aws_stand_in(certificates: Certificates) -> Iterator[StandIn]:
    """Run the server. It gives a role `…/wazcache-NAME` the keys of the user NAME."""
    roles: list[str] = []

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            query = parse_qs(urlsplit(self.path).query)
            bearer = self.headers.get("Authorization") == "Bearer of-the-job"
            if bearer and query.get("audience") == ["sts.amazonaws.com"]:
                self._answer(200, json.dumps({"value": TOKEN}))
            else:
                self._answer(401, "")

        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers.get("Content-Length", "0"))).decode()
            query = parse_qs(urlsplit(self.path).query) | parse_qs(body)
            if query.get("WebIdentityToken") != [TOKEN]:
                self._answer(403, "")
                return
            roles.append(query["RoleArn"][0])
            user = roles[-1].rpartition("/wazcache-")[2]
            self._answer(200, _ANSWER.format(user=user, password=PASSWORD))

        def _answer(self, status: int, text: str) -> None:
            self.send_response(status)
            self.send_header("Content-Length", str(len(text)))
            self.end_headers()
            self.wfile.write(text.encode())

        def log_message(self, *words: object) -> None:
            """Say nothing."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificates.certificate, certificates.key)
    server.socket = context.wrap_socket(
        server.socket, server_side=True, do_handshake_on_connect=False
    )
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
    thread.start()
    try:
        yield StandIn(f"https://127.0.0.1:{server.server_port}", roles)
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
