"""The shared cache, as a build uses it: jobs instead of keys, and lines for a person."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from hatch_wazcache.cache.key import ArtifactKey
from hatch_wazcache.cache.notes import engine_note
from hatch_wazcache.engine.installed import ANY_PATCH_FROM

if TYPE_CHECKING:
    from collections.abc import MutableMapping, Sequence

    from hatch_wazcache.cache.directory import CacheDirectory
    from hatch_wazcache.cache.entry import Entry
    from hatch_wazcache.cache.remote.downloads import Coming
    from hatch_wazcache.cache.remote.remote_cache import RemoteCache
    from hatch_wazcache.cache.remote.server import Server
    from hatch_wazcache.compile.job import Job
    from hatch_wazcache.report import Report

__all__ = ["RemoteEntries"]


class RemoteEntries:
    """The entries of one build in the shared cache."""

    def __init__(
        self,
        remote: RemoteCache,
        cache: CacheDirectory,
        report: Report,
        *,
        writes: bool,
        patient: bool = False,
    ) -> None:
        """Use a shared cache.

        Args:
            remote: the shared cache.
            cache: the local one.
            report: shows what is found and uploaded, and one warning if something is wrong.
            writes: whether to upload what is compiled.
            patient: whether this is for a command that lists what was refused, so that no warning
                need say it.
        """
        self._remote = remote
        self._cache = cache
        self._report = report
        self._patient = patient
        self.writes: bool = writes
        """Whether what is compiled is uploaded."""
        self._coming: list[Coming] = []
        self._jobs: dict[str, tuple[Job, Job]] = {}
        """By the digests of keys of entries on their way: the job that is wanted, and the same job
        with the version of the compiler."""
        self._uploaded: dict[str, Job] = {}
        self._has_warned = False
        self._has_told_refusals = False

    def ask(self, jobs: Sequence[Job], entries: MutableMapping[str, Entry]) -> list[Job]:
        """Ask for the entries of jobs, and begin to download those that are there.

        Args:
            jobs: the local cache has none of their entries.
            entries: gets the entries that the local cache has under the key of another patch
                release, by the digests of the jobs' keys.

        Returns:
            The jobs without an entry on its way.
        """
        wanted = [job for job in jobs if job.compiles]
        place = self.server.store.place
        self._report.detail(f"asking the shared cache {place} for {len(wanted)} entries")
        others = self._other_versions(self._begin([(job, job) for job in wanted]))
        found = self._cache.find(other.key for _job, other in others)
        for job, other in others:
            if entry := found.get(other.key.digest):
                self._take(job, other, entry, entries)
                self._report.is_found(entry.seconds)
        self._begin([(job, other) for job, other in others if other.key.digest not in found])
        self._warn()
        arriving = {job.key.digest for job, _other in self._jobs.values()}
        self._report.detail(f"it has {len(arriving)} of them, which are downloaded meanwhile")
        return [job for job in jobs if job.key.digest not in (arriving | entries.keys())]

    def look(self, jobs: Sequence[Job]) -> set[str]:
        """Return the digests of the keys of those jobs whose entries are there. Downloads nothing.

        Args:
            jobs: for artifacts.
        """
        there = set(self._remote.signatures(_keys(jobs)))
        others = self._other_versions([job for job in jobs if job.key.digest not in there])
        signed = self._remote.signatures(_keys([other for _job, other in others]))
        self._warn()
        return there | {job.key.digest for job, other in others if other.key.digest in signed}

    def _other_versions(self, jobs: Sequence[Job]) -> list[tuple[Job, Job]]:
        """Return jobs that another patch release has compiled, and each with its version."""
        by_cli = [job for job in jobs if _may_have_other_version(job)]
        versions = self._remote.engines(_keys(by_cli)) if by_cli else {}
        return [
            (job, job.by_version(versions[job.key.digest]))
            for job in by_cli
            if versions.get(job.key.digest, job.compiled_by) != job.compiled_by
        ]

    def _begin(self, pairs: Sequence[tuple[Job, Job]]) -> list[Job]:
        """Begin the downloads of jobs; return the wanted jobs that the server does not have."""
        if not pairs:
            return []
        keys = _keys([other for _job, other in pairs])
        coming = self._remote.find(keys)
        self._coming.append(coming)
        self._jobs |= {
            other.key.digest: (job, other)
            for job, other in pairs
            if other.key.digest in coming.keys
        }
        return [job for job, other in pairs if other.key.digest not in coming.keys]

    def receive(self, entries: MutableMapping[str, Entry]) -> list[Job]:
        """Wait until the downloads have ended, or cannot win any more.

        Args:
            entries: gets what has arrived, by the digests of keys.

        Returns:
            The jobs whose entries did not arrive.
        """
        failed = []
        while self._coming:
            for download in self._coming.pop().wait():
                job, other = self._jobs.pop(download.key.digest)
                if download.entry is None:
                    failed.append(job)
                    continue
                self._take(job, other, download.entry, entries)
                self._report.is_downloaded(
                    job.label, download.key.target, download.size, download.seconds,
                    download.entry.seconds,
                )  # fmt: skip
        self._warn()
        return failed

    def _take(
        self, job: Job, other: Job, entry: Entry, entries: MutableMapping[str, Entry]
    ) -> None:
        entries[job.key.digest] = entries[other.key.digest] = entry
        if other is not job:
            self._cache.notes.remember(engine_note(job.key.digest), other.compiled_by)

    def is_compiled(self, job: Job, entry: Entry) -> None:
        """Begin to upload an entry that this build has compiled, if it may."""
        if self.writes and isinstance(job.key, ArtifactKey) and job.engine is not None:
            self._uploaded[job.key.digest] = job
            asked = replace(job.key, engine=job.engine.version)
            self._remote.upload(job.key, entry, asked)

    def finish(self) -> None:
        """Wait for the uploads, each for at most what its own bytes need, and report them."""
        for upload in self._remote.finish():
            job = self._uploaded[upload.key.digest]
            self._report.is_uploaded(job.label, upload.key.target, upload.size, upload.seconds)
        self._warn()

    @property
    def server(self) -> Server:
        """The server, with its faults."""
        return self._remote.server

    def close(self) -> None:
        """Give up what is still on its way."""
        self._remote.close()

    def _warn(self) -> None:
        """Warn once about the server, and once about what was refused."""
        server = self._remote.server
        place = f"the shared cache {server.store.place}"
        goes_on = "; this build goes on without it" if server.is_given_up else ""
        if server.failures and not self._has_warned:
            self._has_warned = True
            self._report.trouble(f"{place}: {server.failure}{goes_on}")
        if server.refusals and not self._has_told_refusals and not self._patient:
            self._has_told_refusals = True
            count = server.refusals
            entries = "an entry" if count == 1 else f"{count} entries"
            self._report.trouble(
                f"{place}: {entries} refused, and made here instead; the first {server.refusal}"
                f"{'' if server.failures else goes_on}"
            )


def _may_have_other_version(job: Job) -> bool:
    """Say whether another patch release of the wasmtime CLI may have compiled for a job."""
    return bool(job.needs_wasmtime_cli and job.engine and job.engine.major >= ANY_PATCH_FROM)


def _keys(jobs: Sequence[Job]) -> list[ArtifactKey]:
    return [job.key for job in jobs if isinstance(job.key, ArtifactKey)]
