"""The versions of wasmtime that a build fetches: into its cache, or for this build only."""

from __future__ import annotations

from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING

from hatch_wazcache.cache.engines import fetch, find_fetched
from hatch_wazcache.cache.trust import Trust
from hatch_wazcache.errors import WazcacheError
from hatch_wazcache.project.installed_requirements import parse

if TYPE_CHECKING:
    from packaging.requirements import Requirement

    from hatch_wazcache.cache.directory import CacheDirectory
    from hatch_wazcache.engine.installed import Engine
    from hatch_wazcache.report import Report

__all__ = ["FetchedEngines"]


class FetchedEngines:
    """Fetched engines. Their code runs in the compilers, so they come from a trusted cache only."""

    def __init__(
        self, cache: CacheDirectory, project: Path | None, needed_for: str, report: Report
    ) -> None:
        """Fetch nothing yet.

        Args:
            cache: the cache of the build.
            project: the root of the project that is built. Users who can replace it are trusted.
            needed_for: what needs the engines, for messages.
            report: shows what is fetched.
        """
        self._usable = cache.usable
        self._engines = cache.root / "engines"
        self._trust = Trust(cache.root, project)
        self._needed_for = needed_for
        self._report = report
        self._temporary: TemporaryDirectory[str] | None = None

    def close(self) -> None:
        """Remove what the cache could not store."""
        if self._temporary is not None:
            self._temporary.cleanup()

    def find(self, requirement: Requirement) -> Path:
        """Return the folder of a fetched wasmtime; fetch it if there is none.

        Args:
            requirement: one on wasmtime.

        Raises:
            WazcacheError: it cannot be fetched.
        """
        try:
            found = find_fetched(self._engines, requirement, self._trust) if self._usable else None
            if found is not None:
                return found
            self._report.say(f"fetching {requirement}")
            if self._usable:
                return fetch(self._engines, requirement, self._needed_for, self._trust)
        except OSError as error:
            self._report.trouble(
                f"{self._engines}: {error.strerror or error}; {requirement} is not kept"
            )
        self._temporary = self._temporary or TemporaryDirectory(prefix="wazcache-")
        engines = Path(self._temporary.name) / "engines"
        try:
            return fetch(engines, requirement, self._needed_for)
        except OSError as error:
            raise WazcacheError(
                f"{requirement} is needed for {self._needed_for}, but {engines} cannot be written: "
                f"{error.strerror or error}; see TMPDIR"
            ) from error

    def check(self, engine: Engine) -> None:
        """Check the files of a fetched engine before its code runs; fetch it again if it is broken.

        Args:
            engine: any engine. One that is installed, or fetched for this build only, is trusted.

        Raises:
            WazcacheError: it is broken, and cannot be fetched again.
        """
        if not engine.package.is_relative_to(self._engines):
            return
        requirement = parse(f"wasmtime=={engine.distribution_version}")
        try:
            fetch(self._engines, requirement, self._needed_for, self._trust)
        except OSError as error:
            raise WazcacheError(
                f"{engine.package.parent} is broken, and cannot be fetched again: "
                f"{error.strerror or error}"
            ) from error
