"""Objects on a good HTTP server: what is sent, to whom, and over how many connections."""

from __future__ import annotations

import base64
import hashlib
import io
import os
import subprocess
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor

import pytest

from hatch_wazcache.cache.remote.stores import (
    SILENCE_TIMEOUT,
    AbsentError,
    RemoteError,
    TransferDroppedError,
)
from hatch_wazcache.errors import WazcacheError
from tests.cache.remote.conftest import download, ignore, read
from tests.support.misbehaving_server import Server, answer

pytestmark = pytest.mark.usefixtures("no_settings")

BIG = os.urandom(1 << 20) * 5 + b"the end"


def basic(login: str) -> str:
    return "Basic " + base64.b64encode(login.encode()).decode()


def logins(server: Server) -> list[str | None]:
    return [seen.headers.get("authorization") for seen in server.seen]


def test_what_was_uploaded_is_read_and_downloaded(store, server, tmp_path):
    (tmp_path / "big").write_bytes(BIG)
    store.upload("a/b.sig", b"small", ignore)
    store.upload("a/b.zip", tmp_path / "big", ignore)
    assert read(store) == b"small"
    assert download(store, len(BIG)) == (BIG, hashlib.sha256(BIG).hexdigest())
    assert server.objects == {"/cache/a/b.sig": b"small", "/cache/a/b.zip": BIG}


def test_a_transfer_says_how_far_it_is(store, tmp_path):
    (tmp_path / "big").write_bytes(BIG)
    up: list[int] = []
    down: list[int] = []
    store.upload("big", tmp_path / "big", up.append)
    store.download("big", io.BytesIO(), len(BIG), down.append)
    for said in (up, down):
        assert len(said) > 4
        assert said == sorted(said)
        assert said[-1] == len(BIG)


def test_an_object_that_is_not_there_is_absent(store):
    with pytest.raises(AbsentError):
        read(store)
    with pytest.raises(AbsentError):
        download(store, 5)


def test_requests_one_after_another_use_one_connection(store, server):
    store.upload("a", b"12345", ignore)
    for _ in range(5):
        assert read(store, "a") == b"12345"
        assert download(store, 5, "a")[0] == b"12345"
        with pytest.raises(AbsentError):
            read(store, "b")
    assert len(server.seen) == 16
    assert server.connections == 1


def test_threads_have_a_connection_each_and_leave_it_to_others(store, server):
    everyone = threading.Barrier(8)
    server.misbehave(lambda talk: (everyone.wait(60), talk.send(talk.good()))[1])
    store_of = {f"/cache/{number}": b"%d" % number for number in range(8)}
    server.objects.update(store_of)
    for _ in range(3):
        with ThreadPoolExecutor(8) as threads:
            found = list(threads.map(lambda number: read(store, str(number)), range(8)))
        assert found == [*store_of.values()]
    assert server.connections == 8


def test_a_connection_that_the_server_has_closed_is_replaced(store, server):
    def once(talk) -> None:
        talk.send(talk.good())
        raise ConnectionAbortedError

    server.misbehave(once)
    store.upload("a", b"12345", ignore)
    for _ in range(3):
        assert read(store, "a") == b"12345"
    assert server.connections == 4


def test_a_connection_that_the_server_closes_at_the_next_request_is_replaced(store, server):
    used = set()

    def once(talk) -> None:
        if talk.sock in used:
            raise ConnectionAbortedError
        used.add(talk.sock)
        talk.send(talk.good())

    server.misbehave(once)
    store.upload("a", b"12345", ignore)
    for _ in range(3):
        assert read(store, "a") == b"12345"
        store.upload("a", b"12345", ignore)
    assert server.connections == 7


def test_a_server_without_lengths_is_understood(store, server):
    server.misbehave(lambda talk: talk.send(
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5;a=b\r\n12345\r\n0\r\nA: b\r\n\r\n"
    ))  # fmt: skip
    assert [read(store), download(store, 5)[0]] == [b"12345", b"12345"]
    assert server.connections == 1

    def until_the_end(talk) -> None:
        talk.send(b"HTTP/1.0 200 OK\r\n\r\n12345")
        raise ConnectionAbortedError

    server.misbehave(until_the_end)
    assert [read(store), download(store, 5)[0]] == [b"12345", b"12345"]


def test_no_object_is_encoded_for_the_way(store, server):
    store.upload("a", b"12345", ignore)
    read(store, "a")
    assert [seen.headers["accept-encoding"] for seen in server.seen] == ["identity"] * 2


def test_a_query_is_part_of_each_url_and_of_no_message(server, open_store):
    store = open_store(f"http://{server.host}/some%20place/?sig=a%2Fb&x=é")
    store.upload("a", b"12345", ignore)
    assert read(store, "a") == b"12345"
    assert {seen.target for seen in server.seen} == {"/some%20place/a?sig=a%2Fb&x=%C3%A9"}
    assert store.place == f"http://{server.host}/some place"


def test_a_watch_that_gives_up_ends_the_transfer(store, server, tmp_path):
    (tmp_path / "big").write_bytes(BIG)
    store.upload("big", tmp_path / "big", ignore)

    def give_up(done: int) -> None:
        if done > 1 << 20:
            raise TransferDroppedError

    with pytest.raises(TransferDroppedError):
        store.download("big", io.BytesIO(), len(BIG), give_up)
    with pytest.raises(TransferDroppedError):
        store.upload("other", tmp_path / "big", give_up)
    assert "/cache/other" not in server.objects
    assert download(store, len(BIG), "big")[0] == BIG


def test_close_ends_what_other_threads_wait_for(store, server):
    server.misbehave("silent")
    with ThreadPoolExecutor(1) as thread:
        waiting = thread.submit(read, store)
        while not server.seen:
            time.sleep(0.01)
        store.close()
        assert isinstance(waiting.exception(SILENCE_TIMEOUT / 2), RemoteError)
    with pytest.raises(RemoteError, match="was closed"):
        read(store)


# Redirects


def test_redirects_are_followed(store, server):
    for status in (301, 302, 303, 307, 308):
        server.objects = {"/elsewhere": b"12345"}
        server.redirect = status
        server.way = lambda seen: redirect_to("/elsewhere") if "cache" in seen.target else ""
        assert read(store) == b"12345"
    assert server.connections == 1


def redirect_to(url: str):
    return lambda talk: talk.send(answer(talk.server.redirect, Location=url))


@pytest.mark.parametrize("status", [307, 308])
def test_an_upload_follows_a_redirect_that_keeps_its_body(store, server, status):
    server.redirect = status
    server.way = lambda seen: redirect_to("../moved") if "sig" in seen.target else ""
    store.upload("a/b.sig", b"12345", ignore)
    assert server.objects == {"/cache/moved": b"12345"}


@pytest.mark.parametrize("status", [301, 302, 303])
def test_an_upload_does_not_become_another_request(store, server, status):
    server.redirect = status
    server.misbehave(redirect_to("/elsewhere"))
    with pytest.raises(RemoteError, match=f"answered {status}"):
        store.upload("a", b"12345", ignore)
    assert len(server.seen) == 1


def test_a_redirect_to_another_server_carries_no_login(server, open_store):
    with Server() as other:
        other.objects["/there"] = b"12345"
        server.misbehave(redirect_to(f"http://{other.host}/there"))
        for url, environment in (
            (f"http://{server.host}", {"WAZCACHE_REMOTE_TOKEN": "secret"}),
            (f"http://ann:secret@{server.host}", {}),
        ):
            store = open_store(url, **environment)
            assert read(store) == b"12345"
            store.upload("a", b"12345", ignore)
        assert None not in logins(server)
        assert logins(other) == [None] * 4


def test_a_redirect_that_comes_back_has_the_login_again(server, open_store):
    server.objects["/there"] = b"12345"
    with Server() as other:
        other.misbehave(redirect_to(f"http://{server.host}/there"))
        server.way = lambda seen: "" if seen.target == "/there" else redirect_to(
            f"http://{other.host}/"
        )  # fmt: skip
        assert read(open_store(f"http://{server.host}", WAZCACHE_REMOTE_TOKEN="t")) == b"12345"
    assert logins(server) == ["Bearer t"] * 2


# Credentials


def test_the_token_goes_to_the_server_that_the_environment_names(server, open_store):
    store = open_store(f"http://{server.host}", WAZCACHE_REMOTE_TOKEN=" secret\n")
    store.upload("a/b.sig", b"12345", ignore)
    read(store)
    assert logins(server) == ["Bearer secret"] * 2


def test_the_token_does_not_go_to_a_server_that_a_project_names(server, open_store):
    store = open_store(
        f"http://{server.host}", from_environment=False, WAZCACHE_REMOTE_TOKEN="secret"
    )
    store.upload("a/b.sig", b"12345", ignore)
    assert logins(server) == [None]


def test_the_token_does_not_go_over_a_network_without_tls(open_store):
    with pytest.raises(WazcacheError, match="use https") as caught:
        open_store("http://cache.example", WAZCACHE_REMOTE_TOKEN="secret")
    assert "secret" not in str(caught.value)
    open_store("https://cache.example", WAZCACHE_REMOTE_TOKEN="secret")


@pytest.mark.parametrize("token", ["a\r\nX: y", "é", "a b", "\0"])
def test_a_token_that_no_header_can_have_is_an_error_that_does_not_show_it(open_store, token):
    with pytest.raises(WazcacheError, match="WAZCACHE_REMOTE_TOKEN") as caught:
        open_store("https://cache.example", WAZCACHE_REMOTE_TOKEN=token)
    assert token not in str(caught.value)


def test_the_login_in_the_url_is_used_and_not_shown(server, open_store):
    store = open_store(f"http://ann:a%20b%2F@{server.host}/x", WAZCACHE_REMOTE_TOKEN="other")
    store.upload("a", b"12345", ignore)
    assert logins(server) == [basic("ann:a b/")]
    assert store.place == f"http://{server.host}/x"


def test_a_login_in_the_url_of_a_project_is_an_error_that_does_not_show_it(open_store):
    with pytest.raises(WazcacheError, match="no user and no password") as caught:
        open_store("https://ann:secret@cache.example", from_environment=False)
    assert "ann" not in str(caught.value)
    assert "secret" not in str(caught.value)


def test_netrc_has_the_login_of_its_own_hosts_only(server, open_store, tmp_path):
    netrc = tmp_path / "netrc"
    netrc.write_text("machine 127.0.0.1 login ann password secret\n")
    for from_environment in (True, False):
        store = open_store(
            f"http://{server.host}", from_environment=from_environment, NETRC=str(netrc)
        )
        store.upload("a", b"12345", ignore)
    assert logins(server) == [basic("ann:secret")] * 2
    server.seen.clear()
    netrc.write_text("default login ann password secret\n")
    open_store(f"http://{server.host}", NETRC=str(netrc)).upload("a", b"12345", ignore)
    netrc.write_bytes(b"machine \xff nonsense")
    open_store(f"http://{server.host}", NETRC=str(netrc)).upload("a", b"12345", ignore)
    assert logins(server) == [None] * 2


def test_netrc_is_found_in_the_home_directory(server, open_store, tmp_path):
    (tmp_path / "home").mkdir()
    netrc = tmp_path / "home" / ".netrc"
    netrc.write_text("machine 127.0.0.1 login ann password secret\n")
    netrc.chmod(0o600)
    open_store(f"http://{server.host}").upload("a", b"12345", ignore)
    assert logins(server) == [basic("ann:secret")]


# URLs


@pytest.mark.parametrize("url", [
    "ftp://cache.example", "https://", "https://cache.example:a", "https://cache.example:99999",
    "https://a\x1bb/", "https://[::1", "https:///path", "https://é" + "a" * 64 + ".example",
])  # fmt: skip
def test_a_wrong_url_is_one_message_that_names_its_place(open_store, url):
    with pytest.raises(WazcacheError, match=r"^WAZCACHE_REMOTE: the URL is wrong: ") as caught:
        open_store(url)
    assert str(caught.value).isprintable()


def test_the_place_is_the_url_without_secrets(open_store):
    def place(url: str) -> str:
        return open_store(url).place

    assert place("HTTPS://Cache.Example:443/a%20b/") == "https://cache.example/a b"
    assert place("http://u:p@[::1]:80/?q=1#f") == "http://[::1]"
    assert place("https://bücher.example:8443/%1b%0a") == (
        "https://xn--bcher-kva.example:8443/\\x1b\\n"
    )


# Memory


def test_a_large_object_is_never_in_memory(server, tmp_path):
    big = tmp_path / "big"
    with big.open("wb") as file:
        for _ in range(200):
            file.write(os.urandom(1 << 20))
    code = f"""
import resource, io
from pathlib import Path
from hatch_wazcache.cache.remote.http_store import HttpStore
from hatch_wazcache.cache.remote.options import RemoteOptions
store = HttpStore(RemoteOptions(url="http://{server.host}"), {{}})
def peak(): return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
store.upload("small", b"12345", lambda _: None)
store.download("small", io.BytesIO(), 5, lambda _: None)
before = peak()
store.upload("big", Path({str(big)!r}), lambda _: None)
with open({str(tmp_path / "again")!r}, "wb") as file:
    store.download("big", file, {200 << 20}, lambda _: None)
print(peak() - before)
"""
    run = [sys.executable, "-c", code]
    grown = subprocess.run(run, capture_output=True, text=True, check=True).stdout
    assert int(grown) * 1024 < 20 << 20
    assert (tmp_path / "again").read_bytes() == big.read_bytes()
