"""`CompilationCache` where `sys.executable` is not a Python: it never starts the program itself."""

from __future__ import annotations

import zipfile
from pathlib import Path

import pytest

from hatch_wazcache import CompilationCache
from tests.support.compilers import Compilers
from tests.support.processes import entries, run
from tests.support.wasm import ANSWER

LOAD = """
with CompilationCache.in_directory(sys.argv[1]) as cache:
    print(answer(cache, cache.load_module(ANSWER)))
"""


@pytest.fixture
def program(tmp_path: Path) -> Path:
    """A program that is not a Python, and notes that it was started."""
    script = tmp_path / "program"
    script.write_text(f"#!/bin/sh\necho started >>{tmp_path}/started\n")
    script.chmod(0o700)
    return script


def artifact(directory: Path) -> bytes:
    """Return the one artifact in a cache."""
    (entry,) = entries(directory)
    return zipfile.ZipFile(entry).read("artifact.cwasm")


@pytest.fixture(scope="session")
def expected(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    """The artifact that a child process makes."""
    directory = tmp_path_factory.mktemp("expected") / "cache"
    with CompilationCache.in_directory(directory) as cache:
        cache.load_module(ANSWER)
    return artifact(directory)


def test_a_frozen_program_compiles_itself_and_says_so_once(
    directory: Path, program: Path, expected: bytes
):
    frozen = f"sys.frozen, sys.executable = True, {str(program)!r}\n"
    output = run(frozen + LOAD, directory, WASMTIME_BACKTRACE_DETAILS="")
    assert output.startswith("42\n")
    assert output.count("UserWarning") == 1
    assert "a frozen program can start no compiler, so this process compiles" in output
    assert not program.with_name("started").exists()
    assert artifact(directory) == expected
    assert run(frozen + LOAD, directory) == "42\n", "a hit needs no compiler"


def test_the_environment_changes_no_artifact_that_this_process_compiles(
    directory: Path, expected: bytes
):
    code = "sys.frozen = True\n" + LOAD + "print(os.environ['WASMTIME_BACKTRACE_DETAILS'])"
    output = run(code, directory, WASMTIME_BACKTRACE_DETAILS="1")
    assert "42\n1\n" in output
    assert artifact(directory) == expected


def test_what_does_not_compile_is_an_exception_in_a_frozen_program_too(directory: Path):
    code = """
sys.frozen = True
broken = bytearray(ANSWER)
broken[-3] = 0xFF
with CompilationCache.in_directory(sys.argv[1]) as cache:
    try:
        cache.load_module(bytes(broken))
    except WazcacheError as error:
        print("cannot be compiled" in str(error), answer(cache, cache.load_module(ANSWER)))
"""
    assert "True 42\n" in run(code, directory)


@pytest.mark.parametrize("executable", ["program", ""])
def test_in_a_program_that_embeds_python_the_python_beside_it_compiles(
    directory: Path, program: Path, executable: str
):
    path = str(program) if executable else ""
    assert run(f"sys.executable = {path!r}\n" + LOAD, directory) == "42\n"
    assert not program.with_name("started").exists()


def test_a_python_can_be_named(directory: Path, compilers: Compilers):
    code = "sys.executable = ''\n" + LOAD
    assert run(code, directory, WAZCACHE_PYTHON=str(compilers.script)) == "42\n"
    assert compilers.started == 1


def test_without_any_python_the_process_compiles_and_the_warning_says_what_to_do(directory: Path):
    code = "sys.executable = ''; sys.prefix = sys.base_prefix = '/nowhere'\n" + LOAD
    output = run(code, directory)
    assert output.startswith("42\n")
    assert (
        "there is no Python to run the compiler (sys.executable is ''; set WAZCACHE_PYTHON"
        in output
    )
    assert "WAZCACHE_PYTHON" in output
