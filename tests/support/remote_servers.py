"""Starts real servers for the shared cache, on this machine, each with users and certificates.

A server has three kinds of user: one who writes, one who reads, and one with a wrong password. The
recipes in `docs/recipes` are used as they are, with other paths and ports.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import os
import re
import socket
import ssl
import subprocess
import time
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import NamedTuple
from urllib.parse import urlencode

from tests.support.authorities import Authority
from tests.support.gcs_stand_in import gcs_stand_in
from tests.support.paths import ROOT
from tests.support.server_programs import program

RECIPES = ROOT / "docs" / "recipes"
PASSWORD = "open-Sesame+1"
"""What the writers of all servers have."""
WRONG = "open-Barley+1"


class Certificates(NamedTuple):
    """A certificate for this machine, and the authority that signed it."""

    authority: Path
    certificate: Path
    key: Path


class Access(NamedTuple):
    """How a user reaches a server."""

    url: str
    environment: dict[str, str]


class Server(NamedTuple):
    """A server that runs."""

    writer: Access
    reader: Access
    stranger: Access
    """With a wrong password."""


def make_certificates(folder: Path) -> Certificates:
    """Make an authority, and a certificate of it for `localhost` and 127.0.0.1."""
    folder.mkdir(parents=True, exist_ok=True)
    authority = Authority(folder)
    made = Certificates(authority.file, folder / "server.pem", folder / "server.key")
    authority.write_certificate(made.certificate, made.key, "localhost", "127.0.0.1")
    return made


def _free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as found:
        return int(found.getsockname()[1])


@contextmanager
def _running(folder: Path, port: int, *words: str | Path, **env: str) -> Iterator[None]:
    """Run a server, from the moment that it accepts connections on."""
    log = folder / "log"
    with log.open("wb") as file:
        process = subprocess.Popen(
            words, cwd=folder, env={**os.environ, **env},
            stdin=subprocess.DEVNULL, stdout=file, stderr=subprocess.STDOUT,
        )  # fmt: skip
    try:
        end = time.monotonic() + 120
        while True:
            try:
                socket.create_connection(("127.0.0.1", port), 1).close()
                break
            except OSError:
                assert process.poll() is None, log.read_text(errors="replace")
                assert time.monotonic() < end, log.read_text(errors="replace")
                time.sleep(0.05)
        yield
    finally:
        process.terminate()
        try:
            process.wait(20)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def _trusting(certificates: Certificates | None, **env: str) -> dict[str, str]:
    return {**({"SSL_CERT_FILE": str(certificates.authority)} if certificates else {}), **env}


def _basic(prefix: str, address: str, certificates: Certificates | None) -> Server:
    """Return a server that everybody reads, and whose writers have a password."""
    scheme = f"{prefix}{'https' if certificates else 'http'}"
    environment = _trusting(certificates)
    return Server(
        Access(f"{scheme}://ci:{PASSWORD}@{address}", environment),
        Access(f"{scheme}://{address}", environment),
        Access(f"{scheme}://ci:{WRONG}@{address}", environment),
    )


def _htpasswd(path: Path) -> Path:
    done = subprocess.run(
        ["openssl", "passwd", "-apr1", PASSWORD], check=True, stdout=subprocess.PIPE, text=True
    )
    path.write_text(f"ci:{done.stdout}")
    return path


def _replaced(text: str, **changes: str | Path) -> str:
    """Put other values into a recipe; each must be in it."""
    for old, new in changes.items():
        assert old in text, old
        text = text.replace(old, str(new))
    return text


@contextmanager
def bazel_remote(folder: Path, certificates: Certificates | None) -> Iterator[Server]:
    """Run bazel-remote with the options of the recipe."""
    compose = (RECIPES / "bazel-remote.compose.yaml").read_text("utf-8")
    options = re.findall(r"^      - (--\S+)$", compose, re.MULTILINE)
    port = _free_port()
    changes = {
        "/data": folder / "data",
        "0.0.0.0:8080": f"127.0.0.1:{port}",
        "/etc/bazel-remote/htpasswd": _htpasswd(folder / "htpasswd"),
    }
    if certificates:
        changes["/etc/bazel-remote/cache.pem"] = certificates.certificate
        changes["/etc/bazel-remote/cache.key"] = certificates.key
    else:
        options = [option for option in options if not option.startswith("--tls_")]
    words = _replaced("\n".join(options), **changes).split("\n")
    with _running(folder, port, program("bazel-remote"), *words):
        yield _basic("bazel+", f"localhost:{port}", certificates)


@contextmanager
def nginx(folder: Path, certificates: Certificates | None) -> Iterator[Server]:
    """Run nginx with the recipe in the middle of its configuration."""
    port = _free_port()
    recipe = _replaced(
        (RECIPES / "nginx-wazcache.conf").read_text("utf-8"),
        **{
            "/etc/nginx/wazcache.htpasswd": _htpasswd(folder / "htpasswd"),
            "/srv/wazcache-temporary": folder / "temporary",
            "root /srv;": f"root {folder};",
        },
    )
    (folder / "wazcache").mkdir()
    (folder / "recipe.conf").write_text(recipe)
    tls = f"ssl_certificate {certificates.certificate};" if certificates else ""
    tls += f"ssl_certificate_key {certificates.key};" if certificates else ""
    temporary = "".join(
        f"{name}_temp_path {folder / name};" for name in ("proxy", "fastcgi", "uwsgi", "scgi")
    )
    user = "user root;" if os.geteuid() == 0 else ""  # who alone can write to a test's folder
    (folder / "nginx.conf").write_text(
        f"daemon off; pid {folder}/pid; worker_processes 1; {user} error_log {folder}/error.log;"
        f"events {{}} http {{ access_log off; {temporary} server {{"
        f"listen 127.0.0.1:{port} {'ssl' if certificates else ''}; server_name localhost; {tls}"
        "include recipe.conf; } }"
    )
    words = (
        program("nginx"),
        "-p",
        folder,
        "-c",
        folder / "nginx.conf",
        "-e",
        folder / "error.log",
    )
    with _running(folder, port, *words):
        yield _basic("", f"localhost:{port}/wazcache", certificates)


REGION = "eu-central-1"
"""Of the S3 server, as in the recipes."""
_S3_ROOT = ("root", "root-password")


@contextmanager
def s3(folder: Path, certificates: Certificates | None) -> Iterator[Server]:
    """Run versitygw with the rights of the recipe. It compares the signature of each request."""
    port = _free_port()
    endpoint = f"{'https' if certificates else 'http'}://127.0.0.1:{port}"
    for name in ("users", "metadata", "buckets"):
        (folder / name).mkdir()
    tls = ("--cert", certificates.certificate, "--key", certificates.key) if certificates else ()
    words = ("--quiet", "--port", f"127.0.0.1:{port}", "--iam-dir", folder / "users", *tls)
    root = ("--access", _S3_ROOT[0], "--secret", _S3_ROOT[1], "--region", REGION)
    disk = ("posix", "--sidecar", folder / "metadata", folder / "buckets")
    gateway = program("versitygw")
    with _running(folder, port, gateway, *root, *words, *disk):
        admin = (gateway, "admin", *root, "--endpoint-url", endpoint, "--allow-insecure")
        for name in ("writer", "reader"):
            user = ("--access", name, "--secret", PASSWORD, "--role", "user")
            subprocess.run([*admin, "create-user", *user], check=True, capture_output=True)
        _ask_s3(f"{endpoint}/wazcache", b"", certificates)
        statements = []
        for name in ("writer", "reader"):
            policy = json.loads((RECIPES / f"s3-{name}-policy.json").read_text("utf-8"))
            # A policy of a bucket also says for whom it is.
            statements += [{**one, "Principal": {"AWS": [name]}} for one in policy["Statement"]]
        policy = {"Version": "2012-10-17", "Statement": statements}
        _ask_s3(f"{endpoint}/wazcache?policy=", json.dumps(policy).encode(), certificates)

        def access(user: str, password: str) -> Access:
            return Access(
                "s3://wazcache/project",
                _trusting(
                    certificates,
                    AWS_ENDPOINT_URL=endpoint,
                    AWS_REGION=REGION,
                    AWS_ACCESS_KEY_ID=user,
                    AWS_SECRET_ACCESS_KEY=password,
                ),
            )

        yield Server(
            access("writer", PASSWORD), access("reader", PASSWORD), access("writer", WRONG)
        )


def _ask_s3(url: str, body: bytes, certificates: Certificates | None) -> None:
    """Send a PUT with a signature of AWS, version 4, as the user root."""
    now = datetime.now(timezone.utc).strftime("%Y%m%dT%H%M%SZ")
    parts = urllib.request.Request(url)
    path, _, query = parts.selector.partition("?")
    digest = hashlib.sha256(body).hexdigest()
    headers = {"host": parts.host, "x-amz-content-sha256": digest, "x-amz-date": now}
    signed = ";".join(headers)
    lines = ["PUT", path, query, *(f"{k}:{v}" for k, v in headers.items()), "", signed, digest]
    scope = f"{now[:8]}/{REGION}/s3/aws4_request"
    key = f"AWS4{_S3_ROOT[1]}".encode()
    for word in scope.split("/"):
        key = hmac.digest(key, word.encode(), "sha256")
    canonical = hashlib.sha256("\n".join(lines).encode()).hexdigest()
    text = f"AWS4-HMAC-SHA256\n{now}\n{scope}\n{canonical}"
    signature = hmac.new(key, text.encode(), "sha256").hexdigest()
    authorization = (
        f"AWS4-HMAC-SHA256 Credential={_S3_ROOT[0]}/{scope}, SignedHeaders={signed}, "
        f"Signature={signature}"
    )
    _put(url, body, {**headers, "Authorization": authorization}, certificates)


def _put(url: str, body: bytes, headers: dict[str, str], certificates: Certificates | None) -> None:
    request = urllib.request.Request(url, body, headers, method="PUT")
    context = ssl.create_default_context(cafile=certificates.authority) if certificates else None
    handler = urllib.request.HTTPSHandler(context=context)
    no_proxy = urllib.request.ProxyHandler({})
    with urllib.request.build_opener(handler, no_proxy).open(request, timeout=30) as answer:
        assert 200 <= answer.status < 300


_AZURE_KEY = base64.b64encode(b"k" * 64).decode()


@contextmanager
def azure(folder: Path, certificates: Certificates | None) -> Iterator[Server]:
    """Run Azurite. Writers have the account's key, and readers a token with the right to read."""
    port = _free_port()
    tls = ("--cert", certificates.certificate, "--key", certificates.key) if certificates else ()
    words = ("--blobPort", str(port), "--location", folder, "--silent", "--disableTelemetry")
    api = ("--skipApiVersionCheck",)
    accounts = {"AZURITE_ACCOUNTS": f"wazaccount:{_AZURE_KEY}"}
    with _running(folder, port, program("azurite"), *words, *api, *tls, **accounts):
        endpoint = f"{'https' if certificates else 'http'}://127.0.0.1:{port}/wazaccount"
        rights = azure_token("rwdlac")
        version = {"x-ms-version": "2021-12-02"}
        _put(f"{endpoint}/wazcache?restype=container&{rights}", b"", version, certificates)

        def access(**credentials: str) -> Access:
            named = {
                "AZURE_STORAGE_ACCOUNT_NAME": "wazaccount",
                "AZURE_STORAGE_ENDPOINT": endpoint,
                **credentials,
            }
            return Access("az://wazcache/project", _trusting(certificates, **named))

        yield Server(
            access(AZURE_STORAGE_ACCOUNT_KEY=_AZURE_KEY),
            access(AZURE_STORAGE_SAS_TOKEN=azure_token("r")),
            access(AZURE_STORAGE_ACCOUNT_KEY=base64.b64encode(b"j" * 64).decode()),
        )


def azure_token(rights: str) -> str:
    """Make a shared access signature for the account, valid for an hour."""
    now = datetime.now(timezone.utc)
    begin, end = (
        (now + timedelta(minutes=minutes)).strftime("%Y-%m-%dT%H:%M:%SZ") for minutes in (-5, 60)
    )
    version = "2021-12-02"
    signed = ["wazaccount", rights, "b", "co", begin, end, "", "", version, "", ""]
    key = base64.b64decode(_AZURE_KEY)
    signature = base64.b64encode(hmac.digest(key, "\n".join(signed).encode(), "sha256")).decode()
    return urlencode(
        {
            "sv": version, "ss": "b", "srt": "co", "sp": rights, "st": begin, "se": end,
            "sig": signature,
        }
    )  # fmt: skip


@contextmanager
def gcs(folder: Path, certificates: Certificates | None) -> Iterator[Server]:
    """Run the stand-in for Google Cloud Storage."""
    files = (certificates.certificate, certificates.key) if certificates else (None, None)
    with gcs_stand_in({PASSWORD: True, "for-reading": False}, *files) as port:
        url = f"{'https' if certificates else 'http'}://127.0.0.1:{port}"

        def access(token: str) -> Access:
            named = {"GOOGLE_BASE_URL": url, "GOOGLE_BEARER_TOKEN": token}
            return Access("gs://wazcache/project", _trusting(certificates, **named))

        yield Server(access(PASSWORD), access("for-reading"), access(WRONG))


SERVERS: dict[str, Callable[[Path, Certificates | None], AbstractContextManager[Server]]] = {
    "bazel-remote": bazel_remote,
    "s3": s3,
    "azure": azure,
    "nginx": nginx,
    "gcs": gcs,
}
"""All servers, by their names in tests."""
