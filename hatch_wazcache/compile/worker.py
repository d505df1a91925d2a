"""The child: one task after the other, each one asset made into one entry.

Started by exec with the parent's `sys.path`; reads tasks from standard input, a line of JSON each,
and answers each with a line. It ends when the parent does. Only here is wasmtime imported.
"""

from __future__ import annotations

import hashlib
import json
import os
import queue
import signal
import sys
import tempfile
import threading
import time
from functools import partial
from typing import IO, Any

from hatch_wazcache.cache.entry import write_entry

__all__ = ["main"]


def main() -> None:
    """Answer tasks until standard input ends."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is the parent's to handle
    answers = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(2, 1)  # what wasmtime prints is no answer
    tasks: queue.SimpleQueue[str] = queue.SimpleQueue()
    threading.Thread(target=_receive, args=(tasks,), daemon=True).start()
    while True:
        answer = _answer(json.loads(tasks.get()))
        answers.write(json.dumps(answer) + "\n")
        answers.flush()


def _receive(tasks: queue.SimpleQueue[str]) -> None:
    """Take the parent's lines; without a parent there is nobody to compile for."""
    for line in sys.stdin:
        tasks.put(line)
    os._exit(0)


def _answer(task: dict[str, Any]) -> dict[str, str]:
    """Do one task.

    Returns:
        `written`: the path of the entry, and `problem`: why that is not where it was to be; or
        `error`: why there is none.
    """
    started = time.perf_counter()
    try:
        with open(task["wasm"], "rb") as file:
            wasm = file.read()
    except OSError as error:
        return {"error": f"cannot be read: {error.strerror or error}"}
    if hashlib.sha256(wasm).hexdigest() != task["sha256"]:
        return {"error": "has changed while it was being built; build again"}
    data: bytes | bytearray = wasm
    name = "asset.wasm"
    if task["compile"] is not None:
        wasmtime = _import_wasmtime()
        name = "artifact.cwasm"
        try:
            data = _compile(wasm, **task["compile"])
        except (wasmtime.WasmtimeError, ValueError) as error:
            return {"error": str(error).partition("Stack backtrace:")[0]}
    seconds = time.perf_counter() - started
    write = partial(
        _write, key=task["key"], inputs=task["inputs"], name=name, data=data, seconds=seconds
    )
    problem = ""
    if task["out"] is not None:
        try:
            with open(task["out"], "r+b") as out:
                write(out)
        except OSError as error:
            problem = error.strerror or str(error)
        else:
            return {"written": task["out"]}
    try:
        descriptor, path = tempfile.mkstemp(".zip", "wazcache-")
        try:
            with open(descriptor, "r+b") as out:
                write(out)
        except OSError:
            os.unlink(path)
            raise
    except OSError as error:
        return {"error": f"its entry cannot be written: {error.strerror or error}"}
    return {"written": path, "problem": problem}


def _write(out: IO[bytes], **entry: Any) -> None:
    """Write an entry, so that it is there after a power cut too."""
    write_entry(out, **entry)
    out.flush()
    os.fsync(out.fileno())


def _import_wasmtime() -> Any:
    """Import the wasmtime that the key speaks of.

    Another may come first on the path without being installed, as a folder of this name in the
    project or on PYTHONPATH: what that one compiles must never be published under this key.
    """
    from hatch_wazcache.engine import installed_engine

    package = installed_engine().library.parent.parent
    sys.path.insert(0, str(package.parent))
    try:
        import wasmtime
    finally:
        del sys.path[0]
    if not os.path.samefile(os.path.dirname(wasmtime.__file__), package):
        raise ImportError(f"wasmtime is imported from {wasmtime.__file__}, not from {package}")
    return wasmtime


def _compile(
    wasm: bytes,
    *,
    kind: str,
    triple: str | None,
    cpu_flags: list[str],
    settings: dict[str, Any],
    parallel: bool,
) -> bytearray:
    """Compile with the arguments of `make_config`.

    Raises:
        ValueError: this wasmtime does not know a setting, or components.
        wasmtime.WasmtimeError: it refuses the asset or the triple.
    """
    import wasmtime

    from hatch_wazcache.engine import make_config

    engine = wasmtime.Engine(make_config(triple, cpu_flags, settings, parallel=parallel))
    if kind == "module":
        return wasmtime.Module(engine, wasm).serialize()
    try:
        from wasmtime import component
    except ImportError:
        raise ValueError("components need wasmtime 39 or later") from None
    return component.Component(engine, wasm).serialize()
