"""Attacks on the product on Windows: these tests are run there, by Windows' own pytest.

wine differs from Windows, so some attacks mean nothing here: it renames a folder in which a file is
open, replaces a file that may only be read, and has no limit of 260 characters for a path.
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import subprocess
import sys
import threading
import time
import warnings
import zipfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from on_windows import ANSWER, PYPROJECT, data_of, key, put, run
from packaging.requirements import Requirement

from hatch_wazcache import CompilationCache
from hatch_wazcache.cache import maintenance
from hatch_wazcache.cache.directory import CacheDirectory
from hatch_wazcache.cache.fetching import fetch, verify_fetched
from hatch_wazcache.cache.key_lock import lock_key
from hatch_wazcache.cache.lock import exclusive, lock_file
from hatch_wazcache.errors import WazcacheError
from hatch_wazcache.packing.find_assets import find_assets
from hatch_wazcache.project.options import read_config
from hatch_wazcache.resources import loader
from hatch_wazcache.util import temporary_files, temporary_folder
from hatch_wazcache.util.digests import record_digest
from hatch_wazcache.util.temporary_folder import TemporaryFolder

DIGEST = key(1).digest

HOLDER = f"""
import os, sys, tempfile
from pathlib import Path
from hatch_wazcache.cache.key_lock import lock_key
from hatch_wazcache.cache.lock import exclusive
from hatch_wazcache.util.temporary_folder import TemporaryFolder
root = Path(sys.argv[1])
held = lock_key(root, {DIGEST!r})
tempfile.tempdir = str(root)
folder = TemporaryFolder()
Path(folder.name, "heavy").write_bytes(bytes(1000))
with exclusive(root):
    print(folder.name, flush=True)
    input()
"""


@pytest.fixture
def root(tmp_path: Path) -> Path:
    made = tmp_path / "root"
    made.mkdir()
    return made


@pytest.fixture
def project(tmp_path: Path) -> Path:
    folder = tmp_path / "project ☃"
    (folder / "demo").mkdir(parents=True)
    (folder / "demo" / "__init__.py").touch()
    (folder / "demo" / "a.wasm").write_bytes(ANSWER)
    (folder / "pyproject.toml").write_text(PYPROJECT)
    return folder


@pytest.fixture
def holder(root: Path) -> Iterator[tuple[subprocess.Popen[str], Path]]:
    """A process that has locked a key and the cache, and has a temporary folder; and the folder."""
    words = [sys.executable, "-c", HOLDER, str(root)]
    process = subprocess.Popen(words, text=True, stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    yield process, Path(process.stdout.readline().rstrip())
    process.kill()
    process.communicate()


# locks


def test_what_a_process_has_locked_is_free_as_soon_as_it_is_killed(
    root: Path, holder: tuple[subprocess.Popen[str], Path]
):
    process, _folder = holder
    assert lock_key(root, DIGEST) is None
    with lock_file(root / "lock", wait=False) as lock:
        assert lock == -1
    process.kill()
    process.wait()
    assert lock_key(root, DIGEST) is not None
    with lock_file(root / "lock", wait=False) as lock:
        assert lock >= 0


def test_a_look_up_waits_for_a_prune(root: Path):
    cache = CacheDirectory(root / "cache", pytest.fail)
    put(cache, 1)
    found = []
    look_up = threading.Thread(target=lambda: found.append(cache.get(key(1))))
    with exclusive(cache.root):
        look_up.start()
        look_up.join(0.5)
        assert found == []
    look_up.join()
    assert found[0] is not None
    cache.close()


def test_the_locks_of_a_hundred_keys_are_one_file(root: Path):
    held = [lock_key(root, key(number).digest) for number in range(100)]
    assert None not in held
    assert [lock_key(root, key(number).digest) for number in range(100)] == [None] * 100
    assert os.listdir(root / "locks") == ["keys"]
    held[7].close()
    again = lock_key(root, key(7).digest)
    assert again is not None
    assert lock_key(root, key(8).digest) is None


def test_a_cache_can_be_copied_and_cleared_while_a_key_is_locked(root: Path, tmp_path: Path):
    cache = CacheDirectory(root / "cache", pytest.fail)
    put(cache, 1)
    cache.close()
    held = lock_key(cache.root, DIGEST)
    assert held is not None
    with exclusive(cache.root):
        shutil.copytree(cache.root, tmp_path / "copy")
    assert maintenance.clear(cache.root).removed == 1
    assert lock_key(cache.root, DIGEST) is None
    held.close()


def test_a_cache_whose_locks_cannot_be_made_keeps_nobody_waiting(root: Path):
    (root / "locks" / "keys").mkdir(parents=True)
    assert lock_key(root, DIGEST) is not None
    assert lock_key(root, DIGEST) is not None


def test_look_ups_beside_prunes_find_the_whole_entry_or_none(root: Path):
    code = (
        "import sys; from pathlib import Path; from hatch_wazcache.cache import maintenance\n"
        "print('began', flush=True)\n"
        "while True: maintenance.prune(Path(sys.argv[1]), max_size=150_000)"
    )
    cache = CacheDirectory(root / "cache", pytest.fail)
    put(cache, 0)
    words = [sys.executable, "-c", code, str(cache.root)]
    pruner = subprocess.Popen(words, text=True, stdout=subprocess.PIPE)
    try:
        assert pruner.stdout.readline() == "began\n"
        for number in range(60):
            put(cache, number % 3)
            entry = cache.get(key(number % 3))
            if entry is not None:
                assert b"".join(entry.data()) == data_of(number % 3)
            if number % 10 == 9:
                cache.close()
        assert pruner.poll() is None
    finally:
        pruner.kill()
        pruner.communicate()
    cache.close()
    assert maintenance.verify(cache.root) == []


def test_a_cache_on_a_drive_or_server_that_is_not_there_is_one_warning(project: Path):
    drive = next(letter for letter in "QRSTUVWXY" if not os.path.exists(f"{letter}:\\"))
    for folder in (rf"{drive}:\cache", r"\\localhost\no-such-share\cache"):
        warned: list[str] = []
        cache = CacheDirectory(Path(folder), warned.append)
        assert cache.get(key(1)) is None
        assert cache.draft() is None
        assert cache.lock_key(key(1)) is not None
        cache.close()
        assert len(warned) == 1
        assert "cannot be written: " in warned[0]
    output = run(project, "build", "-t", "wheel", WAZCACHE_DIR=rf"{drive}:\cache")
    assert "cannot be written: " in output
    assert "1 compiled" in output


# processes


def test_the_wasmtime_cli_ends_with_the_compiler_that_has_started_it(tmp_path: Path):
    """Windows does not end the children of a process that is killed."""
    child = "print('began', flush=True); import time; time.sleep(60)"
    code = (
        "import sys, threading; from hatch_wazcache.compile import worker\n"
        f"words = [sys.executable, '-c', {child!r}]\n"
        "def run_cli(request):\n"
        "    import subprocess\n"
        "    subprocess.run(words, stdin=subprocess.DEVNULL)\n"
        "worker.do_task = run_cli\n"
        "worker.main()"
    )
    words = [sys.executable, "-c", code]
    process = subprocess.Popen(
        words, text=True,
        stdin=subprocess.PIPE, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE,
    )  # fmt: skip
    process.stdin.write("{}\n")
    process.stdin.flush()
    assert process.stderr.readline() == "began\n"
    process.kill()
    began = time.monotonic()
    process.stderr.read()  # until nobody can write to it any more
    assert time.monotonic() - began < 30
    process.communicate()


def test_processes_that_keep_the_same_code_at_once_do_not_warn_and_the_next_one_loads_it(
    project: Path,
):
    """The first one that keeps its code has loaded it when the others want to replace the file."""
    run(project, "build", "-t", "wheel", WAZCACHE_TARGET="any")
    (wheel,) = (project / "dist").iterdir()
    shutil.unpack_archive(wheel, project / "site", "zip")
    code = (
        "import sys, demo._wazcache as w\n"
        "print('began', flush=True); input()\n"
        "first = w.load_module('a.wasm'); print('loaded', flush=True); input()"
    )
    kept = project / "wazcache-fallback"
    words, env = [sys.executable, "-W", "error", "-c", code], os.environ
    processes = [
        subprocess.Popen(
            words, cwd=project / "site", text=True, env={**env, "XDG_CACHE_HOME": str(project)},
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
        )
        for _ in range(3)
    ]  # fmt: skip
    for expected in ("began\n", "loaded\n"):
        assert [process.stdout.readline() for process in processes] == [expected] * 3
        for process in processes:
            process.stdin.write("\n")
            process.stdin.flush()
        if expected == "began\n":
            continue
        assert [process.communicate()[0] for process in processes] == [""] * 3
    assert [path.suffix for path in kept.iterdir()] == [".cwasm"]


def test_a_wheel_that_another_program_reads_stays_and_the_next_command_makes_it(project: Path):
    run(project, "build", "-t", "wheel")
    (wheel,) = (project / "dist").iterdir()
    compile_ = ("compile", "--in-place", "dist/*.whl", "--targets", "x86_64-windows")
    with wheel.open("rb") as file:
        whole = file.read()
        output = run(project, *compile_, module="hatch_wazcache", status=1)
        assert f"{wheel.name}: cannot be written: " in output
    assert wheel.read_bytes() == whole
    run(project, *compile_, module="hatch_wazcache")
    # The first command could not remove its link to the wheel. The next one can.
    temporary_files.sweep(project / "dist")
    assert [path.name for path in (project / "dist").iterdir()] == [wheel.name]


# fetched wheels


def make_wheel(folder: Path) -> None:
    """Make a wheel of a runtime, which has only data."""
    info = "demo_runtime-1.0.dist-info"
    files = {
        "demo_runtime/data.json": b"{}",
        f"{info}/METADATA": b"Metadata-Version: 2.1\nName: demo-runtime\nVersion: 1.0\n",
        f"{info}/WHEEL": b"Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n",
    }
    rows = [
        f"{name},{record_digest(hashlib.sha256(data).hexdigest())},{len(data)}\n"
        for name, data in files.items()
    ]
    files[f"{info}/RECORD"] = "".join([*rows, f"{info}/RECORD,,\n"]).encode()
    folder.mkdir()
    with zipfile.ZipFile(folder / "demo_runtime-1.0-py3-none-any.whl", "w") as archive:
        for name, data in files.items():
            archive.writestr(name, data)


def test_builds_that_need_the_same_wheel_fetch_it_once_by_pip_to_any_drive(
    root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    """pip unpacks it in the temporary directory first, which is on another drive under wine."""
    make_wheel(tmp_path / "links")
    monkeypatch.setenv("PIP_FIND_LINKS", str(tmp_path / "links"))
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PATH", "")  # without uv
    monkeypatch.delenv("UV", raising=False)
    fetched, said = [], []
    CacheDirectory(root / "cache", pytest.fail).close()

    def fetch_it() -> None:
        requirement = Requirement("demo-runtime==1.0")
        fetched.append(fetch(root / "cache" / "engines", requirement, "a test", say=said.append))

    threads = [threading.Thread(target=fetch_it) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert said == ["waiting for another build that fetches wheels"]
    assert fetched == [root / "cache" / "engines" / "demo-runtime-1.0-x86_64-windows"] * 2
    assert verify_fetched(fetched[0]) is None
    assert sorted(os.listdir(root / "cache" / "engines")) == [".lock", fetched[0].name]
    assert maintenance.clear(root / "cache").removed == 1


# temporary folders


def test_the_folder_of_a_killed_process_is_removed_by_the_next_one_and_one_in_use_stays(
    root: Path, holder: tuple[subprocess.Popen[str], Path], monkeypatch: pytest.MonkeyPatch
):
    process, folder = holder
    monkeypatch.setattr("tempfile.tempdir", str(root))

    def make_next() -> None:
        temporary_folder._sweep_once.cache_clear()
        with TemporaryFolder() as name:
            assert Path(name).is_dir()
        assert not Path(name).exists()

    elsewhere = root / f".wazcache-{'0' * 16}.tmp"  # a program of Cygwin may have locked it
    elsewhere.mkdir()
    make_next()
    assert (folder / "heavy").stat().st_size == 1000
    process.kill()
    process.wait()
    make_next()
    assert [path for path in root.iterdir() if "wazcache" in path.name] == [elsewhere]


def test_threads_that_share_a_compilation_cache_beside_prunes_neither_fail_nor_warn(root: Path):
    modules = [ANSWER + bytes([0, 6, 4, *b"note", number]) for number in range(4)]
    failures: list[BaseException] = []
    done = threading.Event()

    def load(cache: CompilationCache, first: int) -> None:
        try:
            for number in range(12):
                cache.load_module(modules[(first + number) % 4])
        except BaseException as error:  # noqa: BLE001 - the test shows it
            failures.append(error)

    def prune() -> None:
        while not done.wait(0.05):
            maintenance.prune(root / "cache", max_size=4000)

    with (
        warnings.catch_warnings(),
        CompilationCache.in_directory(root / "cache") as cache,
    ):
        warnings.simplefilter("error")
        pruner = threading.Thread(target=prune)
        loaders = [threading.Thread(target=load, args=(cache, first)) for first in range(4)]
        for thread in (pruner, *loaders):
            thread.start()
        for thread in loaders:
            thread.join()
        done.set()
        pruner.join()
    assert failures == []
    assert maintenance.verify(root / "cache") == []
    assert os.listdir(root / "cache" / "tmp") == []


# names


def test_the_loader_finds_an_editable_project_on_a_drive_and_on_a_server(root: Path):
    for url, folder in (
        (root.as_uri(), str(root)),
        ("file://server/share/my%20project", r"\\server\share\my project"),
    ):
        about = {"url": url, "dir_info": {"editable": True}}
        found = loader._editable_project(json.dumps(about).encode())
        assert found.lower() == f"{folder}\\".lower()


def test_a_glob_that_is_spelled_differently_from_the_file_matches_nothing_as_on_linux(root: Path):
    (root / "demo").mkdir()
    (root / "demo" / "a.wasm").write_bytes(ANSWER)
    for glob in ("demo/A.wasm", "Demo/*.wasm", "demo/*.WASM", "demo/a.wasm."):
        config = read_config({"assets": [glob]}, "option", {}, root)
        with pytest.raises(WazcacheError, match="matches no file"):
            list(find_assets(config, root))
    config = read_config({"assets": ["demo/*.wasm", r"demo\a.wasm"]}, "option", {}, root)
    assert [file.relative for file in find_assets(config, root)] == ["demo/a.wasm"]


def test_a_glob_that_leads_to_another_drive_or_server_is_refused(root: Path):
    for glob in ("C:demo/*.wasm", "C:/demo/*.wasm", "//server/share/*.wasm", r"\\demo\*.wasm"):
        with pytest.raises(WazcacheError, match="relative to the project's root and inside of it"):
            read_config({"assets": [glob]}, "option", {}, root)


def test_setuptools_and_every_command_for_wheels_work_in_a_console_of_1981(project: Path):
    """cp437 lacks some of the letters. No shell of Windows replaces a pattern."""
    (project / "demo" / "a.wasm").rename(project / "demo" / "Ünï ☃.wasm")
    temporary = project.with_name("temporary é")  # setuptools logs its name
    temporary.mkdir()
    text = PYPROJECT.replace("hatchling.build", "setuptools.build_meta")
    text = text.replace("tool.hatch.build.hooks.wazcache", "tool.wazcache")
    text += '\n[tool.setuptools]\npackages = ["demo"]\n'
    (project / "pyproject.toml").write_text(text)
    build = "from setuptools import build_meta\nbuild_meta.build_wheel('dist')\n"
    (project / "build_wheel.py").write_text(build)

    def said(*words: str, module: str = "hatch_wazcache") -> str:
        env = {"TMP": str(temporary), "TEMP": str(temporary), "TMPDIR": str(temporary)}
        return run(project, *words, module=module, PYTHONIOENCODING="cp437", **env)

    assert r"\u2603.wasm: compiled for x86_64-windows" in said(module="build_wheel")
    assert "0 findings" in said("audit", r"dist\*.whl")
    assert "loads" in said("inspect", "dist/*.whl")
    said("compile", "dist/*.whl", "--targets", "x86_64-windows", "-w", "new")
    (new,) = (project / "new").iterdir()
    (old,) = (project / "dist").iterdir()
    assert new.name == old.name
    assert r"\u2603.wasm" in said("list")
    assert list(temporary.iterdir()) == []
