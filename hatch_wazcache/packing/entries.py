"""The cache entries of a build: looked up, compiled if missing, made again if broken."""

from __future__ import annotations

from contextlib import suppress
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, TypeAlias

from hatch_wazcache.cache.directory import CacheDirectory
from hatch_wazcache.cache.entry import BrokenEntryError, Entry
from hatch_wazcache.cache.location import default_directory
from hatch_wazcache.engine.targets import native_system
from hatch_wazcache.errors import WazcacheError
from hatch_wazcache.packing.build_engines import BuildEngines
from hatch_wazcache.packing.lazy_remote import LazyRemote
from hatch_wazcache.util import temporary_files
from hatch_wazcache.util.temporary_folder import TemporaryFolder

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence
    from typing import TypeAlias

    from hatch_wazcache.compile.job import Job
    from hatch_wazcache.compile.pool import Pool
    from hatch_wazcache.compile.wasmtime_cli import WasmtimeClis
    from hatch_wazcache.engine.installed import InstalledWasmtime
    from hatch_wazcache.engine.targets import Target
    from hatch_wazcache.packing.entries_options import EntriesOptions
    from hatch_wazcache.report import Report

__all__ = ["Copy", "Entries"]

Copy: TypeAlias = "tuple[Job, Callable[[Entry], None]]"
"""A job, and a function that copies its entry."""

_AT_ONCE = 8
"""The most entries that are copied side by side: more than cores, so that all end together."""

_TIMES_AGAIN = 3
"""How many times a broken entry is made again. The cache may be deleted while that is done."""

_WORTH_A_THREAD = 1 << 18
"""Bytes for which a thread is worth it."""


class Entries:
    """The entries of one build, and the cache that holds them."""

    def __init__(
        self,
        options: EntriesOptions,
        wasmtime: InstalledWasmtime | None,
        report: Report,
        first: Entries | None = None,
    ) -> None:
        """Open the cache.

        Args:
            options: where entries come from.
            wasmtime: the installed one, if it is already known.
            report: shows progress and warnings, and counts hits and misses.
            first: the entries of a build for another target, still open. This build uses their
                cache, and the entries that the cache could not store.
        """
        self._options = options
        self._report = report
        self._first = first
        self._temporary: TemporaryFolder | None = None
        self._pool: Pool | None = None
        """Has a compiler that was started early, until the first compilation."""
        self.by_key: dict[str, Entry] = {}
        """All entries that were found or made, by the keys of their jobs. An entry that a wasmtime
        CLI of another version made has another key."""
        self.compiled: set[str] = set() if first is None else first.compiled
        """The keys of the artifacts that this process has compiled."""
        self._assets: dict[str, str] = {}
        """The paths of the assets in their projects, by the keys of their jobs."""
        self.cache: CacheDirectory = self._open_cache() if first is None else first.cache
        self.remote: LazyRemote = (
            LazyRemote(options.remote, self.cache, report) if first is None else first.remote
        )
        needed_for = f"{options.location}.engines" if options.location else "the artifacts"
        self.engines: BuildEngines = (
            BuildEngines(options, needed_for, wasmtime, self.cache, report)
            if first is None
            else first.engines
        )

    def _open_cache(self) -> CacheDirectory:
        root, cache_dir = self._options.root, self._options.cache_dir
        if cache_dir is not None:
            return CacheDirectory(cache_dir, self._report.trouble, root)
        try:
            return CacheDirectory(default_directory(), self._report.trouble, root)
        except WazcacheError as error:  # no option names this folder, so it is only a warning
            self._report.trouble(f"{error}; new artifacts are not kept")
            self._temporary = TemporaryFolder()
            return CacheDirectory(Path(self._temporary.name), self._report.trouble)

    def close(self) -> None:
        """Release the cache, unless it belongs to the first build."""
        self.end_compiler()
        if self._first is not None:
            return
        self.remote.close()
        self.cache.close()
        if self._temporary is not None:
            self._temporary.cleanup()

    def start_compiler(self, wasmtime: InstalledWasmtime, target: Target) -> None:
        """Start a compiler beside the plan of the build, if the build must compile.

        That is certain if the cache has no folder for the artifacts, and there is no shared cache.

        Args:
            wasmtime: what it will compile with, which is installed.
            target: the target of the build.
        """
        system = native_system()
        if system not in target.systems or self._options.remote is not None:
            return
        if self.cache.has_scope(wasmtime.version.partition(".")[0], system.name):
            return
        # Imported here, because a build with hits only does not need it.
        from hatch_wazcache.compile.pool import Pool

        self._pool = Pool(self._options.timeout)
        self._pool.prepare(wasmtime.package)

    def end_compiler(self) -> None:
        """End the compiler that was started early, if it has had nothing to do."""
        if self._pool is not None:
            self._pool.close()
            self._pool = None

    @property
    def are_stored(self) -> bool:
        """Whether the cache has stored all entries. If not, some last until `close` only."""
        root = self.cache.root
        in_it = all(entry.path.is_relative_to(root) for entry in self.by_key.values())
        return in_it and self._temporary is None

    @property
    def keys(self) -> tuple[str, ...]:
        """The keys of all entries that were found or made."""
        return tuple(dict.fromkeys(entry.key for entry in self.by_key.values()))

    @property
    def files(self) -> dict[str, str]:
        """The paths of the assets in their projects, by the keys of their entries."""
        by_key = self.by_key
        return {by_key[key].key: name for key, name in self._assets.items() if key in by_key}

    def stream_size(self, jobs: Iterable[Job]) -> int:
        """Return the compressed bytes of the entries that jobs have; small sources have none."""
        digests = (job.key.digest for job in jobs)
        return sum(self.by_key[key].stream_size for key in digests if key in self.by_key)

    def make(self, jobs: Sequence[Job]) -> None:
        """Look up the entry of every job, and make the missing entries.

        Raises:
            WazcacheError: assets cannot be compiled; the message lists all of them.
        """
        distinct = {job.key.digest: job for job in reversed(jobs)}
        missing = self.look_up(list(distinct.values()))
        remote = self.remote.for_jobs(missing)
        if remote is None:
            self._make_here(missing)
        else:  # the compilers run beside the downloads
            self._make_here(remote.ask(missing, self.by_key))
            self._make_here(remote.receive(self.by_key))
        self._assets |= {key: job.asset for key, job in distinct.items() if job.asset}

    def _make_here(self, jobs: list[Job]) -> None:
        """Compile the entries of jobs, unless the cache has them by the wasmtime CLI's version."""
        pairs = list(zip(jobs, self.rekeyed(jobs), strict=True))
        same = [new for old, new in pairs if new is old]
        to_make = same + self.look_up([new for old, new in pairs if new is not old])
        if to_make:
            try:
                self.compile(to_make)
            except WazcacheError:
                self.remote.finish()  # the entries that were made are not lost for others
                raise
        for old, new in pairs:
            self.by_key[old.key.digest] = self.by_key[new.key.digest]

    def rekeyed(self, jobs: list[Job]) -> list[Job]:
        """Return the jobs; those that need the wasmtime CLI get the keys of the CLI that is here.

        Raises:
            WazcacheError: there is no CLI.
        """
        if any(job.needs_wasmtime_cli for job in jobs):
            return self._wasmtime_clis.rekeyed(jobs)
        return jobs

    def look_up(self, jobs: list[Job]) -> list[Job]:
        """Use the entries that are already there; return the jobs without one."""
        found = self.cache.find(job.key for job in jobs)
        if jobs:
            self._report.detail(f"looking for {len(jobs)} entries in {self.cache.root}")
        known = {} if self._first is None else self._first.by_key
        missing = []
        for job in jobs:
            digest = job.key.digest
            entry = found.get(digest) or known.get(digest) or self.remote.noted(job)
            if entry is None:
                missing.append(job)
                self._explain_miss(job)
            else:
                self._take_found(job, entry)
        return missing

    def _explain_miss(self, job: Job) -> None:
        """Say how an artifact differs from what the cache has, if details are shown."""
        if not (self._report.is_detailed and job.compiles and self.cache.usable):
            return
        from hatch_wazcache.cache.explain import miss_text

        with suppress(OSError):  # the build goes on without the cache
            why = miss_text(self.cache.root, job.key.inputs())
            self._report.detail(f"{job.label}: not in the cache as {job.key.digest[:12]}: {why}")

    def copy_all(self, copies: Sequence[Copy]) -> None:
        """Copy entries side by side. Make those that are broken or gone again.

        Args:
            copies: jobs whose entries `make` has found or made. Each function copies the entry,
                which is checked meanwhile, in any thread. A broken entry is copied again.

        Raises:
            WazcacheError: an entry cannot be made, or is broken again.
        """
        failed = self._failed(copies)
        for _time in range(_TIMES_AGAIN):
            if not failed:
                return
            self._make_again({job.key.digest: (job, problem) for (job, _), problem in failed})
            failed = self._failed([one for one, _problem in failed])
        if failed:
            problem = failed[0][1]
            raise WazcacheError(f"{problem}, again; is the disk damaged?") from problem

    def _failed(self, copies: Sequence[Copy]) -> list[tuple[Copy, BrokenEntryError]]:
        """Copy entries; return those that are broken, with what is wrong."""
        problems = self._try_in_threads(copies)
        if problems is None:
            problems = list(map(self._try, copies))
        pairs = zip(copies, problems, strict=True)
        return [(one, problem) for one, problem in pairs if problem is not None]

    def _try_in_threads(self, copies: Sequence[Copy]) -> list[BrokenEntryError | None] | None:
        """Copy entries; return what is wrong with each, or None if threads cannot do it."""
        size = self.stream_size(job for job, _copy in copies)
        if len(copies) < 2 or size < len(copies) * _WORTH_A_THREAD:
            return None
        from concurrent.futures import ThreadPoolExecutor  # many builds do not need it

        try:
            with ThreadPoolExecutor(_AT_ONCE) as pool:
                return list(pool.map(self._try, copies))
        except RuntimeError:  # the system allows no more threads
            return None

    def _try(self, one: Copy) -> BrokenEntryError | None:
        """Copy an entry; return what is wrong with it."""
        job, copy = one
        try:
            copy(self.by_key[job.key.digest])
        except BrokenEntryError as error:
            return error
        return None

    def _make_again(self, broken: Mapping[str, tuple[Job, Exception]]) -> None:
        """Make broken entries again.

        Args:
            broken: by the key of a job: the job, and what is wrong with its entry.
        """
        made: dict[str, Job] = {}
        for key, (job, problem) in broken.items():
            entry = self.by_key[key]
            self._report.say(f"{problem}; making it again")
            made[key] = job
            if job.compiles:
                made[key] = job.by_version(entry.compiled_by)
                if entry.key not in self.compiled:
                    self._report.is_lost(entry.seconds)
        self.compile(list({job.key.digest: job for job in made.values()}.values()), again=True)
        for key, job in made.items():
            self.by_key[key] = self.by_key[job.key.digest]

    def write(self, job: Job, path: Path) -> None:
        """Write the data of the job's entry to a file, completely or not at all.

        Raises:
            OSError: the file cannot be written.
            WazcacheError: the entry cannot be made, or is broken again.
        """
        self.copy_all([(job, lambda entry: temporary_files.write_file(path, entry.data()))])

    @cached_property
    def _wasmtime_clis(self) -> WasmtimeClis:
        # Imported here, because a build with hits only does not need it.
        from hatch_wazcache.compile.wasmtime_cli import WasmtimeClis

        options = self._options
        option = f"{options.location}.compiler" if options.location else "--compiler"
        return WasmtimeClis(options.compiler, option, self.cache, options.timeout, self._report.say)

    def compile(self, jobs: list[Job], *, again: bool = False) -> None:
        """Make the entries of jobs.

        Args:
            jobs: with the keys of the compilers that are here.
            again: even if the cache has them, because those are not to be used.

        Raises:
            WazcacheError: assets cannot be compiled; the message lists all of them.
        """
        # Imported here, because a build with hits only does not need them.
        from hatch_wazcache.compile.make_entries import make_entries

        distinct = {job.engine for job in jobs if job.engine is not None}
        engines = {engine: self.engines.checked(engine) for engine in distinct}
        jobs = [job._replace(engine=job.engine and engines[job.engine]) for job in jobs]
        needing = [job for job in jobs if job.needs_wasmtime_cli]
        wasmtime_clis = self._wasmtime_clis.checked(needing) if needing else {}
        for engine in engines.values():
            self._report.detail(f"the engine is wasmtime {engine.version} in {engine.package}")
        for version, cli in wasmtime_clis.items():
            self._report.detail(f"the wasmtime CLI {version} is {cli.path}")
        remote = self.remote.for_jobs(jobs)

        pool, self._pool = self._pool, None

        def is_compiled(job: Job, entry: Entry) -> None:
            self.compiled.add(entry.key)
            if remote is not None:
                remote.is_compiled(job, entry)

        make_entries(
            jobs,
            self.by_key,
            self.cache,
            self._options.timeout,
            self._report,
            wasmtime_clis=wasmtime_clis,
            again=again,
            is_compiled=is_compiled,
            pool=pool,
        )

    def _take_found(self, job: Job, entry: Entry) -> None:
        """Use an entry that this build did not make."""
        self.by_key[job.key.digest] = entry
        if job.compiles:
            self._report.is_found(entry.seconds)
            self._report.detail(f"{job.label}: found in the cache as {entry.key[:12]}")
