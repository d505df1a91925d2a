"""Properties of the cache, tested for a few seconds. `tests/fuzz` tests them for longer."""

from __future__ import annotations

import json
import math
from pathlib import Path

import pytest

from hatch_wazcache.cache.entry import BrokenEntryError, read_entry
from tests.fuzz import fuzz_cache as fuzz
from tests.fuzz import fuzz_fetched
from tests.fuzz.fuzz_cache import BOMB, DATA, KEYS, deflated, describe, pack, signed

KEY = KEYS[2].digest
STREAM = deflated(DATA[2])


def write(path: Path, about: dict[str, object], stream: bytes = STREAM, more: str = "") -> Path:
    """Write an entry with any description, and with the right digest of it."""
    path.write_bytes(pack(signed(json.dumps(about, indent=1)[:-2] + more), stream))
    return path


def test_builds_prunes_and_faults_in_any_order_never_give_a_wrong_answer():
    fuzz.run_machine(25, 40)


def test_a_mutated_entry_is_right_or_refused(tmp_path: Path):
    fuzz.Counted(tmp_path).mutated(300)


def test_a_crafted_entry_is_consistent_or_refused(tmp_path: Path):
    fuzz.Counted(tmp_path).crafted(300)


def test_an_entry_as_crafted_here_is_read(tmp_path: Path):
    path = write(tmp_path / "entry.zip", describe(KEY, DATA[2], STREAM))
    assert b"".join(read_entry(path, KEY).data()) == DATA[2]


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("key", None), ("key", [KEY]), ("inputs", []), ("inputs", "{}"),
        ("size", "6000"), ("size", -1), ("size", 6000.0), ("size", True), ("size", 10**4000),
        ("size", len(DATA[2]) + 1), ("size", len(DATA[2]) - 1),
        ("stream-size", -1), ("stream-size", "1"), ("stream-size", None), ("stream-size", 1 << 62),
        ("sha256", 0), ("sha256", "0" * 64), ("stream-sha256", None), ("stream-sha256", "0" * 64),
        ("crc32", -1), ("crc32", 1 << 32), ("crc32", "0"),
        ("seconds", "1"), ("seconds", -1.0), ("seconds", math.inf), ("seconds", math.nan),
    ],
)  # fmt: skip
def test_nonsense_that_is_signed_is_refused(tmp_path: Path, field: str, value: object):
    path = write(tmp_path / "entry.zip", {**describe(KEY, DATA[2], STREAM), field: value})
    with pytest.raises(BrokenEntryError):
        b"".join(read_entry(path, KEY).data())


@pytest.mark.parametrize("field", sorted(describe(KEY, b"", b"")))
def test_an_entry_that_does_not_say_everything_is_refused(tmp_path: Path, field: str):
    about = describe(KEY, DATA[2], STREAM)
    del about[field]
    path = write(tmp_path / "entry.zip", about)
    if field == "name":  # for whoever unpacks it by hand
        assert b"".join(read_entry(path, KEY).data()) == DATA[2]
        return
    with pytest.raises(BrokenEntryError, match=f"not an entry: '{field}'"):
        read_entry(path, KEY)


@pytest.mark.parametrize("opening", ["[", '{"a":'])
def test_json_that_is_nested_deeply_is_refused(tmp_path: Path, opening: str):
    about = describe(KEY, DATA[2], STREAM)
    path = write(tmp_path / "entry.zip", about, more=f',\n "deep": {opening * 10_000}')
    with pytest.raises(BrokenEntryError):
        read_entry(path, KEY)


def test_a_bomb_is_not_inflated_beyond_what_it_says(tmp_path: Path):
    path = write(tmp_path / "entry.zip", describe(KEY, DATA[2], BOMB), BOMB)
    entry = read_entry(path, KEY)
    with pytest.raises(BrokenEntryError):
        fuzz.read_within_bounds(entry)


@pytest.mark.parametrize("stream", [STREAM + b"more", STREAM + STREAM, STREAM[:-1], b""])
def test_a_stream_that_ends_elsewhere_is_refused(tmp_path: Path, stream: bytes):
    path = write(tmp_path / "entry.zip", describe(KEY, DATA[2], stream), stream)
    with pytest.raises(BrokenEntryError):
        b"".join(read_entry(path, KEY).data())


@pytest.mark.parametrize("name", ["../../etc/passwd", "/absolute", "a\0b", ""])
def test_the_name_inside_an_entry_decides_nothing(tmp_path: Path, name: str):
    (tmp_path / "deep").mkdir()
    path = write(tmp_path / "deep" / "entry.zip", describe(KEY, DATA[2], STREAM, name=name))
    assert b"".join(read_entry(path, KEY).data()) == DATA[2]
    assert sorted(p.name for p in tmp_path.rglob("*")) == ["deep", "entry.zip"]


def test_a_hostile_fetched_wheel_is_checked_without_a_crash(tmp_path: Path):
    for seed in range(25):
        fuzz_fetched.try_folder(tmp_path / "engines", seed)
