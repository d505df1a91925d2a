"""A cache that many processes use at once: the test session of a project that ships much wasm."""

from __future__ import annotations

import hashlib
import os
import subprocess
from pathlib import Path

import corpus
from hatch_wazcache.cache import items, statistics
from tests.support.compilers import Compilers

PROCESSES = 20

CONFTEST = """\
import os, sys
import pytest
from hatch_wazcache import CompilationCache

@pytest.fixture(scope="session")
def cache():
    sys.executable = os.environ["COMPILER"]
    with CompilationCache.in_directory(os.environ["CACHE"]) as cache:
        yield cache
"""

TEST = """\
import hashlib, os
import wasmtime

def test_it_runs(cache):
    module = cache.load_module(os.environ["WASM"])
    store = wasmtime.Store(cache.engine())
    functions = [wasmtime.Func(store, needed.type, print) for needed in module.imports]
    sp = wasmtime.Instance(store, module, functions).exports(store)["getsp"](store)
    with open(os.environ["RESULTS"], "a") as file:
        file.write(f"{os.getpid()} {sp} {hashlib.sha256(module.serialize()).hexdigest()}\\n")
"""


def test_a_test_session_that_loads_the_same_15_mb_module_in_20_processes_compiles_it_once(
    tmp_path: Path, compilers: Compilers
):
    cache, results = tmp_path / "cache", tmp_path / "results"
    (tmp_path / "tests").mkdir()
    (tmp_path / "tests" / "conftest.py").write_text(CONFTEST)
    (tmp_path / "tests" / "test_esbuild.py").write_text(TEST)
    told = {
        "CACHE": str(cache),
        "COMPILER": str(compilers.script),
        "RESULTS": str(results),
        "WASM": str(corpus.fetch("esbuild-wasm__esbuild.wasm")),
    }
    session = subprocess.run(
        [corpus.PYTHON, "-m", "pytest", "-q", "-n", f"{PROCESSES}", "--dist", "each", "tests"],
        cwd=tmp_path, env={**os.environ, **told}, text=True, check=False,
        stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
    )  # fmt: skip
    assert f"{PROCESSES} passed" in session.stdout, session.stdout
    assert "warning" not in session.stdout, session.stdout
    assert compilers.started == 1
    lines = [line.split() for line in results.read_text().splitlines()]
    pids, answers, digests = zip(*lines, strict=True)
    assert len(set(pids)) == PROCESSES
    assert set(answers) == {"0"}
    (made,) = items.items(cache)
    artifact = hashlib.sha256(b"".join(made.read().data()))
    assert set(digests) == {artifact.hexdigest()}
    known = statistics.read_statistics(cache)
    assert (known.builds, known.misses, known.hits) == (PROCESSES, 1, PROCESSES - 1)
