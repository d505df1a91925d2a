"""The options of the shared cache: the table, the variables, and what messages do not show."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from hatch_wazcache.cache.remote.options import RemoteOptions
from hatch_wazcache.errors import WazcacheError
from hatch_wazcache.project.options import read_config
from hatch_wazcache.project.remote_fields import remote_without_project
from tests.project.test_schema import VALIDATOR
from tests.support.options import TABLE

ROOT = Path("/project").absolute()
KEY = "wazcache-public-" + "A" * 43
PRIVATE = "wazcache-private-" + "B" * 43
REMOTE = f"{TABLE}.remote"
SERVER = "https://cache.example.org/wazcache"


def read(table: Any = None, /, **environment: str) -> RemoteOptions | None:
    options = {"assets": ["demo/*.wasm"]}
    return read_config(
        options if table is None else {**options, "remote": table}, TABLE, environment, ROOT
    ).remote


def problem(table: Any = None, /, **environment: str) -> str:
    with pytest.raises(WazcacheError) as caught:
        read(table, **environment)
    (line,) = str(caught.value).splitlines()
    return line.removeprefix(f"{TABLE}.")


def test_without_a_url_there_is_no_shared_cache():
    assert read() is None
    assert read({}) is None
    assert read({"mode": "read-write", "trust": "unsigned", "trusted-keys": [KEY]}) is None
    assert read(WAZCACHE_REMOTE_MODE="read-write") is None


def test_a_shared_cache_is_read_only_and_signed_unless_the_options_say_more():
    found = read({"url": SERVER})
    assert found == RemoteOptions(SERVER, where=f"{REMOTE}.url", table=REMOTE)
    assert not found.writes
    assert not found.unsigned
    more = {"mode": "read-write", "trust": "unsigned", "trusted-keys": KEY}
    assert read({"url": SERVER, **more}) == found._replace(
        writes=True, unsigned=True, trusted_keys=(KEY,)
    )


@pytest.mark.parametrize(
    ("url", "read_as", "bazel"),
    [
        (f"{SERVER}/", SERVER, False),
        ("http://127.0.0.1:8080", "http://127.0.0.1:8080", False),
        ("bazel+https://[::1]:9092/x", "https://[::1]:9092/x", True),
        ("bazel+http://cache", "http://cache", True),
        ("s3://bucket", "s3://bucket", False),
        ("gs://bucket/a/b/", "gs://bucket/a/b", False),
        ("az://container/prefix", "az://container/prefix", False),
    ],
)
def test_every_kind_of_server_has_its_scheme(url, read_as, bazel):
    found = read({"url": url})
    assert found is not None
    assert (found.url, found.bazel) == (read_as, bazel)
    VALIDATOR.validate({"assets": ["a"], "remote": {"url": url}})


def test_the_variable_replaces_the_url_and_keeps_the_rest():
    table = {"url": SERVER, "trust": "unsigned", "trusted-keys": [KEY]}
    found = read(table, WAZCACHE_REMOTE="http://user:word@localhost:1/")
    assert found == RemoteOptions(
        "http://user:word@localhost:1",
        unsigned=True,
        trusted_keys=(KEY,),
        where="WAZCACHE_REMOTE",
        url_from_environment=True,
        table=REMOTE,
    )


@pytest.mark.parametrize("off", ["", "off"])
def test_the_variable_turns_the_shared_cache_off(off):
    assert read({"url": SERVER}, WAZCACHE_REMOTE=off) is None


def test_the_mode_of_the_environment_is_stronger_than_that_of_the_project():
    read_write = read({"url": SERVER}, WAZCACHE_REMOTE_MODE="read-write")
    assert read_write is not None
    assert read_write.writes
    only_read = read({"url": SERVER, "mode": "read-write"}, WAZCACHE_REMOTE_MODE="read")
    assert only_read is not None
    assert not only_read.writes
    empty = read({"url": SERVER, "mode": "read-write"}, WAZCACHE_REMOTE_MODE="")
    assert empty is not None
    assert empty.writes


def test_a_command_without_a_project_uses_the_variables():
    assert remote_without_project({}, ROOT) is None
    variables = {"WAZCACHE_REMOTE": SERVER, "WAZCACHE_REMOTE_MODE": "read-write"}
    assert remote_without_project(variables, ROOT) == RemoteOptions(
        SERVER,
        writes=True,
        where="WAZCACHE_REMOTE",
        mode_from_environment=True,
        url_from_environment=True,
    )
    with pytest.raises(WazcacheError, match=r"WAZCACHE_REMOTE: must be a URL such as"):
        remote_without_project({"WAZCACHE_REMOTE": "cache.example.org"}, ROOT)


WRONG = [
    (3, "remote = 3: must be a table such as"),
    (SERVER, f'remote = "{SERVER}": must be a table such as'),
    ({"uri": SERVER}, "remote.uri: there is no such option; did you mean url?"),
    ({"url": 3}, "remote.url = 3: must be a URL such as"),
    ({"url": ""}, 'remote.url = "": must be a URL such as'),
    ({"url": "ftp://a/b"}, 'remote.url = "ftp://a/b": must be a URL such as'),
    ({"url": "https://"}, 'remote.url = "https://": must be a URL such as'),
    ({"url": "s3://"}, 'remote.url = "s3://": must be a URL such as'),
    ({"url": "https:///a"}, 'remote.url = "https:///a": must be a URL such as'),
    ({"url": "https://a b"}, 'remote.url = "https://a b": must be a URL such as'),
    ({"url": "https://a:x/"}, 'remote.url = "https://a:x/": must be a URL such as'),
    ({"url": "https://a:99999/"}, 'remote.url = "https://a:99999/": must be a URL such as'),
    ({"url": "https://a/?"}, 'remote.url = "https://a/?…": must be a URL such as'),
    ({"url": "s3://a:8/b"}, 'remote.url = "s3://a:8/b": must be a URL such as'),
    ({"url": "https://[/a"}, 'remote.url = "https://[/a": must be a URL such as'),
    ({"mode": "write"}, 'remote.mode = "write": must be "read" or "read-write"'),
    ({"trust": True}, 'remote.trust = true: must be "signed" or "unsigned"'),
    ({"trusted-keys": 3}, "remote.trusted-keys: must be a list of public keys"),
    ({"trusted-keys": [3]}, "remote.trusted-keys[0]: must be a public key such as"),
    ({"trusted-keys": [KEY, KEY]}, "remote.trusted-keys[1]: the same key is listed twice"),
    ({"trusted-keys": [f"{KEY} revoked=soon"]}, "remote.trusted-keys[0]: must be a public key"),
]


@pytest.mark.parametrize(("table", "message"), WRONG)
def test_a_wrong_value_is_named_with_what_is_allowed(table, message):
    assert problem(table).startswith(message)


def test_a_key_may_have_a_date_and_a_comment():
    lines = [f"{KEY} revoked=2026-11-27", KEY.replace("A", "C") + "  # the runner"]
    found = read({"url": SERVER, "trusted-keys": lines})
    assert found is not None
    assert found.trusted_keys == tuple(lines)
    VALIDATOR.validate({"assets": ["a"], "remote": {"url": SERVER, "trusted-keys": lines}})


@pytest.mark.parametrize("mode", ["write", "READ"])
def test_a_wrong_mode_of_the_environment_is_named(mode):
    (line,) = [problem({"url": SERVER}, WAZCACHE_REMOTE_MODE=mode)]
    assert line.startswith(f'WAZCACHE_REMOTE_MODE = "{mode}": must be "read" or "read-write"')


def test_a_password_in_the_project_is_refused_and_not_shown():
    line = problem({"url": "https://robot:hunter2@cache.example.org/x"})
    assert line.startswith("remote.url: must not contain a user or a password")
    assert "hunter2" not in line
    assert "robot" not in line


@pytest.mark.parametrize(
    "url",
    [
        "https://robot:hunter2@cache.example.org/x?a=b",
        "https://cache.example.org/x?sig=hunter2",
        "https://cache.example.org/x#hunter2",
        "ftp://robot:hunter2@cache.example.org",
        "s3://robot:hunter2@bucket",
        "https://robot:hun@ter2hunter2@a:b",
    ],
)
def test_messages_never_show_the_secret_parts_of_a_url(url):
    for line in (problem({"url": url}), problem(WAZCACHE_REMOTE=url)):
        assert "must be a URL such as" in line
        assert "hunter2" not in line


def test_a_private_key_in_the_project_is_refused_and_not_shown():
    line = problem({"url": SERVER, "trusted-keys": [PRIVATE]})
    assert line.startswith("remote.trusted-keys[0]: must be a public key")
    assert "BBB" not in line


def test_the_schema_refuses_a_table_that_the_reader_refuses():
    for table in ({"uri": SERVER}, {"url": 3}, {"mode": "write"}, {"trusted-keys": [PRIVATE]}):
        assert not VALIDATOR.is_valid({"assets": ["a"], "remote": table})
