"""HTTP servers that misbehave: nothing but a store's own errors leaves it, and nothing hangs."""

from __future__ import annotations

import io
import itertools
import os
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from hatch_wazcache.cache.remote import wire
from hatch_wazcache.cache.remote.http_store import HttpStore
from hatch_wazcache.cache.remote.options import RemoteOptions
from hatch_wazcache.cache.remote.stores import AbsentError, RemoteError, TransferDroppedError
from tests.cache.remote.conftest import PATIENCE, download, ignore, read
from tests.support.misbehaving_server import WAYS, Server, answer

pytestmark = pytest.mark.usefixtures("no_settings", "impatient")

OBJECT = os.urandom(100_000)
STILL_RIGHT = {"100 first", "endless trailers", "more than it says"}
"""Ways after which the object may have come whole."""
OTHER_BYTES = {"other bytes", "another object"}
"""Ways that only a digest finds out, which callers compare."""
ENDLESS = [way for way in WAYS if "end" in way or "enormous" in way]
ABSENT = {"404", "410"}


def took(started: float) -> float:
    """The time since then, in times of the patience."""
    return (time.monotonic() - started) / PATIENCE


@pytest.mark.parametrize("way", WAYS)
def test_a_small_object_is_read_or_an_error_says_why(store, server, way):
    server.objects["/cache/a/b.sig"] = OBJECT[:500]
    server.misbehave(way)
    started = time.monotonic()
    try:
        found = read(store, seconds=PATIENCE)
    except AbsentError:
        assert way in ABSENT
    except RemoteError as error:
        assert_fit(error, way)
    else:
        assert found == OBJECT[:500] or way in OTHER_BYTES | {"short", "long"}
    assert took(started) < 25
    assert_usable_again(store, server)


@pytest.mark.parametrize("way", WAYS)
def test_a_large_object_is_downloaded_whole_or_an_error_says_why(store, server, way):
    server.objects["/cache/a/b.zip"] = OBJECT
    server.misbehave(way)
    started = time.monotonic()
    file = io.BytesIO()

    def watch(_: int) -> None:
        if took(started) > 10:  # a byte is a sign of life, so only the watch ends a trickle
            raise TransferDroppedError

    try:
        store.download("a/b.zip", file, len(OBJECT), watch)
    except AbsentError:
        assert way in ABSENT
    except TransferDroppedError:
        assert way == "drips"
    except RemoteError as error:
        assert_fit(error, way)
    else:
        assert way in STILL_RIGHT | OTHER_BYTES
        assert file.getvalue() == OBJECT or way in OTHER_BYTES
    assert len(file.getvalue()) <= len(OBJECT)
    assert took(started) < 25
    assert_usable_again(store, server)


@pytest.mark.parametrize("way", WAYS)
def test_an_upload_is_taken_or_an_error_says_why(store, server, way, tmp_path):
    (tmp_path / "object").write_bytes(OBJECT)
    server.pause = PATIENCE / 10
    server.misbehave(way)
    started = time.monotonic()
    try:
        store.upload("a/b.zip", tmp_path / "object", ignore)
    except RemoteError as error:
        assert_fit(error, way)
    else:
        assert way not in {"reset", "closed", "silent", "garbage", "redirect loop"}
        assert not way.isdecimal()
    assert took(started) < 25
    assert_usable_again(store, server)


def assert_fit(error: RemoteError, way: str) -> None:
    # A server that was silent has cost a timeout: that happens once in a build.
    assert error.refuses == (way in {"401", "403", "407"} or "too long" in str(error))
    assert str(error).isprintable()
    assert 10 < len(str(error)) < 200
    assert "what the server says" not in str(error)


def assert_usable_again(store: HttpStore, server: Server) -> None:
    """What went wrong on a connection does no harm to the next request."""
    server.way = lambda _: ""
    server.objects["/cache/next"] = b"the next"
    assert read(store, "next") == b"the next"


def test_what_a_server_sends_unasked_is_not_the_next_answer(store, server):
    unasked = answer(200, b"unasked")
    pause = threading.Event()

    def say_more(talk) -> None:
        talk.send(talk.good())
        pause.wait(PATIENCE / 4)
        talk.send(unasked)

    server.objects["/cache/a/b.sig"] = OBJECT[:500]
    server.misbehave(say_more)
    for _ in range(3):
        assert read(store) == OBJECT[:500]
        time.sleep(PATIENCE / 2)


def test_a_download_that_drips_is_watched_all_the_time(store, server):
    server.objects["/cache/a/b.zip"] = OBJECT
    server.pause = PATIENCE / 20
    server.misbehave("drips")
    seen = []

    def watch(done: int) -> None:
        seen.append(done)
        if len(seen) == 10:
            raise TransferDroppedError

    with pytest.raises(TransferDroppedError):
        store.download("a/b.zip", io.BytesIO(), len(OBJECT), watch)
    assert seen == [*range(1, 11)]


def test_a_small_object_that_drips_is_given_up_at_its_deadline(store, server):
    server.objects["/cache/a/b.sig"] = OBJECT[:500]
    server.pause = PATIENCE / 20
    server.misbehave("drips")
    started = time.monotonic()
    with pytest.raises(RemoteError, match="silent for too long"):
        read(store, seconds=PATIENCE * 3)
    assert 2 < took(started) < 20


@pytest.mark.parametrize("status", [401, 413, 503])
def test_the_answer_to_a_large_upload_that_is_refused_early_is_read(
    store, server, status, tmp_path
):
    large = tmp_path / "large"
    large.write_bytes(bytes(50 << 20))
    server.refuses_early = status
    sent: list[int] = []
    with pytest.raises(RemoteError, match=f"answered {status}") as caught:
        store.upload("a", large, sent.append)
    assert caught.value.refuses == (status == 401)
    assert max(sent, default=0) < 50 << 20


@contextmanager
def answering_early(first: bytes, last: bytes) -> Iterator[tuple[str, list[int]]]:
    """Answer a request when its head has come; read the rest of it, and answer again."""
    took = []

    def serve() -> None:
        sock, _ = listener.accept()
        with sock:
            sock.recv(1 << 16)
            sock.sendall(first)
            while piece := sock.recv(1 << 20):
                took.append(len(piece))
                if piece.endswith(b"!"):
                    sock.sendall(last)

    with socket.create_server(("127.0.0.1", 0)) as listener:
        thread = threading.Thread(target=serve, daemon=True)
        thread.start()
        yield f"http://127.0.0.1:{listener.getsockname()[1]}", took
        thread.join(60)


def test_an_early_answer_ends_an_upload_that_the_server_would_read(open_store, tmp_path):
    large = tmp_path / "large"
    large.write_bytes(bytes(50 << 20) + b"!")
    with (
        answering_early(answer(403), b"") as (url, took),
        pytest.raises(RemoteError, match="answered 403"),
    ):
        open_store(url).upload("a", large, ignore)
    assert sum(took) < 45 << 20


def test_an_interim_answer_does_not_end_an_upload(open_store, tmp_path):
    large = tmp_path / "large"
    large.write_bytes(bytes(50 << 20) + b"!")
    interim, last = b"HTTP/1.1 100 Continue\r\n\r\n", b"HTTP/1.1 201 Made\r\n\r\n"
    with answering_early(interim, last) as (url, took):
        store = open_store(url)
        store.upload("a", large, ignore)
        store.close()
    assert sum(took) > 49 << 20


def test_an_object_of_another_length_is_not_downloaded(store, server):
    server.objects["/cache/a/b.zip"] = OBJECT
    for size in (len(OBJECT) - 1, len(OBJECT) + 1):
        file = io.BytesIO()
        with pytest.raises(RemoteError, match=f"has {len(OBJECT)} bytes, not {size}"):
            store.download("a/b.zip", file, size, ignore)
        assert file.getvalue() == b""


def test_an_object_that_ends_early_without_a_length_is_an_error(store, server):
    for said in (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\n12345\r\n0\r\n\r\n",
                 b"HTTP/1.0 200 OK\r\n\r\n12345"):  # fmt: skip

        def say(talk, said=said) -> None:
            talk.send(said)
            raise ConnectionAbortedError

        server.misbehave(say)
        with pytest.raises(RemoteError, match="has 5 bytes, not 6"):
            download(store, 6)


def test_a_file_that_shrinks_during_its_upload_is_an_error(store, server, tmp_path):
    shrinking = tmp_path / "file"
    shrinking.write_bytes(bytes(5 << 20))
    with pytest.raises(RemoteError, match="has become shorter"):
        store.upload("a", shrinking, lambda _: os.truncate(shrinking, 0))
    assert "/cache/a" not in server.objects


def test_a_file_that_is_gone_or_a_full_disk_is_an_error_of_the_transfer(store, server, tmp_path):
    with pytest.raises(RemoteError, match="cannot read the file to upload: No such file"):
        store.upload("a", tmp_path / "gone", ignore)
    server.objects["/cache/a"] = OBJECT
    with (
        open("/dev/full", "wb", buffering=0) as full,
        pytest.raises(RemoteError, match="No space left"),
    ):
        store.download("a", full, len(OBJECT), ignore)


def test_a_server_that_is_down_is_an_error_at_once(open_store):
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
    store = open_store(f"http://127.0.0.1:{port}")
    for ask in (read, lambda store: download(store, 5)):
        with pytest.raises(RemoteError, match=f"no connection to http://127.0.0.1:{port}: Conn"):
            ask(store)
    with pytest.raises(RemoteError, match="Connection refused"):
        store.upload("a", b"12345", ignore)


@contextmanager
def accepting_nothing() -> Iterator[int]:
    """Listen with a full queue, so that a connection gets no answer."""
    with ExitStack() as stack:
        listener = stack.enter_context(socket.socket())
        listener.bind(("127.0.0.1", 0))
        listener.listen(0)
        for _ in range(4):
            waiting = stack.enter_context(socket.socket())
            waiting.setblocking(False)
            waiting.connect_ex(listener.getsockname())
        yield listener.getsockname()[1]


def test_a_server_that_accepts_no_connection_is_given_up(open_store):
    with accepting_nothing() as port:
        started = time.monotonic()
        with pytest.raises(RemoteError, match="silent for too long") as caught:
            read(open_store(f"http://127.0.0.1:{port}"))
        assert caught.value.refuses
        assert 0.9 < took(started) < 20


def test_a_host_that_the_system_does_not_know_is_an_error(open_store, monkeypatch):
    monkeypatch.setattr(wire, "CONNECT_TIMEOUT", 60)
    with pytest.raises(RemoteError, match=r"does not know the host nowhere\.invalid"):
        read(open_store("http://nowhere.invalid/"))


def test_a_system_that_looks_for_a_host_for_minutes_is_not_waited_for(open_store, monkeypatch):
    ended = threading.Event()
    monkeypatch.setattr(socket, "getaddrinfo", lambda *_, **__: (ended.wait(60), [])[1])
    started = time.monotonic()
    with pytest.raises(RemoteError, match=r"did not find cache\.example in time") as caught:
        read(open_store("http://cache.example"))
    assert caught.value.refuses
    ended.set()
    assert took(started) < 20


@pytest.mark.parametrize("first", ["refuses", "drops everything"])
def test_the_second_address_of_a_host_is_tried(open_store, server, monkeypatch, first):
    """The first drops everything, as an IPv6 address does on many networks."""
    server.objects["/a"] = b"12345"
    real = socket.getaddrinfo
    with socket.create_server(("127.0.0.1", 0)) as closed, accepting_nothing() as dropping:
        ports = [dropping if "drops" in first else closed.getsockname()[1], server.port]
        closed.close()
        monkeypatch.setattr(
            socket,
            "getaddrinfo",
            lambda _, __, **words: [real("127.0.0.1", port, **words)[0] for port in ports],
        )
        assert read(open_store("http://cache.example:1"), "a") == b"12345"


def test_a_server_that_sends_without_end_fills_no_memory(server):
    code = f"""
import io, resource, time
from hatch_wazcache.cache.remote import wire
from hatch_wazcache.cache.remote.http_store import HttpStore
from hatch_wazcache.cache.remote.options import RemoteOptions
from hatch_wazcache.cache.remote.stores import RemoteError
wire.SILENCE_TIMEOUT = {PATIENCE}
store = HttpStore(RemoteOptions(url="http://{server.host}"), {{}})
def peak(): return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
def ask():
    for ask in (
        lambda: store.read("a", 1 << 16, time.monotonic() + {PATIENCE}),
        lambda: store.download("a", io.BytesIO(), 1 << 16, lambda _: None),
        lambda: store.upload("a", b"12345", lambda _: None),
    ):
        try:
            ask()
        except RemoteError:
            pass
ask()
before = peak()
input()
for _ in range({2 * len(ENDLESS)}):
    ask()
print(peak() - before)
"""
    server.misbehave("413")
    run = [sys.executable, "-c", code]
    child = subprocess.Popen(run, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    while len(server.seen) < 3:
        time.sleep(0.01)
    ways = itertools.cycle(ENDLESS)
    server.way = lambda _: next(ways)
    grown, _ = child.communicate("\n", timeout=300)
    assert int(grown) * 1024 < 15 << 20
    assert len(server.seen) == 3 + 6 * len(ENDLESS)


HEAD = b"HTTP/1.1 200 OK\r\n"


@given(
    st.one_of(
        st.binary(max_size=300),
        st.binary(max_size=300).map(lambda rest: HEAD + rest),
        st.lists(
            st.sampled_from([
                HEAD, b"HTTP/1.1 100 Continue\r\n\r\n", b"HTTP/1.1 307 X\r\n", b"Location: ",
                b"http://", b"//[", b":99999/", b"/x", b"Content-Length: ", b"5", b"-1", b"\r\n",
                b"\r\n\r\n", b"Transfer-Encoding: chunked\r\n", b"0\r\n", b"ffffffffffffffffff",
                b"-5\r\n", b" ", b"\n", b"\t", b"\0", b"\xff", b"12345", b"Content-Encoding: \xe9",
                b"Connection: close\r\n", b"HTTP/1.0 200\r\n", b"HTTP/1.1 ", b"999", b"=?utf-8?q?",
            ]),
            max_size=12,
        ).map(b"".join),
    )
)  # fmt: skip
@example(HEAD + b"Transfer-Encoding: chunked\r\n\r\n-1\r\n" + bytes(100))
@example(b"HTTP/1.1 307 X\r\nLocation: http://[::1\r\n\r\n")
@settings(
    max_examples=300, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
def test_whatever_bytes_come_only_the_errors_of_a_store_leave_it(data):
    def say(talk) -> None:
        talk.send(data)
        raise ConnectionAbortedError

    with Server() as server:
        server.misbehave(say)
        store = HttpStore(RemoteOptions(url=f"http://{server.host}"), {})
        for ask in (
            lambda: read(store, seconds=PATIENCE),
            lambda: download(store, 5),
            lambda: store.upload("a", b"12345", ignore),
        ):
            with suppress(AbsentError, RemoteError):
                ask()
        store.close()
