"""A task and its outcome: a job on its way through a child process."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from hatch_wazcache.cache.key import ArtifactKey

if TYPE_CHECKING:
    from collections.abc import Mapping

    from typing_extensions import Self

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

    def request(self) -> dict[str, Any]:
        """Return what tells the child what to do, for JSON."""
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
        return {
            "wasm": str(self.job.path),
            "sha256": wasm.sha256,
            "strip": strip,
            "compile": compile_,
            "key": key.digest,
            "inputs": key.inputs(),
            "out": None if self.out is None else str(self.out),
        }


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

    @classmethod
    def of(cls, task: Task, seconds: float, answer: Mapping[str, str]) -> Self:
        """Return the outcome that a child's answer tells."""
        if "error" in answer:
            return cls(task, seconds, error=answer["error"])
        return cls(task, seconds, Path(answer["written"]), answer.get("problem", ""))


@dataclass(frozen=True)
class StillRunning:
    """A sign of life from a task that runs for a long time."""

    task: Task
    seconds: float
    """How long the task has run."""
