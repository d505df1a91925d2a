"""Entries and their keys: reading returns the written data, or an error."""

from __future__ import annotations

import os
import shutil
import zipfile
from pathlib import Path

import pytest

from hatch_wazcache.cache.entry import BrokenEntryError, read_entry
from hatch_wazcache.cache.key import ArtifactKey, SourceKey
from tests.support.entries import DATA, KEY, cache_at, publish

# entries


def test_an_entry_is_an_ordinary_zip_file(entry: Path):
    with zipfile.ZipFile(entry) as archive:
        assert archive.testzip() is None
        assert archive.namelist() == ["entry.json", "asset.wasm"]
        assert archive.read("asset.wasm") == DATA


def test_an_entry_gives_back_what_was_written(entry: Path):
    found = read_entry(entry, KEY.digest)
    assert b"".join(found.data()) == DATA
    assert found.seconds == 1.5
    assert found.inputs == KEY.inputs()


def test_a_flipped_byte_anywhere_is_never_returned(entry: Path):
    whole = entry.read_bytes()
    for at in range(len(whole)):
        entry.write_bytes(whole[:at] + bytes([whole[at] ^ 0x20]) + whole[at + 1 :])
        try:
            found = b"".join(read_entry(entry, KEY.digest).data())
        except BrokenEntryError:
            continue
        assert found == DATA, at


def test_an_entry_cut_anywhere_is_never_returned(entry: Path):
    whole = entry.read_bytes()
    for length in range(0, len(whole), 37):
        entry.write_bytes(whole[:length])
        try:
            found = b"".join(read_entry(entry, KEY.digest).data())
        except BrokenEntryError:
            continue
        assert found == DATA, length


@pytest.mark.parametrize("what", ["empty", "directory", "fifo", "symlink", "garbage", "zip"])
def test_what_is_no_entry_is_a_miss_and_is_replaced(tmp_path: Path, entry: Path, what: str):
    cache, warnings = cache_at(tmp_path / "cache")
    path = cache.path(KEY)
    path.parent.mkdir()
    if what == "directory":
        path.mkdir()
    elif what == "fifo":
        os.mkfifo(path)
    elif what == "symlink":
        path.symlink_to(entry)
    elif what == "zip":
        zipfile.ZipFile(path, "w").close()
    else:
        path.write_bytes(b"" if what == "empty" else b"x" * 5000)
    assert cache.get(KEY) is None
    publish(cache, entry)
    assert path.is_file()
    assert not path.is_symlink()
    assert cache.get(KEY) is not None
    assert warnings == []


def test_the_entry_of_another_key_is_a_miss(tmp_path: Path, entry: Path):
    cache, _ = cache_at(tmp_path / "cache")
    publish(cache, entry)
    other = SourceKey("1" * 64)
    shutil.copy(cache.path(KEY), cache.path(other))
    assert cache.get(other) is None
    with pytest.raises(BrokenEntryError, match="another key"):
        publish(cache, entry, other)


# keys


def test_every_input_is_part_of_the_key():
    inputs = {
        "wasm": "0" * 64, "engine": "48.0.0", "target": "x86_64-linux",
        "triple": "x86_64-unknown-linux-gnu", "cpu": "baseline", "cpu_flags": (), "settings": {},
        "strip": (),
    }  # fmt: skip
    others = {
        "wasm": "1" * 64, "engine": "48.0.1", "target": "aarch64-linux",
        "triple": "x86_64-unknown-linux-musl", "cpu": "x86-64-v2", "cpu_flags": ("has_sse3",),
        "settings": {"consume-fuel": True}, "strip": ("name",),
    }  # fmt: skip
    digests = {ArtifactKey(**{**inputs, name: other}).digest for name, other in others.items()}
    assert len(digests | {ArtifactKey(**inputs).digest}) == len(others) + 1


def test_the_order_of_settings_is_no_part_of_the_key():
    def key(settings):
        return ArtifactKey("0" * 64, "48.0.0", "x86_64-linux", "t", "baseline", (), settings).digest

    assert key({"a": 1, "b": True}) == key({"b": True, "a": 1})
