"""Runs code that uses the loader."""

from __future__ import annotations

import json
import shutil
import sys
from collections.abc import Callable
from pathlib import Path
from textwrap import dedent

from tests.support.projects import run_python
from tests.support.wheels import TARGET

UNICODE = "data/ein größer.wasm"
ASSETS = ["answer.wasm", "c.wasm", "data/deep/b.wasm", UNICODE]
OPTIONS = """
assets = [
  "demo/answer.wasm",
  "demo/data/**/*.wasm",
  { path = "demo/c.wasm", profiles = ["default"] },
]
[tool.hatch.build.hooks.wazcache.profiles.default]
[tool.hatch.build.hooks.wazcache.profiles.fuel]
consume-fuel = true
"""
ARTIFACT = f"answer.{TARGET}.cwasm"
REFUSE = {"WASMTIME_BACKTRACE_DETAILS": "1"}
"""With this in its environment, wasmtime refuses every artifact."""

PRELUDE = """
from demo import _wazcache
from demo._wazcache import *

def call(module, engine_=None, fuel=None):
    from wasmtime import Instance, Store
    store = Store(engine_ or engine())
    if fuel is not None:
        store.set_fuel(fuel)
    return Instance(store, module, []).exports(store)["answer"](store)

def warned(action):
    import warnings
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        action()
    return [str(warning.message) for warning in caught]

def refused(action):
    try:
        action()
    except LoadError as error:
        return str(error)

def together(action):
    # Sixteen threads, let go at once, and switched as often as can be.
    import sys
    from concurrent.futures import ThreadPoolExecutor
    from threading import Barrier
    sys.setswitchinterval(1e-6)
    barrier = Barrier(16)
    def run(_):
        barrier.wait()
        return action()
    with ThreadPoolExecutor(16) as threads:
        return list(threads.map(run, range(16)))

def in_fork(action):
    # The status of a forked child; 0 if it did what it was to do. A minute, and it is ended.
    import os, signal
    if pid := os.fork():
        return os.waitpid(pid, 0)[1]
    signal.alarm(60)
    try:
        action()
    except BaseException:
        import traceback
        traceback.print_exc()
        os._exit(1)
    os._exit(0)
"""


def run(code: str, path: Path, python: Path = Path(sys.executable), **env: str) -> list[str]:
    """Run code that uses the loader; return the lines that it prints."""
    ran = run_python(PRELUDE + dedent(code), path, python, **env)
    assert ran.status == 0, ran.output
    return ran.output.splitlines()


def change_manifest(site: Path, change: Callable[[dict], None]) -> None:
    path = site / "demo/_wazcache.json"
    manifest = json.loads(path.read_text("utf-8"))
    change(manifest)
    path.write_text(json.dumps(manifest), "utf-8")


def several_engines(site: Path, *engines: str) -> None:
    """Give `answer.wasm` artifacts of several engines, in this order. All have the same bytes."""

    def change(manifest: dict) -> None:
        asset = manifest["assets"]["answer.wasm"]
        copies = []
        for artifact in asset["artifacts"]:
            for engine in engines:
                file = artifact["file"].replace(".cwasm", f".wasmtime{engine}.cwasm")
                shutil.copy(site / "demo" / artifact["file"], site / "demo" / file)
                copies.append({**artifact, "wasmtime": engine, "file": file})
        asset["artifacts"] = copies

    change_manifest(site, change)


FALL_BACK = """
print(*warned(lambda: print(call(load_module('answer.wasm')), call(load_module('answer.wasm')))))
print(status('answer.wasm').reason)
print(refused(lambda: load_module('answer.wasm', strict=True)))
"""


def check_fall_back(said: list[str], reason: str, begin: str = f"{ARTIFACT}: ") -> None:
    """It works, there was one warning, and strict does not compile; each names the reason."""
    works, warning, status, strict = said
    assert works == "42 42"
    assert status.startswith(begin)
    assert reason in status
    assert warning == f"answer.wasm is compiled now, which takes time: {status}"
    assert strict == f"answer.wasm is not precompiled (strict): {status}"


def home(folder: Path) -> dict[str, str]:
    """An environment whose user's folders are all in one."""
    return {
        "HOME": str(folder),
        "XDG_CACHE_HOME": str(folder / "cache"),
        "XDG_CONFIG_HOME": str(folder / "config"),
        "TMPDIR": str(folder),
    }
