"""A task and its outcome: a job on its way through a child process."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from hatch_wazcache.cache.key import ArtifactKey

if TYPE_CHECKING:
    from pathlib import Path

    from hatch_wazcache.compile.compilers import WasmtimeCli
    from hatch_wazcache.compile.job import Job

__all__ = ["Outcome", "StillRunning", "Task"]


@dataclass(frozen=True)
class Task:
    """A job, with the details of how a child process does it."""

    job: Job
    out: Path | None
    """The file for the entry. Without it, or if writing fails, the child makes a temporary file."""
    wasmtime_cli: WasmtimeCli | None = None
    """The wasmtime CLI to compile with; None for wasmtime-py."""
    parallel: bool = False
    """Whether to compile on several threads, which makes the same bytes."""

    def request(self) -> str:
        """Return the line of JSON that tells the child what to do."""
        key, wasm = self.job.key, self.job.wasm
        compile_ = None
        strip: tuple[str, ...] = ()
        if isinstance(key, ArtifactKey):
            strip = key.strip
            compile_ = {
                "kind": wasm.kind,
                "package": str(self.job.package),
                "triple": key.compiler_triple,
                "cpu_flags": list(key.cpu_flags),
                "settings": dict(key.settings),
                "parallel": self.parallel,
                "wasmtime_cli": None if self.wasmtime_cli is None else self.wasmtime_cli._asdict(),
                "engine": key.engine,
            }
        request: dict[str, Any] = {
            "wasm": str(self.job.path),
            "sha256": wasm.sha256,
            "strip": strip,
            "compile": compile_,
            "key": key.digest,
            "inputs": key.inputs(),
            "out": None if self.out is None else str(self.out),
        }
        return json.dumps(request) + "\n"


@dataclass(frozen=True)
class Outcome:
    """The end of a task."""

    task: Task
    seconds: float
    written: Path | None = None
    """The file with the entry; None if the task failed."""
    problem: str = ""
    """Why the entry is not in the file that the task names."""
    error: str = ""
    """Why the task failed, as the end of a sentence that begins with the asset."""


@dataclass(frozen=True)
class StillRunning:
    """A sign of life from a task that runs for a long time."""

    task: Task
    seconds: float
    """How long the task has run."""
