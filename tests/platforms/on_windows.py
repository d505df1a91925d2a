"""The cache on Windows: these tests are run there, by Windows' own pytest.

Windows lets nobody move or delete a file that another has open: that is what most are about.
"""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from hatch_wazcache import CompilationCache
from hatch_wazcache.cache import maintenance, statistics
from hatch_wazcache.cache.directory import CacheDirectory
from hatch_wazcache.cache.entry import Entry, write_entry
from hatch_wazcache.cache.key import SourceKey
from hatch_wazcache.engine.targets import native_target
from hatch_wazcache.util import temporary_files

GOFMT = Path(os.environ["GOFMT"])
"""The example's `.wasm`: a compilation of seconds."""
ANSWER = bytes.fromhex(
    "0061736d01000000 0105016000017f 03020100 070a0106616e737765720000 0a06010400412a0b"
)
PYPROJECT = """\
[build-system]
requires = ["hatchling", "hatch-wazcache"]
build-backend = "hatchling.build"

[project]
name = "demo"
version = "1.0"
dependencies = ["wasmtime>=48,<49"]

[tool.hatch.build.hooks.wazcache]
assets = ["demo/*.wasm"]
"""


def key(number: int) -> SourceKey:
    return SourceKey(hashlib.sha256(data_of(number)).hexdigest())


def data_of(number: int) -> bytes:
    return bytes([number]) + bytes(100_000)


def put(cache: CacheDirectory, number: int, seconds: float = 1.0) -> Entry:
    """Publish an entry, as a build does."""
    draft = cache.draft()
    with draft.path.open("r+b") as file:
        write_entry(
            file, key(number).digest, key(number).inputs(), "asset.wasm", data_of(number), seconds
        )
    try:
        return cache.publish(key(number), draft.path, draft)
    finally:
        draft.discard()


@pytest.fixture
def warnings() -> list[str]:
    return []


@pytest.fixture
def cache(tmp_path: Path, warnings: list[str]) -> Iterator[CacheDirectory]:
    made = CacheDirectory(tmp_path / "cache", warnings.append)
    yield made
    made.close()


@pytest.fixture
def project(tmp_path: Path) -> Path:
    folder = tmp_path / "project"
    (folder / "demo").mkdir(parents=True)
    (folder / "demo" / "__init__.py").touch()
    (folder / "demo" / "a.wasm").write_bytes(ANSWER)
    (folder / "pyproject.toml").write_text(PYPROJECT)
    return folder


def begin(
    project: Path, *words: str, module: str = "hatchling", **env: str
) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-m", module, *words], cwd=project, text=True, errors="replace",
        env={**os.environ, "WAZCACHE_DIR": str(project.parent / "cache"), **env},
        stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
    )  # fmt: skip


def run(project: Path, *words: str, module: str = "hatchling", status: int = 0, **env: str) -> str:
    process = begin(project, *words, module=module, **env)
    output = process.communicate(timeout=300)[0]
    assert process.returncode == status, output
    assert "Traceback" not in output
    return output


def test_this_is_windows():
    assert sys.platform == "win32"
    assert native_target().name == "x86_64-windows"


# an entry that somebody reads


def test_what_was_published_is_found(cache: CacheDirectory, warnings: list[str]):
    put(cache, 1)
    assert b"".join(cache.get(key(1)).data()) == data_of(1)
    assert os.listdir(cache.root / "tmp") == []
    assert warnings == []


def test_an_entry_is_replaced_as_soon_as_its_reader_is_done(
    cache: CacheDirectory, warnings: list[str]
):
    reader = put(cache, 1).path.open("rb")
    threading.Timer(0.3, reader.close).start()
    entry = put(cache, 1, 2.0)
    assert entry.path == cache.path(key(1))
    assert entry.seconds == 2.0
    assert warnings == []


def test_an_entry_that_is_read_for_long_stays_and_the_new_one_is_used_all_the_same(
    cache: CacheDirectory, warnings: list[str]
):
    with put(cache, 1).path.open("rb"):
        entry = put(cache, 1, 2.0)
        assert b"".join(entry.data()) == data_of(1)
        assert entry.seconds == 2.0
        assert cache.get(key(1)).seconds == 1.0
    assert len(warnings) == 1
    assert "cannot be written" in warnings[0]
    assert os.listdir(cache.root / "tmp") == []
    cache.close()
    assert not entry.path.exists()


def test_prune_leaves_what_is_being_read(cache: CacheDirectory):
    with put(cache, 1).path.open("rb"):
        assert maintenance.prune(cache.root, max_size=0).failed == 1
    assert maintenance.prune(cache.root, max_size=0).removed == 1


def test_prune_leaves_what_a_running_build_has_looked_up(cache: CacheDirectory):
    put(cache, 1)
    assert cache.get(key(1)) is not None
    assert maintenance.prune(cache.root, max_size=0).in_use == 1
    cache.close()
    assert maintenance.clear(cache.root).removed == 1
    assert os.listdir(cache.root / "leases") == []


# temporary files


def test_a_leftover_is_swept_and_a_file_that_somebody_holds_or_moves_is_not(tmp_path: Path):
    held, holder = temporary_files.create(tmp_path)
    moving, file = temporary_files.create(tmp_path)
    file.close()
    left, file = temporary_files.create(tmp_path)
    file.close()
    before = time.time() - 3600
    for path in (held, left):
        os.utime(path, (before, before))
    temporary_files.sweep(tmp_path)
    assert sorted(tmp_path.iterdir()) == sorted([held, moving])
    holder.close()


def test_a_key_is_claimed_once(cache: CacheDirectory):
    claim = cache.lock_key(key(1))
    assert cache.lock_key(key(1)) is None
    claim.close()
    again = cache.lock_key(key(1))
    assert again is not None
    again.close()


# builds


def test_4_builds_at_once_compile_each_asset_once(project: Path):
    shutil.copy(GOFMT, project / "demo" / "gofmt.wasm")
    copies = [Path(shutil.copytree(project, f"{project}{number}")) for number in range(4)]
    builds = [begin(copy, "build", "-t", "wheel") for copy in copies]
    outputs = [build.communicate(timeout=300)[0] for build in builds]
    assert [build.returncode for build in builds] == [0] * 4, outputs
    assert sum(output.count(": compiled for") for output in outputs) == 2, outputs
    assert "warning" not in "".join(outputs)
    wheels = {next(copy.glob("dist/*.whl")).read_bytes() for copy in copies}
    assert len(wheels) == 1
    assert maintenance.verify(project.parent / "cache") == []


def test_a_build_that_was_killed_is_right_when_run_again(project: Path):
    shutil.copy(GOFMT, project / "demo" / "gofmt.wasm")
    expected = run(project, "build", "-t", "wheel") and next(project.glob("dist/*.whl"))
    whole = expected.read_bytes()
    shutil.rmtree(project.parent / "cache")
    shutil.rmtree(project / "dist")
    for seconds in (0.5, 1.5, 2.5):
        build = begin(project, "build", "-t", "wheel")
        time.sleep(seconds)
        build.kill()
        build.communicate()
    assert "warning" not in run(project, "build", "-t", "wheel")
    assert [path.name for path in (project / "dist").iterdir()] == [expected.name]
    assert expected.read_bytes() == whole


def test_a_compiler_that_takes_too_long_or_aborts_is_one_message(project: Path):
    shutil.copy(GOFMT, project / "demo" / "a.wasm")
    output = run(project, "build", "-t", "wheel", status=1, WAZCACHE_TIMEOUT="0.1")
    assert "demo/a.wasm: cannot be compiled" in output
    assert "not finished after 0.1 s" in output
    with (project / "pyproject.toml").open("a") as file:
        file.write("profiles.default.wasm-simd = false\n")  # alone, it aborts
    output = run(project, "build", "-t", "wheel", status=1)
    assert "the compiler ended with status 3221226505" in output  # STATUS_STACK_BUFFER_OVERRUN
    assert "cannot disable the simd proposal" in output
    assert list((project / "dist").iterdir()) == []


def test_a_folder_of_any_name_will_do(project: Path, tmp_path: Path):
    odd = Path(shutil.copytree(project, tmp_path / "Ünï cödé ☃" / "project"))
    run(odd, "build", "-t", "wheel")
    (wheel,) = odd.glob("dist/*.whl")
    shutil.unpack_archive(wheel, odd / "site", "zip")
    code = "from demo._wazcache import load_module; load_module('a.wasm', strict=True)"
    subprocess.run([sys.executable, "-c", code], cwd=odd / "site", check=True)
    assert maintenance.verify(odd.parent / "cache") == []


def test_an_artifact_that_is_loaded_is_not_replaced_and_that_is_said(project: Path):
    """Windows keeps the file of a loaded artifact; whoever runs the old code must stop first."""
    run(project, "build", "-t", "wheel:editable")
    code = (
        "import demo._wazcache as w; m = w.load_module('a.wasm', strict=True); print('loaded', "
        "flush=True); input()"
    )
    holder = subprocess.Popen(
        [sys.executable, "-c", code], cwd=project, text=True,
        stdin=subprocess.PIPE, stdout=subprocess.PIPE,
    )  # fmt: skip
    assert holder.stdout.readline() == "loaded\n"
    (project / "demo" / "a.wasm").write_bytes(ANSWER.replace(b"\x41\x2a", b"\x41\x2b"))
    output = run(project, "build", "-t", "wheel:editable", status=1)
    assert "cannot be written" in output
    holder.communicate("\n")
    run(project, "build", "-t", "wheel:editable")


# in a process, and from outside


def test_4_processes_at_once_one_compilation(tmp_path: Path):
    code = (
        "import sys; from hatch_wazcache import CompilationCache\n"
        "with CompilationCache.in_directory(sys.argv[1]) as cache:\n"
        "    print(len(cache.load_module(sys.argv[2]).exports))"
    )
    words = [sys.executable, "-W", "error", "-c", code, tmp_path / "cache", GOFMT]
    processes = [subprocess.Popen(words, stdout=subprocess.PIPE, text=True) for _ in range(4)]
    assert {process.communicate(timeout=300)[0] for process in processes} == {"2\n"}
    known = statistics.read_statistics(tmp_path / "cache")
    assert (known.builds, known.misses, known.hits) == (4, 1, 3)


def test_without_a_directory_nothing_is_left_behind(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    with CompilationCache() as cache:
        cache.load_module(ANSWER)
    assert list(tmp_path.iterdir()) == []


def test_the_commands_answer(project: Path):
    def said(*words: str) -> str:
        return run(project, *words, module="hatch_wazcache")

    assert "1 compiled, 0 found" in said("warm")
    assert "demo/a.wasm: hit" in said("why", r"demo\a.wasm")
    assert "x86_64-windows" in said("list")
    assert "1 entry checked" in said("verify"), "so small a .wasm has no entry of its own"
    assert "entries  1, " in said("info")
    assert "1 entry removed" in said("clear")
