"""One build: plan, look up, compile the missing artifacts, record."""

from __future__ import annotations

import time
from functools import partial
from typing import TYPE_CHECKING

from hatch_wazcache.engine.installed import installed_wasmtime
from hatch_wazcache.engine.targets import native_system
from hatch_wazcache.errors import WazcacheError
from hatch_wazcache.formats.wasm import WasmReader
from hatch_wazcache.packing.committed_loader import old_loaders
from hatch_wazcache.packing.entries import Entries
from hatch_wazcache.packing.entries_options import EntriesOptions
from hatch_wazcache.packing.manifests import manifest_for_wheel
from hatch_wazcache.packing.plan import Plan, make_plan
from hatch_wazcache.project.engine_check import check_engine, contradiction
from hatch_wazcache.resources import loader_text

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from hatch_wazcache.compile.job import Job
    from hatch_wazcache.engine.installed import Engine, InstalledWasmtime
    from hatch_wazcache.engine.targets import Target
    from hatch_wazcache.project.project import Project
    from hatch_wazcache.report import Report

__all__ = ["Build", "check_stored", "engine_warnings", "plan_build", "record", "warm"]


class Build:
    """One build of one project for one target.

    `make_entries` does all the slow work. Then `wheel`, `tree` or `editable` writes the result.
    """

    def __init__(
        self,
        project: Project,
        target: Target,
        report: Report,
        first: Build | None = None,
        entries: Entries | None = None,
    ) -> None:
        """Plan a build.

        Args:
            project: what to build.
            target: the system that the wheel is for.
            report: shows progress and warnings.
            first: a build of the same project for another target, still open. This build uses its
                cache, and the entries that the cache could not store.
            entries: open entries, with the wasmtime to compile for. By default they are opened
                here, for the installed wasmtime.

        Raises:
            WazcacheError: an asset or the engine is not fit to build.
        """
        if first is not None and project.config.runtime is not None:
            config, requirement = first.project.config, first.project.requirement
            project = project._replace(config=config, requirement=requirement, runtime_warnings=())
        project = project.with_runtime(may_fetch=True)
        self.project: Project = project
        self.target: Target = target
        self.report: Report = report
        self.shown: set[str] = set() if first is None else first.shown
        """The texts about the engine that were shown."""
        options = EntriesOptions.of(project)
        before = None if first is None else first.entries
        if entries is None and options.pinned is not None:
            entries = Entries(options, None, report, before)  # the cache may have the wasmtime
        self._wasmtime = _own_wasmtime(project, target, entries)
        self._check_requirement(target, project.config.wheel_engines)
        has_none = not target.systems and project.config.wanted is None
        if has_none and project.config.assets and first is None:
            self._explain_missing_artifacts()
        for warning in project.warnings if first is None else ():
            report.warn(warning, project.layout.root / "pyproject.toml")
        has_installed = first is None and entries is None  # of a kept one, no file is checked yet
        if entries is None:
            entries = Entries(options, self._wasmtime, report, before)
        self.entries: Entries = entries
        if target.note:
            report.warn(f"{target.note}: its wheel holds the .wasm alone, like the wheel for `any`")
        self._targets = [target]
        self.reader: WasmReader = WasmReader() if first is None else first.reader
        self.plan: Plan = self._first_plan(target, may_start_compiler=has_installed)
        if not self.plan.assets:
            self._explain_runtime()
        if first is None:
            for line in old_loaders(self.plan.packages, project.layout.root):
                report.say(line)

    def _explain_runtime(self) -> None:
        """Say that the wheel has the loader alone, and warn if the loader lacks wasmtime."""
        requirement = self.project.requirement
        self.report.say(
            "there are no assets, so the wheel has the loader and its profiles, for the packages "
            "that name it as their runtime"
        )
        if not (requirement.lines or requirement.others):
            file = self.project.layout.root / "pyproject.toml"
            self.report.warn(requirement.no_wasmtime([], "wasmtime"), file)

    def _explain_missing_artifacts(self) -> None:
        """Say why there are no artifacts for this machine, if the machine is the reason."""
        system, requirement = native_system(), self.project.requirement
        if system is None:
            self.report.say("wasmtime-py has no wheels for this machine, so there are no artifacts")
        elif not self.project.native_target.systems:
            self.report.say(
                f"{requirement.where} does not require wasmtime on {system.name}, so there are no "
                "artifacts"
            )

    def check_sbom(self) -> None:
        """Check that the wheel can get its SBOM, before anything is compiled for it.

        Raises:
            WazcacheError: the library is missing.
        """
        if self.project.config.sbom:
            from hatch_wazcache.wheels.sbom import check_library

            check_library()

    def check_companions(self, targets: Iterable[Target]) -> None:
        """Check that the users of each companion can have its wasmtime; show each text once.

        Raises:
            WazcacheError: no user of a target can have one of the engines.
        """
        for target in targets:
            self._check_requirement(target, self.project.config.engines)

    def _check_requirement(self, target: Target, engines: Sequence[str]) -> None:
        """Check that the users of a target get the wasmtime of this build; show each text once.

        Args:
            target: the target of a wheel.
            engines: the requirements of the option `engines`; empty for the installed wasmtime.
        """
        if not target.systems:
            return
        project = self.project
        if self._wasmtime is None and not engines:
            self._wasmtime = self.entries.engines.own()  # the first target has no artifacts
        warnings, lines = engine_warnings(project, self._wasmtime, target)
        problem = None
        if self._wasmtime is not None:
            problem = contradiction(project.requirement, self._wasmtime.version, target)
        file = project.layout.root / "pyproject.toml"
        for texts, show in (
            (warnings, partial(self.report.warn, file=file)),
            (lines, self.report.say),
            ([problem] if problem else [], self.report.trouble),
        ):
            for text in texts:
                if text not in self.shown:
                    self.shown.add(text)
                    show(text)

    def _first_plan(self, target: Target, *, may_start_compiler: bool) -> Plan:
        """Plan the wheel. Meanwhile a compiler starts, if it is certain that one is needed."""
        try:
            if may_start_compiler and self._wasmtime is not None and self.project.config.assets:
                self.entries.start_compiler(self._wasmtime, target)
            return self._plan(target)
        except BaseException:
            self.entries.end_compiler()
            raise

    def _plan(self, target: Target) -> Plan:
        config, layout = self.project.config, self.project.layout
        engines = self.entries.engines.all if target.systems else ()
        return make_plan(config, target, layout, engines, self.reader)

    def make_entries(self, later: Sequence[Target] = ()) -> None:
        """Look up every artifact, and compile the missing ones.

        Args:
            later: targets that are built next. Their artifacts are compiled at the same time.

        Raises:
            WazcacheError: assets cannot be compiled; the message lists all of them.
        """
        jobs = self.artifact_jobs(later)
        if self.project.config.keep_wasm:
            jobs += [asset.job for asset in self.plan.assets if not asset.job.is_small]
        self.entries.make(jobs)

    def artifact_jobs(self, later: Sequence[Target] = ()) -> list[Job]:
        """Return the jobs of all artifacts.

        Args:
            later: targets that are built next. Their artifacts are included.
        """
        self._targets += later
        for target in later:
            self._check_requirement(target, self.project.config.wheel_engines)
        plans = [self.plan, *map(self._plan, later)]
        return [artifact.job for plan in plans for artifact in plan.artifacts]

    def generated_files(self) -> Iterator[tuple[str, bytes]]:
        """Yield the manifest and the loader of each package, by their paths in the wheel."""
        entries = self.entries.by_key
        for package in self.plan.packages:
            manifest = manifest_for_wheel(self.plan, package, entries, self.project)
            yield manifest.path, manifest.to_bytes()
            if package.loader:
                yield package.file(package.loader), loader_text()

    def name_missing_wheels(self, all_of_them: str = "") -> None:
        """Say which users this wheel leaves out, if the options do not say it.

        Args:
            all_of_them: the command that makes all wheels, if there is one.
        """
        config = self.project.config
        if config.companion is not None:
            if config.target.systems:
                self.report.is_no_wheel_to_publish(config.target.name, all_of_them)
        elif config.other_targets and not config.targets_given:
            self.report.is_for_one_system(config.target.name, all_of_them)

    def record_and_prune(self, companions: Sequence[Target] = ()) -> None:
        """Record this finished build, and prune the cache to its size.

        Args:
            companions: the targets of the companions that were made.
        """
        self.entries.engines.keep()
        targets = [*self._targets, *companions]
        record(self.entries, self.report, self.project.name, targets, self.project.config.max_size)

    def close(self) -> None:
        """Release the cache, unless it belongs to the first build."""
        self.entries.close()


def _own_wasmtime(
    project: Project, target: Target, entries: Entries | None
) -> InstalledWasmtime | None:
    """Return the one wasmtime of a wheel; None if the wheel has no artifacts, or several engines.

    Raises:
        WazcacheError: there is none.
    """
    known = None if entries is None else entries.engines.wasmtime
    if known is not None or not target.systems or project.config.wheel_engines:
        return known
    return installed_wasmtime() if entries is None else entries.engines.own()


def record(
    entries: Entries, report: Report, project: str, targets: Sequence[Target], max_size: int | None
) -> None:
    """Record a finished build, and prune the cache to its size.

    Args:
        entries: the entries of the build, still open.
        report: has counted, and shows what is pruned.
        project: the project's name.
        targets: the targets of the wheels.
        max_size: the largest size of the cache, in bytes; None for no limit.
    """
    from hatch_wazcache.cache.statistics import BuildStatistics, record_and_prune

    entries.remote.finish()
    statistics = BuildStatistics(
        time=time.time(),
        project=project,
        hits=report.found,
        misses=report.compiled,
        remote_hits=report.downloaded,
        uploads=report.uploaded,
        seconds_saved=report.saved,
        seconds_compiled=report.spent,
        keys=(*entries.keys, *sorted(entries.cache.used_wheels)),
        target=" ".join(target.name for target in targets),
        files=entries.files,
    )
    record_and_prune(entries.cache, statistics, max_size, report.say)


def plan_build(project: Project) -> Plan:
    """Plan the wheel of a build, without a look into the cache.

    Args:
        project: what to build, for the target that its options choose.

    Raises:
        WazcacheError: an asset or the engine is not fit to build.
    """
    project = project.with_runtime(may_fetch=False)
    target = project.config.target
    engines: Sequence[Engine] = ()
    if target.systems:
        has_own = not project.config.wheel_engines
        wasmtime = installed_wasmtime() if has_own else None
        engine_warnings(project, wasmtime, target)
        if wasmtime is not None:
            engines = [wasmtime.engine()]
        else:
            from hatch_wazcache.project.engines import fetched_engines

            engines = fetched_engines(project.config, project.layout.root)
    return make_plan(project.config, target, project.layout, engines, WasmReader())


def engine_warnings(
    project: Project, wasmtime: InstalledWasmtime | None, target: Target
) -> tuple[list[str], list[str]]:
    """Return warnings, and ordinary lines, about users who have another wasmtime.

    Args:
        project: what to build.
        wasmtime: the installed one; None if the option `engines` is set.
        target: the target of the wheel.

    Raises:
        WazcacheError: no user of the target has the wasmtime of this build.
    """
    config, requirement, python = project.config, project.requirement, project.requires_python
    if wasmtime is None:
        from hatch_wazcache.project.engines_check import check_engines

        return check_engines(requirement, config, target, python)
    old = [wasmtime.age_warning] if wasmtime.age_warning else []
    companion = config.companion is not None
    return old + check_engine(
        requirement,
        wasmtime.version,
        target,
        python,
        fallback=config.fallback,
        companion=companion,
    ), []


def warm(project: Project, report: Report) -> None:
    """Compile the artifacts of a build. It counts as a build in the statistics.

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
    check_stored(build)


def check_stored(build: Build) -> None:
    """Check that the cache keeps what was made for it.

    Raises:
        WazcacheError: it could not store something.
    """
    if not build.entries.are_stored:
        raise WazcacheError(
            "the cache could not store the artifacts, so the next build compiles them again"
        )
