"""The shared cache of a build that may not need it: opened when the first artifact is missing."""

from __future__ import annotations

from typing import TYPE_CHECKING

from hatch_wazcache.cache.notes import engine_note

if TYPE_CHECKING:
    from collections.abc import Iterable

    from hatch_wazcache.cache.directory import CacheDirectory
    from hatch_wazcache.cache.entry import Entry
    from hatch_wazcache.cache.remote.options import RemoteOptions
    from hatch_wazcache.compile.job import Job
    from hatch_wazcache.packing.remote_entries import RemoteEntries
    from hatch_wazcache.report import Report

__all__ = ["LazyRemote"]


class LazyRemote:
    """Opens the shared cache once, and only if a build needs it."""

    def __init__(
        self, options: RemoteOptions | None, cache: CacheDirectory, report: Report
    ) -> None:
        """Open nothing yet.

        Args:
            options: where the shared cache is; None if there is none.
            cache: the local cache.
            report: shows lines and warnings.
        """
        self._options = options
        self._cache = cache
        self._report = report
        self._opened: RemoteEntries | None = None

    def for_jobs(self, missing: Iterable[Job]) -> RemoteEntries | None:
        """Return the shared cache; None if there is none, or no artifact is missing.

        Args:
            missing: the jobs without an entry in the local cache.

        Raises:
            WazcacheError: this machine cannot use the shared cache that its environment names.
        """
        options = self._options
        if options is not None and any(job.compiles for job in missing):
            # Imported here, because a build with hits only does not need it.
            from hatch_wazcache.packing.open_remote import open_remote

            self._options = None
            self._opened = open_remote(options, self._cache, self._report)
        return self._opened

    def use(self, opened: RemoteEntries) -> None:
        """Use a shared cache that is open already."""
        self._options = None
        self._opened = opened

    def noted(self, job: Job) -> Entry | None:
        """Return the entry of another patch release that came from a shared cache, if there is one.

        So a build needs neither the server nor the wasmtime CLI again.
        """
        if not job.needs_wasmtime_cli:
            return None
        version = self._cache.notes.recall(engine_note(job.key.digest))
        return self._cache.get(job.by_version(version).key) if version else None

    def finish(self) -> None:
        """Wait for uploads: before the counts of the build are shown."""
        if self._opened is not None:
            self._opened.finish()

    def close(self) -> None:
        """Give up what is still on its way."""
        if self._opened is not None:
            self._opened.close()
            self._opened = None
