"""The child: one task after the other, each one asset made into one entry.

Started by exec with the parent's `sys.path`; reads tasks from standard input, a line of JSON each,
and answers each with a line. It ends when the parent does. Only here is wasmtime imported.
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
from functools import partial
from typing import IO, Any

from hatch_wazcache.cache.entry import write_entry
from hatch_wazcache.compile.compilers import (
    CompileError,
    WasmtimeCli,
    by_wasmtime_cli,
    by_wasmtime_py,
)
from hatch_wazcache.errors import WazcacheError
from hatch_wazcache.formats.artifact import BrokenArtifactError, read_artifact
from hatch_wazcache.formats.wasm import read_again, without_sections

__all__ = ["main"]

_WORTH_A_SYNC = 0.1
"""Seconds."""


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
    if sys.platform != "win32":
        os.killpg(0, signal.SIGKILL)  # with the program, if one runs; the group is ours
    os._exit(0)


def _answer(task: dict[str, Any]) -> dict[str, str]:
    """Do one task.

    Returns:
        `written`: the path of the entry, and `problem`: why that is not where it was to be; or
        `error`: why there is none.
    """
    started = time.perf_counter()
    try:
        wasm = without_sections(read_again(task["wasm"], task["sha256"]), task["strip"])
        how = task["compile"]
        name = "asset.wasm" if how is None else "artifact.cwasm"
        data = wasm if how is None else _compile(wasm, **how)
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
                out.truncate()  # somebody who was killed may have begun it
                write(out)
        except OSError as error:
            problem = error.strerror or str(error)
        else:
            return {"written": task["out"]}
    import tempfile  # for what the cache does not take

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


def _one_line(text: str) -> str:
    lines = (line.strip() for line in text.splitlines())
    return "; ".join(line for line in lines if line not in ("", "Caused by:"))


def _write(out: IO[bytes], seconds: float, **entry: Any) -> None:
    """Write an entry; if it took long to make, so that it is there after a power cut too.

    One that is torn its digests tell, and it is made again, mostly sooner than a disk has synced.
    """
    write_entry(out, seconds=seconds, **entry)
    out.flush()
    if seconds > _WORTH_A_SYNC:
        os.fsync(out.fileno())


def _compile(
    wasm: bytes,
    program: dict[str, Any] | None,
    kind: str,
    package: str,
    engine: str,
    triple: str | None,
    **how: Any,
) -> bytes | bytearray:
    """Compile by the program, if one is given; what that has written is looked at.

    Raises:
        CompileError: it cannot be compiled.
    """
    if program is None:
        return by_wasmtime_py(wasm, kind, package, triple=triple, **how)
    path = program["path"]
    artifact = by_wasmtime_cli(wasm, WasmtimeCli(**program), triple=triple, **how)
    try:
        about = read_artifact(io.BytesIO(artifact), len(artifact))
    except BrokenArtifactError as error:
        raise CompileError(f"{path} has not written an artifact: {error}") from error
    asked = kind, triple or about.triple
    if (about.kind, about.triple) != asked or not about.made_by(engine):
        raise CompileError(
            f"{path} has written a {about.kind} for {about.triple} and wasmtime "
            f"{about.version}, asked for a {kind} for {asked[1]} and wasmtime {engine}"
        )
    return artifact
