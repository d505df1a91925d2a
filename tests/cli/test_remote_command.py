"""The commands on a shared cache: status, pull, push and verify."""

from __future__ import annotations

import json
import zipfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from hatch_wazcache.cache.entry import read_entry, write_entry
from hatch_wazcache.cache.remote.keys import SigningKey
from tests.support.commands import answer, artifacts, refused, run, said
from tests.support.projects import Project, flat_setuptools_project
from tests.support.remotes import FolderServer, folder_server, other_machine, readers, writers
from tests.support.wasm import tiny

KEY = SigningKey.generate()
STRANGER = SigningKey.generate()


@pytest.fixture
def server(tmp_path: Path) -> Iterator[FolderServer]:
    with folder_server(tmp_path / "server") as made:
        yield made


@pytest.fixture
def filled(project: Project, server: FolderServer) -> Project:
    """A project with two assets, whose artifacts are on the server."""
    project.write("demo/b.wasm", tiny("b"))
    project.environment = readers(server, KEY)
    built = project.build(**writers(server, KEY))
    assert "2 uploaded" in built.output
    return project


def artifact_in(entry: Path) -> bytes:
    with zipfile.ZipFile(entry) as archive:
        return archive.read(archive.namelist()[1])


def plant(path: Path, data: bytes) -> None:
    """Replace an entry by one with the same key and other data."""
    old = read_entry(path, path.stem)
    path.unlink()
    with path.open("wb") as file:
        write_entry(file, path.stem, old.inputs, "a.cwasm", data, 9.0)


def test_status_shows_the_server_the_keys_and_what_is_there(filled: Project, server: FolderServer):
    second = other_machine(filled)
    second.environment |= filled.environment
    before = len(server.requests)
    about = answer(second, "remote", "status")
    assert (about["url"], about["from"]) == (server.url, "WAZCACHE_REMOTE")
    assert (about["mode"], about["trust"]) == ("read", "signed")
    assert about["trusted_keys"] == [{"key": KEY.public, "revoked": None}]
    assert (about["artifacts"], about["there"], about["here"]) == (2, 2, 0)
    assert (about["failure"], about["findings"]) == ("", [])
    assert {method for method, _path in server.requests[before:]} == {"GET"}
    lines = said(filled, "remote", "status").splitlines()
    assert f"server     {server.url} (WAZCACHE_REMOTE)" in lines
    assert f"trusts     {KEY.public}" in lines
    assert "there      2" in lines
    assert "here       2 in the local cache" in lines


def test_status_shows_the_url_as_it_was_written_without_its_password(
    filled: Project, server: FolderServer
):
    host = server.url.removeprefix("http://")
    filled.environment |= {"WAZCACHE_REMOTE": f"bazel+http://ci:secret@{host}/x"}
    about = answer(filled, "remote", "status")
    assert about["url"] == f"bazel+http://{host}/x"
    lines = said(filled, "remote", "status").splitlines()
    assert f"server     bazel+http://{host}/x (WAZCACHE_REMOTE)" in lines


def test_status_of_a_server_that_is_down_is_an_error_that_names_it(
    project: Project, server: FolderServer
):
    project.environment = readers(server, KEY)
    server.status = 503
    done = run(project, "remote", "status", "--json")
    assert done.returncode == 1
    assert "503" in json.loads(done.stdout)["failure"]
    assert f"hatch-wazcache: {server.url}: " in done.stderr


def test_without_a_shared_cache_the_command_says_how_to_set_one(project: Project):
    assert refused(project, "remote", "status") == (
        "hatch-wazcache: there is no shared cache: set "
        "tool.hatch.build.hooks.wazcache.remote.url, or WAZCACHE_REMOTE"
    )


@pytest.mark.parametrize("action", ["status", "pull", "push", "verify"])
def test_without_trusted_keys_nothing_is_asked(project: Project, server: FolderServer, action: str):
    project.options(f'assets = ["demo/*.wasm"]\nremote.url = "{server.url}"')
    project.environment = {"XDG_CONFIG_HOME": str(project.root.parent / "config")}
    line = refused(project, "remote", action)
    assert "this machine trusts no key: set WAZCACHE_TRUSTED_KEYS" in line
    assert server.requests == []


def test_pull_downloads_what_the_local_cache_lacks(filled: Project, server: FolderServer):
    second = other_machine(filled)
    second.environment |= filled.environment
    filled.write("demo/c.wasm", tiny("c"))
    second.write("demo/c.wasm", tiny("c"))
    about = answer(second, "remote", "pull")
    assert (about["artifacts"], about["there"], about["here"], about["done"]) == (3, 2, 0, 2)
    assert [path.name for path in artifacts(second)] == [path.name for path in artifacts(filled)]
    asked = len(server.requests)
    line = said(second, "remote", "pull").splitlines()[-1]
    assert line == f"0 downloaded, 2 were here, 1 are not there: {server.url}"
    assert [path for _method, path in server.requests[asked:] if path.endswith(".zip")] == []


def test_pull_takes_its_time(filled: Project, server: FolderServer):
    """A build would compile a.wasm in a tenth of a second, and drop this download."""
    second = other_machine(filled)
    second.environment |= filled.environment
    (large,) = [path for path in server.paths(".zip") if path.stat().st_size > 9000]
    server.rate = large.stat().st_size / 3
    assert answer(second, "remote", "pull")["done"] == 2


def test_push_uploads_what_the_local_cache_has(project: Project, server: FolderServer):
    project.write("demo/b.wasm", tiny("b"))
    assert project.build().status == 0
    project.environment = writers(server, KEY)
    about = answer(project, "remote", "push")
    assert (about["artifacts"], about["there"], about["done"], about["findings"]) == (2, 0, 2, [])
    assert len(server.names(".sig")) == len(server.names(".zip")) == 2
    line = said(project, "remote", "push").splitlines()[-1]
    assert line == f"0 uploaded, 2 were there: {server.url}"


def test_push_does_not_compile_what_the_local_cache_lacks(project: Project, server: FolderServer):
    project.environment = writers(server, KEY)
    done = run(project, "remote", "push")
    assert "compiling" not in done.stderr
    assert server.names() == []


def test_push_signs_only_what_the_compiler_makes_now(project: Project, server: FolderServer):
    """An entry that somebody has put into the local cache is not signed, but replaced."""
    assert project.build().status == 0
    (entry,) = artifacts(project)
    good = artifact_in(entry)
    plant(entry, b"\x7fELF evil" * 1000)
    project.environment = writers(server, KEY)
    done = run(project, "remote", "push")
    assert done.returncode == 3
    assert "had other bytes than the compiler makes; it was replaced" in done.stdout
    (uploaded,) = server.paths(".zip")
    assert artifact_in(uploaded) == artifact_in(entry) == good


def test_push_without_a_private_key_is_refused(project: Project, server: FolderServer):
    project.environment = readers(server, KEY)
    done = run(project, "remote", "push")
    assert done.returncode == 1
    assert "hatch-wazcache: nothing can be signed without a private key: set" in done.stderr
    assert server.requests == []


def test_verify_finds_what_a_build_would_refuse(filled: Project, server: FolderServer):
    line = said(filled, "remote", "verify").splitlines()[-1]
    assert line == f"2 of 2 checked, 0 findings: {server.url}"
    damaged, foreign = server.paths(".zip")
    data = bytearray(damaged.read_bytes())
    data[-500] ^= 1
    damaged.write_bytes(data)
    signature = foreign.with_suffix(".sig")
    signature.write_text(signature.read_text().replace(KEY.public, STRANGER.public))
    about = answer(filled, "remote", "verify", status=3)
    assert (about["artifacts"], about["done"]) == (2, 0)
    assert sorted(
        one.partition("has ")[2] or one.partition("is ")[2] for one in about["findings"]
    ) == [
        "other bytes than its signature says",
        f"signed by {STRANGER.public}, which is not one of the trusted keys",
    ]


def test_verify_keeps_nothing(filled: Project):
    second = other_machine(filled)
    second.environment |= filled.environment
    assert answer(second, "remote", "verify")["done"] == 2
    assert artifacts(second) == []


def test_an_absent_entry_is_no_finding(filled: Project, server: FolderServer):
    for path in server.paths(".sig"):
        path.unlink()
    about = answer(filled, "remote", "verify")
    assert (about["there"], about["done"], about["findings"]) == (0, 0, [])


def test_prune_and_clear_leave_the_server_alone(filled: Project, server: FolderServer):
    asked, names = len(server.requests), server.names()
    said(filled, "prune", "--max-size", "0")
    said(filled, "clear")
    assert (len(server.requests), server.names()) == (asked, names)


def test_the_commands_know_projects_of_setuptools(tmp_path: Path, server: FolderServer):
    project = flat_setuptools_project(tmp_path)
    project.environment = readers(server, KEY)
    built = project.build(**writers(server, KEY))
    assert built.status == 0, built.output
    assert answer(project, "remote", "status")["there"] == 1
