"""Attacks on the product on Windows: these tests are run there, by Windows' own pytest.

wine differs from Windows, so some attacks mean nothing here: it renames a folder in which a file is
open, replaces a file that may only be read, and has no limit of 260 characters for a path.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
from on_windows import ANSWER, PYPROJECT, data_of, key, put, run

from hatch_wazcache.cache import maintenance
from hatch_wazcache.cache.directory import CacheDirectory
from hatch_wazcache.cache.key_lock import lock_key
from hatch_wazcache.cache.lock import exclusive, lock_file
from hatch_wazcache.errors import WazcacheError
from hatch_wazcache.packing.find_assets import find_assets
from hatch_wazcache.project.options import read_config
from hatch_wazcache.util import temporary_folder
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

    make_next()
    assert (folder / "heavy").stat().st_size == 1000
    process.kill()
    process.wait()
    make_next()
    assert [path.name for path in root.iterdir() if "wazcache" in path.name] == []


# names


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


def test_setuptools_and_every_command_for_wheels_work_in_a_console_of_1981(tmp_path: Path):
    """cp437 lacks some of the letters. No shell of Windows replaces a pattern."""
    project = tmp_path / "project ☃"
    (project / "demo").mkdir(parents=True)
    (project / "demo" / "__init__.py").touch()
    (project / "demo" / "Ünï ☃.wasm").write_bytes(ANSWER)
    text = PYPROJECT.replace("hatchling.build", "setuptools.build_meta")
    text = text.replace("tool.hatch.build.hooks.wazcache", "tool.wazcache")
    text += '\n[tool.setuptools]\npackages = ["demo"]\n'
    (project / "pyproject.toml").write_text(text)
    build = tmp_path / "build_wheel.py"
    build.write_text("from setuptools import build_meta\nbuild_meta.build_wheel('dist')\n")
    shutil.copy(build, project / "build_wheel.py")

    def said(*words: str, module: str = "hatch_wazcache") -> str:
        return run(project, *words, module=module, PYTHONIOENCODING="cp437")

    assert r"\u2603.wasm: compiled for x86_64-windows" in said(module="build_wheel")
    assert "0 findings" in said("audit", r"dist\*.whl")
    assert "loads" in said("inspect", "dist/*.whl")
    said("compile", "dist/*.whl", "--targets", "x86_64-windows", "-w", "new")
    (new,) = (project / "new").iterdir()
    (old,) = (project / "dist").iterdir()
    assert new.name == old.name
    assert r"\u2603.wasm" in said("list")
