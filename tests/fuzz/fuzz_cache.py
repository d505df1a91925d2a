"""Properties of the cache, tried with whatever hypothesis makes up, for as long as is wanted.

`CacheMachine` puts, looks up, prunes, corrupts and crashes in any order, and holds what it sees
against a model. `mutated_entries` and `crafted_entries` are files that claim to be entries; the
crafted ones have their own digests right. Nothing wrong may ever be returned.

    python tests/fuzz/fuzz_cache.py --seconds 3600
"""

from __future__ import annotations

import argparse
import hashlib
import io
import json
import os
import shutil
import stat
import struct
import sys
import tempfile
import time
import traceback
import zipfile
import zlib
from contextlib import suppress
from pathlib import Path

from hypothesis import HealthCheck, event, given, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    Bundle,
    RuleBasedStateMachine,
    initialize,
    invariant,
    rule,
    run_state_machine_as_test,
)

from hatch_wazcache.cache import items, maintenance
from hatch_wazcache.cache.directory import CacheDirectory
from hatch_wazcache.cache.entry import BrokenEntryError, Entry, read_entry, write_entry
from hatch_wazcache.cache.key import ArtifactKey, SourceKey
from hatch_wazcache.formats.zip_members import Deflated
from hatch_wazcache.util import temporary_files
from tests.support.entries import artifact_of

CHUNK = 1 << 20
SLACK = 1 << 14
"""What zlib may still have in it after the last chunk."""
TICK = 0.1
"""Seconds that a file system's clock may be behind."""
SLOW = 5.0
"""Seconds that no single file may take, on a busy machine too."""

SOURCES = [b"", b"x"]
GNU = "x86_64-unknown-linux-gnu"
ARM = "aarch64-unknown-linux-gnu"
KEYS: list[SourceKey | ArtifactKey] = [
    *(SourceKey(hashlib.sha256(source).hexdigest()) for source in SOURCES),
    ArtifactKey("0" * 64, "48.0.0", "x86_64-linux", GNU, "baseline", (), {}),
    ArtifactKey("0" * 64, "48.0.0", "x86_64-linux", GNU, "baseline", (), {"consume-fuel": True}),
    ArtifactKey("0" * 64, "50.0.0", "aarch64-linux", ARM, "baseline", (), {}),
]
CODE = [os.urandom(3000) + bytes(3000), b"wasm" * 20_000, os.urandom(70_000)]
DATA = SOURCES + [artifact_of(key, code) for key, code in zip(KEYS[2:], CODE, strict=True)]
INPUTS = {key.digest: key.inputs() for key in KEYS}


def entry_of(number: int) -> bytes:
    """Write the entry of a key, as a build does."""
    file, key = io.BytesIO(), KEYS[number]
    write_entry(file, key.digest, key.inputs(), "artifact.cwasm", DATA[number], 1.5)
    return file.getvalue()


ENTRIES = [entry_of(number) for number in range(len(KEYS))]
STREAMS = [Deflated.of(data, to_keep=True).compressed for data in DATA]


def signed(fields: str) -> bytes:
    """End the fields of an `entry.json` with their right digest."""
    return f'{fields},\n "this": "{hashlib.sha256(fields.encode()).hexdigest()}"\n}}\n'.encode()


def describe(key: str, data: bytes, stream: bytes, **others: object) -> dict[str, object]:
    """Say of an entry what its `entry.json` says, but for what is given otherwise."""
    return {
        "key": key,
        "inputs": INPUTS[key],
        "name": "artifact.cwasm",
        "size": len(data),
        "sha256": hashlib.sha256(data).hexdigest(),
        "crc32": zlib.crc32(data),
        "stream-size": len(stream),
        "stream-sha256": hashlib.sha256(stream).hexdigest(),
        "seconds": 1.0,
        **others,
    }


def pack(text: bytes, stream: bytes, *, method: int = 0, **header: int) -> bytes:
    """Put an `entry.json` and a stream into local headers that may say anything."""
    first = {"method": method, "stored": len(text), "name": 10, "extra": 0}
    second = {"name2": 14, "extra2": 0}
    says = {**first, **second, **header}
    return b"".join([
        struct.pack("<4s5H3L2H", b"PK\3\4", 20, 0, says["method"], 0, 0, 0,
                    says["stored"], says["stored"], says["name"], says["extra"]),
        b"entry.json", text,
        struct.pack("<4s5H3L2H", b"PK\3\4", 20, 0, 8, 0, 0, 0,
                    len(stream), len(stream), says["name2"], says["extra2"]),
        b"artifact.cwasm", stream,
    ])  # fmt: skip


def deflated(data: bytes) -> bytes:
    made = zlib.compressobj(9, zlib.DEFLATED, -zlib.MAX_WBITS)
    return made.compress(data) + made.flush()


BOMB = deflated(bytes(300 << 20))
"""300 kB that are 300 MiB."""


def read_within_bounds(entry: Entry, *, limit: int = 1 << 62) -> bytes:
    """Read an entry's data; no chunk and no sum of them may be more than it says of itself."""
    data = bytearray()
    for chunk in entry.data():
        assert len(chunk) <= CHUNK + SLACK, f"a chunk of {len(chunk)}"
        data += chunk
        assert len(data) <= min(entry.size, limit) + CHUNK + SLACK, f"{len(data)} bytes"
    return bytes(data)


# files that claim to be entries


@st.composite
def mutated_entries(draw: st.DrawFn) -> tuple[int, bytes]:
    """A valid entry with some of its bytes changed, cut out, repeated or taken from another."""
    number = draw(st.integers(0, len(KEYS) - 1))
    whole = bytearray(ENTRIES[number])
    # Structure is at both ends; what is between them is one long stream.
    near_the_ends = st.integers(0, 900) | st.integers(-300, -1)
    for _ in range(draw(st.integers(1, 4))):
        position = draw(near_the_ends | st.integers(0, len(whole))) % max(len(whole), 1)
        length = draw(st.integers(1, 8) | st.integers(1, 5000))
        kind = draw(
            st.sampled_from(["flip", "write", "cut", "delete", "insert", "repeat", "other"])
        )
        if kind == "flip" and whole:
            whole[position] ^= 1 << draw(st.integers(0, 7))
        elif kind == "write":
            new = draw(st.binary(min_size=1, max_size=8))
            whole[position : position + len(new)] = new
        elif kind == "cut":
            del whole[position:]
        elif kind == "delete":
            del whole[position : position + length]
        elif kind == "insert":
            whole[position:position] = draw(st.binary(max_size=40))
        elif kind == "repeat":
            whole[position:position] = whole[position : position + length]
        else:
            other = ENTRIES[draw(st.integers(0, len(KEYS) - 1))]
            whole[position : position + length] = other[position : position + length]
    return number, bytes(whole)


numbers = st.sampled_from([
    -1, 0, 1, -(1 << 63), 1 << 31, 1 << 32, (1 << 63) - 1, 1 << 64, 10**4000, 0.5, -0.0, 1e308,
    float("inf"), float("nan"),
]) | st.integers()  # fmt: skip
nonsense = st.recursive(
    st.none() | st.booleans() | numbers | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner),
    max_leaves=6,
)
names = st.sampled_from(["../../etc/passwd", "/absolute", "..", "", "a\0b", "x" * 60_000, "\udcff"])
deep = st.sampled_from(["[", '{"a":']).map(lambda opening: opening * 30_000)


@st.composite
def crafted_entries(draw: st.DrawFn) -> tuple[int, bytes]:
    """An entry whose own digest is right, and which lies about something, or is only odd."""
    number = draw(st.integers(0, len(KEYS) - 1))
    data = draw(st.sampled_from(DATA))
    stream = draw(
        st.just(deflated(data))
        | st.sampled_from([BOMB, deflated(data)[:-1], b"", b"\xff" * 50, deflated(data) + b"more"])
        | st.binary(max_size=100)
    )
    about = describe(KEYS[number].digest, data, stream)
    for name in draw(st.lists(st.sampled_from(sorted(about)), max_size=3, unique=True)):
        if name == "key":
            about[name] = draw(st.just(about[name]) | nonsense)
        elif draw(st.booleans()):
            about[name] = draw(nonsense | names)
        elif draw(st.booleans()):
            del about[name]
    fields = json.dumps(about, indent=1, sort_keys=True)[:-2]
    shape = draw(st.sampled_from(["plain", "plain", "plain", "deep", "list", "twice", "text"]))
    if shape == "deep":
        fields += f',\n "deep": {draw(deep)}'
    elif shape == "list":
        fields = f"[{fields}"
    elif shape == "twice":
        fields += f',\n "stream-size": {json.dumps(draw(numbers))}'
    elif shape == "text":
        fields = draw(st.text(max_size=50).filter(lambda text: text.isascii()))
    short, long = (
        st.integers(0, 1 << 16).map(lambda n: n % (1 << 16)),
        st.integers(0, (1 << 32) - 1),
    )
    header = draw(
        st.just({})
        | st.fixed_dictionaries(
            {},
            optional={
                "method": short, "stored": long | short, "name": short, "extra": short,
                "name2": short, "extra2": short,
            },
        )
    )  # fmt: skip
    text = signed(fields)
    if not 0 <= header.get("stored", 0) < 1 << 32:
        header = {}
    return number, pack(text, stream, **header)


def check_file(folder: Path, number: int, content: bytes) -> None:
    """Read a file as the entry of a key: it is one or is refused, soon and in little memory."""
    path = folder / "entry.zip"
    path.write_bytes(content)
    started = time.monotonic()
    try:
        entry = read_entry(path, KEYS[number].digest)
        stream = b"".join(entry.stream())
        data = read_within_bounds(entry)
    except (BrokenEntryError, OSError) as error:
        event(f"refused: {type(error).__name__}")
    else:
        assert entry.key == KEYS[number].digest
        assert len(data) == entry.size
        assert hashlib.sha256(data).hexdigest() == entry.sha256
        assert hashlib.sha256(stream).hexdigest() == entry.stream_sha256
        assert isinstance(entry.inputs, dict)
        assert 0 <= entry.crc32 < 1 << 32
        assert 0 <= entry.seconds < float("inf")
        assert content[entry.stream_offset :][: entry.stream_size] == stream
        event("accepted")
    finally:
        assert time.monotonic() - started < SLOW
        path.unlink()


def check_mutated(folder: Path, number: int, content: bytes) -> None:
    """Read a changed entry: what comes out is what went in, or nothing."""
    check_file(folder, number, content)
    path = folder / "entry.zip"
    path.write_bytes(content)
    with suppress(BrokenEntryError, OSError):
        entry = read_entry(path, KEYS[number].digest)
        for read, expected in ((entry.data, DATA[number]), (entry.stream, STREAMS[number])):
            with suppress(BrokenEntryError):
                assert b"".join(read()) == expected


# the cache against a model

CORRUPTIONS = [
    "flip", "cut", "empty", "directory", "full directory", "symlink", "fifo", "garbage", "zip",
    "entry of another key", "bomb", "other data",
]  # fmt: skip
CRAFTED = {"bomb", "other data"}
"""Whose own digests are right, but for the data's."""
ABSENT, PRESENT, BROKEN = "absent", "present", "broken"


def broken(number: int, how: str, where: float) -> bytes:
    """Return what becomes of an entry's content; all of it, where only its place changes."""
    whole, other = bytearray(ENTRIES[number]), (number + 1) % len(KEYS)
    at = int(where * len(whole))
    if how == "flip":
        whole[at] ^= 0x10
    elif how == "cut":
        del whole[at:]
    elif how in {"empty", "garbage"}:
        return os.urandom(at) if how == "garbage" else b""
    elif how == "zip":
        file = io.BytesIO()
        with zipfile.ZipFile(file, "w") as archive:
            archive.writestr("entry.json", "{}")
        return file.getvalue()
    elif how == "entry of another key":
        return ENTRIES[other]
    elif how in {"bomb", "other data"}:
        stream = BOMB if how == "bomb" else deflated(DATA[other])
        about = describe(KEYS[number].digest, DATA[number], stream)
        return pack(signed(json.dumps(about, indent=1)[:-2]), stream)
    return bytes(whole)


class CacheMachine(RuleBasedStateMachine):
    """Two openers of one directory, and everything that can happen to it."""

    cases = 0
    steps = 0

    caches = Bundle("caches")
    numbers = st.integers(0, len(KEYS) - 1)
    which = st.integers(0, 1)

    def __init__(self) -> None:
        super().__init__()
        CacheMachine.cases += 1
        self.folder = Path(tempfile.mkdtemp(prefix="fuzz-cache-"))
        self.root = self.folder / "cache"
        self.state = dict.fromkeys(range(len(KEYS)), ABSENT)
        self.how = dict.fromkeys(range(len(KEYS)), "")
        self.used: list[set[int]] = [set(), set()]
        """What each opener has looked up or put since it was opened, and may be copying."""
        self.warnings: list[str] = []
        self.blocked = False
        """Whether something was in the way that the cache must not remove."""
        self.foreign: list[Path] = []
        self.crashed: set[Path] = set()
        """Drafts and leases of processes that are dead."""

    @initialize()
    def open(self) -> None:
        self.caches = [CacheDirectory(self.root, self.warnings.append) for _ in range(2)]
        for name in (
            "mine.txt",
            f"{'0' * 64}.zip",
            "sources/notes.zip",
            "tmp/x.tmp",
            "locks/a.lock",
        ):
            path = self.root / name
            path.parent.mkdir(mode=0o700, exist_ok=True)
            path.write_text("mine")
            self.foreign.append(path)

    def path(self, number: int) -> Path:
        return self.caches[0].path(KEYS[number])

    # what builds do

    @rule(which=which, number=numbers)
    def put(self, which: int, number: int) -> None:
        cache = self.caches[which]
        draft = cache.draft()
        assert draft is not None
        draft.path.write_bytes(ENTRIES[number])
        in_the_way = self.path(number).is_dir() and any(self.path(number).iterdir())
        entry = cache.publish(KEYS[number], draft.path, draft)
        draft.discard()
        assert b"".join(entry.data()) == DATA[number]
        if in_the_way:
            self.blocked = True
            return
        assert entry.path == self.path(number)
        self.state[number], self.how[number] = PRESENT, ""
        if cache._lease.is_held:
            self.used[which].add(number)

    @rule(which=which, number=numbers)
    def get(self, which: int, number: int) -> None:
        before = time.time() - TICK
        entry = self.caches[which].get(KEYS[number])
        if entry is None:
            assert self.state[number] != PRESENT
            return
        assert self.state[number] != ABSENT
        assert not entry.path.is_symlink()
        try:
            if self.how[number] not in CRAFTED:
                assert b"".join(entry.stream()) == STREAMS[number]
            data = read_within_bounds(entry, limit=len(DATA[number]))
        except BrokenEntryError:
            assert self.state[number] == BROKEN
            return
        assert data == DATA[number]
        assert entry.path.stat().st_mtime >= before
        self.used[which].add(number)

    @rule(which=which)
    def end_a_build(self, which: int) -> None:
        self.caches[which].close()
        self.used[which].clear()
        self.caches[which] = CacheDirectory(self.root, self.warnings.append)

    # maintenance

    @rule(
        max_size=st.sampled_from([None, 0, 4096, 20_000, 100_000, 1 << 40]),
        wanted=st.just({*range(len(KEYS))}) | st.sets(numbers),
    )
    def prune(self, max_size: int | None, wanted: set[int]) -> None:
        digests = {KEYS[number].digest for number in wanted}
        before = items.items(self.root)
        pruned = maintenance.prune(self.root, max_size=max_size, wanted=lambda i: i.key in digests)
        after = items.items(self.root)
        # What could not be removed, a folder with something in it, is what a build trips over.
        removed = {item.path for item in before} - {item.path for item in after}
        assert pruned.removed == len(removed)
        self._forget(removed)
        if not any(cache._lease.is_held for cache in self.caches):
            left = [item for item in after if self._can_go(item.path)]
            assert pruned.in_use == 0
            assert {item.key for item in left} <= digests
            assert max_size is None or sum(item.size for item in left) <= max_size
            kept = [item for item in before if item.path not in removed and self._can_go(item.path)]
            gone = [item for item in before if item.path in removed and item.key in digests]
            oldest = min((item.used for item in kept), default=float("inf"))
            assert all(item.used <= oldest for item in gone)
            assert os.listdir(self.root / "locks") == ["a.lock"]
        assert not any(path.exists() for path in self.crashed)

    @rule()
    def clear(self) -> None:
        before = {item.path for item in items.items(self.root)}
        maintenance.clear(self.root)
        after = {item.path for item in items.items(self.root)}
        self._forget(before - after)
        if not any(cache._lease.is_held for cache in self.caches):
            assert not any(self._can_go(path) for path in after)

    @rule(repair=st.booleans())
    def verify(self, repair: bool) -> None:
        broken = {item.path for item, _why in maintenance.verify(self.root, repair=repair)}
        for number, state in self.state.items():
            assert state == BROKEN or self.path(number) not in broken
        if repair:
            self.state.update(
                (number, ABSENT) for number in self.state if not os.path.lexists(self.path(number))
            )

    @staticmethod
    def _can_go(path: Path) -> bool:
        return path.is_symlink() or not path.is_dir() or not any(path.iterdir())

    def _forget(self, removed: set[Path]) -> None:
        for number in self.state:
            if self.path(number) in removed:
                assert not any(number in used for used in self.used), "pulled from under a build"
                self.state[number] = ABSENT

    # what befalls a directory

    @rule(number=numbers, how=st.sampled_from(CORRUPTIONS), where=st.floats(0, 1, exclude_max=True))
    def corrupt(self, number: int, how: str, where: float) -> None:
        path = self.path(number)
        if path.is_dir() and not path.is_symlink():
            shutil.rmtree(path)
        else:
            path.unlink(missing_ok=True)
        path.parent.mkdir(mode=0o700, exist_ok=True)
        content = broken(number, how, where)
        if how in {"directory", "full directory"}:
            path.mkdir()
            if how == "full directory":
                (path / "mine").touch()
        elif how == "symlink":
            target = self.folder / f"{number}.zip"
            target.write_bytes(content)
            path.symlink_to(target)
        elif how == "fifo":
            os.mkfifo(path)
        else:
            path.write_bytes(content)
        self.state[number], self.how[number] = BROKEN, how
        for used in self.used:
            used.discard(number)

    @rule(number=numbers, seconds=st.sampled_from([-1e9, -3600, -1, 1, 3600, 1e9]))
    def set_the_clock(self, number: int, seconds: float) -> None:
        """Have an entry been used at another time than the clock says now."""
        if os.path.lexists(self.path(number)):
            then = time.time() + seconds
            os.utime(self.path(number), (then, then), follow_symlinks=False)
            for used in self.used if seconds < 0 else ():
                used.discard(number)

    @rule(number=numbers, part=st.floats(0, 1), days=st.sampled_from([0, 1, -1, 1000]))
    def crash(self, number: int, part: float, days: int) -> None:
        """Leave what a process leaves that is killed while it writes."""
        for name in ("tmp", "leases"):
            (self.root / name).mkdir(mode=0o700, exist_ok=True)
            path, file = temporary_files.create(self.root / name)
            self.crashed.add(path)
            with file:
                file.write(ENTRIES[number][: int(part * len(ENTRIES[number]))])
            then = time.time() - days * 86400
            os.utime(path, (then, then))
        (self.root / "locks" / f"{KEYS[number].digest}.lock").touch()

    @rule(number=numbers)
    def take_away_a_scope(self, number: int) -> None:
        """Delete a whole folder, as an impatient person does."""
        folder = self.path(number).parent
        mine = [path for path in self.foreign if path.parent == folder]
        if folder.exists() and not mine:
            shutil.rmtree(folder)
            for other in self.state:
                if self.path(other).parent == folder:
                    self.state[other] = ABSENT
                    for used in self.used:
                        used.discard(other)

    # what always holds

    @invariant()
    def what_is_not_ours_stays(self) -> None:
        CacheMachine.steps += 1
        assert all(path.read_text() == "mine" for path in self.foreign)

    @invariant()
    def a_warning_has_a_reason(self) -> None:
        assert not self.warnings or self.blocked

    @invariant()
    def entries_are_private(self) -> None:
        for number, state in self.state.items():
            if state == PRESENT:
                assert stat.S_IMODE(self.path(number).stat().st_mode) == 0o600

    def teardown(self) -> None:
        for cache in getattr(self, "caches", ()):
            cache.close()
        for name in ("leases", "tmp"):
            left = {*self.folder.glob(f"cache/{name}/.*")}
            assert left <= self.crashed
        shutil.rmtree(self.folder)


# the run


def bounded(examples: int, **more: object) -> settings:
    return settings(
        max_examples=examples, deadline=None, database=None, print_blob=True,
        suppress_health_check=list(HealthCheck), **more,
    )  # fmt: skip


class Counted:
    """The fuzzers of files, with the number of files that they have tried."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.files = 0

    def mutated(self, examples: int) -> None:
        @bounded(examples)
        @given(mutated_entries())
        def a_mutated_entry_is_right_or_refused(case: tuple[int, bytes]) -> None:
            self.files += 1
            check_mutated(self.folder, *case)

        a_mutated_entry_is_right_or_refused()

    def crafted(self, examples: int) -> None:
        @bounded(examples)
        @given(crafted_entries())
        def a_crafted_entry_is_consistent_or_refused(case: tuple[int, bytes]) -> None:
            self.files += 1
            check_file(self.folder, *case)

        a_crafted_entry_is_consistent_or_refused()


def run_machine(examples: int, steps: int) -> None:
    run_state_machine_as_test(CacheMachine, settings=bounded(examples, stateful_step_count=steps))


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--seconds", type=float, default=60)
    seconds = parser.parse_args().seconds
    started = spoken = time.monotonic()
    status = 0
    with tempfile.TemporaryDirectory() as folder:
        files = Counted(Path(folder))
        while not status and time.monotonic() - started < seconds:
            try:
                run_machine(20, 60)
                files.mutated(300)
                files.crafted(300)
            except Exception:  # noqa: BLE001
                traceback.print_exc(file=sys.stdout)
                status = 1
            over = not status and time.monotonic() - started < seconds
            if status or not over or time.monotonic() - spoken > 60:
                spoken = time.monotonic()
                print(
                    f"{spoken - started:.0f} s: {CacheMachine.cases} sequences of "
                    f"{CacheMachine.steps} steps together, {files.files} files",
                    flush=True,
                )
    print("FAILED" if status else "nothing wrong was returned")
    return status


if __name__ == "__main__":
    sys.exit(main())
