"""Whom a build trusts that uses a shared cache, and what it signs."""

from __future__ import annotations

import shutil
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from hatch_wazcache.cache.entry import read_entry, write_entry
from hatch_wazcache.cache.remote.signature import Signature
from tests.support.commands import artifacts
from tests.support.projects import Built, Project
from tests.support.remotes import FolderServer, folder_server, readers, writers
from tests.support.signatures import SIGNER, STRANGER
from tests.support.wasm import tiny

ONE_COMPILED = "1 compiled, 0 found in the cache"
FROM_SERVER = "1 from the shared cache"


@pytest.fixture
def server(tmp_path: Path) -> Iterator[FolderServer]:
    with folder_server(tmp_path / "server") as made:
        yield made


@pytest.fixture
def project(project: Project, tmp_path: Path) -> Project:
    """A project on a machine with a home of its own."""
    project.write("demo/a.wasm", tiny("a"))
    home = {"HOME": str(tmp_path / "home"), "XDG_CACHE_HOME": "", "XDG_CONFIG_HOME": ""}
    project.environment = home
    return project


def built(project: Project, **env: str) -> Built:
    """Build on a machine with an empty cache."""
    shutil.rmtree(project.cache, ignore_errors=True)
    made = project.build(**env)
    assert made.status == 0, made.output
    return made


def bytes_of(made: Built) -> bytes:
    assert made.wheel is not None
    return made.wheel.read_bytes()


def remote_table(project: Project, server: FolderServer, *lines: str) -> None:
    project.append(f'[{project.table}.remote]\nurl = "{server.url}"\n' + "\n".join(lines) + "\n")


def trust_in_the_users_file(project: Project, *lines: str) -> None:
    home = Path(project.environment["HOME"])
    folder = home / ".config" / "hatch-wazcache"
    if sys.platform == "darwin":
        folder = home / "Library" / "Application Support" / "hatch-wazcache"
    folder.mkdir(parents=True)
    (folder / "trusted-keys").write_text("\n".join(lines))


# who is trusted


def test_a_stranger_on_the_server_changes_nothing_in_the_wheel(
    project: Project, server: FolderServer
):
    alone = built(project)
    built(project, **writers(server, STRANGER))
    before = server.counts["GET zip"]
    made = built(project, **readers(server, SIGNER))
    assert ONE_COMPILED in made.output
    assert made.output.count("an entry refused") == 1
    assert f"is signed by {STRANGER.public}, which is not one of the trusted keys" in made.output
    assert bytes_of(made) == bytes_of(alone)
    assert server.counts["GET zip"] == before


def test_code_that_is_planted_on_the_server_does_not_get_into_a_wheel(
    project: Project, server: FolderServer
):
    alone = built(project, **writers(server, SIGNER))
    (entry,), (signature,) = server.paths(".zip"), server.paths(".sig")
    key = read_entry(entry, entry.stem)
    with entry.open("wb") as file:
        write_entry(file, key.key, key.inputs, "a.cwasm", b"evil" * 1000, 1.0)
    made = Signature.of(read_entry(entry, key.key), STRANGER)
    for data in (made.to_bytes(), made._replace(public=SIGNER.public).to_bytes()):
        signature.write_bytes(data)
        wheel = built(project, **readers(server, SIGNER))
        assert ONE_COMPILED in wheel.output
        assert bytes_of(wheel) == bytes_of(alone)


def test_entries_that_do_not_fit_their_signatures_are_one_warning(
    project: Project, server: FolderServer
):
    for name in "bcdef":
        project.write(f"demo/{name}.wasm", tiny(name))
    alone = built(project, **writers(server, SIGNER))
    before = server.counts["GET zip"]
    for path in server.paths(".zip"):
        data = path.read_bytes()
        path.write_bytes(data[:-30] + bytes([data[-30] ^ 1]) + data[-29:])
    made = built(project, **readers(server, SIGNER))
    assert "6 compiled, 0 found in the cache" in made.output
    assert made.output.count("warning: the shared cache") == 1
    assert "has other bytes than its signature says; this build goes on without it" in made.output
    assert bytes_of(made) == bytes_of(alone)
    assert 6 <= server.counts["GET zip"] - before <= 12


def test_the_users_file_is_enough(project: Project, server: FolderServer):
    built(project, **writers(server, SIGNER))
    trust_in_the_users_file(project, f"{SIGNER.public}  # the team")
    assert FROM_SERVER in built(project, WAZCACHE_REMOTE=server.url).output


def test_a_users_file_that_others_can_write_stops_the_build_with_one_message(
    project: Project, server: FolderServer
):
    trust_in_the_users_file(project, SIGNER.public)
    next(Path(project.environment["HOME"]).rglob("trusted-keys")).chmod(0o666)
    made = project.build(WAZCACHE_REMOTE=server.url)
    assert made.status != 0
    assert "trusted-keys can be written by others (mode 666; chmod go-w)" in made.output
    assert server.requests == []


def test_a_pull_request_that_trusts_its_own_key_gains_nothing_on_a_machine_without_keys(
    project: Project, server: FolderServer
):
    built(project, **writers(server, STRANGER))
    asked = len(server.requests)
    remote_table(project, server, f'trusted-keys = ["{STRANGER.public}"]')
    made = built(project)
    assert ONE_COMPILED in made.output
    assert "this machine trusts no key" in made.output
    assert len(server.requests) == asked


def test_a_machine_whose_keys_are_all_revoked_is_told_so(project: Project, server: FolderServer):
    revoked = f"{SIGNER.public} revoked=2020-01-01"
    built = project.build(WAZCACHE_REMOTE=server.url, WAZCACHE_TRUSTED_KEYS=revoked)
    assert built.status == 1
    assert "this machine trusts no key: all that it has are revoked: set WAZ" in built.output
    assert server.requests == []


def test_a_project_revokes_a_key_for_all_who_build_it(project: Project, server: FolderServer):
    built(project, **writers(server, SIGNER))
    remote_table(project, server, f'trusted-keys = ["{SIGNER.public} revoked=2026-01-01"]')
    made = built(project, WAZCACHE_TRUSTED_KEYS=f"{SIGNER.public} {STRANGER.public}")
    assert ONE_COMPILED in made.output
    assert "which was revoked on 2026-01-01" in made.output


@pytest.mark.parametrize("in_file", [False, True])
def test_a_machine_that_trusts_keys_takes_nothing_unsigned_whatever_a_project_says(
    project: Project, server: FolderServer, in_file: bool
):
    remote_table(project, server, 'trust = "unsigned"', 'mode = "read-write"')
    assert "1 uploaded" in built(project).output
    assert FROM_SERVER in built(project).output
    if in_file:
        trust_in_the_users_file(project, SIGNER.public)
    variables = {} if in_file else {"WAZCACHE_TRUSTED_KEYS": SIGNER.public}
    made = built(project, WAZCACHE_REMOTE_MODE="read", **variables)
    assert ONE_COMPILED in made.output
    assert "an entry refused, and made here instead; the first is not signed" in made.output


# who signs, and what


def test_a_job_without_the_private_key_uploads_nothing(project: Project, server: FolderServer):
    variables = readers(server, SIGNER, WAZCACHE_REMOTE_MODE="read-write")
    made = built(project, **variables)
    assert ONE_COMPILED in made.output
    assert "WAZCACHE_SIGNING_KEY is not set, so nothing can be signed" in made.output
    assert [path for method, path in server.requests if method != "GET"] == []


def test_what_a_pull_request_uploads_unsigned_is_not_used_by_others(
    project: Project, server: FolderServer
):
    """Its job can write to the server by mistake: still nobody uses what it has compiled."""
    pull_request = Project(project.root.parent / "pr", project.root.parent / "prc", {})
    shutil.copytree(project.root, pull_request.root)
    remote_table(pull_request, server, 'trust = "unsigned"', 'mode = "read-write"')
    assert "1 uploaded" in built(pull_request, **project.environment).output
    made = built(project, **readers(server, SIGNER))
    assert ONE_COMPILED in made.output
    assert "the first is not signed" in made.output


def test_a_trusted_job_does_not_sign_what_it_found_in_its_local_cache(
    project: Project, server: FolderServer
):
    """A job of a pull request may have filled the cache of this runner."""
    built(project)
    (planted,) = artifacts(project)
    key = read_entry(planted, planted.stem)
    with planted.open("wb") as file:
        write_entry(file, key.key, key.inputs, "a.cwasm", b"evil" * 1000, 1.0)
    made = project.build(**writers(server, SIGNER))
    assert made.status == 0, made.output
    assert "0 compiled, 1 found in the cache" in made.output
    assert server.requests == []


def test_a_trusted_job_does_not_sign_what_it_found_on_the_server(
    project: Project, server: FolderServer
):
    built(project, **writers(server, STRANGER))
    before = server.counts
    both = {"WAZCACHE_TRUSTED_KEYS": f"{STRANGER.public} {SIGNER.public}"}
    made = built(project, **{**writers(server, SIGNER), **both})
    assert FROM_SERVER in made.output
    assert server.counts["PUT sig"] == before["PUT sig"] == 1
    assert STRANGER.public.encode() in server.paths(".sig")[0].read_bytes()


def test_a_trusted_job_replaces_what_it_does_not_trust(project: Project, server: FolderServer):
    built(project, **writers(server, STRANGER))
    assert "1 uploaded" in built(project, **writers(server, SIGNER)).output
    assert FROM_SERVER in built(project, **readers(server, SIGNER)).output


@pytest.mark.parametrize(
    ("keys", "problem"),
    [
        (STRANGER.public, "which is not one of the trusted keys"),
        (f"{STRANGER.public} {SIGNER.public} revoked=2026-01-01", "was revoked on 2026-01-01"),
    ],
)
def test_a_job_whose_own_key_is_not_trusted_says_so(
    project: Project, server: FolderServer, keys: str, problem: str
):
    made = built(project, **{**writers(server, SIGNER), "WAZCACHE_TRUSTED_KEYS": keys})
    assert f"WAZCACHE_SIGNING_KEY: what this build uploads is signed by {SIGNER.public}, " in (
        made.output
    )
    assert problem in made.output
    assert "WAZCACHE_SIGNING_KEY" not in built(project, **writers(server, SIGNER)).output


# credentials


def test_the_token_is_for_the_server_that_the_variable_names_and_no_other(
    project: Project, server: FolderServer
):
    variables = readers(server, SIGNER, WAZCACHE_REMOTE_TOKEN="secret-token")
    built(project, **variables)
    assert server.tokens == {"Bearer secret-token"}
    server.tokens.clear()
    remote_table(project, server)
    del variables["WAZCACHE_REMOTE"]
    built(project, **variables)
    assert server.tokens == {""}


def test_a_wrong_private_key_stops_the_build_with_one_message_that_does_not_show_it(
    project: Project, server: FolderServer
):
    wrong = SIGNER.text[:-2]
    made = project.build(**{**writers(server, SIGNER), "WAZCACHE_SIGNING_KEY": wrong})
    assert made.status != 0
    assert "WAZCACHE_SIGNING_KEY must hold one private key" in made.output
    assert "Traceback" not in made.output
    assert wrong.removeprefix("wazcache-private-") not in made.output


def test_without_pynacl_a_build_says_how_to_install_it(
    project: Project, server: FolderServer, tmp_path: Path
):
    (tmp_path / "site").mkdir()
    (tmp_path / "site" / "nacl.py").write_text("raise ImportError('there is none')")
    made = project.build(**readers(server, SIGNER), PYTHONPATH=str(tmp_path / "site"))
    assert made.status != 0
    assert 'pip install "hatch-wazcache[remote]"' in made.output
    remote_table(project, server)
    made = built(project, WAZCACHE_TRUSTED_KEYS=SIGNER.public, PYTHONPATH=str(tmp_path / "site"))
    assert ONE_COMPILED in made.output
    assert 'pip install "hatch-wazcache[remote]"' in made.output
