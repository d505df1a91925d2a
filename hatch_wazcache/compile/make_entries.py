"""Makes the entries that the cache lacks: locks their keys, compiles, publishes."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from hatch_wazcache.cache.entry import BrokenEntryError, Entry
from hatch_wazcache.cache.key import ArtifactKey
from hatch_wazcache.compile.compilers import WasmtimeCli, delete_leftover_files
from hatch_wazcache.compile.feature_hints import feature_hint
from hatch_wazcache.compile.memory import job_memory, usable_cores
from hatch_wazcache.compile.pool import Pool, is_small
from hatch_wazcache.compile.task import Outcome, StillRunning, Task
from hatch_wazcache.compile.worker import do_task
from hatch_wazcache.engine.settings import settings_text
from hatch_wazcache.errors import WazcacheError
from hatch_wazcache.util.child_process import python_executable, why_no_python

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, MutableMapping
    from contextlib import ExitStack
    from pathlib import Path

    from hatch_wazcache.cache.directory import CacheDirectory
    from hatch_wazcache.cache.drafts import Draft
    from hatch_wazcache.compile.job import Job
    from hatch_wazcache.report import Report

__all__ = ["make_entries"]

_POLL = 0.1
"""Seconds after which a key that another process has locked is tried again."""

_PARALLEL_FROM = 1 << 18
"""The least code, in bytes, for which several threads are worth it."""

_NEXT = 0.001
"""Seconds to wait for an outcome when there is more to do in this process."""

_LARGEST_HERE = 1 << 23
"""The largest `.wasm` to compress in this process, in bytes: starting a child takes longer."""

_LONG = 3600.0
"""Seconds to wait for an outcome when there is nothing else to do; then the wait begins again."""


def make_entries(
    jobs: Iterable[Job],
    entries: MutableMapping[str, Entry],
    cache: CacheDirectory,
    timeout: float,
    report: Report,
    *,
    wasmtime_clis: Mapping[str, WasmtimeCli] | None = None,
    again: bool = False,
    is_compiled: Callable[[Job, Entry], None] | None = None,
    pool: Pool | None = None,
) -> None:
    """Make the entries of jobs that the cache does not have.

    If another process makes the same entry, this one waits for it. After one job has failed the
    others go on, so that one message names all failures and nothing is compiled twice.

    Args:
        jobs: the jobs; their keys must differ.
        entries: gets each entry by its key's digest, even if the cache could not store it.
        cache: where to publish.
        timeout: seconds that one job may need.
        report: shows progress, and counts the entries that were compiled or found.
        wasmtime_clis: for the jobs that need one, by the version of their engine.
        again: make the entries although the cache has them, because those are broken.
        is_compiled: called for each artifact that this process has compiled, with its entry.
        pool: has a child that was started earlier. It is closed at the end.

    Raises:
        WazcacheError: jobs have failed; a line for each.
    """
    jobs = sorted(jobs, key=_order)
    scheduler = _Scheduler(
        entries,
        cache,
        pool or Pool(timeout),
        report,
        wasmtime_clis or {},
        again=again,
        is_compiled=is_compiled,
    )
    try:
        _check_python(jobs, report)
        with report.compiling(sum(job.compiles for job in jobs)):
            scheduler.run(jobs)
    finally:
        scheduler.close()
    if scheduler.failures:
        raise WazcacheError("\n".join(sorted(scheduler.failures)))


def _order(job: Job) -> tuple[bool, str, int]:
    """Sort the largest jobs first, and small ones by engine: a child can import one wasmtime."""
    small = is_small(job)
    return small, str(job.package) if small else "", -job_memory(job)


def _check_python(jobs: Iterable[Job], report: Report) -> None:
    """Warn if there is no Python for child processes: then this process compiles.

    Raises:
        WazcacheError: it would have to import several versions of wasmtime.
    """
    if python_executable() is not None or not any(job.compiles for job in jobs):
        return
    engines = {job.package: job.engine for job in jobs if job.engine and job.package}
    if len(engines) > 1:
        versions = " and ".join(sorted(engine.version for engine in engines.values()))
        raise WazcacheError(
            f"{why_no_python()}; so it cannot compile for wasmtime {versions} at the same time"
        )
    report.trouble(why_no_python())


class _Running(NamedTuple):
    """A job that is being done."""

    job: Job
    lock: ExitStack
    """The lock on its key."""
    draft: Draft | None
    """The file for its entry; None if the cache cannot be written."""

    @property
    def out(self) -> Path | None:
        return None if self.draft is None else self.draft.path

    def release(self) -> None:
        if self.draft is not None:
            self.draft.discard()
        self.lock.close()


class _Scheduler:
    """Starts each job when there is room for it, and publishes its entry."""

    def __init__(
        self,
        entries: MutableMapping[str, Entry],
        cache: CacheDirectory,
        pool: Pool,
        report: Report,
        wasmtime_clis: Mapping[str, WasmtimeCli],
        *,
        again: bool,
        is_compiled: Callable[[Job, Entry], None] | None,
    ) -> None:
        self._entries = entries
        self._cache = cache
        self._report = report
        self._wasmtime_clis = wasmtime_clis
        self._again = again
        self._is_compiled = is_compiled
        self._pool = pool
        self._running: dict[str, _Running] = {}
        self._awaited: set[str] = set()
        """Keys that other processes have locked."""
        self._code = 0
        """Bytes of code that are still to be compiled, or are being compiled."""
        self.failures: list[str] = []

    def close(self) -> None:
        """End the jobs that still run, and delete their files."""
        self._pool.close()
        for running in self._running.values():
            running.release()
        if self._wasmtime_clis:
            delete_leftover_files()

    def run(self, jobs: list[Job]) -> None:
        """Do all the jobs; the largest first, each when there is room for it."""
        self._code = sum(map(_code_size, jobs))
        here = [job for job in jobs if _is_for_this_process(job)]
        jobs = [job for job in jobs if not _is_for_this_process(job)]
        while True:
            jobs = self._begin_some(jobs)
            left = self._do_one_here(here)
            if not (jobs or left or self._pool.busy):
                return
            pause = _POLL if jobs or left else _LONG
            event = self._pool.wait(pause if len(left) == len(here) else _NEXT)
            here = left
            if isinstance(event, Outcome):
                self._end(event)
            elif isinstance(event, StillRunning):
                job = event.task.job
                if isinstance(job.key, ArtifactKey):
                    self._report.goes_on(job.label, job.key.target, event.seconds)

    def _begin_some(self, jobs: list[Job]) -> list[Job]:
        """Start the jobs for which there is room; return the jobs that have to wait."""
        waiting: list[Job] = []
        for number, job in enumerate(jobs):
            if self._pool.is_full:  # checked first, because a thousand jobs may wait
                return waiting + jobs[number:]
            if not self._begin(job):
                waiting.append(job)
        return waiting

    def _begin(self, job: Job) -> bool:
        """Start the job or find that it is done; False if it has to wait."""
        if not self._pool.has_room(job) or not self._claim(job):
            return False
        if (claimed := self._running.get(job.key.digest)) is not None:
            wasmtime_cli = None
            if isinstance(job.key, ArtifactKey):
                self._report.begins(job.label, job.key.target)
                if job.needs_wasmtime_cli:
                    wasmtime_cli = self._wasmtime_clis[job.key.engine]
            parallel = self._is_parallel(job)
            self._pool.start(Task(job, claimed.out, wasmtime_cli, parallel=parallel))
        return True

    def _do_one_here(self, jobs: list[Job]) -> list[Job]:
        """Do the first of the jobs that no other process does; return the others."""
        for number, job in enumerate(jobs):
            if self._claim(job):
                if (claimed := self._running.get(job.key.digest)) is not None:
                    task = Task(job, claimed.out)
                    self._end(Outcome.of(task, 0.0, do_task(task.request())))
                return jobs[:number] + jobs[number + 1 :]
        return jobs

    def _claim(self, job: Job) -> bool:
        """Lock the key of a job, or find that the job is done; False if it has to wait."""
        lock = self._cache.lock_key(job.key)
        if lock is None:
            if job.key.digest not in self._awaited:
                self._awaited.add(job.key.digest)
                if job.compiles:
                    self._report.say(f"{job.label}: waiting for another build that compiles it")
            return False
        try:
            entry = None if self._again else self._cache.get(job.key)
            if entry is not None:  # another process has made it since the build looked it up
                lock.close()
                self._take_found(job, entry)
                return True
            draft = self._cache.draft()
        except BaseException:
            lock.close()
            raise
        self._running[job.key.digest] = _Running(job, lock, draft)
        return True

    def _take_found(self, job: Job, entry: Entry) -> None:
        self._code -= _code_size(job)
        self._entries[job.key.digest] = entry
        if job.compiles:
            self._report.is_found(entry.seconds)

    def _is_parallel(self, job: Job) -> bool:
        """Say whether a module gets more than one thread.

        Several threads need 5 to 10 % more CPU time. They are worth it if the other jobs would
        leave cores idle.
        """
        others = self._code - _code_size(job)
        return _PARALLEL_FROM <= _code_size(job) > others // max(usable_cores() - 1, 1)

    def _end(self, outcome: Outcome) -> None:
        """Publish the entry that a task wrote, or note why the task failed."""
        running = self._running[outcome.task.job.key.digest]
        job = running.job
        self._code -= _code_size(job)
        try:
            if outcome.written is None:
                self.failures.append(_failure(job, outcome.error))
            else:
                entry = self._cache.publish(
                    job.key, outcome.written, running.draft, outcome.problem
                )
                self._entries[job.key.digest] = entry
                if isinstance(job.key, ArtifactKey):
                    target = job.key.target
                    self._report.is_compiled(job.label, target, entry.seconds, entry.size)
                    if self._is_compiled is not None:
                        self._is_compiled(job, entry)
        except (BrokenEntryError, OSError) as error:
            self.failures.append(_failure(job, f"its entry cannot be read back: {error}"))
        finally:
            del self._running[job.key.digest]
            running.release()


def _is_for_this_process(job: Job) -> bool:
    """Say whether this process does a job, while its children compile."""
    return not job.compiles and job.wasm.size <= _LARGEST_HERE


def _code_size(job: Job) -> int:
    """Return the bytes of code that a job compiles."""
    return job.wasm.code_size if job.compiles else 0


def _failure(job: Job, error: str) -> str:
    if not isinstance(job.key, ArtifactKey):
        return f"{job.label}: {error}"
    if hint := feature_hint(error, job.key.settings, job.key.engine):
        error = f"{error}; {hint}"
    return (
        f"{job.label}: cannot be compiled for {job.key.target} by wasmtime {job.key.engine}"
        f"{settings_text(job.key.settings)}: {error}"
    )
