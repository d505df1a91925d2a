"""Finds the engines that compile artifacts again: installed, or fetched into the cache."""

from __future__ import annotations

from typing import TYPE_CHECKING

from packaging.requirements import InvalidRequirement, Requirement

from hatch_wazcache.engine.installed import OLDEST, installed_wasmtime, wasmtime_at
from hatch_wazcache.engine.requirements import for_one_major
from hatch_wazcache.errors import WazcacheError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from hatch_wazcache.cache.directory import CacheDirectory
    from hatch_wazcache.engine.installed import Engine, Notes

__all__ = ["EngineFinder"]

_NEEDED_FOR = "compiling artifacts again"


class EngineFinder:
    """Finds an engine for each version; each wheel of wasmtime is looked for once."""

    def __init__(
        self, cache: Callable[[], CacheDirectory], notes: Notes, say: Callable[[str], None]
    ) -> None:
        """Look for nothing yet.

        Args:
            cache: opens the cache for fetched wheels. It is called if an engine is not installed.
            notes: remember the versions of engines.
            say: called before something is fetched.
        """
        self._cache = cache
        self._notes = notes
        self._say = say
        self._found: list[Engine] = []
        self._fetched: dict[str, Engine | None] = {}
        """The engine of each requirement that was looked for; None if it cannot be fetched."""
        self._problems: dict[str, str] = {}
        """Why a requirement cannot be fetched."""

    def find(self, version: str, *, exact: bool) -> Engine:
        """Return the engine of a version.

        Args:
            version: of wasmtime, as a manifest has it.
            exact: whether wasmtime-py compiles. Otherwise, the CLI does, and any engine of the same
                major version will do: it is only compared with the CLI.

        Raises:
            WazcacheError: it is not installed, and cannot be fetched.
        """
        major = version.partition(".")[0]
        if int(major) < OLDEST:
            raise WazcacheError(f"is compiled by wasmtime {version}, which is older than {OLDEST}")
        for engine in self._engines(version, major, exact=exact):
            if engine not in self._found:
                self._found.append(engine)
            if engine.version == version or (not exact and engine.major == int(major)):
                return engine
        # No wheel of wasmtime-py has this engine. A CLI may have its version.
        for engine in self._found:
            if engine.major == int(major):
                return engine
        problem = self._problems[for_one_major(int(major))]
        raise WazcacheError(f"is compiled by wasmtime {version}: {problem}")

    def _engines(self, version: str, major: str, *, exact: bool) -> Iterator[Engine]:
        """Yield the engines at hand, and then those that are fetched."""
        yield from tuple(self._found)
        if engine := self._installed():
            yield engine
        any_patch = for_one_major(int(major))
        lines = [f"wasmtime=={version}", any_patch] if exact else [any_patch]
        if exact and self._has(any_patch):
            lines.reverse()  # the version of an engine is not always that of its wheel
        for line in lines:
            if line not in self._fetched:
                self._fetched[line] = self._fetch(line)
            if engine := self._fetched[line]:
                yield engine

    def _installed(self) -> Engine | None:
        """Return the installed engine. If there is none, a fetched one will do."""
        try:
            return installed_wasmtime().engine(self._notes)
        except WazcacheError:
            return None

    def _has(self, line: str) -> bool:
        """Say whether a wheel that satisfies a requirement was already fetched."""
        try:
            return self._cache().find_wheel(Requirement(line)) is not None
        except WazcacheError:
            return False

    def _fetch(self, line: str) -> Engine | None:
        """Return the engine of a fetched wheel, with every file checked; None if there is none."""
        try:
            cache, requirement = self._cache(), Requirement(line)
            folder = cache.find_wheel(requirement)
            if folder is None:
                self._say(f"fetching {requirement}")
            else:
                requirement = Requirement(f"wasmtime=={wasmtime_at(folder).version}")
            folder = cache.fetch_wheel(requirement, _NEEDED_FOR)
            return wasmtime_at(folder).engine(self._notes)
        except (WazcacheError, InvalidRequirement) as error:
            self._problems[line] = str(error)
            return None
