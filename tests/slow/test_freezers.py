"""Frozen programs that contain a package with artifacts."""

from __future__ import annotations

import os
import shutil
import subprocess
from importlib.metadata import version
from pathlib import Path

import pytest

from tests.support.companion_sites import split
from tests.support.environments import environment_of
from tests.support.marks import needs_c_compiler
from tests.support.projects import Project
from tests.support.runtimes import build_runtime
from tests.support.wasm import ANSWER
from tests.support.wheels import unpack

WASMTIME = f"wasmtime=={version('wasmtime')}"
PROGRAM = """\
from wasmtime import Module
from demo._wazcache import load_module, status
print(isinstance(load_module("a.wasm", strict=True), Module), bool(status("a.wasm")))
"""


@pytest.fixture
def program(project: Project, tmp_path: Path) -> Path:
    """A program in a folder, with an installation of the package beside it."""
    built = project.build()
    assert built.wheel, built.output
    unpack(built.wheel, tmp_path / "site")
    path = tmp_path / "program.py"
    path.write_text(PROGRAM)
    return path


def freeze(python: Path, program: Path, *words: str | Path, also: Path | None = None) -> None:
    paths = [str(program.parent / "site"), *([str(also)] if also else [])]
    done = subprocess.run(
        [python, "-m", *words],
        cwd=program.parent, env={**os.environ, "PYTHONPATH": os.pathsep.join(paths)},
        text=True, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout


def output(program: Path, **env: str) -> str:
    """Run a frozen program, which knows nothing of the installation, and return its output."""
    return subprocess.run(
        [program], env={**os.environ, **env}, text=True, check=False,
        stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
    ).stdout  # fmt: skip


def library(python: Path) -> Path:
    (path,) = python.parents[1].glob("lib/python*/site-packages/wasmtime/*/_libwasmtime.*")
    return path


CACHING_PROGRAM = """
import sys
from hatch_wazcache import CompilationCache
with open(sys.argv[2], "a") as log:
    log.write("started\\n")
with CompilationCache.in_directory(sys.argv[1]) as cache:
    print(*[export.name for export in cache.load_module(sys.stdin.buffer.read()).exports])
"""


@pytest.mark.parametrize("kind", ["--onefile", "--onedir"])
def test_a_frozen_program_compiles_once_and_never_starts_itself(tmp_path: Path, kind: str):
    program = tmp_path / "program.py"
    program.write_text(CACHING_PROGRAM)
    freeze(environment_of("pyinstaller", WASMTIME), program, "PyInstaller", kind, program.name)
    made = tmp_path / "dist" / "program"
    made = made / "program" if made.is_dir() else made
    for run in (1, 2):
        done = subprocess.run(
            [made, tmp_path / "cache", tmp_path / "log"],
            input=ANSWER, capture_output=True, timeout=60, check=False,
        )  # fmt: skip
        assert done.stdout == b"answer\n", done.stderr
        assert (b"this process compiles" in done.stderr) == (run == 1)
        assert (tmp_path / "log").read_text() == "started\n" * run


@pytest.mark.parametrize("kind", ["--onedir", "--onefile"])
def test_pyinstaller_finds_the_hook_and_needs_no_option(kind: str, program: Path):
    python = environment_of("pyinstaller", WASMTIME)
    freeze(python, program, "PyInstaller", kind, program.name)
    made = program.parent / "dist" / program.stem
    assert output(made / program.stem if kind == "--onedir" else made) == "True True\n"


def test_pyinstaller_without_the_hook_is_named_with_the_option_that_it_needs(program: Path):
    python = environment_of("pyinstaller", WASMTIME, with_ours=False)
    wasmtime = library(python)
    words = ["PyInstaller", f"--add-binary={wasmtime}:wasmtime/{wasmtime.parent.name}"]
    freeze(python, program, *words, program.name)
    made = program.parent / "dist" / program.stem / program.stem
    said = output(made)
    assert "PyInstaller left it out: call it with --collect-data demo, or install hatch-wa" in said
    freeze(python, program, *words, "--noconfirm", "--collect-data=demo", program.name)
    assert output(made) == "True True\n"


def test_cx_freeze_needs_no_option(program: Path):
    python = environment_of("cx_Freeze", WASMTIME, with_ours=False)
    freeze(python, program, "cx_Freeze", "build", f"--script={program.name}", "--build-exe=made")
    assert output(program.parent / "made" / program.stem) == "True True\n"


@pytest.mark.parametrize("elsewhere", [False, True])
def test_pyinstaller_takes_the_companion_too(program: Path, elsewhere: bool):
    other = program.parent / "other"
    split(program.parent / "site", other if elsewhere else None)
    freeze(
        environment_of("pyinstaller", WASMTIME), program, "PyInstaller", program.name, also=other
    )
    assert output(program.parent / "dist" / program.stem / program.stem) == "True True\n"


def test_a_companion_that_a_freezer_left_out_is_named_with_the_option(program: Path):
    split(program.parent / "site")
    python = environment_of("cx_Freeze", WASMTIME, with_ours=False)
    words = ["cx_Freeze", "build", f"--script={program.name}", "--build-exe=made"]
    freeze(python, program, *words)
    made = program.parent / "made" / program.stem
    assert (
        "demo-wasmtime, which has the artifacts, is not in this program; cx_Freeze left it out: "
        "call it with --packages=demo_wasmtime"
    ) in output(made)
    freeze(python, program, *words, "--packages=demo_wasmtime")
    assert output(made) == "True True\n"


@needs_c_compiler
def test_nuitka_compiles_the_loader_and_is_named_if_it_left_a_manifest_out(program: Path):
    """Not a standalone program: compiling wasmtime itself would take many minutes."""
    python = environment_of("nuitka", WASMTIME, with_ours=False)
    words = ["--mode=accelerated", "--include-package=demo", "--nofollow-import-to=wasmtime"]
    freeze(python, program, "nuitka", *words, program.name)
    made, wasmtime = program.with_suffix(".bin"), str(library(python).parents[2])
    assert output(made, PYTHONPATH=wasmtime).startswith("True True\n")
    (program.parent / "site/demo/_wazcache.json").unlink()
    said = output(made, PYTHONPATH=wasmtime)
    assert "Nuitka left it out: call it with --include-package-data=demo" in said


RUNTIME_PROGRAM = """\
import os, sys
from importlib.resources import files
import demo
from rt._wazcache import LoadError, status
print(status(files("demo") / "a.wasm").precompiled)
sys.path.append(sys.argv[1])
try:
    status(os.path.join(sys.argv[1], "demo", "a.wasm"))
except LoadError as error:
    print("is not used" in str(error))
"""


@pytest.mark.parametrize("freezer", ["pyinstaller", "cx_Freeze"])
def test_a_frozen_program_has_the_artifacts_of_a_package_with_a_runtime(
    freezer: str, program: Path, tmp_path: Path
):
    site = tmp_path / "site"
    unpack(build_runtime(tmp_path / "runtime"), site)
    (site / "demo/_wazcache.py").unlink()
    program.write_text(RUNTIME_PROGRAM)
    download = tmp_path / "download"
    shutil.copytree(site / "demo", download / "demo")
    if freezer == "pyinstaller":
        python = environment_of("pyinstaller", WASMTIME)
        freeze(python, program, "PyInstaller", program.name)
        made = program.parent / "dist" / program.stem / program.stem
    else:
        python = environment_of("cx_Freeze", WASMTIME, with_ours=False)
        words = ["cx_Freeze", "build", f"--script={program.name}", "--build-exe=made"]
        freeze(python, program, *words)
        made = program.parent / "made" / program.stem
    done = subprocess.run([made, download], text=True, capture_output=True, check=False)
    assert done.stdout == "True\nTrue\n", done.stderr
