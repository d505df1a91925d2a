"""Turns misses into entries: locks their keys, has them compiled, publishes what comes out."""

from __future__ import annotations

from typing import TYPE_CHECKING

from hatch_wazcache.cache.entry import BrokenEntryError, Entry
from hatch_wazcache.cache.key import ArtifactKey
from hatch_wazcache.compile.compilers import WasmtimeCli, sweep_wasmtime_cli_files
from hatch_wazcache.compile.memory import job_memory, usable_cores
from hatch_wazcache.compile.pool import Outcome, Pool, Task
from hatch_wazcache.engine.settings import with_settings
from hatch_wazcache.errors import WazcacheError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from contextlib import ExitStack

    from hatch_wazcache.cache.directory import CacheDirectory
    from hatch_wazcache.cache.drafts import Draft
    from hatch_wazcache.compile.job import Job
    from hatch_wazcache.report import Report

__all__ = ["make_entries"]

_POLL = 0.1
"""Seconds after which a key that another process holds is tried again."""

_PARALLEL_FROM = 1 << 18
"""Bytes of code from which one module is worth several threads."""

_LONG = 3600.0
"""Seconds to wait for an outcome where there is nothing else to do; then again."""


def make_entries(
    jobs: Iterable[Job],
    cache: CacheDirectory,
    timeout: float,
    report: Report,
    found: Callable[[Job, Entry], None],
    made: Callable[[Job, Entry], None],
    *,
    program: WasmtimeCli | None = None,
    again: bool = False,
) -> None:
    """Make the entries of jobs that the cache does not have; their keys must differ.

    A job that another process is at is waited for. The others go on after one has failed, so
    that all failures are told at once and nothing is compiled twice.

    Args:
        jobs: what to make.
        cache: where to publish.
        timeout: seconds that one job may take.
        report: is told what begins, goes on and ends.
        found: is told what another process has made meanwhile.
        made: is told what is made here, of which the cache may keep nothing.
        program: the `wasmtime` program, for jobs that take it.
        again: make them whatever the cache says: what it has is broken.

    Raises:
        WazcacheError: jobs have failed; a line for each.
    """
    misses = _Scheduler(cache, timeout, report, found, made, program, again=again)
    try:
        misses.run(sorted(jobs, key=job_memory, reverse=True))
    finally:
        misses.close()
    if misses.failures:
        raise WazcacheError("\n".join(sorted(misses.failures)))


class _Scheduler:
    """The jobs under way: each with the lock of its key and the draft of its entry."""

    def __init__(
        self,
        cache: CacheDirectory,
        timeout: float,
        report: Report,
        found: Callable[[Job, Entry], None],
        made: Callable[[Job, Entry], None],
        program: WasmtimeCli | None,
        *,
        again: bool,
    ) -> None:
        self._cache = cache
        self._report = report
        self._found = found
        self._made = made
        self._program = program
        self._again = again
        self._pool = Pool(timeout, self._alive)
        self._running: dict[str, tuple[Job, ExitStack, Draft | None]] = {}
        self._awaited: set[str] = set()
        self._code = 0
        """Bytes of code that are still to be compiled, or are being compiled."""
        self.failures: list[str] = []

    def close(self) -> None:
        """End what is still under way, and leave nothing of it."""
        self._pool.close()
        for _job, lock, draft in self._running.values():
            _release(lock, draft)
        if self._program is not None:
            sweep_wasmtime_cli_files()

    def run(self, jobs: list[Job]) -> None:
        """Do all the jobs; the largest first, each when there is room for it."""
        self._code = sum(map(_code_size, jobs))
        while True:
            jobs = self._begin_some(jobs)
            if not jobs and not self._pool.busy:
                return
            outcome = self._pool.wait(_POLL if jobs else _LONG)
            if outcome is not None:
                self._end(outcome)

    def _begin_some(self, jobs: list[Job]) -> list[Job]:
        """Start the jobs that there is room for; return those that have to wait."""
        waiting: list[Job] = []
        for number, job in enumerate(jobs):
            if self._pool.is_full:  # for a thousand jobs it matters to ask this once
                return waiting + jobs[number:]
            if not self._begin(job):
                waiting.append(job)
        return waiting

    def _begin(self, job: Job) -> bool:
        """Start the job or find that it is done; False if it has to wait."""
        if not self._pool.has_room(job):
            return False
        lock = self._cache.lock_key(job.key)
        if lock is None:
            if job.key.digest not in self._awaited:
                self._awaited.add(job.key.digest)
                if job.compiles:
                    self._report.say(f"{job.label}: waiting for another build that compiles it")
            return False
        try:
            entry = None if self._again else self._cache.get(job.key)
            if entry is not None:  # made by another process meanwhile
                lock.close()
                self._code -= _code_size(job)
                self._found(job, entry)
                return True
            draft = self._cache.draft()
        except BaseException:
            lock.close()
            raise
        self._running[job.key.digest] = (job, lock, draft)
        if isinstance(job.key, ArtifactKey):
            self._report.begins(job.label, job.key.target)
        program = self._program if job.needs_wasmtime_cli else None
        out = None if draft is None else draft.path
        self._pool.start(Task(job, out, program, parallel=self._is_parallel(job)))
        return True

    def _is_parallel(self, job: Job) -> bool:
        """Say whether a module gets more than one thread.

        That costs 5 to 10 % more time of all cores, and is worth it where the other jobs would not
        keep them busy meanwhile.
        """
        others = self._code - _code_size(job)
        return _PARALLEL_FROM <= _code_size(job) > others // max(usable_cores() - 1, 1)

    def _end(self, outcome: Outcome) -> None:
        """Publish what a task wrote, or note why it failed."""
        job, lock, draft = self._running[outcome.task.job.key.digest]
        self._code -= _code_size(job)
        try:
            if outcome.written is None:
                self.failures.append(_failure(job, outcome.error))
            else:
                entry = self._cache.publish(job.key, outcome.written, draft, outcome.problem)
                self._made(job, entry)
                if job.compiles:
                    self._report.is_compiled(job.label, entry.seconds, entry.size)
        except (BrokenEntryError, OSError) as error:
            self.failures.append(_failure(job, f"its entry cannot be read back: {error}"))
        finally:
            del self._running[outcome.task.job.key.digest]
            _release(lock, draft)

    def _alive(self, task: Task, seconds: float) -> None:
        if task.job.compiles:
            self._report.goes_on(task.job.label, seconds)


def _code_size(job: Job) -> int:
    """Return the bytes of code that a compiler has to do with for a job."""
    return job.wasm.code_size if job.compiles else 0


def _release(lock: ExitStack, draft: Draft | None) -> None:
    if draft is not None:
        draft.discard()
    lock.close()


def _failure(job: Job, error: str) -> str:
    if not isinstance(job.key, ArtifactKey):
        return f"{job.label}: {error}"
    return (
        f"{job.label}: cannot be compiled for {job.key.target} by wasmtime {job.key.engine}"
        f"{with_settings(job.key.settings)}: {error}"
    )
