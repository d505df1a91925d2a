"""New processes that use a `CompilationCache`."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import wasmtime

from hatch_wazcache import CompilationCache
from tests.support.wasm import ANSWER
from tests.support.wheels import TARGET

PYTHON = sys.executable


def entries(directory: Path) -> list[Path]:
    return sorted(directory.glob(f"wasmtime-*-{TARGET}/*.zip"))


def answer(cache: CompilationCache, module: wasmtime.Module, **profile: bool) -> int:
    """Call the module's function in a new runtime."""
    store = wasmtime.Store(cache.engine(profile))
    if profile.get("consume-fuel"):
        store.set_fuel(1000)
    return wasmtime.Instance(store, module, []).exports(store)["answer"](store)


PRELUDE = f"""
import os, sys, warnings
import wasmtime
from hatch_wazcache import CompilationCache
from hatch_wazcache.cache import statistics
from hatch_wazcache.cache import maintenance
from hatch_wazcache.errors import WazcacheError
ANSWER = bytes.fromhex("{ANSWER.hex()}")
def answer(cache, module):
    store = wasmtime.Store(cache.engine())
    return wasmtime.Instance(store, module, []).exports(store)["answer"](store)
"""


def start(code: str, *words: str | Path, **env: str) -> subprocess.Popen[str]:
    """Start a new process that uses the cache."""
    return subprocess.Popen(
        [PYTHON, "-c", PRELUDE + code, *words], env={**os.environ, **env}, text=True,
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
    )  # fmt: skip


def run(code: str, *words: str | Path, **env: str) -> str:
    """Run a new process that uses the cache, and return its output."""
    process = start(code, *words, **env)
    try:
        output, errors = process.communicate(timeout=60)
    finally:
        process.kill()
    assert process.returncode == 0, errors
    return output + errors
