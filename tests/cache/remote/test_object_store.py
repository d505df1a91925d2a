"""What object stores promise without a real server; tests/slow/test_remote_servers.py has these."""

from __future__ import annotations

import io
import os
import socket
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from hatch_wazcache.cache.remote.object_store import ObjectStore
from hatch_wazcache.cache.remote.options import RemoteOptions
from hatch_wazcache.cache.remote.stores import AbsentError, RemoteError, TransferDroppedError
from hatch_wazcache.errors import WazcacheError
from tests.support.environments import environment_of
from tests.support.s3_stand_in import Answers, answering

SECRET = "Sesame/Open+1"
DENIED = "the server answered 403 (AccessDenied); readers need the right to list the bucket, too"


@pytest.fixture(autouse=True)
def clean_environment(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """No credentials, no proxies, and a metadata service that is not there."""
    for name in list(os.environ):
        if name.startswith(("AWS_", "GOOGLE_", "AZURE_")) or name.upper().endswith("_PROXY"):
            monkeypatch.delenv(name)
    monkeypatch.setenv("AWS_METADATA_ENDPOINT", "http://127.0.0.1:1")
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("RUST_BACKTRACE", "0")


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Iterator[Answers]:
    with answering(Answers()) as answers:
        monkeypatch.setenv("AWS_ENDPOINT_URL", f"http://127.0.0.1:{answers.port}")
        yield answers


@pytest.fixture
def keys(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "alibaba")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", SECRET)


def ignore(done: int) -> None:
    """Watch nothing."""


def store(url: str = "s3://cache/pre") -> ObjectStore:
    return ObjectStore(RemoteOptions(url=url, where="WAZCACHE_REMOTE"), os.environ)


def read(url: str = "s3://cache/pre", most: int = 100) -> bytes:
    return store(url).read("scope/key.sig", most, time.monotonic() + 10)


def problem(url: str = "s3://cache/pre") -> RemoteError:
    with pytest.raises(RemoteError) as found:
        read(url)
    assert SECRET not in str(found.value)
    assert str(found.value).isprintable()
    return found.value


def test_a_missing_extra_is_one_message_with_the_command():
    python = environment_of("wasmtime==48.0.0")
    code = """
from hatch_wazcache.cache.remote.open_store import open_store
from hatch_wazcache.cache.remote.options import RemoteOptions
from hatch_wazcache.errors import WazcacheError
try:
    open_store(RemoteOptions(url="s3://bucket", where="WAZCACHE_REMOTE"), {})
except WazcacheError as error:
    print(error)
"""
    done = subprocess.run([python, "-c", code], capture_output=True, text=True, check=True)
    said = 's3:// needs obstore: pip install "hatch-wazcache[remote]"'
    assert done.stdout == f"WAZCACHE_REMOTE: {said}\n"


@pytest.mark.parametrize(
    "url",
    [
        "s3://",
        "s3:///a",
        "gs://a b",
        "az://me:password@c",
        "s3://b/a//b",
        "s3://b/../a",
        "s3://b?x=1",
    ],
)
def test_a_url_that_cannot_be_used_names_its_option(url: str):
    with pytest.raises(
        WazcacheError, match=r"^WAZCACHE_REMOTE: the URL must be like '\w\w://"
    ) as e:
        store(url)
    assert "password" not in str(e.value)


def test_the_place_is_the_url():
    assert store("S3://Bucket/a/b/").place == "s3://Bucket/a/b"


@pytest.mark.parametrize(
    ("name", "value", "said"),
    [
        ("AWS_SECRET_ACCESS_KEY", f"{SECRET}\n", "has a line break or another control character"),
        ("AWS_SECRET_ACCESS_KEY", "", "is set, and empty"),
        ("AWS_ENDPOINT_URL", "", "is set, and empty"),
        *(
            ("AWS_ENDPOINT_URL", value, "must be like 'https://host:port', without a user")
            for value in (
                "nonsense", "http://", "http://a b", "http://127.0.0.1:99999", "ftp://a",
                f"https://me:{SECRET}@127.0.0.1",
            )
        ),
    ],
)  # fmt: skip
def test_what_obstore_cannot_send_is_found_before_it_panics(
    monkeypatch: pytest.MonkeyPatch, keys: None, name: str, value: str, said: str
):
    monkeypatch.setenv(name, value)
    found = problem()
    assert str(found) == f"{name} {said}"
    assert found.refuses


def test_a_panic_of_obstore_is_an_error_of_the_store(
    tmp_path: Path, keys: None, capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
):
    (tmp_path / ".aws").mkdir()
    (tmp_path / ".aws" / "config").write_text("[profile ci]\nendpoint_url = nonsense\n")
    (tmp_path / ".aws" / "credentials").write_text(
        f"[ci]\naws_access_key_id = alibaba\naws_secret_access_key = {SECRET}\n"
    )
    monkeypatch.delenv("AWS_ACCESS_KEY_ID")
    monkeypatch.setenv("AWS_PROFILE", "ci")
    assert str(problem()) == "the client for this store, obstore, has failed"
    assert "panicked" in capfd.readouterr().err


def test_tokens_are_not_sent_over_plain_http(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("GOOGLE_BEARER_TOKEN", SECRET)
    monkeypatch.setenv("GOOGLE_BASE_URL", "http://example.invalid")
    assert str(problem("gs://cache")) == "GOOGLE_BASE_URL must begin with https://"


def test_without_credentials_asking_again_is_useless(server: Answers):
    found = problem()
    assert str(found).startswith("no credentials were found")
    assert found.refuses
    assert server.asked == []


def test_azure_needs_the_name_of_an_account():
    found = problem("az://cache")
    assert str(found) == "AZURE_STORAGE_ACCOUNT_NAME is not set"
    assert found.refuses


def test_a_server_that_is_down_does_not_refuse(keys: None, monkeypatch: pytest.MonkeyPatch):
    with socket.create_server(("127.0.0.1", 0)) as closed:
        port = closed.getsockname()[1]
    monkeypatch.setenv("AWS_ENDPOINT_URL", f"http://127.0.0.1:{port}")
    found = problem()
    assert str(found) == "the server accepts no connections"
    assert not found.refuses


def test_a_silent_server_is_left_within_the_time_for_a_small_object(
    keys: None, monkeypatch: pytest.MonkeyPatch
):
    with socket.create_server(("127.0.0.1", 0)) as silent:
        monkeypatch.setenv("AWS_ENDPOINT_URL", f"http://127.0.0.1:{silent.getsockname()[1]}")
        begin = time.monotonic()
        assert str(problem()) == "the server was silent for too long"
        assert time.monotonic() - begin < 20


@pytest.mark.parametrize(
    ("status", "body", "said", "refuses"),
    [
        (401, "", "the server answered 401", True),
        (403, "<Code>AccessDenied</Code>", DENIED, True),
        (403, f"<Code>{SECRET}</Code>", "the server answered 403", True),
        (400, "<Code>ExpiredToken</Code>", "the server answered 400 (ExpiredToken)", True),
        (400, "<Code>Other</Code>", "the server answered 400 (Other)", False),
        (404, "<Code>NoSuchBucket</Code>", "there is no such bucket or container", True),
        (429, "", "the server answered 429", False),
        (500, f"\x1b[31m{SECRET}", "the server answered 500", False),
        (503, "<Code>SlowDown</Code>", "the server answered 503 (SlowDown)", False),
    ],
)  # fmt: skip
def test_an_answer_that_is_no_object_is_said_in_plain_words(
    server: Answers, keys: None, status: int, body: str, said: str, refuses: bool
):
    server.status, server.body = status, body.encode()
    found = problem()
    assert (str(found), found.refuses) == (said, refuses)


def test_an_absent_object_is_no_error(server: Answers, keys: None):
    server.status = 404
    with pytest.raises(AbsentError):
        read()


@pytest.mark.parametrize(
    "raw",
    [
        b"", b"\0\xff garbage\r\n\r\n", b"HTTP/1.1 200 OK\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: -1\r\nETag: a\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\nETag: \xff\r\nLast-Modified: x\r\n\r\nhello",
        b"HTTP/1.1 302 Found\r\nLocation: /cache/again\r\nContent-Length: 0\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: 50\r\nETag: a\r\nLast-Modified: %b\r\n\r\nhello"
        % b"Mon, 02 Nov 2026 10:00:00 GMT",
    ],
)  # fmt: skip
def test_garbage_is_an_error_of_the_store(server: Answers, keys: None, raw: bytes):
    server.raw = raw or b"\n"
    problem()


def test_what_is_larger_than_allowed_is_not_read(server: Answers, keys: None):
    server.body = b"x" * 101
    assert str(problem()) == "the object is too large"


def test_a_download_of_another_size_is_refused(server: Answers, keys: None):
    with pytest.raises(RemoteError, match="the object has 5 bytes, not 6"):
        store().download("a.zip", io.BytesIO(), 6, ignore)


def test_what_watch_raises_ends_a_download(server: Answers, keys: None):
    def drop(done: int) -> None:
        raise TransferDroppedError(str(done))

    with pytest.raises(TransferDroppedError, match="5"):
        store().download("a.zip", io.BytesIO(), 5, drop)


def test_a_full_disk_is_an_error_of_the_store(server: Answers, keys: None):
    with Path("/dev/full").open("wb", buffering=0) as full, pytest.raises(RemoteError) as found:
        store().download("a.zip", full, 5, ignore)
    assert str(found.value) == "a local file: No space left on device"


@pytest.fixture
def aws(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("PATH", f"{tmp_path / 'bin'}:/usr/bin:/bin")
    (tmp_path / "bin").mkdir()
    (tmp_path / ".aws").mkdir()
    return tmp_path / ".aws"


def aws_cli(aws: Path, script: str) -> Path:
    """Make a program in place of the AWS CLI; return the file with its arguments."""
    program, log = aws.parent / "bin" / "aws", aws.parent / "log"
    secrets = "$WAZCACHE_SIGNING_KEY$WAZCACHE_REMOTE$WAZCACHE_REMOTE_TOKEN"
    program.write_text(f'#!/bin/sh\necho "$@" "{secrets}" >> {log}\n{script}\n')
    program.chmod(0o755)
    return log


def test_the_keys_of_a_profile_are_used(
    aws: Path, server: Answers, monkeypatch: pytest.MonkeyPatch
):
    (aws / "credentials").write_text(
        f"[ci]\naws_access_key_id = alibaba\naws_secret_access_key = {SECRET}\n"
    )
    (aws / "config").write_text("[profile ci]\nregion = eu-north-1\n")
    monkeypatch.setenv("AWS_PROFILE", "ci")
    assert read() == b"hello"
    assert "alibaba" in server.asked[0]
    assert "/eu-north-1/s3/" in server.asked[0]


def test_keys_in_the_environment_are_stronger(
    aws: Path, server: Answers, keys: None, monkeypatch: pytest.MonkeyPatch
):
    (aws / "credentials").write_text("[ci]\naws_access_key_id=x\naws_secret_access_key=y\n")
    monkeypatch.setenv("AWS_PROFILE", "ci")
    assert read() == b"hello"
    assert "alibaba" in server.asked[0]


def test_the_profile_default_needs_no_name(aws: Path, server: Answers):
    (aws / "credentials").write_text("[default]\naws_access_key_id=x\naws_secret_access_key=y\n")
    assert read() == b"hello"
    assert "Credential=x/" in server.asked[0]


def test_a_profile_without_keys_is_left_to_the_aws_cli_which_runs_once(
    aws: Path, server: Answers, monkeypatch: pytest.MonkeyPatch
):
    (aws / "config").write_text("[profile sso]\nsso_session = us\n")
    monkeypatch.setenv("AWS_PROFILE", "sso")
    monkeypatch.setenv("WAZCACHE_SIGNING_KEY", SECRET)
    monkeypatch.setenv("WAZCACHE_REMOTE", SECRET)
    keys = '{"Version":1,"AccessKeyId":"fromcli","SecretAccessKey":"s","SessionToken":"t"}'
    log = aws_cli(aws, f"echo '{keys}'")
    made = store()
    made.read("a.sig", 100, time.monotonic() + 10)
    made.download("a.zip", io.BytesIO(), 5, ignore)
    assert [words.partition("/")[0] for words in server.asked] == [
        "AWS4-HMAC-SHA256 Credential=fromcli"
    ] * 2
    words = "configure export-credentials --profile sso --format process"
    assert log.read_text() == f"{words} \n"


def test_keys_that_expire_are_made_again(
    aws: Path, server: Answers, monkeypatch: pytest.MonkeyPatch
):
    (aws / "config").write_text("[profile sso]\nsso_session = us\n")
    monkeypatch.setenv("AWS_PROFILE", "sso")
    keys = '"AccessKeyId":"a","SecretAccessKey":"s","Expiration":"2026-01-01T00:00:00Z"'
    log = aws_cli(aws, f"echo '{{{keys}}}'")
    assert read() == b"hello"
    assert len(log.read_text().splitlines()) > 1


@pytest.mark.parametrize("script", ["exit 3", "echo '{}'", "echo '[]'", "echo nonsense"])
def test_an_aws_cli_that_fails_is_asked_once(
    aws: Path, server: Answers, monkeypatch: pytest.MonkeyPatch, script: str
):
    (aws / "config").write_text("[profile sso]\nsso_session = us\n")
    monkeypatch.setenv("AWS_PROFILE", "sso")
    log = aws_cli(aws, script)
    made = store()
    for _again in range(3):
        with pytest.raises(RemoteError, match=r"gave no keys for the profile 'sso'; run `") as e:
            made.read("a.sig", 100, time.monotonic() + 10)
        assert e.value.refuses
    assert len(log.read_text().splitlines()) == 1


def test_without_the_aws_cli_the_message_says_what_is_missing(
    aws: Path, server: Answers, monkeypatch: pytest.MonkeyPatch
):
    (aws / "config").write_text("[profile sso]\nsso_session = us\n")
    monkeypatch.setenv("AWS_PROFILE", "sso")
    monkeypatch.setenv("PATH", str(aws))
    said = "the profile 'sso' of AWS has no keys, and the AWS CLI is not installed"
    assert str(problem()) == said


def test_a_profile_that_does_not_exist_is_named(
    aws: Path, server: Answers, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setenv("AWS_PROFILE", "nobody")
    assert str(problem()) == "AWS has no profile 'nobody'"


def test_a_file_that_cannot_be_read_shows_no_line_of_it(aws: Path, server: Answers):
    (aws / "credentials").write_text(f"[default\n{SECRET}\n")
    assert str(problem()) == f"{aws / 'credentials'} cannot be read as a file of AWS"
