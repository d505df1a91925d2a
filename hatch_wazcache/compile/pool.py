"""Decides which task runs when, in which child process and for how long."""

from __future__ import annotations

import json
import queue
import signal
import time
from collections import deque
from contextlib import suppress
from typing import TYPE_CHECKING

from hatch_wazcache.compile.memory import free_memory, job_memory, usable_cores
from hatch_wazcache.compile.task import Outcome, StillRunning, Task
from hatch_wazcache.compile.worker_process import WorkerProcess
from hatch_wazcache.compile.worker_thread import WorkerThread
from hatch_wazcache.errors import WazcacheError
from hatch_wazcache.util.child_process import python_executable

if TYPE_CHECKING:
    from pathlib import Path

    from hatch_wazcache.compile.job import Job

__all__ = ["Pool", "Worker", "is_small"]

Worker = WorkerProcess | WorkerThread

_SMALL = 1 << 15
"""Bytes of code."""

_AHEAD = 3
"""The small tasks that may wait in a child while it does another one, so that it never idles."""

_AHEAD_IN_ALL = 32
"""The tasks that may wait in all children. Each has two open files, and macOS allows 256."""

_RETIRE_AFTER = 512 * 10**6
"""Bytes of memory for one task after which a child process is not used again."""

_SIGKILL = 9  # Windows' signal module lacks it

_SIGN_OF_LIFE = 10.0
"""Seconds between two signs of life of one task."""


class Pool:
    """Child processes that compile, as many at a time as cores and memory allow."""

    def __init__(self, timeout: float) -> None:
        """Make a pool; processes start with the tasks.

        Args:
            timeout: seconds that one task may need.
        """
        self._timeout = timeout
        self._cores = usable_cores()
        self._memory = free_memory()
        self._answers: queue.SimpleQueue[tuple[Worker, str | None]] = queue.SimpleQueue()
        self._busy: dict[Worker, deque[Task]] = {}
        """The tasks that each child was sent: the first runs, the others are small and wait."""
        self._idle: list[Worker] = []
        self._retries: list[Task] = []
        """Tasks to try once more, alone: killed beside others, waiting in a child that died, or
        without a child, because the system allows no more."""
        self._alone: Task | None = None

    def prepare(self, package: Path) -> None:
        """Start a child for the first task, which is not known yet.

        Args:
            package: the folder of the wasmtime that the child imports meanwhile.
        """
        python = python_executable()
        with suppress(OSError, RuntimeError):  # `start` will report it
            if python is not None:
                worker = WorkerProcess(python, self._answers)
                worker.package = package
                worker.send({"import": str(package)})
                self._idle.append(worker)

    def close(self) -> None:
        """End every child."""
        for worker in (*self._busy, *self._idle):
            worker.end()
        self._busy, self._idle = {}, []

    @property
    def is_full(self) -> bool:
        """Whether not even a small job can start now."""
        if self._retries or self._alone:
            return True
        return len(self._busy) >= self._cores and self._ahead(None) is None

    def has_room(self, job: Job) -> bool:
        """Say whether a job can start now, or can wait in a child that is ready soon."""
        if self.is_full:
            return False
        if len(self._busy) >= self._cores:
            return is_small(job) and self._ahead(job.package) is not None
        used = sum(job_memory(tasks[0].job) for tasks in self._busy.values())
        return not self._busy or used + job_memory(job) <= self._memory

    def _ahead(self, package: Path | None) -> Worker | None:
        """Return the busy child that a small task can be sent to, if there is one.

        Args:
            package: the folder of the wasmtime that the task imports; None if it imports none.
        """
        if sum(map(len, self._busy.values())) - len(self._busy) >= _AHEAD_IN_ALL:
            return None
        fit = [
            worker
            for worker, tasks in self._busy.items()
            if is_small(tasks[0].job) and _can_import(worker, package)
        ]
        worker = min(fit, key=lambda worker: len(self._busy[worker]), default=None)
        return worker if worker is not None and len(self._busy[worker]) <= _AHEAD else None

    @property
    def busy(self) -> bool:
        """Whether `wait` has an outcome to wait for."""
        return bool(self._busy or self._retries)

    def start(self, task: Task) -> None:
        """Give the task to a child; later, if the system allows no more children than there are.

        Raises:
            WazcacheError: the system allows none.
        """
        package = task.job.package
        worker = self._ahead(package) if len(self._busy) >= self._cores else None
        if worker is None:
            try:
                worker = self._idle_worker(package) or self._new_worker()
            except (OSError, RuntimeError) as error:  # no more processes, files or threads
                if self._busy:  # go on with those that there are
                    self._cores = len(self._busy)
                    self._retries.append(task)
                    return
                raise WazcacheError(
                    f"{task.job.label}: no compiler can be started: {error}; see `ulimit -a`"
                ) from error
            self._busy[worker] = deque()
            worker.begin()
        self._busy[worker].append(task)
        worker.package = worker.package or package
        worker.send(task.request())

    def _idle_worker(self, package: Path | None) -> Worker | None:
        """Take an idle child. If each has imported another wasmtime, end one to make room."""
        if not self._idle:
            return None
        worker = next((one for one in self._idle if _can_import(one, package)), None)
        if worker is None:
            self._idle.pop(0).end()
        else:
            self._idle.remove(worker)
        return worker

    def _new_worker(self) -> Worker:
        python = python_executable()
        return WorkerProcess(python, self._answers) if python else WorkerThread(self._answers)

    def wait(self, seconds: float) -> Outcome | StillRunning | None:
        """Wait for the next outcome or sign of life; None after this many seconds without one."""
        until = time.monotonic() + seconds
        while True:
            if self._retries and not self._busy:
                self._alone = self._retries.pop()
                self.start(self._alone)
            now = time.monotonic()
            if now >= until:
                return None
            self._kill_late_tasks(now)
            for worker, tasks in self._busy.items():
                if now >= worker.last_sign_of_life + _SIGN_OF_LIFE and not worker.timed_out:
                    worker.last_sign_of_life = now
                    return StillRunning(tasks[0], now - worker.started)
            due = min(map(self._next_look, self._busy), default=until)
            try:
                worker, line = self._answers.get(timeout=max(min(due, until) - now, 0.001))
            except queue.Empty:
                continue
            outcome = self._outcome(worker, line)
            if outcome is not None:
                return outcome

    def _kill_late_tasks(self, now: float) -> None:
        for worker in self._busy:
            if now >= worker.started + self._timeout and not worker.timed_out:
                worker.time_out()

    def _next_look(self, worker: Worker) -> float:
        """Return the time of the next report or kill of a child's task; infinity after a kill."""
        if worker.timed_out:
            return float("inf")
        return min(worker.last_sign_of_life + _SIGN_OF_LIFE, worker.started + self._timeout)

    def _outcome(self, worker: Worker, line: str | None) -> Outcome | None:
        """Turn a child's answer, or its end, into the outcome of its task."""
        tasks = self._busy.pop(worker, None)
        if tasks is None:  # an idle child has ended
            if worker in self._idle:
                self._idle.remove(worker)
                worker.end()
            return None
        task = tasks.popleft()
        seconds = time.monotonic() - worker.started
        if line is None:
            self._retries += tasks
            return self._outcome_of_death(worker, task, seconds)
        if worker.timed_out or job_memory(task.job) > _RETIRE_AFTER:
            worker.end()
            self._retries += tasks
        elif tasks:
            self._busy[worker] = tasks
            worker.begin()
        else:
            self._idle.append(worker)
        self._alone = None
        return Outcome.of(task, seconds, json.loads(line))

    def _outcome_of_death(self, worker: Worker, task: Task, seconds: float) -> Outcome | None:
        """Say why a task's child has died; None if the task will be tried again, alone."""
        status = worker.wait()
        errors = worker.last_errors()
        worker.end()
        if worker.timed_out:
            error = (
                f"not finished after {self._timeout:g} s; to allow more time, set the option "
                "timeout or WAZCACHE_TIMEOUT"
            )
        elif status == -_SIGKILL:
            if self._alone is None and (self._busy or self._retries):
                self._retries.append(task)
                return None
            expected, free = job_memory(task.job) / 1e9, free_memory() / 1e9
            error = (
                "the compiler was killed by SIGKILL, probably because memory ran out: it may need "
                f"about {expected:.1f} GB, and {free:.1f} GB are free"
            )
        elif status < 0:
            error = f"the compiler died by {_signal_name(-status)}: {errors}"
        else:
            error = f"the compiler ended with status {status}: {errors}"
        self._alone = None
        return Outcome(task, seconds, error=error)


def _can_import(worker: Worker, package: Path | None) -> bool:
    """Say whether a child can import a wasmtime: it can import one only."""
    return package is None or worker.package in (None, package)


def is_small(job: Job) -> bool:
    """Say whether a compiler finishes a job before the parent can send the next one."""
    return job.wasm.code_size <= _SMALL and job.wasm.size <= _SMALL


def _signal_name(number: int) -> str:
    try:
        return signal.Signals(number).name
    except ValueError:
        return f"signal {number}"
