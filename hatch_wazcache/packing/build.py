"""The story of one build: plan, look up, compile what is missing, pack, report."""

from __future__ import annotations

import time
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, TypeVar

from hatch_wazcache.cache.directory import CacheDirectory, default_directory
from hatch_wazcache.cache.entry import BrokenEntryError, Entry
from hatch_wazcache.engine.installed import installed_wasmtime
from hatch_wazcache.errors import WazcacheError
from hatch_wazcache.formats.wasm import WasmReader
from hatch_wazcache.formats.zip_members import Deflated
from hatch_wazcache.packing import editable
from hatch_wazcache.packing.plan import Artifact, Plan, make_plan
from hatch_wazcache.resources import loader_text
from hatch_wazcache.util import temporary_files
from hatch_wazcache.wheels.manifest import manifest_for_wheel
from hatch_wazcache.wheels.platform_wheel import PlatformWheel

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from hatch_wazcache.compile.job import Job
    from hatch_wazcache.engine.targets import Target
    from hatch_wazcache.formats.zip_members import DateTime
    from hatch_wazcache.project.project import Project
    from hatch_wazcache.report import Report

__all__ = ["Build", "plan_build", "warm"]

Result = TypeVar("Result")


class Build:
    """One build of one project for one target.

    `make_entries` does all the slow work; what packs the entries comes after it.
    """

    def __init__(
        self, project: Project, target: Target, report: Report, first: Build | None = None
    ) -> None:
        """Plan a build.

        Args:
            project: what to build.
            target: the system that the wheel is for.
            report: shows progress and warnings.
            first: a build of the same project for another target, still open. This build uses its
                cache, and its entries that the cache could not store.

        Raises:
            WazcacheError: an asset or the engine is not fit to build.
        """
        self._project = project
        self._config = project.config
        self._report = report
        self._temporary: TemporaryDirectory[str] | None = None
        wasmtime = installed_wasmtime()
        warning = project.requirement.check(wasmtime.version)
        if warning and first is None:
            report.warn(warning)
        if target.note:
            report.warn(f"{target.note}: its wheel holds the .wasm alone, as that of `any` does")
        self._first = first
        self.cache: CacheDirectory = self._open_cache() if first is None else first.cache
        self._engine = wasmtime.engine(self.cache)
        self._targets = [target]
        self.reader: WasmReader = WasmReader() if first is None else first.reader
        self.plan: Plan = self._plan(target)
        self.entries: dict[str, Entry] = {}

    def _plan(self, target: Target) -> Plan:
        return make_plan(self._config, target, self._project.layout, self._engine, self.reader)

    def _open_cache(self) -> CacheDirectory:
        if self._config.cache_dir is not None:
            return CacheDirectory(self._config.cache_dir, self._report.warn)
        try:
            return CacheDirectory(default_directory(), self._report.warn)
        except WazcacheError as error:  # nobody chose that one
            self._report.warn(f"{error}; what is compiled now is not kept")
            self._temporary = TemporaryDirectory(prefix="wazcache-")
            return CacheDirectory(Path(self._temporary.name), self._report.warn)

    def record_and_prune(self) -> None:
        """Record a finished build, and remove entries until the cache is within its bounds."""
        from hatch_wazcache.cache.records import BuildRecord, record_and_prune

        report = self._report
        used = BuildRecord(
            time=time.time(),
            project=self._project.name,
            hits=report.found,
            misses=report.compiled,
            seconds_saved=report.saved,
            seconds_compiled=report.spent,
            keys=tuple(self.entries),
            target=" ".join(target.name for target in self._targets),
        )
        record_and_prune(self.cache, used, self._config.max_size, report.say)

    def is_kept(self) -> bool:
        """Say whether the cache has taken all entries; else some are kept aside, until the end."""
        cache = self.cache.root
        in_it = all(entry.path.is_relative_to(cache) for entry in self.entries.values())
        return in_it and self._temporary is None

    def close(self) -> None:
        """Release the cache, unless it is another's."""
        if self._first is not None:
            return
        self.cache.close()
        if self._temporary is not None:
            self._temporary.cleanup()

    def make_entries(self, also: Sequence[Target] = ()) -> None:
        """Look every job up, and compile what is missing.

        Args:
            also: targets of wheels that are built next; their artifacts are compiled beside these.

        Raises:
            WazcacheError: an asset cannot be compiled; names each of them.
        """
        self._targets += also
        plans = [self.plan, *map(self._plan, also)]
        jobs = [artifact.job for plan in plans for artifact in plan.artifacts]
        if self._config.keep_wasm:
            jobs += [asset.job for asset in self.plan.assets if not asset.job.is_small]
        distinct = {job.key.digest: job for job in reversed(jobs)}
        found = self.cache.find(job.key for job in distinct.values())
        if self._first is not None:
            known = self._first.entries
            found = {digest: known[digest] for digest in distinct if digest in known} | found
        for digest, entry in found.items():
            self._take(distinct[digest], entry)
        if missing := [job for digest, job in distinct.items() if digest not in found]:
            self._make(missing)

    def _take(self, job: Job, entry: Entry) -> None:
        """Use an entry that was found."""
        self._keep(job, entry)
        if job.compiles:
            self._report.is_found(entry.seconds)

    def _keep(self, job: Job, entry: Entry) -> None:
        self.entries[job.key.digest] = entry

    def _make(self, jobs: list[Job], *, again: bool = False) -> None:
        # not for a build that finds everything
        from hatch_wazcache.compile.make_entries import make_entries
        from hatch_wazcache.compile.wasmtime_cli import find_wasmtime_cli

        compiler, timeout = self._config.compiler, self._config.timeout
        program = find_wasmtime_cli(compiler, jobs, self._engine, self.cache, timeout)
        make_entries(
            jobs,
            self.cache,
            timeout,
            self._report,
            self._take,
            self._keep,
            program=program,
            again=again,
        )

    def copy(self, job: Job, copy: Callable[[Entry], Result]) -> Result:
        """Copy the job's entry; if it is broken, or gone by now, make it again first.

        Args:
            job: of the plan.
            copy: what uses the entry, which is checked while it is copied.

        Raises:
            WazcacheError: it cannot be made, or is broken again.
        """
        entry = self.entries[job.key.digest]
        try:
            return copy(entry)
        except BrokenEntryError as error:
            self._report.say(f"{error}; it is made again")
        if job.compiles:
            self._report.is_lost(entry.seconds)
        self._make([job], again=True)
        try:
            return copy(self.entries[job.key.digest])
        except BrokenEntryError as error:
            raise WazcacheError(f"{error}, again; is the disk damaged?") from error

    def begin_wheel(
        self, directory: Path, date_time: DateTime, *, reproducible: bool
    ) -> PlatformWheel:
        """Begin the wheel with all that is heavy, and the loader and manifest of each package.

        Args:
            directory: where the wheel will lie.
            date_time: the time stamp of generated members.
            reproducible: whether assets get it too, and a mode of 644 or 755; else their own.

        Raises:
            WazcacheError: the directory cannot be written, or the wheel cannot.
        """
        wheel = PlatformWheel(directory, date_time)
        jobs = [asset.job for asset in self.plan.assets]
        jobs += [artifact.job for artifact in self.plan.artifacts]
        found = [self.entries[d] for job in jobs if (d := job.key.digest) in self.entries]
        wheel.reserve(sum(entry.stream_size for entry in found))
        try:
            for asset in self.plan.assets if self._config.keep_wasm else ():
                add = partial(wheel.add_asset, asset, reproducible=reproducible)
                if asset.job.is_small:
                    add(Deflated.of(asset.read()))
                else:
                    self.copy(asset.job, add)
            for artifact in self.plan.artifacts:
                self.copy(artifact.job, partial(wheel.add_artifact, artifact))
            for name, data in self._small_files():
                wheel.add_bytes(name, data)
            wheel.flush()
        except OSError as error:
            wheel.abandon()
            raise WazcacheError(
                f"the wheel cannot be written to {directory}: {error.strerror or error}"
            ) from error
        except BaseException:
            wheel.abandon()
            raise
        return wheel

    def write_editable(self) -> None:
        """Write artifacts, manifests and loaders beside the sources.

        Raises:
            WazcacheError: the source tree cannot be written.
        """
        try:
            editable.write(
                self.plan,
                self._project.layout.root,
                self._project.name,
                loader_text(),
                self.copy,
                self._digest,
            )
        except OSError as error:
            where = error.filename or self._project.layout.root  # a full disk is met without a name
            raise WazcacheError(
                f"{where}: cannot be written: {error.strerror or error}; an editable install puts "
                "artifacts beside the .wasm files"
            ) from error

    def write_tree(self, folder: Path) -> None:
        """Write what a wheel would hold besides the build system's own files, as it is unpacked.

        Args:
            folder: where; its subfolders are packages.

        Raises:
            WazcacheError: it cannot be written.
        """
        try:
            for asset in self.plan.assets if self._config.keep_wasm else ():
                path = folder / asset.distribution
                if asset.job.is_small:
                    temporary_files.write_file(path, [asset.read()])
                else:
                    self.copy(asset.job, partial(_write, path))
            for artifact in self.plan.artifacts:
                self.copy(artifact.job, partial(_write, folder / artifact.distribution))
            for name, data in self._small_files():
                temporary_files.write_file(folder / name, [data])
        except OSError as error:
            where = error.filename or folder
            raise WazcacheError(f"{where}: cannot be written: {error.strerror or error}") from error

    def _small_files(self) -> Iterator[tuple[str, bytes]]:
        """Make the manifest and the loader of each package in a wheel, by their paths in it."""
        for package in self.plan.packages:
            keep_wasm = self._config.keep_wasm
            text = manifest_for_wheel(self.plan, package, self._digest, keep_wasm=keep_wasm)
            yield package.file(package.manifest), text
            if package.loader:
                yield package.file(package.loader), loader_text()

    def _digest(self, artifact: Artifact) -> tuple[str, int]:
        """Return an artifact's SHA-256 and size, as its manifest tells them."""
        entry = self.entries[artifact.key.digest]
        return entry.sha256, entry.size


def plan_build(project: Project) -> Plan:
    """Return what a build would put into the wheel, without a look into the cache.

    Args:
        project: what to build, for the target that its options choose.

    Raises:
        WazcacheError: an asset or the engine is not fit to build.
    """
    wasmtime = installed_wasmtime()
    project.requirement.check(wasmtime.version)
    config, engine = project.config, wasmtime.engine()
    return make_plan(config, config.target, project.layout, engine, WasmReader())


def warm(project: Project, report: Report) -> None:
    """Compile what a build would compile. Counts as a build in the statistics.

    Args:
        project: what to build, for the target that its options choose.
        report: shows progress and warnings, and counts.

    Raises:
        WazcacheError: an asset cannot be compiled, or the cache cannot store it.
    """
    build = Build(project, project.config.target, report)
    try:
        build.make_entries()
        build.record_and_prune()
    finally:
        build.close()
    if not build.is_kept():
        raise WazcacheError("the cache does not keep what was compiled, so nothing is warm")


def _write(path: Path, entry: Entry) -> None:
    temporary_files.write_file(path, entry.data())
