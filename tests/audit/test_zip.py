"""Zip files that mislead readers: each trick is one short finding."""

from __future__ import annotations

import os
import shutil
import struct
import tracemalloc
import zipfile
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.support.audits import ARTIFACT, WHEEL, findings, only_finding, run
from tests.support.doctored import Wheel
from tests.support.wasm import ANSWER


def test_a_wheel_cut_short_is_found_wherever_it_is_cut(good: Path, tmp_path: Path):
    data = good.read_bytes()
    path = tmp_path / good.name
    for end in (0, 1, 30, 1000, len(data) // 2, len(data) - 22, len(data) - 1):
        path.write_bytes(data[:end])
        member, text = only_finding(path)
        assert member is None
        assert text.startswith("is not a zip file, or is cut short or damaged")


@pytest.mark.parametrize("data", [b"", b"text", b"\x7fELF" + b"\0" * 100, ANSWER])
def test_what_is_no_zip_file_is_found(tmp_path: Path, data: bytes):
    (tmp_path / WHEEL).write_bytes(data)
    assert only_finding(tmp_path / WHEEL)[1].startswith("is not a zip file, or is cut short")


def test_a_member_before_the_beginning_of_the_file_is_a_finding(good: Path, tmp_path: Path):
    data = bytearray(good.read_bytes())
    place = data.rindex(b"PK\5\6") + 16  # where the directory is said to begin
    (begin,) = struct.unpack_from("<L", data, place)
    struct.pack_into("<L", data, place, begin + 1)
    path = tmp_path / good.name
    path.write_bytes(data)
    assert findings(path)


@given(st.data())
@settings(max_examples=200, deadline=None)
def test_no_changed_byte_makes_the_audit_fail(
    good: Path, tmp_path_factory: pytest.TempPathFactory, data: st.DataObject
):
    """Changes where the structure is: local headers and the central directory."""
    doctored = bytearray(good.read_bytes())
    with zipfile.ZipFile(good) as archive:
        starts = [info.header_offset for info in archive.infolist()]
        directory = archive.start_dir
    places = st.integers(directory, len(doctored) - 1) | st.sampled_from(starts).flatmap(
        lambda start: st.integers(start, start + 60)
    )
    for at in data.draw(st.lists(places, min_size=1, max_size=4)):
        doctored[at] = data.draw(st.integers(0, 255))
    path = tmp_path_factory.mktemp("changed") / good.name
    path.write_bytes(doctored)
    for _member, text in findings(path):
        assert text


def test_a_file_that_is_also_a_folder_is_found(good: Path, tmp_path: Path):
    path = Path(shutil.copy(good, tmp_path))
    with zipfile.ZipFile(path, "a") as archive:
        archive.writestr("demo/__init__.py/x", "")
    text = "is a file, and also a folder of other files; nobody can unpack it"
    assert ("demo/__init__.py", text) in findings(path)


def test_a_member_that_is_there_twice_is_found(good: Path, tmp_path: Path):
    path = Path(shutil.copy(good, tmp_path))
    with zipfile.ZipFile(path, "a") as archive, pytest.warns(UserWarning, match="Duplicate"):
        archive.writestr("demo/__init__.py", "")
    assert only_finding(path) == (
        "demo/__init__.py",
        "is in the archive twice; installers differ in which of the two they install",
    )


@pytest.mark.parametrize(
    "name",
    [
        *("/etc/x.py", "../x.py", "demo/../../x.py", "C:/x.py", "demo\\x.py", "demo/x\n.py"),
        *("a\0b.py", "demo//x.py", "demo/./x.py", "./x.py", "demo/."),
    ],
)
def test_a_hostile_name_is_found(good: Path, tmp_path: Path, name: str):
    path = Path(shutil.copy(good, tmp_path))
    with zipfile.ZipFile(path, "a") as archive:
        info = zipfile.ZipInfo("x" * len(name))
        archive.writestr(info, "")
    path.write_bytes(path.read_bytes().replace(b"x" * len(name), name.encode()))
    found = [text for _member, text in findings(path)]
    assert any(
        "leads out of the folder" in text or "read its name differently" in text for text in found
    )
    done = run("audit", path)
    assert done.returncode == 3
    assert len(done.stdout.splitlines()) == len(found) + 1


def test_an_encrypted_member_is_found(good: Path, tmp_path: Path):
    doctored = bytearray(good.read_bytes())
    with zipfile.ZipFile(good) as archive:
        at = doctored.index(b"PK\1\2", archive.start_dir)
        name = archive.infolist()[0].filename
    doctored[at + 8] |= 1
    (tmp_path / good.name).write_bytes(doctored)
    assert (name, "is encrypted") in findings(tmp_path / good.name)


@pytest.mark.parametrize(
    ("at", "value"),
    [(6, b"\1"), (8, b"\0"), (14, b"\0\0\0\0"), (18, b"\1"), (22, b"\1")],
    ids=["encrypted", "stored", "crc", "compressed size", "size"],
)
def test_a_member_that_is_described_twice_otherwise_is_found(
    good: Path, tmp_path: Path, at: int, value: bytes
):
    """pip goes by the one, and an installer that unpacks while it downloads by the other."""
    data = bytearray(good.read_bytes())
    start = zipfile.ZipFile(good).getinfo(ARTIFACT).header_offset
    data[start + at : start + at + len(value)] = value
    path = tmp_path / good.name
    path.write_bytes(data)
    assert only_finding(path) == (ARTIFACT, "its own header differs from the archive's directory")


def test_a_header_that_leads_astray_is_one_short_finding(good: Path, tmp_path: Path):
    data = bytearray(good.read_bytes())
    start = zipfile.ZipFile(good).getinfo(ARTIFACT).header_offset
    for at in (26, 28):  # the lengths of the name, and of what follows it
        data[start + at : start + at + 2] = b"\xff\xff"
        path = tmp_path / good.name
        path.write_bytes(data)
        for member, text in findings(path):
            assert member == ARTIFACT
            assert len(text) < 300
            assert "()" not in text


def test_a_zip_bomb_is_refused_before_it_is_inflated(good: Path, tmp_path: Path):
    doctored = bytearray(good.read_bytes())
    at = doctored.rindex(b"demo/__init__.py") - 46
    struct.pack_into("<I", doctored, at + 24, 0xFFFFFFF0)
    (tmp_path / good.name).write_bytes(doctored)
    member, text = only_finding(tmp_path / good.name)
    assert member is None
    assert text.startswith("is a zip bomb: ")
    assert text.endswith(" and 4.3 GB unpacked")


def test_members_that_share_their_bytes_are_refused(good: Path, tmp_path: Path):
    """David Fifield's bomb: every member of the directory leads to the same bytes."""
    doctored = bytearray(good.read_bytes())
    with zipfile.ZipFile(good) as archive:
        first = doctored.index(b"PK\1\2", archive.start_dir)
        second = doctored.index(b"PK\1\2", first + 4)
    doctored[second + 42 : second + 46] = doctored[first + 42 : first + 46]
    (tmp_path / good.name).write_bytes(doctored)
    assert "share their bytes" in only_finding(tmp_path / good.name)[1]


def test_a_size_that_is_not_the_members_is_found(wheel: Wheel, tmp_path: Path):
    """The directory claims less than there is."""
    path = wheel.write(tmp_path)
    doctored = bytearray(path.read_bytes())
    at = doctored.rindex(ARTIFACT.encode()) - 46
    (size,) = struct.unpack_from("<I", doctored, at + 24)
    struct.pack_into("<I", doctored, at + 24, size - 10)
    path.write_bytes(doctored)
    assert ARTIFACT in [member for member, _text in findings(path)]


def test_memory_does_not_grow_with_the_artifact(wheel: Wheel, tmp_path: Path):
    wheel.members[ARTIFACT] += os.urandom(32 << 20)
    wheel.claim(ARTIFACT)
    path = wheel.write(tmp_path)
    tracemalloc.start()
    try:
        assert findings(path) == []
        assert tracemalloc.get_traced_memory()[1] < 10 << 20
    finally:
        tracemalloc.stop()
