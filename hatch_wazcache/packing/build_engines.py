"""The engines of one build: installed, or fetched into the cache."""

from __future__ import annotations

from functools import cached_property
from typing import TYPE_CHECKING

from hatch_wazcache.engine.installed import installed_wasmtime, wasmtime_at

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from packaging.requirements import Requirement

    from hatch_wazcache.cache.directory import CacheDirectory
    from hatch_wazcache.engine.installed import Engine, InstalledWasmtime
    from hatch_wazcache.engine.targets import Target
    from hatch_wazcache.packing.entries_options import EntriesOptions
    from hatch_wazcache.project.engine_requirement import EngineRequirement
    from hatch_wazcache.report import Report

__all__ = ["BuildEngines"]


class BuildEngines:
    """Finds the engines that a build compiles for.

    The files of an engine that was fetched earlier are checked late: a build that compiles nothing
    runs nothing of them.
    """

    def __init__(
        self,
        options: EntriesOptions,
        needed_for: str,
        wasmtime: InstalledWasmtime | None,
        cache: CacheDirectory,
        report: Report,
    ) -> None:
        """Look for nothing yet.

        Args:
            options: name the engines, or the only wasmtime that fits.
            needed_for: what needs the engines, for messages.
            wasmtime: the one wasmtime, if it is already known.
            cache: holds the fetched engines.
            report: shows what is fetched.
        """
        self._requirements = options.engines
        self._pinned = options.pinned
        self._needed_for = needed_for
        self._cache = cache
        self._report = report
        self.wasmtime: InstalledWasmtime | None = wasmtime
        """The wasmtime to compile for, if it is known and no option names others."""
        self._unchecked: set[Path] = set()
        """Folders of fetched engines whose files no build has checked since they were fetched."""

    @cached_property
    def all(self) -> tuple[Engine, ...]:
        """The engines to compile for, the newest first. Not needed for a wheel without artifacts.

        Raises:
            WazcacheError: a wasmtime is not installed and cannot be fetched, or its library is of
                another version.
        """
        return self.find(self._requirements)

    def find(self, requirements: Sequence[str]) -> tuple[Engine, ...]:
        """Return the engine of each requirement, the newest first.

        Args:
            requirements: on wasmtime; if there are none, it is the one wasmtime.

        Raises:
            WazcacheError: as for `all`.
        """
        if not requirements:
            return (self.own().engine(self._cache.notes),)
        from hatch_wazcache.project.engines import choose_engines

        chosen = choose_engines(requirements, self._fetched)
        engines = [wasmtime.engine(self._cache.notes) for wasmtime in chosen]
        return tuple(sorted(engines, key=lambda engine: engine.major, reverse=True))

    def own(self) -> InstalledWasmtime:
        """Return the one wasmtime: the installed one, or for an exact requirement the cache's.

        Of an exact requirement, the build environment need not have the wasmtime. If it has none,
        and the cache has lost it since then, it is fetched.

        Raises:
            WazcacheError: there is none, and it cannot be fetched.
        """
        if self.wasmtime is None:
            self.wasmtime = self._kept() or installed_wasmtime()
        return self.wasmtime

    def _kept(self) -> InstalledWasmtime | None:
        """Return the pinned wasmtime, if the installed one is not it; None without a pin."""
        from hatch_wazcache.project.installed_requirements import is_installed, parse

        if self._pinned is None or is_installed([self._pinned]):
            return None
        requirement = parse(self._pinned)
        folder = self._cache.find_wheel(requirement)
        if folder is not None:
            self._unchecked.add(folder)
        elif not is_installed([]):
            from hatch_wazcache.cache.installers import can_fetch

            folder = self._fetched(requirement) if can_fetch() else None
        return None if folder is None else wasmtime_at(folder)

    def keep(self) -> None:
        """Keep the pinned wasmtime in the cache, so that the next build need not install it."""
        if self._pinned is None or self.wasmtime is None:
            return
        from hatch_wazcache.project.installed_requirements import is_installed, parse

        requirement = parse(self._pinned)
        if is_installed([self._pinned]) and self._cache.find_wheel(requirement) is None:
            self._cache.keep_wheel(requirement)

    def find_wasmtime(self, requirement: EngineRequirement, targets: Sequence[Target]) -> None:
        """Find the one wasmtime to compile for: the installed one if it fits, or a fetched one.

        Raises:
            WazcacheError: it cannot be fetched, or nobody knows which one it is.
        """
        from hatch_wazcache.engine.requirements import one_major
        from hatch_wazcache.project.engine_requirement import one_requirement
        from hatch_wazcache.project.engines import choose_engines
        from hatch_wazcache.project.installed_requirements import parse

        wanted = one_requirement(requirement, targets)
        # Users get the newest wasmtime, so an older one that was fetched before must not decide.
        find = self._newest if one_major(parse(wanted)) is None else self._fetched
        (self.wasmtime,) = choose_engines([wanted], find)

    def _newest(self, requirement: Requirement) -> Path:
        """Return the folder of the newest wasmtime that a requirement admits; ask the installer.

        Raises:
            WazcacheError: it cannot be fetched, and none was fetched before.
        """
        say = self._report.say
        return self._cache.fetch_wheel(requirement, self._needed_for, say, newest=True)

    def _fetched(self, requirement: Requirement) -> Path:
        """Return the folder of a fetched wasmtime; fetch it if there is none.

        Raises:
            WazcacheError: it cannot be fetched.
        """
        found = self._cache.find_wheel(requirement)
        if found is not None:
            self._unchecked.add(found)
            return found
        self._report.say(f"fetching {requirement}")
        return self._cache.fetch_wheel(requirement, self._needed_for, self._report.say)

    def checked(self, engine: Engine) -> Engine:
        """Check every file of a fetched engine, whose code runs next; fetch a broken one again.

        Raises:
            WazcacheError: it is broken, and cannot be fetched again.
        """
        if engine.package.parent not in self._unchecked:
            return engine
        from hatch_wazcache.project.installed_requirements import parse

        requirement = parse(f"wasmtime=={engine.distribution_version}")
        folder = self._cache.fetch_wheel(requirement, self._needed_for, self._report.say)
        return engine._replace(package=folder / engine.package.name)
