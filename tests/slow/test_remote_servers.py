"""The stores of the shared cache against real servers, which have TLS by an authority of a test.

The only one that is not real is that for Google Cloud Storage.
"""

from __future__ import annotations

import hashlib
import os
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from hatch_wazcache.cache.remote.open_store import open_store
from hatch_wazcache.cache.remote.options import RemoteOptions
from hatch_wazcache.cache.remote.stores import (
    AbsentError,
    RemoteError,
    RemoteStore,
    TransferDroppedError,
)
from tests.support.paths import ROOT
from tests.support.proxies import Proxy
from tests.support.remote_servers import (
    PASSWORD,
    WRONG,
    Access,
    Server,
    make_certificates,
)

MEASURED = "s3", "nginx"
"""The servers whose stores a test measures: one of obstore, one of the standard library."""
LARGE = 220_000_000
"""The size of yosys's artifact, which is larger than its entry."""


@pytest.fixture
def opened(monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[[Access], RemoteStore]]:
    """Opens the store of a user, with nothing else in the environment."""
    made: list[RemoteStore] = []

    def opens(access: Access) -> RemoteStore:
        for name in list(os.environ):
            if name.startswith(("AWS_", "GOOGLE_", "AZURE_")) or name.upper().endswith("_PROXY"):
                monkeypatch.delenv(name)
        for name, value in access.environment.items():
            monkeypatch.setenv(name, value)
        made.append(open_store(options(access), os.environ))
        return made[-1]

    yield opens
    for store in made:
        store.close()


def options(access: Access) -> RemoteOptions:
    return RemoteOptions(
        url=access.url.removeprefix("bazel+"),
        bazel=access.url.startswith("bazel+"),
        where="WAZCACHE_REMOTE",
        url_from_environment=True,
    )


def small_name(label: str) -> str:
    """A name that every server takes: bazel-remote wants digests, and the others do not care."""
    return f"ac/{hashlib.sha256(label.encode()).hexdigest()}"


def name_of(data: bytes) -> str:
    """The name of an entry: bazel-remote compares it with the digest."""
    return f"cas/{hashlib.sha256(data).hexdigest()}"


def read(store: RemoteStore, name: str) -> bytes:
    return store.read(name, 1000, time.monotonic() + 10)


def ignore(done: int) -> None:
    """Watch nothing."""


def test_what_is_stored_is_found(
    server: Server, opened: Callable[[Access], RemoteStore], tmp_path: Path
):
    writer = opened(server.writer)
    name, seen = small_name("found"), []
    writer.upload(name, b"a signature", ignore)
    data = os.urandom(11_000_000)
    (tmp_path / "entry").write_bytes(data)
    writer.upload(name_of(data), tmp_path / "entry", seen.append)
    assert seen[-1] == len(data)
    assert seen == sorted(seen)
    reader, watched = opened(server.reader), []
    assert read(reader, name) == b"a signature"
    with (tmp_path / "found").open("wb") as file:
        digest = reader.download(name_of(data), file, len(data), watched.append)
    assert name_of(data) == f"cas/{digest}"
    assert (tmp_path / "found").read_bytes() == data
    assert watched[-1] == len(data)
    assert len(watched) > 11, "at least one call for each MB, so that a slow server is seen"


def test_what_is_not_there_is_absent(
    server: Server, opened: Callable[[Access], RemoteStore], tmp_path: Path
):
    for store in (opened(server.writer), opened(server.reader)):
        with pytest.raises(AbsentError):
            read(store, small_name("absent"))
        with pytest.raises(AbsentError), (tmp_path / "x").open("wb") as file:
            store.download(name_of(b"absent"), file, 6, ignore)


def test_what_is_stored_again_is_replaced(server: Server, opened: Callable[[Access], RemoteStore]):
    writer, name = opened(server.writer), small_name("again")
    writer.upload(name, b"first", ignore)
    writer.upload(name, b"the second one", ignore)
    assert read(writer, name) == b"the second one"


def test_who_may_read_cannot_write(
    server: Server, opened: Callable[[Access], RemoteStore], tmp_path: Path
):
    name = small_name("read only")
    opened(server.writer).upload(name, b"by the writer", ignore)
    reader = opened(server.reader)
    (tmp_path / "large").write_bytes(data := os.urandom(11_000_000))
    for attempt, source in ((name, b"by a reader"), (name_of(data), tmp_path / "large")):
        with pytest.raises(RemoteError) as found:
            reader.upload(attempt, source, ignore)
        assert found.value.refuses, found.value
    assert read(reader, name) == b"by the writer"
    with pytest.raises(AbsentError), (tmp_path / "x").open("wb") as file:
        reader.download(name_of(data), file, len(data), ignore)


def test_with_a_wrong_password_nobody_writes_and_no_message_shows_it(
    server: Server, opened: Callable[[Access], RemoteStore]
):
    stranger, name = opened(server.stranger), small_name("stranger")
    with pytest.raises(RemoteError) as found:
        stranger.upload(name, b"by a stranger", ignore)
    assert found.value.refuses
    for secret in (WRONG, PASSWORD, *server.stranger.environment.values()):
        assert secret not in str(found.value)
    assert WRONG not in stranger.place
    with pytest.raises(AbsentError):
        read(opened(server.reader), name)


def test_an_authority_that_is_not_trusted_is_an_error(
    server: Server, opened: Callable[[Access], RemoteStore], tmp_path: Path
):
    other = make_certificates(tmp_path)
    environment = {**server.reader.environment, "SSL_CERT_FILE": str(other.authority)}
    with pytest.raises(RemoteError, match="certificate") as found:
        read(opened(Access(server.reader.url, environment)), small_name("absent"))
    assert found.value.refuses, "a certificate does not get better in a minute"


@pytest.mark.parametrize("name", ["s3", "azure", "gcs"])
def test_object_stores_are_reached_through_the_proxy_but_for_no_proxy(
    name: str,
    start: Callable[[str], Server],
    opened: Callable[[Access], RemoteStore],
    monkeypatch: pytest.MonkeyPatch,
):
    server = start(name)
    values = server.writer.environment.values()
    host = next(urlsplit(value).netloc for value in values if value.startswith("https://"))
    with Proxy({host: int(host.rpartition(":")[2])}) as proxy:
        for excluded, tunnels in (("", [("CONNECT", host)]), ("127.0.0.1", [])):
            store = opened(server.writer)
            monkeypatch.setenv("HTTPS_PROXY", f"http://127.0.0.1:{proxy.port}")
            monkeypatch.setenv("NO_PROXY", excluded)
            with pytest.raises(AbsentError):
                read(store, small_name("behind a proxy"))
            assert [(seen.method, seen.target) for seen in proxy.seen] == tunnels
            proxy.seen.clear()


def test_an_upload_that_is_dropped_leaves_nothing_to_find(
    server: Server, opened: Callable[[Access], RemoteStore], tmp_path: Path
):
    writer = opened(server.writer)
    (tmp_path / "entry").write_bytes(data := os.urandom(16_000_000))

    def drop(done: int) -> None:
        if done > 9_000_000:
            raise TransferDroppedError

    with pytest.raises(TransferDroppedError):
        writer.upload(name_of(data), tmp_path / "entry", drop)
    with pytest.raises(AbsentError), (tmp_path / "x").open("wb") as file:
        writer.download(name_of(data), file, len(data), ignore)


def test_a_download_can_be_dropped(
    server: Server, opened: Callable[[Access], RemoteStore], tmp_path: Path
):
    writer = opened(server.writer)
    (tmp_path / "entry").write_bytes(data := os.urandom(16_000_000))
    writer.upload(name_of(data), tmp_path / "entry", ignore)

    def drop(done: int) -> None:
        raise TransferDroppedError(str(done))

    with pytest.raises(TransferDroppedError), (tmp_path / "x").open("wb") as file:
        writer.download(name_of(data), file, len(data), drop)
    assert (tmp_path / "x").stat().st_size < len(data)
    with (tmp_path / "x").open("wb") as file:  # the connection that broke is not used again
        writer.download(name_of(data), file, len(data), ignore)


def test_many_threads_use_one_store(server: Server, opened: Callable[[Access], RemoteStore]):
    writer, wrong = opened(server.writer), []

    def work(number: int) -> None:
        for turn in range(20):
            name, data = small_name(f"{number} {turn}"), f"{number} {turn}".encode()
            try:
                writer.upload(name, data, ignore)
                found = read(writer, name)
            except (AbsentError, RemoteError) as error:
                wrong.append(error)
                return
            if found != data:
                wrong.append(found)

    threads = [threading.Thread(target=work, args=(number,)) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert wrong == []


CHILD = """
import os, resource, sys, time
from pathlib import Path
from hatch_wazcache.cache.remote.open_store import open_store
from hatch_wazcache.cache.remote.options import RemoteOptions

url, name, source, target = sys.argv[1:]
store = open_store(RemoteOptions(url=url, where="x", url_from_environment=True), os.environ)
store.upload("warm", b"warm", lambda done: None)
store.read("warm", 100, time.monotonic() + 10)
before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
store.upload(name, Path(source), lambda done: None)
with open(target, "wb") as file:
    print(store.download(name, file, os.path.getsize(source), lambda done: None))
print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before)
"""


@pytest.mark.parametrize("name", MEASURED)
def test_a_large_object_needs_little_memory(
    name: str, start: Callable[[str], Server], tmp_path: Path
):
    server = start(name)
    source = tmp_path / "source"
    expected = hashlib.sha256()
    with source.open("wb") as file:
        for _piece in range(LARGE // 10_000_000):
            file.write(data := os.urandom(10_000_000))
            expected.update(data)
    done = subprocess.run(
        [sys.executable, "-c", CHILD, server.writer.url, "large", source, tmp_path / "target"],
        env={**os.environ, **server.writer.environment, "PYTHONPATH": str(ROOT)},
        stdout=subprocess.PIPE, text=True, check=True,
    )  # fmt: skip
    digest, kilobytes = done.stdout.split()
    assert digest == expected.hexdigest()
    assert int(kilobytes) < 40_000, "of the object's 220,000"
