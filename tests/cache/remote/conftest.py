"""Stores on a server of the tests' own, with timeouts that no test has to wait for."""

from __future__ import annotations

import io
import os
import time
from collections.abc import Callable, Iterator

import pytest

from hatch_wazcache.cache.remote import wire
from hatch_wazcache.cache.remote.http_store import HttpStore
from hatch_wazcache.cache.remote.options import RemoteOptions
from hatch_wazcache.cache.remote.stores import RemoteStore
from tests.support.misbehaving_server import Server

PATIENCE = 0.4
"""Seconds, instead of the timeouts of a build."""

OpenStore = Callable[..., HttpStore]


@pytest.fixture
def no_settings(monkeypatch: pytest.MonkeyPatch, tmp_path) -> None:
    """Let no proxy, no login and no authority of this machine matter."""
    for name in list(os.environ):
        if name.lower().endswith("_proxy") or name in {"NETRC", "SSL_CERT_FILE", "SSL_CERT_DIR"}:
            monkeypatch.delenv(name)
    monkeypatch.setenv("HOME", str(tmp_path / "home"))


@pytest.fixture
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(wire, "SILENCE_TIMEOUT", PATIENCE)
    monkeypatch.setattr(wire, "CONNECT_TIMEOUT", PATIENCE)


@pytest.fixture
def server() -> Iterator[Server]:
    with Server() as made:
        yield made


@pytest.fixture
def open_store() -> Iterator[OpenStore]:
    """Open stores by their URL, as if WAZCACHE_REMOTE named it. They are closed at the end."""
    stores = []

    def make(url: str, *, from_environment: bool = True, **environment: str) -> HttpStore:
        options = RemoteOptions(
            url=url, where="WAZCACHE_REMOTE", url_from_environment=from_environment
        )
        stores.append(HttpStore(options, environment))
        return stores[-1]

    yield make
    for store in stores:
        store.close()


@pytest.fixture
def store(server: Server, open_store: OpenStore) -> HttpStore:
    return open_store(f"http://{server.host}/cache")


def read(store: RemoteStore, name: str = "a/b.sig", seconds: float = 60) -> bytes:
    return store.read(name, 1 << 16, time.monotonic() + seconds)


def download(store: RemoteStore, size: int, name: str = "a/b.zip") -> tuple[bytes, str]:
    """Return an object, and the digest that the store has computed."""
    file = io.BytesIO()
    digest = store.download(name, file, size, ignore)
    return file.getvalue(), digest


def ignore(_: int) -> None:
    """Watch a transfer, and let it go on."""
