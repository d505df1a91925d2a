"""Times one thing in a new process: `python child.py FUNCTION …` prints its figures as JSON.

Each function imports only the modules that it times.
"""

from __future__ import annotations

import json
import os
import sys
import time
from functools import partial
from typing import Any

Figures = dict[str, float]

LEVELS = (1, 6, 9, 12)
"""The levels of libdeflate that are compared."""


def hatchling(root: str, dist: str, *words: str) -> Figures:
    """Build a wheel twice in a process that has imported hatchling.

    Args:
        root: the project.
        dist: where the wheel goes.
        words: `once`, to build only once.
    """
    os.chdir(root)
    from hatchling.builders.wheel import WheelBuilder

    figures = {}
    for name in ("first",) if words else ("first", "again"):
        begin = time.perf_counter()
        list(WheelBuilder(root).build(directory=dist, versions=["standard"]))
        figures[name] = time.perf_counter() - begin
    return {**figures, "peak": _peak()}


def release(root: str, dist: str) -> Figures:
    """Build the wheels of all targets and engines with hatchling's command."""
    os.chdir(root)
    from hatchling.cli import hatchling

    sys.argv[1:] = ["build", "-t", "wazcache", "-d", dist]
    assert not hatchling()
    return {"peak": _peak()}


def command(*words: str) -> Figures:
    """Run a command of hatch-wazcache."""
    from hatch_wazcache.cli import main

    assert main(words) == 0
    return {"peak": _peak()}


def setuptools(root: str, dist: str) -> Figures:
    """Build a wheel by setuptools, in a process that has imported it."""
    os.chdir(root)
    from setuptools import build_meta

    begin = time.perf_counter()
    build_meta.build_wheel(dist)
    return {"first": time.perf_counter() - begin, "peak": _peak()}


def compile(threads: str, level: str, folder: str, *files: str) -> Figures:  # noqa: A001
    """Compile files one after the other with wasmtime-py, and deflate them for a wheel.

    Args:
        threads: `one`, or `all`, which is wasmtime's default.
        level: the level of libdeflate; `0` to deflate nothing.
        folder: the folder for the artifacts.
        files: the `.wasm` files.
    """
    import wasmtime

    config = wasmtime.Config()
    config.target = "x86_64-unknown-linux-gnu"
    config.parallel_compilation = threads == "all"
    engine = wasmtime.Engine(config)
    compiled = deflated = 0.0
    for path in files:
        begin = time.perf_counter()
        with open(path, "rb") as file:
            wasm = file.read()
        artifact = wasmtime.Module(engine, wasm).serialize()
        with open(os.path.join(folder, f"{os.path.basename(path)}.cwasm"), "wb") as file:
            file.write(artifact)
        compiled += time.perf_counter() - begin
        if int(level):
            import deflate

            begin = time.perf_counter()
            deflate.deflate_compress(wasm, int(level))
            deflate.deflate_compress(artifact, int(level))
            deflated += time.perf_counter() - begin
    return {"compile": compiled, "deflate": deflated, "peak": _peak()}


def deflate(path: str) -> Figures:
    """Deflate a file with zlib and with each level of libdeflate."""
    import zlib

    from deflate import deflate_compress

    with open(path, "rb") as file:
        data = file.read()
    ways: dict[str, Any] = {"zlib 6": lambda: zlib.compress(data, 6, -15)}
    for level in LEVELS:
        ways[f"libdeflate {level}"] = partial(deflate_compress, data, level)
    figures = {}
    for way, call in ways.items():
        begin = time.perf_counter()
        figures[f"{way} bytes"] = float(len(call()))
        figures[f"{way} s"] = time.perf_counter() - begin
    return figures


def hook(root: str) -> Figures:
    """Import the hook and read its options, in a process that has imported hatchling."""
    os.chdir(root)
    from hatchling.builders.wheel import WheelBuilder
    from packaging.requirements import Requirement

    builder = WheelBuilder(root)
    list(map(Requirement, builder.metadata.core.dependencies))  # of any project that has some
    begin = time.perf_counter()
    from hatch_wazcache.frontends.hatch.hook import WazcacheBuildHook

    imported = time.perf_counter()
    config = builder.config.hook_config["wazcache"]
    made: Any = WazcacheBuildHook(
        root, config, builder.config, builder.metadata, "", "wheel", builder.app
    )
    _ = made.table.options
    end = time.perf_counter()
    return {"import": imported - begin, "options": end - imported, "both": end - begin}


def ask(url: str, count: str) -> Figures:
    """Ask a shared cache for the signatures of artifacts.

    Args:
        url: the server's. Its credentials are in the environment.
        count: how many artifacts.
    """
    from pathlib import Path
    from tempfile import TemporaryDirectory

    from hatch_wazcache.cache.directory import CacheDirectory
    from hatch_wazcache.cache.key import ArtifactKey
    from hatch_wazcache.cache.remote.open_store import open_store
    from hatch_wazcache.cache.remote.options import RemoteOptions
    from hatch_wazcache.cache.remote.remote_cache import RemoteCache

    triple = "x86_64-unknown-linux-gnu"
    keys = [
        ArtifactKey(f"{number:064x}", "48.0.0", "x86_64-linux", triple, "baseline", (), {})
        for number in range(int(count))
    ]
    options = RemoteOptions(url=url, where="WAZCACHE_REMOTE", url_from_environment=True)
    with TemporaryDirectory() as folder:
        cache = CacheDirectory(Path(folder), warn=print)
        begin = time.perf_counter()
        remote = RemoteCache(open_store(options, os.environ), cache, None)
        assert remote.signatures(keys) == {}
        seconds = time.perf_counter() - begin
        remote.close()
        cache.close()
    return {"ask": seconds}


def load(how: str, wasm: str, artifact: str, site: str) -> Figures:
    """Get a module in a new process; time `import wasmtime` and the rest separately.

    Args:
        how: `compile`: compile it; `cache`: use wasmtime's own cache; `yowasp`: use yowasp-runtime;
            `amla`: use amla-sandbox; `deserialize`: call wasmtime alone; `loader`: use the loader
            of an installed package; `fallback`: the same where no artifact fits, so the loader
            takes what it kept.
        wasm: the `.wasm`.
        artifact: its artifact.
        site: where the package `demo` is installed.
    """
    begin = time.perf_counter()
    import wasmtime

    imported = time.perf_counter()
    if how in ("loader", "fallback"):
        sys.path.insert(0, site)
        from demo import _wazcache  # type: ignore[import-not-found]

        _wazcache.load_module(os.path.basename(wasm), strict=how == "loader")
    elif how == "yowasp":
        imported = _yowasp(wasm, site)
    elif how == "amla":
        imported = _amla(wasm)
    else:
        config = wasmtime.Config()
        if how == "cache":
            config.cache = True
        engine = wasmtime.Engine(config)
        if how == "deserialize":
            wasmtime.Module.deserialize_file(engine, artifact)
        else:
            wasmtime.Module.from_file(engine, wasm)
    end = time.perf_counter()
    return {"import": imported - begin, "load": end - imported, "both": end - begin}


def _yowasp(wasm: str, site: str) -> float:
    """Run yowasp-runtime until it has the module; return the time after its import."""
    import wasmtime
    import yowasp_runtime

    imported = time.perf_counter()

    class HasModuleError(Exception):
        """Ends the run before the module is linked."""

    def link(_engine: object) -> None:
        raise HasModuleError

    sys.path.insert(0, site)
    wasmtime.Linker = link  # type: ignore[assignment,misc]
    try:
        yowasp_runtime.run_wasm("demo", os.path.basename(wasm), argv=["demo"])
    except HasModuleError:
        return imported
    raise AssertionError("yowasp-runtime ended without linking the module")


def _amla(wasm: str) -> float:
    """Let amla-sandbox get the module; return the time after its import."""
    from pathlib import Path

    from amla_sandbox.runtime import wasm as amla

    imported = time.perf_counter()
    amla._get_cached_module(Path(wasm))  # noqa: SLF001
    return imported


def _peak() -> float:
    """Return the peak memory of this process, in bytes."""
    # Not getrusage: its figure includes the parent's memory before exec.
    with open("/proc/self/status", encoding="ascii") as file:
        line = next(line for line in file if line.startswith("VmHWM:"))
    return float(line.split()[1]) * 1024


if __name__ == "__main__":
    sys.path.remove(os.path.dirname(os.path.abspath(__file__)))  # its modules are no packages
    print(json.dumps(globals()[sys.argv[1]](*sys.argv[2:])))
