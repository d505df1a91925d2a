"""The child process: does one task after the other; each makes one entry from one asset.

The parent starts it by exec, with its own `sys.path`. The child reads a line of JSON for each task
from standard input and answers with a line. A line may also name a wasmtime to import before the
first task is known. The child ends when the parent ends. Only the child imports wasmtime.
"""

from __future__ import annotations

import io
import json
import os
import queue
import signal
import sys
import threading
import time
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any

from hatch_wazcache.cache.entry import write_entry
from hatch_wazcache.compile.compilers import (
    CompileError,
    WasmtimeCli,
    compile_with_wasmtime_cli,
    compile_with_wasmtime_py,
    import_wasmtime,
)
from hatch_wazcache.errors import WazcacheError
from hatch_wazcache.formats.artifact import BrokenArtifactError, read_artifact
from hatch_wazcache.formats.strip import without_sections
from hatch_wazcache.formats.wasm import read_again
from hatch_wazcache.util import temporary_files
from hatch_wazcache.util.windows_job import end_children_with_this_process

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["do_task", "main"]

_WORTH_A_SYNC = 0.1
"""Seconds. An entry that took longer to make is synced to the disk."""

_written_aside: dict[Path, IO[bytes]] = {}
"""The entries outside the cache that the parent has not taken yet, open and locked."""


def main() -> None:
    """Answer tasks until standard input ends."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the parent handles Ctrl-C
    end_children_with_this_process()  # the wasmtime CLI, if this process is killed
    # The folder of a fetched wasmtime may hold nothing that its RECORD does not list.
    sys.dont_write_bytecode = True
    answers = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(2, 1)  # keeps wasmtime's own output out of the answers
    tasks: queue.SimpleQueue[str] = queue.SimpleQueue()
    threading.Thread(target=_receive, args=(tasks,), daemon=True).start()
    while True:
        request = json.loads(tasks.get())
        if "import" in request:
            with suppress(ImportError, OSError):  # the task will report it
                import_wasmtime(request["import"])
            continue
        answer = do_task(request)
        answers.write(json.dumps(answer) + "\n")
        answers.flush()


def _receive(tasks: queue.SimpleQueue[str]) -> None:
    """Read the parent's lines, and end this process when the parent has ended."""
    try:
        for line in sys.stdin:
            if line.endswith("\n"):  # not the half of a line from a parent that was killed
                tasks.put(line)
    finally:  # also if Windows reports the end of the parent as an error
        _end_this_process()


def _end_this_process() -> None:
    if sys.platform == "win32":
        # `os._exit` may wait for a lock that the main thread has while it loads wasmtime.
        with suppress(OSError):
            os.kill(os.getpid(), signal.SIGTERM)
        os._exit(1)
    else:
        # With the wasmtime CLI, if it runs. The group has no other process.
        os.killpg(0, signal.SIGKILL)


def do_task(task: dict[str, Any]) -> dict[str, str]:
    """Do one task.

    Returns:
        Either `written`, the path of the entry, with `problem`, which says why this is not the
        file that the task names; or `error`, which says why there is no entry.
    """
    started = time.perf_counter()
    try:
        wasm = without_sections(read_again(task["wasm"], task["sha256"]), task["strip"])
        compile_ = task["compile"]
        name = "asset.wasm" if compile_ is None else "artifact.cwasm"
        data = wasm if compile_ is None else _compile(wasm, **compile_)
    except (CompileError, WazcacheError) as error:
        return {"error": _one_line(str(error))}
    seconds = time.perf_counter() - started
    write = partial(
        _write, key=task["key"], inputs=task["inputs"], name=name, data=data, seconds=seconds
    )
    problem = ""
    if task["out"] is not None:
        try:
            with open(task["out"], "r+b") as out:
                out.truncate()  # a child that was killed may have begun it
                write(out)
        except OSError as error:
            problem = error.strerror or str(error)
        else:
            return {"written": task["out"]}
    try:
        path = _write_aside(write)
    except OSError as error:
        return {"error": f"its entry cannot be written: {error.strerror or error}"}
    return {"written": str(path), "problem": problem}


def _write_aside(write: Callable[[IO[bytes]], None]) -> Path:
    """Write an entry that the cache cannot store into a temporary file of the system.

    It stays open in this process, so that no sweep removes it before the parent has moved it.
    """
    import tempfile  # only needed if the cache cannot be written

    for path in list(_written_aside):  # other threads may do the same now
        if not path.exists() and (moved := _written_aside.pop(path, None)) is not None:
            moved.close()
    path, out = temporary_files.create(Path(tempfile.gettempdir()))
    try:
        write(out)
    except OSError:
        out.close()
        path.unlink()
        raise
    if sys.platform == "win32":
        out.close()  # the parent could not move it
    else:
        _written_aside[path] = out
    return path


def _one_line(text: str) -> str:
    lines = (line.strip() for line in text.splitlines())
    return "; ".join(line for line in lines if line not in ("", "Caused by:"))


def _write(out: IO[bytes], seconds: float, **entry: Any) -> None:
    """Write an entry, and sync it to the disk if it took long to make.

    A torn entry is detected by its digests and made again, usually faster than an fsync.
    """
    write_entry(out, seconds=seconds, **entry)
    out.flush()
    if seconds > _WORTH_A_SYNC:
        os.fsync(out.fileno())


def _compile(
    wasm: bytes,
    wasmtime_cli: dict[str, Any] | None,
    kind: str,
    package: str,
    engine: str,
    triple: str | None,
    **config: Any,
) -> bytes | bytearray:
    """Compile with the wasmtime CLI if the task names it, else with wasmtime-py.

    Raises:
        CompileError: the compiler fails, or the CLI has written something else.
    """
    if wasmtime_cli is None:
        return compile_with_wasmtime_py(wasm, kind, package, triple=triple, **config)
    cli = WasmtimeCli(**wasmtime_cli)
    artifact = compile_with_wasmtime_cli(wasm, cli, triple=triple, **config)
    try:
        header = read_artifact(io.BytesIO(artifact), len(artifact))
    except BrokenArtifactError as error:
        raise CompileError(f"{cli.path} has not written an artifact: {error}") from error
    expected = kind, triple or header.triple
    if (header.kind, header.triple) != expected or not header.made_by(engine):
        raise CompileError(
            f"{cli.path} has written a {header.kind} for {header.triple} and wasmtime "
            f"{header.version} instead of a {kind} for {expected[1]} and wasmtime {engine}"
        )
    return artifact
