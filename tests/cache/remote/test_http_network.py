"""HTTP servers behind TLS and behind proxies."""

from __future__ import annotations

import base64
import os
import time
from concurrent.futures import ThreadPoolExecutor

import pytest

from hatch_wazcache.cache.remote.stores import SILENCE_TIMEOUT, RemoteError
from tests.cache.remote.conftest import download, ignore, read
from tests.support.authorities import Authority
from tests.support.misbehaving_server import Server, answer
from tests.support.proxies import Proxy

pytestmark = pytest.mark.usefixtures("no_settings")

OBJECT = os.urandom(3 << 20)


@pytest.fixture(scope="module")
def authority(tmp_path_factory) -> Authority:
    return Authority(tmp_path_factory.mktemp("authority"))


@pytest.fixture
def secure(authority, monkeypatch):
    """A server with TLS, whose authority SSL_CERT_FILE names."""
    monkeypatch.setenv("SSL_CERT_FILE", str(authority.file))
    with Server(authority.server_context("localhost", "cache.test")) as made:
        yield made


@pytest.fixture
def proxy(server, monkeypatch):
    """A proxy that knows `cache.test`, for http: the system does not."""
    with Proxy({"cache.test:80": server.port}) as made:
        for name in ("HTTP_PROXY", "HTTPS_PROXY"):
            monkeypatch.setenv(name, f"http://127.0.0.1:{made.port}")
        yield made


# TLS


def test_an_authority_of_your_own_is_trusted_by_ssl_cert_file(secure, open_store, tmp_path):
    (tmp_path / "object").write_bytes(OBJECT)
    store = open_store(f"https://localhost:{secure.port}")
    store.upload("a", tmp_path / "object", ignore)
    assert download(store, len(OBJECT), "a")[0] == OBJECT
    assert secure.connections == 1


def test_an_unknown_authority_is_refused(secure, open_store, monkeypatch):
    monkeypatch.delenv("SSL_CERT_FILE")
    with pytest.raises(RemoteError, match=r"certificate of https://localhost:.* is not") as caught:
        read(open_store(f"https://localhost:{secure.port}", WAZCACHE_REMOTE_TOKEN="secret"))
    assert caught.value.refuses
    assert secure.seen == []


def test_a_certificate_that_has_expired_is_refused(authority, secure, open_store):
    with Server(authority.server_context("localhost", expired=True)) as server:
        with pytest.raises(RemoteError, match="certificate has expired"):
            read(open_store(f"https://localhost:{server.port}"))
        assert server.seen == []


def test_the_certificate_of_another_host_is_refused(authority, secure, open_store):
    with Server(authority.server_context("other.example")) as server:
        for host in ("localhost", "127.0.0.1"):
            with pytest.raises(RemoteError, match=r"not valid for|mismatch"):
                read(open_store(f"https://{host}:{server.port}"))
        assert server.seen == []


@pytest.mark.usefixtures("impatient")
def test_a_server_without_tls_is_an_error(server, open_store):
    for way in ("", "silent", "garbage", "closed"):
        server.misbehave(way)
        with pytest.raises(RemoteError, match="no TLS with https://localhost"):
            read(open_store(f"https://localhost:{server.port}"))


def test_a_redirect_to_a_server_without_tls_is_not_followed(secure, server, open_store):
    secure.misbehave(
        lambda talk: talk.send(answer(302, Location=f"http://localhost:{server.port}/"))
    )
    with pytest.raises(RemoteError, match="redirects from https to http"):
        read(open_store(f"https://localhost:{secure.port}"))
    assert server.seen == []


def test_close_ends_what_other_threads_wait_for_by_tls(secure, open_store):
    secure.misbehave("silent in the middle")
    secure.objects["/a"] = OBJECT
    store = open_store(f"https://localhost:{secure.port}")
    with ThreadPoolExecutor(1) as thread:
        waiting = thread.submit(download, store, len(OBJECT), "a")
        while not secure.seen:
            time.sleep(0.01)
        store.close()
        assert isinstance(waiting.exception(SILENCE_TIMEOUT / 2), RemoteError)


def test_an_upload_that_is_refused_early_is_answered_by_tls_too(secure, open_store, tmp_path):
    large = tmp_path / "large"
    large.write_bytes(bytes(50 << 20))
    secure.refuses_early = 413
    with pytest.raises(RemoteError, match=r"answered 413|the connection broke"):
        open_store(f"https://localhost:{secure.port}").upload("a", large, ignore)


# Proxies


def basic(login: str) -> str:
    return "Basic " + base64.b64encode(login.encode()).decode()


def test_a_proxy_is_asked_with_the_whole_url(proxy, server, open_store):
    store = open_store("http://cache.test/x")
    store.upload("a", OBJECT, ignore)
    assert download(store, len(OBJECT), "a")[0] == OBJECT
    assert [seen.target for seen in proxy.seen] == ["http://cache.test/x/a"] * 2
    assert [seen.headers["host"] for seen in server.seen] == ["cache.test"] * 2


def test_https_goes_through_a_tunnel(proxy, secure, open_store):
    proxy.hosts["cache.test:443"] = secure.port
    store = open_store("https://cache.test", WAZCACHE_REMOTE_TOKEN="secret")
    store.upload("a", OBJECT, ignore)
    assert download(store, len(OBJECT), "a")[0] == OBJECT
    assert [(seen.method, seen.target) for seen in proxy.seen] == [("CONNECT", "cache.test:443")]
    assert "authorization" not in proxy.seen[0].headers
    assert secure.seen[0].headers["authorization"] == "Bearer secret"


def test_a_proxy_gets_its_own_login_and_the_server_does_not(
    proxy, server, secure, open_store, monkeypatch
):
    proxy.hosts["cache.test:443"] = secure.port
    proxy.login = basic("ann:a b")
    for name in ("HTTP_PROXY", "HTTPS_PROXY"):
        monkeypatch.setenv(name, f"http://ann:a%20b@127.0.0.1:{proxy.port}")
    for store in (open_store("http://cache.test"), open_store("https://cache.test")):
        store.upload("a", b"12345", ignore)
        assert read(store, "a") == b"12345"
    assert [seen.headers.get("proxy-authorization") for seen in secure.seen] == [None] * 2


def test_a_proxy_that_wants_a_login_is_named_without_it(proxy, open_store, monkeypatch):
    proxy.login = basic("ann:secret")
    monkeypatch.setenv("HTTPS_PROXY", f"http://bob:wrong@127.0.0.1:{proxy.port}")
    for scheme in ("http", "https"):
        with pytest.raises(RemoteError, match="answered 407") as caught:
            read(open_store(f"{scheme}://cache.test"))
        assert caught.value.refuses
        assert "wrong" not in str(caught.value)


def test_no_proxy_is_used_for_the_hosts_in_no_proxy_and_for_this_machine(
    proxy, server, open_store, monkeypatch
):
    server.objects["/a"] = b"12345"
    assert read(open_store(f"http://localhost:{server.port}"), "a") == b"12345"
    monkeypatch.setenv("NO_PROXY", "example.org,.test")
    with pytest.raises(RemoteError, match=r"does not know the host cache\.test"):
        read(open_store("http://cache.test"), "a")
    assert proxy.seen == []


def test_all_proxy_is_for_both_schemes(proxy, server, open_store, monkeypatch):
    for name in ("HTTP_PROXY", "HTTPS_PROXY"):
        monkeypatch.delenv(name)
    monkeypatch.setenv("ALL_PROXY", f"127.0.0.1:{proxy.port}")
    server.objects["/a"] = b"12345"
    assert read(open_store("http://cache.test"), "a") == b"12345"


@pytest.mark.parametrize("url", ["socks5://127.0.0.1:1", "http://", "http://a:b", "https://a:1"])
def test_a_proxy_that_cannot_be_used_is_an_error(open_store, monkeypatch, url):
    monkeypatch.setenv("HTTPS_PROXY", url)
    with pytest.raises(RemoteError, match="the URL of the proxy for https is wrong") as caught:
        read(open_store("https://cache.test"))
    assert caught.value.refuses


def test_a_proxy_that_is_down_is_an_error_that_names_it(open_store, monkeypatch):
    with Proxy({}) as gone:
        pass
    monkeypatch.setenv("HTTPS_PROXY", f"http://127.0.0.1:{gone.port}")
    monkeypatch.setenv("HTTP_PROXY", f"http://127.0.0.1:{gone.port}")
    for scheme in ("http", "https"):
        with pytest.raises(RemoteError, match=f"no connection to the proxy 127.0.0.1:{gone.port}"):
            read(open_store(f"{scheme}://cache.test"))


CONNECTED = b"HTTP/1.1 200 OK\r\n"


@pytest.mark.usefixtures("impatient")
@pytest.mark.parametrize("said", [
    answer(403), answer(502), b"garbage", b"\r\n", CONNECTED, CONNECTED + b"\r\n",
    CONNECTED + b"A: b\r\n" * 5000, b"H" * 1_000_000,
])  # fmt: skip
def test_a_proxy_that_opens_no_tunnel_is_an_error(proxy, open_store, said):
    proxy.answer = said
    with pytest.raises(RemoteError) as caught:
        read(open_store("https://cache.test"))
    assert str(caught.value).isprintable()
    assert caught.value.refuses == (b" 403 " in said)


def test_a_tunnel_that_breaks_is_an_error(proxy, secure, open_store, tmp_path):
    (tmp_path / "object").write_bytes(OBJECT)
    proxy.hosts["cache.test:443"] = secure.port
    secure.objects["/a"] = OBJECT
    proxy.bytes_until_death = 1 << 20
    store = open_store("https://cache.test")
    with pytest.raises(RemoteError):
        download(store, len(OBJECT), "a")
    with pytest.raises(RemoteError):
        store.upload("b", tmp_path / "object", ignore)
    assert "/b" not in secure.objects
