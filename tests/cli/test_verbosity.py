"""`-v` shows details, `-q` shows only errors and the result."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from tests.support.commands import artifacts, run, without_ages
from tests.support.projects import Project
from tests.support.wasm import tiny
from tests.support.wheels import TARGET


def test_verbose_names_the_cache_and_why_it_is_that_one(filled: Project, tmp_path: Path):
    done = run(filled, "list", "-v")
    assert f"hatch-wazcache: the cache is {filled.cache}: " in done.stderr
    assert "names it" in done.stderr
    done = run(filled, "-v", "info", WAZCACHE_DIR="", XDG_CACHE_HOME=str(tmp_path / "own"))
    assert "it is the user's cache folder" in done.stderr
    filled.append('cache-dir = "../cache"\n')
    done = run(filled, "info", "-v", WAZCACHE_DIR="")
    assert f"the cache is {filled.cache}: tool.hatch.build.hooks.wazcache.cache-dir" in done.stderr
    assert run(filled, "info").stderr == ""


def test_verbose_names_the_engine_and_the_reason_of_a_miss(filled: Project):
    filled.append("profiles.default.consume-fuel = true\n")
    done = run(filled, "warm", "-v")
    for asset in ("demo/a.wasm", "demo/sub/b.wasm"):
        assert f"wazcache: {asset}: not in the cache as " in done.stderr
    reason = "differs in settings.consume-fuel (true in the project, not set in the entry)"
    assert done.stderr.count(reason) == 2
    assert "wazcache: the engine is wasmtime 48." in done.stderr
    done = run(filled, "warm", "-v")
    assert done.stderr.count("found in the cache as ") == 2
    assert "the engine is" not in done.stderr  # nothing was compiled
    shutil.rmtree(filled.cache)
    assert run(filled, "warm", "-v").stderr.count("the cache has no similar entry") == 2


def test_a_verbose_build_of_hatch_says_the_same(filled: Project):
    filled.append("profiles.default.consume-fuel = true\n")
    assert "not in the cache as" not in filled.build().output
    shutil.rmtree(filled.cache)
    built = filled.build(HATCH_VERBOSE="1")  # what `hatch -v build` sets
    assert "wazcache: demo/a.wasm: not in the cache as " in built.output
    assert "wazcache: the engine is wasmtime 48." in built.output


def test_verbose_names_the_wasmtime_cli(filled: Project, wasmtime_cli: Path):
    done = run(
        filled, "warm", "-v", WAZCACHE_WASMTIME=str(wasmtime_cli), WAZCACHE_TARGET="x86_64-windows"
    )
    assert f"wazcache: the wasmtime CLI 48.0.0 is {wasmtime_cli}" in done.stderr
    assert f"target (x86_64-windows in the project, {TARGET} in the entry)" in done.stderr


def test_a_broken_entry_is_no_reason_for_verbose_to_fail(filled: Project):
    for entry in artifacts(filled):
        entry.write_bytes(b"nothing")
    done = run(filled, "warm", "-v")
    assert done.returncode == 0, done.stderr
    assert done.stderr.count("the cache has no similar entry") == 2


def test_quiet_shows_the_result_alone(filled: Project):
    filled.write("demo/new.wasm", tiny("quiet"))
    done = run(filled, "warm", "-q")
    assert done.stderr == ""
    assert done.stdout.startswith("1 compiled, 2 found in the cache")


def test_quiet_still_shows_errors(filled: Project):
    filled.write("demo/new.wasm", b"nothing")
    done = run(filled, "warm", "-q")
    assert done.returncode == 1
    assert "demo/new.wasm" in done.stderr


def test_verbose_and_quiet_exclude_each_other(filled: Project):
    assert run(filled, "list", "-q", "-v").returncode == 2


@pytest.mark.parametrize("words", [["list"], ["warm"], ["verify"], ["dir"]], ids=" ".join)
def test_details_go_to_standard_error_alone(filled: Project, words: list[str]):
    plain = run(filled, *words).stdout
    assert without_ages(run(filled, *words, "-v").stdout) == without_ages(plain)
