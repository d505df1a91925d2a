"""Several machines that upload the same key at the same time."""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from pathlib import Path

import pytest

from hatch_wazcache.cache.directory import CacheDirectory
from hatch_wazcache.cache.entry import Entry
from hatch_wazcache.cache.remote.open_store import open_store
from hatch_wazcache.cache.remote.options import RemoteOptions
from hatch_wazcache.cache.remote.remote_cache import RemoteCache
from hatch_wazcache.cache.remote.signature import Signature
from hatch_wazcache.cache.remote.stores import RemoteStore
from tests.support.folder_store import FolderStore
from tests.support.remotes import folder_server
from tests.support.signatures import ARTIFACT, SIGNER, STRANGER, entry_at, trusting

TRUSTED = trusting(SIGNER.public)
ZIP, SIG = f"{ARTIFACT.scope}/{ARTIFACT.digest}.zip", f"{ARTIFACT.scope}/{ARTIFACT.digest}.sig"


class Turns:
    """Lets the uploads of several machines happen in a chosen order, on one server.

    What a machine asks before its signature belongs to the same turn: in a real network nothing but
    the time of one answer is between the two.
    """

    def __init__(self, folder: Path, order: Sequence[tuple[str, str]]) -> None:
        self.folder = folder
        self._order = list(order)
        self._changed = threading.Condition()

    def of(self, machine: str) -> FolderStore:
        """Return the store of a machine."""
        store = FolderStore(self.folder)
        upload = store.upload

        def wait(kind: str) -> None:
            with self._changed:
                if (machine, kind) in self._order:
                    assert self._changed.wait_for(lambda: self._order[0] == (machine, kind), 20)

        def wait_to_ask(_name: str) -> None:
            if store.uploaded:
                wait("sig")

        def wait_to_upload(name: str, source: bytes | Path, watch: Callable[[int], None]) -> None:
            kind = name.rpartition(".")[2]
            wait(kind)
            upload(name, source, watch)
            with self._changed:
                if (machine, kind) in self._order:
                    self._order.remove((machine, kind))
                self._changed.notify_all()

        store.before = wait_to_ask
        store.upload = wait_to_upload  # type: ignore[method-assign]
        return store


class Machine:
    """A trusted job that has compiled the entry itself."""

    def __init__(self, store: RemoteStore, folder: Path, seconds: float) -> None:
        folder.mkdir()
        self.entry: Entry = entry_at(folder / "entry.zip", seconds=seconds)
        self.cache = CacheDirectory(folder / "cache", pytest.fail)
        self.remote = RemoteCache(store, self.cache, TRUSTED, SIGNER)
        self.store = store

    def ask(self) -> bool:
        """Look the key up, as a build does before it compiles; say whether it was found."""
        found = [one.entry for one in self.remote.find([ARTIFACT]).wait()]
        return found != [] and None not in found

    def upload(self) -> bool:
        self.remote.upload(ARTIFACT, self.entry, ARTIFACT)
        return len(self.remote.finish()) == 1

    def close(self) -> None:
        self.remote.close()
        self.cache.close()


ORDERS = [
    [("a", "zip"), ("b", "zip"), ("b", "sig"), ("a", "sig")],
    [("b", "zip"), ("a", "zip"), ("b", "sig"), ("a", "sig")],
    [("a", "zip"), ("b", "zip"), ("a", "sig"), ("b", "sig")],
    [("b", "zip"), ("a", "zip"), ("a", "sig"), ("b", "sig")],
]


def served(store: RemoteStore, folder: Path) -> bool:
    """Say whether another machine gets the entry, without a fault."""
    reader = Machine(store, folder, 1)
    found = reader.ask()
    reader.close()
    return found and not (reader.remote.server.refusals or reader.remote.server.failures)


@pytest.mark.parametrize("order", ORDERS, ids=lambda order: " ".join(f"{a}.{b}" for a, b in order))
def test_the_entry_and_the_signature_of_two_machines_are_not_mixed(
    tmp_path: Path, order: list[tuple[str, str]]
):
    turns = Turns(tmp_path / "server", order)
    machines = [
        Machine(turns.of(name), tmp_path / name, seconds) for name, seconds in (("a", 1), ("b", 2))
    ]
    assert not any(machine.ask() for machine in machines)
    threads = [threading.Thread(target=machine.upload) for machine in machines]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    for machine in machines:
        assert machine.remote.server.failures == 0
        machine.close()
    assert served(FolderStore(turns.folder), tmp_path / "c")


def test_what_another_machine_has_uploaded_meanwhile_is_not_uploaded_again(tmp_path: Path):
    store = FolderStore(tmp_path / "server")
    first, second = Machine(store, tmp_path / "a", 1), Machine(store, tmp_path / "b", 2)
    assert (first.ask(), second.ask()) == (False, False)
    assert first.upload()
    store.uploaded.clear()
    assert not second.upload()
    assert store.uploaded == []
    assert served(store, tmp_path / "c")
    for machine in (first, second):
        machine.close()


@pytest.mark.parametrize("damage", ["absent", "changed", "cut"])
def test_an_entry_that_this_build_could_not_use_is_uploaded_again(tmp_path: Path, damage: str):
    """Its signature was there before, and is still the same."""
    store = FolderStore(tmp_path / "server")
    first = Machine(store, tmp_path / "a", 1)
    assert first.upload()
    first.close()
    path = store.folder / ZIP
    if damage == "absent":
        path.unlink()
    else:
        path.write_bytes(path.read_bytes()[:-1] + b"!" * (damage == "changed"))
    second = Machine(store, tmp_path / "b", 2)
    assert not second.ask()
    assert second.upload()
    second.close()
    assert served(store, tmp_path / "c")


def test_what_a_stranger_has_signed_meanwhile_is_replaced(tmp_path: Path):
    store = FolderStore(tmp_path / "server")
    machine = Machine(store, tmp_path / "a", 1)
    assert not machine.ask()
    planted = entry_at(tmp_path / "planted.zip", data=b"evil" * 99)
    for name, data in (
        (ZIP, planted.path.read_bytes()),
        (SIG, Signature.of(planted, STRANGER).to_bytes()),
    ):
        store.upload(name, data, lambda _size: None)
    assert machine.upload()
    machine.close()
    assert served(store, tmp_path / "c")


@pytest.mark.parametrize("seconds", [2.0, 12.345], ids=["same size", "other size"])
def test_a_build_that_asks_between_an_entry_and_its_signature_gets_both(
    tmp_path: Path, seconds: float
):
    store = FolderStore(tmp_path / "server")
    first = Machine(store, tmp_path / "a", 1.0)
    assert first.upload()
    first.close()
    second = entry_at(tmp_path / "second.zip", seconds=seconds)
    (store.folder / ZIP).write_bytes(second.path.read_bytes())
    asked: list[str] = []

    def sign_after_the_first_question(name: str) -> None:
        if name == SIG and asked.count(SIG) == 1:
            (store.folder / SIG).write_bytes(Signature.of(second, SIGNER).to_bytes())
        asked.append(name)

    store.before = sign_after_the_first_question
    assert served(store, tmp_path / "c")
    assert asked == [SIG, ZIP, SIG, ZIP]


def test_an_entry_that_does_not_fit_its_signature_is_downloaded_twice_at_most(tmp_path: Path):
    store = FolderStore(tmp_path / "server")
    first = Machine(store, tmp_path / "a", 1.0)
    assert first.upload()
    first.close()
    other = entry_at(tmp_path / "other.zip", seconds=2.0)
    (store.folder / ZIP).write_bytes(other.path.read_bytes())
    store.downloaded.clear()
    reader = Machine(store, tmp_path / "b", 3.0)
    assert not reader.ask()
    assert reader.remote.server.refusals == 1
    assert store.downloaded == [ZIP, ZIP]
    assert reader.upload()
    reader.close()
    assert served(store, tmp_path / "c")


def test_eight_machines_that_upload_at_the_same_moment_leave_what_fits(tmp_path: Path):
    with folder_server(tmp_path / "server") as server:
        options = RemoteOptions(url=server.url, where="url", url_from_environment=True)
        machines = [
            Machine(open_store(options, {}), tmp_path / str(number), 1 + number / 8)
            for number in range(8)
        ]
        assert not any(machine.ask() for machine in machines)
        together = threading.Barrier(len(machines))

        def upload(machine: Machine) -> None:
            together.wait()
            machine.upload()

        threads = [threading.Thread(target=upload, args=(machine,)) for machine in machines]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert served(open_store(options, {}), tmp_path / "reader")
        for machine in machines:
            machine.close()
