"""The parent: which task runs when, in which child, for how long, and what became of it."""

from __future__ import annotations

import json
import os
import queue
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections import deque
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from hatch_wazcache.cache.key import ArtifactKey
from hatch_wazcache.compile.memory import free_memory, job_memory, usable_cores
from hatch_wazcache.engine.installed import installed_wasmtime
from hatch_wazcache.errors import WazcacheError

if TYPE_CHECKING:
    from collections.abc import Callable

    from hatch_wazcache.compile.compilers import WasmtimeCli
    from hatch_wazcache.compile.job import Job

__all__ = ["Outcome", "Pool", "Task", "clean_environment", "import_path", "kill_tree"]

_BOOT = """\
import json, sys
sys.path[:] = json.loads(sys.argv[1])
from hatch_wazcache.compile.worker import main
main()
"""

_SMALL = 1 << 15
"""Bytes of code up to which a compiler takes no longer than we do to hand it the next task."""

_AHEAD = 3
"""Small tasks that a child is sent while it is at another small one, so that it never waits."""

_AHEAD_IN_ALL = 32
"""Tasks that all children are sent ahead; each has two files open, and macOS allows 256."""

_RETIRE_AFTER = 512 * 10**6
"""Bytes that a compiler took, after which its process is not used again."""

_SIGKILL = 9  # not in Windows' signal module

_SIGN_OF_LIFE = 10.0
"""Seconds between two words about a task that goes on."""


@dataclass(frozen=True)
class Task:
    """A job with a place to write its entry to."""

    job: Job
    out: Path | None
    """Where to write; where that cannot be, it is a temporary file of the system's."""
    program: WasmtimeCli | None = None
    """The `wasmtime` program that is to compile; without, wasmtime-py does."""
    parallel: bool = False
    """Whether it is compiled on several threads; the bytes are the same."""

    def request(self, package: str) -> str:
        """Return the line that the worker is sent.

        Args:
            package: the folder of the wasmtime that is installed.
        """
        key, wasm = self.job.key, self.job.wasm
        compile_ = None
        strip: tuple[str, ...] = ()
        if isinstance(key, ArtifactKey):
            strip = key.strip
            compile_ = {
                "kind": wasm.kind,
                "package": package,
                "triple": key.compiler_triple,
                "cpu_flags": list(key.cpu_flags),
                "settings": dict(key.settings),
                "parallel": self.parallel,
                "program": None if self.program is None else self.program._asdict(),
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
    """What became of a task."""

    task: Task
    seconds: float
    written: Path | None = None
    problem: str = ""
    """Why it was not written where it was to be."""
    error: str = ""
    """Why nothing was written, as the end of a sentence that begins with the asset."""


class _Worker:
    """A child process, with the thread that waits for its answers."""

    def __init__(self, outcomes: queue.SimpleQueue[tuple[_Worker, str | None]]) -> None:
        self.errors = tempfile.TemporaryFile()  # noqa: SIM115
        self.process = subprocess.Popen(
            [sys.executable, "-I", "-S", "-X", "utf8", "-c", _BOOT, json.dumps(import_path())],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self.errors,
            encoding="utf-8",
            env=clean_environment(),
            start_new_session=True,  # so that it can be killed with the program that it runs
        )
        self.started = 0.0
        self.spoken = 0.0
        self.timed_out = False
        try:
            threading.Thread(target=self._listen, args=(outcomes,), daemon=True).start()
        except RuntimeError:
            self.end()
            raise

    def _listen(self, outcomes: queue.SimpleQueue[tuple[_Worker, str | None]]) -> None:
        assert self.process.stdout is not None
        with self.process.stdout as lines:
            for line in lines:
                outcomes.put((self, line))
        outcomes.put((self, None))

    def begin(self) -> None:
        """Note that a task begins now."""
        self.started = self.spoken = time.monotonic()

    def send(self, request: str) -> None:
        assert self.process.stdin is not None
        with suppress(OSError):  # it is dead, and its end of file will say so
            self.process.stdin.write(request)
            self.process.stdin.flush()

    def last_words(self) -> str:
        """Return the end of what the process said before it died."""
        self.errors.seek(max(self.errors.seek(0, 2) - 2000, 0))
        lines = self.errors.read().decode(errors="replace").splitlines()
        said = [line.strip() for line in lines if line.strip() and "RUST_BACKTRACE" not in line]
        return "; ".join(said[-3:])

    def end(self) -> None:
        """Kill the process, whatever it is doing, and the program that it runs."""
        if sys.platform != "win32" or self.process.poll() is None:
            kill_tree(self.process)  # the program lives on where the process alone was killed
        self.process.wait()
        assert self.process.stdin is not None
        with suppress(OSError):  # what it was still to be sent
            self.process.stdin.close()
        self.errors.close()


class Pool:
    """Child processes that compile, as many at a time as cores and memory allow."""

    def __init__(self, timeout: float, alive: Callable[[Task, float], None]) -> None:
        """Make a pool; processes start with the tasks.

        Args:
            timeout: seconds that one task may take.
            alive: is told every 10 seconds that a task goes on, and for how many seconds by now.
        """
        self._timeout = timeout
        self._alive = alive
        self._cores = usable_cores()
        self._memory = free_memory()
        self._package = str(installed_wasmtime().package)
        self._answers: queue.SimpleQueue[tuple[_Worker, str | None]] = queue.SimpleQueue()
        self._busy: dict[_Worker, deque[Task]] = {}
        """What each was sent: the first it is at, the others are small and wait there."""
        self._idle: list[_Worker] = []
        self._again: list[Task] = []
        """Killed beside others, or left by a child that died; each is tried once more, alone."""
        self._alone: Task | None = None

    def close(self) -> None:
        """End every child."""
        for worker in (*self._busy, *self._idle):
            worker.end()
        self._busy, self._idle = {}, []

    @property
    def is_full(self) -> bool:
        """Whether no job can start now, however small."""
        if self._again or self._alone:
            return True
        return len(self._busy) >= self._cores and self._ahead() is None

    def has_room(self, job: Job) -> bool:
        """Say whether a job can be started now, or sent to a child that is soon done."""
        if self.is_full:
            return False
        if len(self._busy) >= self._cores:
            return _is_small(job)
        taken = sum(job_memory(tasks[0].job) for tasks in self._busy.values())
        return not self._busy or taken + job_memory(job) <= self._memory

    def _ahead(self) -> _Worker | None:
        """Return the child that a small task can be sent to ahead of time, if there is one."""
        if sum(map(len, self._busy.values())) - len(self._busy) >= _AHEAD_IN_ALL:
            return None
        fit = [w for w, tasks in self._busy.items() if _is_small(tasks[0].job)]
        worker = min(fit, key=lambda worker: len(self._busy[worker]), default=None)
        return worker if worker is not None and len(self._busy[worker]) <= _AHEAD else None

    @property
    def busy(self) -> bool:
        """Whether `wait` has an outcome to wait for."""
        return bool(self._busy or self._again)

    def start(self, task: Task) -> None:
        """Give the task to a child.

        Raises:
            WazcacheError: the system lets no child be started.
        """
        worker = self._ahead() if len(self._busy) >= self._cores else None
        if worker is None:
            try:
                worker = self._idle.pop() if self._idle else _Worker(self._answers)
            except (OSError, RuntimeError) as error:  # no more processes, files or threads
                raise WazcacheError(
                    f"{task.job.label}: no compiler can be started: {error}; see `ulimit -a`"
                ) from error
            self._busy[worker] = deque()
            worker.begin()
        self._busy[worker].append(task)
        worker.send(task.request(self._package))

    def wait(self, seconds: float) -> Outcome | None:
        """Wait for the next outcome; None if there is none within so many seconds."""
        until = time.monotonic() + seconds
        while True:
            if self._again and not self._busy:
                self._alone = self._again.pop()
                self.start(self._alone)
            now = time.monotonic()
            if now >= until:
                return None
            due = min((self._look_after(worker, now) for worker in self._busy), default=until)
            try:
                worker, line = self._answers.get(timeout=max(min(due, until) - now, 0.001))
            except queue.Empty:
                continue
            outcome = self._outcome(worker, line)
            if outcome is not None:
                return outcome

    def _look_after(self, worker: _Worker, now: float) -> float:
        """Kill a task that takes too long, tell of one that goes on; return when to look again."""
        if worker.timed_out:
            return now + self._timeout
        if now >= worker.started + self._timeout:
            worker.timed_out = True
            kill_tree(worker.process)
            return now + self._timeout
        if now >= worker.spoken + _SIGN_OF_LIFE:
            worker.spoken = now
            self._alive(self._busy[worker][0], now - worker.started)
        return min(worker.spoken + _SIGN_OF_LIFE, worker.started + self._timeout)

    def _outcome(self, worker: _Worker, line: str | None) -> Outcome | None:
        """Turn a worker's line, or its end, into what became of its task."""
        tasks = self._busy.pop(worker, None)
        if tasks is None:  # an idle one ended
            if worker in self._idle:
                self._idle.remove(worker)
                worker.end()
            return None
        task = tasks.popleft()
        seconds = time.monotonic() - worker.started
        if line is not None:
            if worker.timed_out or job_memory(task.job) > _RETIRE_AFTER:
                worker.end()
                self._again += tasks
            elif tasks:
                self._busy[worker] = tasks
                worker.begin()
            else:
                self._idle.append(worker)
            self._alone = None
            answer = json.loads(line)
            if "error" in answer:
                return Outcome(task, seconds, error=answer["error"])
            written = Path(answer["written"])
            return Outcome(task, seconds, written, answer.get("problem", ""))
        self._again += tasks
        error = self._death(worker, task.job)
        if error is None:
            self._again.append(task)
            return None
        self._alone = None
        return Outcome(task, seconds, error=error)

    def _death(self, worker: _Worker, job: Job) -> str | None:
        """Say why a job's child has died; None if the job is to be tried once more, alone."""
        status = worker.process.wait()
        words = worker.last_words()
        worker.end()
        if worker.timed_out:
            return f"not done after {self._timeout:g} s (option timeout, or WAZCACHE_TIMEOUT)"
        if status == -_SIGKILL:
            if self._alone is None and (self._busy or self._again):
                return None
            expected, free = job_memory(job) / 1e9, free_memory() / 1e9
            return (
                "the compiler was killed by SIGKILL: out of memory? "
                f"About {expected:.1f} GB were expected, {free:.1f} GB are free"
            )
        if status < 0:
            return f"the compiler died by {_signal_name(-status)}: {words}"
        return f"the compiler ended with status {status}: {words}"


def _is_small(job: Job) -> bool:
    return job.wasm.code_size <= _SMALL and job.wasm.size <= _SMALL


def import_path() -> list[str]:
    """Return where this process imports from, for a child that may be in another folder."""
    return [os.getcwd() if entry == "" else entry for entry in sys.path]


def kill_tree(process: subprocess.Popen[Any]) -> None:
    """Kill a process that was started in a session of its own, and what it has started."""
    if sys.platform == "win32":
        words = ["taskkill", "/F", "/T", "/PID", str(process.pid)]
        subprocess.run(words, check=False, capture_output=True)
        process.kill()
    else:
        with suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)


def clean_environment() -> dict[str, str]:
    """Return the environment without what changes an artifact or a compiler's output."""
    return {
        name: value
        for name, value in os.environ.items()
        if not name.upper().startswith(("WASMTIME_", "RUST_"))
    }


def _signal_name(number: int) -> str:
    try:
        return signal.Signals(number).name
    except ValueError:
        return f"signal {number}"
