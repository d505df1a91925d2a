"""What a build does with a shared cache, in one process: look-ups, downloads, uploads, faults."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import IO

import pytest

from hatch_wazcache.cache.directory import CacheDirectory
from hatch_wazcache.cache.entry import Entry, read_entry, write_entry
from hatch_wazcache.cache.key import ArtifactKey
from hatch_wazcache.cache.remote import downloads, remote_cache, transfers
from hatch_wazcache.cache.remote.names import entry_name, signature_name
from hatch_wazcache.cache.remote.remote_cache import RemoteCache
from hatch_wazcache.cache.remote.signature import Signature
from hatch_wazcache.cache.remote.stores import RemoteError, TransferDroppedError
from hatch_wazcache.cache.remote.transfers import Threads, Transfer
from tests.support.folder_store import FolderStore
from tests.support.signatures import SIGNER, trusting

TRUSTED = trusting(SIGNER.public)


def key(number: int, engine: str = "48.0.0", cpu: str = "baseline") -> ArtifactKey:
    triple = "x86_64-unknown-linux-gnu"
    return ArtifactKey(f"{number:064x}", engine, "x86_64-linux", triple, cpu, (), {})


def entry(folder: Path, of: ArtifactKey, seconds: float = 5.0, size: int = 3000) -> Entry:
    path = folder / f"{of.digest}.zip"
    with path.open("wb") as file:
        data = of.digest.encode() * (size // 64)
        write_entry(file, of.digest, of.inputs(), "a.cwasm", data, seconds)
    return read_entry(path, of.digest)


class SlowStore(FolderStore):
    """Sends and takes a byte at a time, for as long as somebody wants it."""

    def download(self, name: str, file: IO[bytes], size: int, watch: Callable[[int], None]) -> str:
        self._drip(size, watch)
        return super().download(name, file, size, watch)

    def upload(self, name: str, source: bytes | Path, watch: Callable[[int], None]) -> None:
        self._drip(1 << 20, watch)
        super().upload(name, source, watch)

    def _drip(self, size: int, watch: Callable[[int], None]) -> None:
        for number in range(size):
            watch(number)
            time.sleep(0.02)


class DeafStore(FolderStore):
    """Takes requests and never answers, whatever the deadline."""

    def __init__(self, folder: Path) -> None:
        super().__init__(folder)
        self.ended = threading.Event()

    def read(self, name: str, most: int, deadline: float) -> bytes:
        self.ended.wait()
        return super().read(name, most, deadline)

    def download(self, name: str, file: IO[bytes], size: int, watch: Callable[[int], None]) -> str:
        self.ended.wait()
        return super().download(name, file, size, watch)


@pytest.fixture
def store(tmp_path: Path) -> FolderStore:
    return FolderStore(tmp_path / "server")


@pytest.fixture
def cache(tmp_path: Path) -> Iterator[CacheDirectory]:
    made = CacheDirectory(tmp_path / "cache", pytest.fail)
    yield made
    made.close()


def fill(store: FolderStore, folder: Path, *keys: ArtifactKey, seconds: float = 5.0) -> None:
    """Upload entries, as another machine does."""
    other = CacheDirectory(folder / "other", pytest.fail)
    filling = RemoteCache(FolderStore(store.folder), other, TRUSTED, SIGNER)
    for number, of in enumerate(keys):
        filling.upload(of, entry(folder, of, seconds + number), of)
    assert len(filling.finish()) == len(keys)
    filling.close()
    other.close()


def arrived(remote: RemoteCache, *keys: ArtifactKey) -> list[str]:
    return sorted(one.key.digest for one in remote.find(keys).wait() if one.entry is not None)


def test_what_one_machine_uploads_another_finds(
    store: FolderStore, cache: CacheDirectory, tmp_path: Path
):
    keys = [key(number) for number in range(20)]
    fill(store, tmp_path, *keys[:15])
    remote = RemoteCache(store, cache, TRUSTED)
    assert arrived(remote, *keys) == sorted(one.digest for one in keys[:15])
    assert set(cache.find(keys)) == {one.digest for one in keys[:15]}
    assert list(cache.root.glob("tmp/*")) == []
    assert (remote.server.failures, remote.server.refusals) == (0, 0)
    remote.close()


def test_the_signature_comes_last_so_that_nobody_finds_half_an_entry(
    store: FolderStore, cache: CacheDirectory, tmp_path: Path
):
    remote = RemoteCache(store, cache, TRUSTED, SIGNER)
    remote.upload(key(1), entry(tmp_path, key(1)), key(1))
    assert len(remote.finish()) == 1
    assert [name.rpartition(".")[2] for name in store.uploaded] == ["zip", "sig"]
    remote.close()


def test_only_signatures_are_read_for_entries_that_are_not_there(
    store: FolderStore, cache: CacheDirectory
):
    remote = RemoteCache(store, cache, TRUSTED)
    asked: list[str] = []
    store.before = asked.append
    assert arrived(remote, *(key(number) for number in range(9))) == []
    assert sorted(asked) == sorted(f"{key(n).scope}/{key(n).digest}.sig" for n in range(9))
    remote.close()


def test_all_questions_are_asked_at_the_same_time(store: FolderStore, cache: CacheDirectory):
    """The server answers none before it has been asked eight."""
    meeting = threading.Barrier(8, timeout=20)
    store.before = lambda _name: meeting.wait() and None
    remote = RemoteCache(store, cache, TRUSTED)
    assert arrived(remote, *(key(number) for number in range(16))) == []
    assert not meeting.broken
    remote.close()


def test_several_downloads_run_at_the_same_time_the_largest_saving_first(
    store: FolderStore, cache: CacheDirectory, tmp_path: Path
):
    keys = [key(number) for number in range(8)]
    fill(store, tmp_path, *keys)
    meeting = threading.Barrier(4, timeout=20)
    store.before = lambda name: meeting.wait() and None if name.endswith(".zip") else None
    remote = RemoteCache(store, cache, TRUSTED)
    assert len(arrived(remote, *keys)) == 8
    assert not meeting.broken
    names = [Path(name).stem for name in store.downloaded]
    assert set(names[:4]) == {one.digest for one in keys[4:]}
    remote.close()


def test_a_key_for_one_machine_is_neither_asked_nor_uploaded(
    store: FolderStore, cache: CacheDirectory, tmp_path: Path
):
    native = key(1, cpu="native GenuineIntel")
    remote = RemoteCache(store, cache, TRUSTED, SIGNER)
    asked: list[str] = []
    store.before = asked.append
    remote.upload(native, entry(tmp_path, native), native)
    assert remote.finish() == []
    assert arrived(remote, native) == []
    assert (store.uploaded, asked) == ([], [])
    remote.close()


def test_the_patch_release_that_compiled_is_told_to_who_asks_for_the_engine(
    store: FolderStore, cache: CacheDirectory, tmp_path: Path
):
    made, asked = key(1, "48.0.3"), key(1)
    remote = RemoteCache(store, cache, TRUSTED, SIGNER)
    remote.upload(made, entry(tmp_path, made), asked)
    remote.finish()
    assert remote.engines([asked, key(2)]) == {asked.digest: "48.0.3"}
    remote.close()


@pytest.mark.parametrize("text", ["", "47.0.9", "48", "48.0.x", "48.0.3\n", "../48.0.3", "9" * 40])
def test_a_wrong_patch_release_is_no_answer(store: FolderStore, cache: CacheDirectory, text: str):
    path = store.folder / key(1).scope / f"{key(1).digest}.engine"
    path.parent.mkdir(parents=True)
    path.write_text(text)
    remote = RemoteCache(store, cache, TRUSTED)
    assert remote.engines([key(1)]) == {}
    remote.close()


# faults


def test_three_failures_in_a_row_end_all_questions(store: FolderStore, cache: CacheDirectory):
    asked: list[str] = []

    def fail(name: str) -> None:
        asked.append(name)
        raise RemoteError("the server answered 500")

    store.before = fail
    remote = RemoteCache(store, cache, TRUSTED, SIGNER)
    assert arrived(remote, *(key(number) for number in range(100))) == []
    assert remote.server.is_given_up
    assert 3 <= len(asked) <= 3 + 8
    before = len(asked)
    assert arrived(remote, key(200)) == []
    assert len(asked) == before
    remote.close()


def test_a_refusal_ends_all_questions_at_once(store: FolderStore, cache: CacheDirectory):
    asked: list[str] = []

    def refuse(name: str) -> None:
        asked.append(name)
        raise RemoteError("the server answered 403", refuses=True)

    store.before = refuse
    remote = RemoteCache(store, cache, TRUSTED)
    assert arrived(remote, *(key(number) for number in range(100))) == []
    assert len(asked) <= 8
    assert remote.server.failure == "the server answered 403"
    remote.close()


def test_failures_between_answers_do_not_add_up(
    store: FolderStore, cache: CacheDirectory, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(remote_cache, "_QUESTIONS", 1)
    asked: list[str] = []

    def fail_often(name: str) -> None:
        asked.append(name)
        if len(asked) % 3:
            raise RemoteError("the server answered 500")

    store.before = fail_often
    remote = RemoteCache(store, cache, TRUSTED)
    assert arrived(remote, *(key(number) for number in range(30))) == []
    assert not remote.server.is_given_up
    assert len(asked) == 30
    remote.close()


def test_a_server_that_never_answers_does_not_hold_a_build_up(
    tmp_path: Path, cache: CacheDirectory, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(remote_cache, "SMALL_OBJECT_TIMEOUT", 0.3)
    store = DeafStore(tmp_path / "server")
    remote = RemoteCache(store, cache, TRUSTED)
    assert arrived(remote, *(key(number) for number in range(20))) == []
    assert remote.server.failure == "its answers need too long"
    remote.close()
    store.ended.set()


def test_a_download_without_a_byte_is_dropped_when_a_compiler_would_have_ended(
    tmp_path: Path, cache: CacheDirectory, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(transfers, "_GRACE", 0.1)
    store = DeafStore(tmp_path / "server")
    fill(store, tmp_path, key(1), seconds=0.2)
    remote = RemoteCache(store, cache, TRUSTED)
    signatures = FolderStore(store.folder)
    monkeypatch.setattr(store, "read", signatures.read)
    assert arrived(remote, key(1)) == []
    assert remote.server.failure == "it sends so slowly that compiling is faster"
    store.ended.set()
    remote.close()


def test_a_download_that_cannot_win_ends_and_leaves_nothing(
    tmp_path: Path, cache: CacheDirectory, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(transfers, "_GRACE", 0.1)
    store = SlowStore(tmp_path / "server")
    fill(store, tmp_path, key(1), seconds=0.2)
    remote = RemoteCache(store, cache, TRUSTED)
    assert arrived(remote, key(1)) == []
    assert remote.server.failures == 1
    remote.close()
    until = time.monotonic() + 20
    while list(cache.root.glob("tmp/*")) and time.monotonic() < until:
        time.sleep(0.02)
    assert list(cache.root.glob("tmp/*")) == []


def test_a_build_that_ends_before_a_download_leaves_nothing(
    store: FolderStore, cache: CacheDirectory, tmp_path: Path
):
    """Its process may end before the thread that waits for the server can remove its file."""
    fill(store, tmp_path, key(0))
    begun, ended = threading.Event(), threading.Event()

    class StuckStore(FolderStore):
        def download(
            self, name: str, file: IO[bytes], size: int, watch: Callable[[int], None]
        ) -> str:
            begun.set()
            ended.wait(60)
            return super().download(name, file, size, watch)

    remote = RemoteCache(StuckStore(store.folder), cache, TRUSTED)
    coming = remote.find([key(0)])
    assert begun.wait(60)
    assert len(list(cache.root.glob("tmp/*"))) == 1
    remote.close()
    assert list(cache.root.glob("tmp/*")) == []
    ended.set()
    assert [one.entry for one in coming.wait()] == [None]
    assert list(cache.root.glob("tmp/*")) == []


def test_an_upload_that_moves_too_slowly_is_given_up(
    tmp_path: Path, cache: CacheDirectory, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(transfers, "_GRACE", 0.1)
    monkeypatch.setattr("hatch_wazcache.cache.remote.uploads._LIMIT", 0.2)
    remote = RemoteCache(SlowStore(tmp_path / "server"), cache, TRUSTED, SIGNER)
    for number in range(3):
        remote.upload(key(number), entry(tmp_path, key(number)), key(number))
    assert remote.finish() == []
    assert remote.server.failure == "it takes uploads too slowly"
    assert not list((tmp_path / "server").rglob("*.sig"))
    remote.close()


def put(store: FolderStore, made: Entry, of: ArtifactKey) -> None:
    """Put an entry and its signature on a server."""
    store.upload(entry_name(of, "", bazel=False), made.path, lambda _done: None)
    signature = Signature.of(made, SIGNER).to_bytes()
    store.upload(signature_name(of, bazel=False), signature, lambda _done: None)


class LateStore(FolderStore):
    """Answers everything, and each answer needs a while."""

    delay = 0.0

    def read(self, name: str, most: int, deadline: float) -> bytes:
        left = deadline - time.monotonic()
        if left < self.delay:
            time.sleep(left)
            raise RemoteError("the server was silent for too long")
        return super().read(name, most, deadline)

    def _found(self, name: str) -> bytes:
        time.sleep(self.delay)
        return super()._found(name)

    def upload(self, name: str, source: bytes | Path, watch: Callable[[int], None]) -> None:
        time.sleep(self.delay)
        super().upload(name, source, watch)


@pytest.mark.parametrize(("seconds", "patient", "all_arrive"), [
    (0.0001, False, False), (60.0, False, True), (0.0001, True, True),
])  # fmt: skip
def test_many_small_downloads_together_need_no_more_time_than_compiling(
    tmp_path: Path, cache: CacheDirectory, monkeypatch: pytest.MonkeyPatch,
    seconds: float, patient: bool, all_arrive: bool,
):  # fmt: skip
    monkeypatch.setattr(downloads, "_GRACE", 0.3)
    store = LateStore(tmp_path / "server")
    keys = [key(number) for number in range(80)]
    for of in keys:
        put(store, entry(tmp_path, of, seconds), of)
    remote = RemoteCache(store, cache, TRUSTED, patient=patient)
    coming = remote.find(keys)
    store.delay = 0.05
    found = [one for one in coming.wait() if one.entry is not None]
    assert (len(found) == len(keys)) is all_arrive
    assert ("compiling is faster" in remote.server.failure) is not all_arrive
    remote.close()


@pytest.mark.parametrize(("seconds", "patient", "all_asked"), [
    (None, False, False), (0.0, False, False), (60.0, False, True), (None, True, True),
])  # fmt: skip
def test_a_build_does_not_wait_for_many_late_answers_that_save_nothing(
    tmp_path: Path, cache: CacheDirectory, monkeypatch: pytest.MonkeyPatch,
    seconds: float | None, patient: bool, all_asked: bool,
):  # fmt: skip
    monkeypatch.setattr(remote_cache, "SMALL_OBJECT_TIMEOUT", 0.5)
    monkeypatch.setattr(remote_cache, "_PER_QUESTION", 0.0)
    store = LateStore(tmp_path / "server")
    keys = [key(number) for number in range(100)]
    if seconds is not None:
        for of in keys:
            put(store, entry(tmp_path, of, seconds), of)
    asked: list[str] = []
    store.before = asked.append
    store.delay = 0.1
    remote = RemoteCache(store, cache, TRUSTED, patient=patient)
    found = remote.signatures(keys)
    assert (len(asked) == len(keys)) is all_asked
    assert (remote.server.failure == "its answers need too long") is not all_asked
    assert bool(found) is (seconds is not None)  # what was answered in time is used
    count = len(asked)
    remote.signatures(keys)  # such as those of the next wheel of this build
    assert all_asked or len(asked) - count < count
    remote.close()


@pytest.mark.parametrize("patient", [False, True])
def test_many_uploads_together_need_no_more_time_than_their_bytes(
    tmp_path: Path, cache: CacheDirectory, monkeypatch: pytest.MonkeyPatch, patient: bool
):
    monkeypatch.setattr("hatch_wazcache.cache.remote.uploads._LIMIT", 0.5)
    store = LateStore(tmp_path / "server")
    store.delay = 0.05
    remote = RemoteCache(store, cache, TRUSTED, SIGNER, patient=patient)
    keys = [key(number) for number in range(60)]
    for of in keys:
        remote.upload(of, entry(tmp_path, of), of)
    assert (len(remote.finish()) == len(keys)) is patient
    assert ("too slowly" in remote.server.failure) is not patient
    remote.close()


def test_an_entry_that_changed_before_its_upload_is_not_signed(
    store: FolderStore, cache: CacheDirectory, tmp_path: Path
):
    remote = RemoteCache(store, cache, TRUSTED, SIGNER)
    made = entry(tmp_path, key(1))
    data = bytearray(made.path.read_bytes())
    data[-300] ^= 1
    made.path.write_bytes(data)
    remote.upload(key(1), made, key(1))
    assert remote.finish() == []
    assert store.uploaded == []
    assert "could not be signed" in remote.server.refusal
    remote.close()


# transfers


def test_a_transfer_is_judged_only_after_a_while(monkeypatch: pytest.MonkeyPatch):
    now = [100.0]
    monkeypatch.setattr(time, "monotonic", lambda: now[0])
    transfer = Transfer(1000, 60.0)
    assert not transfer.is_hopeless()  # it waits for its turn
    transfer.begin()
    transfer.watch(1)
    now[0] += 5.9
    transfer.watch(2)
    now[0] += 0.2
    with pytest.raises(TransferDroppedError):
        transfer.watch(3)


def test_a_transfer_with_enough_throughput_may_need_its_whole_time(
    monkeypatch: pytest.MonkeyPatch,
):
    now = [100.0]
    monkeypatch.setattr(time, "monotonic", lambda: now[0])
    transfer = Transfer(600, 60.0)
    transfer.begin()
    for second in range(60):
        transfer.watch(10 * second)
        now[0] += 1
    transfer.watch(600)
    transfer.end()
    assert transfer.seconds == 60


def test_without_threads_the_shared_cache_is_not_used(
    store: FolderStore, cache: CacheDirectory, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
):
    def start(_thread: threading.Thread) -> None:
        raise RuntimeError("can't start new thread")

    remote = RemoteCache(store, cache, TRUSTED, SIGNER)
    monkeypatch.setattr(threading.Thread, "start", start)
    remote.upload(key(1), entry(tmp_path, key(1)), key(1))
    assert arrived(remote, key(1), key(2)) == []
    assert "no thread can be started" in remote.server.failure
    remote.close()


def test_threads_end_when_they_are_closed():
    before = threading.active_count()
    threads, done = Threads(3), []
    for number in range(10):
        threads.do(lambda number=number: done.append(number))
    threads.close()
    until = time.monotonic() + 20
    while threading.active_count() > before or len(done) < 10:
        assert time.monotonic() < until
        time.sleep(0.01)
    assert sorted(done) == list(range(10))
