"""Somebody who can write to the server: whatever he puts there, no build uses it.

The entries are real ones, compiled for two versions of wasmtime and signed by a trusted job.
"""

from __future__ import annotations

import json
import zipfile
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import NamedTuple

import pytest

from hatch_wazcache.cache.directory import CacheDirectory
from hatch_wazcache.cache.entry import Entry, read_entry, write_entry
from hatch_wazcache.cache.key import ArtifactKey
from hatch_wazcache.cache.remote import downloads
from hatch_wazcache.cache.remote.keys import SigningKey, TrustedKeys
from hatch_wazcache.cache.remote.names import engine_name, entry_name, signature_name
from hatch_wazcache.cache.remote.remote_cache import RemoteCache
from hatch_wazcache.cache.remote.signature import Signature
from tests.support.commands import tree
from tests.support.folder_store import FolderStore
from tests.support.projects import Project
from tests.support.signatures import SIGNER, STRANGER, trusting
from tests.support.wasm import tiny

OLD = SigningKey(bytes(range(2, 34)))
"""A key that has leaked, and is revoked."""


@pytest.fixture(autouse=True)
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    """A build waits for a moment whether another machine is just storing an entry."""
    monkeypatch.setattr(downloads, "_PAUSES", (0.01, 0.01))


class Compiled(NamedTuple):
    """What the trusted job has compiled: the same assets for two engines, in the same order."""

    keys: list[ArtifactKey]
    others: list[ArtifactKey]
    cache: Path

    def entry(self, key: ArtifactKey) -> Entry:
        return read_entry(self.cache / key.scope / f"{key.digest}.zip", key.digest)


def key_of(path: Path) -> ArtifactKey:
    inputs = read_entry(path, path.stem).inputs
    fields = {name.replace("-", "_"): value for name, value in inputs.items()}
    del fields["schema"], fields["deflate"]
    fields |= {name: tuple(fields[name]) for name in ("cpu_flags", "strip")}
    key = ArtifactKey(**fields)
    assert key.digest == path.stem
    return key


@pytest.fixture(scope="session")
def compiled(tmp_path_factory: pytest.TempPathFactory) -> Compiled:
    folder = tmp_path_factory.mktemp("trusted")
    project = Project(folder / "project", folder / "cache")
    project.requires("wasmtime>=47,<49")
    project.append('engines = ["47", "48"]\n')
    project.write("demo/__init__.py")
    for name in "abcdef":
        project.write(f"demo/{name}.wasm", tiny(name))
    built = project.build()
    assert built.status == 0, built.output
    by_engine: dict[str, list[ArtifactKey]] = {"47": [], "48": []}
    for path in sorted(project.cache.glob("wasmtime-*/*.zip")):
        key = key_of(path)
        by_engine[key.engine[:2]].append(key)
    others, keys = (sorted(found, key=lambda key: key.wasm) for found in by_engine.values())
    assert [key.wasm for key in keys] == [key.wasm for key in others]
    assert len(keys) == 6
    return Compiled(keys, others, project.cache)


class Server:
    """The folder on the server, to which the attacker can write, too."""

    def __init__(self, store: FolderStore, compiled: Compiled, bazel: bool) -> None:
        self.store = store
        self.compiled = compiled
        self.bazel = bazel
        self.uploaded: dict[str, tuple[bytes, bytes]] = {}
        """What the job has uploaded, by the digests of keys: signatures and entries."""

    def signature(self, key: ArtifactKey) -> Path:
        return self.store.folder / signature_name(key, bazel=self.bazel)

    def entry(self, key: ArtifactKey) -> Path:
        signed = json.loads(self.signature(key).read_bytes())
        return self.store.folder / entry_name(key, signed["entry-sha256"], bazel=self.bazel)

    def put(self, key: ArtifactKey, entry: Entry, signer: SigningKey | None) -> Signature:
        """Store an entry under a key, with a signature."""
        signature = Signature.of(entry, signer)
        self.write(key, signature.to_bytes(), signature.entry_sha256, entry.path.read_bytes())
        return signature

    def write(self, key: ArtifactKey, signature: bytes, sha256: str, data: bytes) -> None:
        for name, content in (
            (entry_name(key, sha256, bazel=self.bazel), data),
            (signature_name(key, bazel=self.bazel), signature),
        ):
            path = self.store.folder / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(content)


@pytest.fixture(params=["plain", "bazel"])
def server(compiled: Compiled, tmp_path: Path, request: pytest.FixtureRequest) -> Iterator[Server]:
    """A server with what a trusted job has uploaded: for both engines."""
    store = FolderStore(tmp_path / "server")
    made = Server(store, compiled, request.param == "bazel")
    job = RemoteCache(
        store, CacheDirectory(compiled.cache, pytest.fail), trusting(SIGNER.public), SIGNER,
        bazel=made.bazel,
    )  # fmt: skip
    for key in (*compiled.keys, *compiled.others):
        job.upload(key, compiled.entry(key), key)
    assert len(job.finish()) == 12
    job.close()
    for key in (*compiled.keys, *compiled.others):
        both = made.signature(key).read_bytes(), made.entry(key).read_bytes()
        made.uploaded[key.digest] = both
    store.downloaded.clear()
    return made


class Reader(NamedTuple):
    """What a build on another machine has got."""

    accepted: set[str]
    refusals: int
    reason: str
    failures: int
    cache: Path


def build(server: Server, folder: Path, trusted: TrustedKeys | None = None) -> Reader:
    """Ask for all entries of the newer engine, on a machine with an empty cache."""
    if trusted is None:
        trusted = trusting(SIGNER.public, f"{OLD.public} revoked=2020-01-01")
    cache = CacheDirectory(folder / "cache", pytest.fail)
    remote = RemoteCache(server.store, cache, trusted, bazel=server.bazel)
    coming = remote.find(server.compiled.keys)
    arrived = [download.entry for download in coming.wait() if download.entry is not None]
    remote.close()
    for entry in arrived:
        entry.verify()
        assert entry.sha256 in {server.compiled.entry(key).sha256 for key in server.compiled.keys}
    kept = {path.stem for path in cache.root.glob("wasmtime-*/*")}
    assert kept == {entry.key for entry in arrived}
    assert list(cache.root.glob("tmp/*")) == []
    cache.close()
    found = remote.server
    return Reader(kept, found.refusals, found.refusal, found.failures, cache.root)


def all_of(compiled: Compiled) -> set[str]:
    return {key.digest for key in compiled.keys}


def test_without_an_attack_a_build_gets_all_entries(server: Server, tmp_path: Path):
    reader = build(server, tmp_path)
    assert reader.accepted == all_of(server.compiled)
    assert (reader.refusals, reader.failures) == (0, 0)
    assert [name for name in server.store.downloaded if name.endswith(".sig")] == []


# each attack, on one key of six


Attack = Callable[[Server, ArtifactKey, Path], None]


def planted(server: Server, key: ArtifactKey, folder: Path) -> Entry:
    """Write an entry of this key with code of the attacker."""
    path = folder / "planted.zip"
    with path.open("wb") as file:
        write_entry(file, key.digest, key.inputs(), "a.cwasm", b"\x7fELF evil" * 900, 9.0)
    return read_entry(path, key.digest)


def plant_without_a_signature(server: Server, key: ArtifactKey, folder: Path) -> None:
    server.put(key, planted(server, key, folder), None)


def plant_with_a_signature_of_his_own(server: Server, key: ArtifactKey, folder: Path) -> None:
    server.put(key, planted(server, key, folder), STRANGER)


def plant_in_the_name_of_the_job(server: Server, key: ArtifactKey, folder: Path) -> None:
    entry = planted(server, key, folder)
    made = Signature.of(entry, STRANGER)._replace(public=SIGNER.public)
    server.write(key, made.to_bytes(), made.entry_sha256, entry.path.read_bytes())


def plant_under_the_jobs_signature(server: Server, key: ArtifactKey, folder: Path) -> None:
    server.entry(key).write_bytes(planted(server, key, folder).path.read_bytes())


def plant_with_the_digests_in_the_jobs_signature(
    server: Server, key: ArtifactKey, folder: Path
) -> None:
    """The signature of the job stays; what it describes is the attacker's."""
    entry = planted(server, key, folder)
    signed = json.loads(server.signature(key).read_bytes())
    his = json.loads(Signature.of(entry, None).to_bytes())
    both = {**his, "public-key": signed["public-key"], "signature": signed["signature"]}
    data = json.dumps(both, sort_keys=True, separators=(",", ":")).encode()
    server.write(key, data, his["entry-sha256"], entry.path.read_bytes())


def sign_with_a_leaked_key(server: Server, key: ArtifactKey, folder: Path) -> None:
    server.put(key, planted(server, key, folder), OLD)


def roll_back_to_what_a_revoked_key_has_signed(
    server: Server, key: ArtifactKey, folder: Path
) -> None:
    server.put(key, server.compiled.entry(key), OLD)


def roll_back_the_entry_alone(server: Server, key: ArtifactKey, folder: Path) -> None:
    """An earlier upload of the same artifact: the compiler needed another time."""
    path = folder / "earlier.zip"
    entry = server.compiled.entry(key)
    with path.open("wb") as file:
        data = b"".join(entry.data())
        write_entry(file, key.digest, key.inputs(), "a.cwasm", data, entry.seconds + 0.5)
    server.entry(key).write_bytes(path.read_bytes())


def roll_back_the_signature_alone(server: Server, key: ArtifactKey, folder: Path) -> None:
    path = folder / "earlier.zip"
    entry = server.compiled.entry(key)
    with path.open("wb") as file:
        data = b"".join(entry.data())
        write_entry(file, key.digest, key.inputs(), "a.cwasm", data, entry.seconds + 0.5)
    made = Signature.of(read_entry(path, key.digest), SIGNER)
    server.write(key, made.to_bytes(), made.entry_sha256, entry.path.read_bytes())


def another(server: Server, key: ArtifactKey) -> ArtifactKey:
    return next(one for one in server.compiled.keys if one != key)


def swap_with_another_asset(server: Server, key: ArtifactKey, folder: Path) -> None:
    signature, data = server.uploaded[another(server, key).digest]
    server.write(key, signature, json.loads(signature)["entry-sha256"], data)


def swap_the_entry_alone(server: Server, key: ArtifactKey, folder: Path) -> None:
    server.entry(key).write_bytes(server.uploaded[another(server, key).digest][1])


def put_the_entry_of_another_engine_under_this_key(
    server: Server, key: ArtifactKey, folder: Path
) -> None:
    other = server.compiled.others[server.compiled.keys.index(key)]
    assert (other.wasm, other.engine[:2]) == (key.wasm, "47")
    signature, data = server.uploaded[other.digest]
    server.write(key, signature, json.loads(signature)["entry-sha256"], data)


def put_the_artifact_of_another_engine_under_this_key(
    server: Server, key: ArtifactKey, folder: Path
) -> None:
    """With all fields of this key, so that only the signature is wrong."""
    other = server.compiled.others[server.compiled.keys.index(key)]
    path = folder / "other-engine.zip"
    with path.open("wb") as file:
        data = b"".join(server.compiled.entry(other).data())
        write_entry(file, key.digest, key.inputs(), "a.cwasm", data, 1.0)
    server.put(key, read_entry(path, key.digest), STRANGER)


def replay_with_the_key_of_this_entry(server: Server, key: ArtifactKey, folder: Path) -> None:
    other = server.compiled.others[server.compiled.keys.index(key)]
    signed = json.loads(server.signature(other).read_bytes())
    fields = {**signed, "key": key.digest, "inputs": key.inputs()}
    data = json.dumps(fields, sort_keys=True, separators=(",", ":")).encode()
    server.write(key, data, signed["entry-sha256"], server.entry(other).read_bytes())


def cut_the_entry(server: Server, key: ArtifactKey, folder: Path) -> None:
    path = server.entry(key)
    path.write_bytes(path.read_bytes()[:-1])


def empty_the_entry(server: Server, key: ArtifactKey, folder: Path) -> None:
    server.entry(key).write_bytes(b"")


def lengthen_the_entry(server: Server, key: ArtifactKey, folder: Path) -> None:
    path = server.entry(key)
    path.write_bytes(path.read_bytes() + bytes(1 << 20))


def cut_the_signature(server: Server, key: ArtifactKey, folder: Path) -> None:
    path = server.signature(key)
    path.write_bytes(path.read_bytes()[:-3])


def empty_the_signature(server: Server, key: ArtifactKey, folder: Path) -> None:
    server.signature(key).write_bytes(b"")


def change_a_bit_of_the_entry(server: Server, key: ArtifactKey, folder: Path) -> None:
    path = server.entry(key)
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 1
    path.write_bytes(data)


def change_the_directory_of_the_zip_file(server: Server, key: ArtifactKey, folder: Path) -> None:
    """Zip programs read the end of the file, and builds the beginning."""
    path = server.entry(key)
    with zipfile.ZipFile(path, "a") as archive:
        archive.writestr("evil.cwasm", b"evil")


def fill_the_signature(server: Server, key: ArtifactKey, folder: Path) -> None:
    server.signature(key).write_bytes(b"[" * 65536)


BAD_SIGNATURES = [
    plant_without_a_signature, plant_with_a_signature_of_his_own, plant_in_the_name_of_the_job,
    plant_with_the_digests_in_the_jobs_signature, sign_with_a_leaked_key,
    roll_back_to_what_a_revoked_key_has_signed, swap_with_another_asset,
    put_the_entry_of_another_engine_under_this_key,
    put_the_artifact_of_another_engine_under_this_key, replay_with_the_key_of_this_entry,
    cut_the_signature, empty_the_signature, fill_the_signature,
]  # fmt: skip
BAD_ENTRIES = [
    plant_under_the_jobs_signature, roll_back_the_entry_alone, roll_back_the_signature_alone,
    swap_the_entry_alone, cut_the_entry, empty_the_entry, lengthen_the_entry,
    change_a_bit_of_the_entry, change_the_directory_of_the_zip_file,
]  # fmt: skip
ATTACKS = [*BAD_SIGNATURES, *BAD_ENTRIES]


@pytest.mark.parametrize("attack", ATTACKS, ids=lambda attack: attack.__name__)
def test_one_bad_entry_among_good_ones_is_not_used_and_is_counted(
    server: Server, tmp_path: Path, attack: Attack
):
    target = server.compiled.keys[2]
    before = tree(server.store.folder)
    attack(server, target, tmp_path)
    assert tree(server.store.folder) != before
    reader = build(server, tmp_path)
    assert reader.accepted == all_of(server.compiled) - {target.digest}
    assert reader.refusals + reader.failures == 1
    if attack in BAD_SIGNATURES:
        assert reader.refusals == 1
    assert reader.reason.isprintable()


@pytest.mark.parametrize("attack", ATTACKS, ids=lambda attack: attack.__name__)
def test_if_all_entries_are_bad_none_is_used_and_each_is_counted(
    server: Server, tmp_path: Path, attack: Attack
):
    for key in server.compiled.keys:
        attack(server, key, tmp_path)
    reader = build(server, tmp_path)
    assert reader.accepted == set()
    if attack in BAD_SIGNATURES:
        assert (reader.refusals, reader.failures) == (6, 0)
        assert server.store.downloaded == []
    else:  # after three bad entries in a row, nothing more is downloaded
        assert reader.refusals + reader.failures >= 3


def test_an_attacker_who_changes_the_server_between_two_requests_gains_nothing(
    server: Server, tmp_path: Path
):
    """The signature is the job's; when the entry is asked for, another one is there."""
    bad = planted(server, server.compiled.keys[0], tmp_path).path.read_bytes()

    def change(name: str) -> None:
        path = server.store.folder / name
        if name.startswith("cas/") or name.endswith(".zip"):
            size = path.stat().st_size
            path.write_bytes((bad * (size // len(bad) + 1))[:size])

    server.store.before = change
    assert build(server, tmp_path).accepted == set()


def test_an_older_upload_of_the_same_key_is_the_same_artifact(server: Server, tmp_path: Path):
    """Both files of an earlier upload: it is trusted, and a build gets the same bytes."""
    for key in server.compiled.keys:
        entry = server.compiled.entry(key)
        path = tmp_path / f"{key.digest}.zip"
        with path.open("wb") as file:
            data = b"".join(entry.data())
            write_entry(file, key.digest, key.inputs(), "a.cwasm", data, entry.seconds + 1)
        server.put(key, read_entry(path, key.digest), SIGNER)
    reader = build(server, tmp_path)
    assert reader.accepted == all_of(server.compiled)
    cache = CacheDirectory(reader.cache, pytest.fail)
    for key in server.compiled.keys:
        entry = cache.get(key)
        assert entry is not None
        assert b"".join(entry.stream()) == b"".join(server.compiled.entry(key).stream())
    cache.close()


def test_when_the_key_of_the_job_is_revoked_nothing_that_it_signed_is_used(
    server: Server, tmp_path: Path
):
    trusted = trusting(f"{SIGNER.public} revoked=2020-01-01", STRANGER.public)
    reader = build(server, tmp_path, trusted)
    assert (reader.accepted, reader.refusals) == (set(), 6)
    assert "was revoked on 2020-01-01" in reader.reason


# which patch release of the wasmtime CLI has compiled: a text that is not signed


@pytest.mark.parametrize(
    ("text", "taken"),
    [
        ("48.0.1", True), ("48.0.10", True), ("48.1.0", True),
        ("48.0.0", False), ("47.0.9", False), ("49.0.0", False), ("48.0", False), ("", False),
        ("48.0.1\n", False), ("../48.0.1", False), ("48.0.1/../..", False), ("48.0.\u0661", False),
        ("48.0.1-evil", False), ("48.0.1" + "0" * 40, False), ("48.0.-1", False), ("\0", False),
    ],
    ids=ascii,
)  # fmt: skip
def test_an_attacker_cannot_choose_an_older_wasmtime_or_another_path(
    server: Server, tmp_path: Path, text: str, taken: bool
):
    key = replace(server.compiled.keys[0], engine="48.0.0")
    path = server.store.folder / engine_name(key, bazel=server.bazel)
    path.parent.mkdir(exist_ok=True)
    path.write_text(text, "utf-8")
    cache = CacheDirectory(tmp_path / "cache", pytest.fail)
    remote = RemoteCache(server.store, cache, trusting(SIGNER.public), bazel=server.bazel)
    assert remote.engines([key]) == ({key.digest: text} if taken else {})
    remote.close()
    cache.close()


def test_an_attacker_cannot_bring_back_faults_of_an_older_compiler(server: Server, tmp_path: Path):
    """What a trusted job has signed for 48.0.0 stays signed; a build with 48.0.1 does not ask."""
    key = replace(server.compiled.keys[0], engine="48.0.1")
    path = server.store.folder / engine_name(key, bazel=server.bazel)
    path.parent.mkdir(exist_ok=True)
    path.write_text("48.0.0")
    cache = CacheDirectory(tmp_path / "cache", pytest.fail)
    remote = RemoteCache(server.store, cache, trusting(SIGNER.public), bazel=server.bazel)
    assert list(remote.find([key]).wait()) == []
    assert remote.engines([key]) == {}
    remote.close()
    cache.close()
