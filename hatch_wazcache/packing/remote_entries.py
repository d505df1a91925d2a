"""The shared cache, as a build uses it: jobs instead of keys, and lines for a person.

Nothing of it is imported by a build that finds everything in its local cache.
"""

from __future__ import annotations

import os
from dataclasses import replace
from typing import TYPE_CHECKING

from hatch_wazcache.cache.key import ArtifactKey
from hatch_wazcache.cache.notes import engine_note
from hatch_wazcache.cache.remote.keys import SigningKey, TrustedKeys, user_keys_file
from hatch_wazcache.cache.remote.open_store import open_store
from hatch_wazcache.cache.remote.remote_cache import RemoteCache
from hatch_wazcache.engine.installed import ANY_PATCH_FROM
from hatch_wazcache.errors import WazcacheError
from hatch_wazcache.util.environment import SIGNING_KEY, TRUSTED_KEYS, read_variable

if TYPE_CHECKING:
    from collections.abc import MutableMapping, Sequence

    from hatch_wazcache.cache.directory import CacheDirectory
    from hatch_wazcache.cache.entry import Entry
    from hatch_wazcache.cache.remote.downloads import Coming
    from hatch_wazcache.cache.remote.options import RemoteOptions
    from hatch_wazcache.compile.job import Job
    from hatch_wazcache.report import Report

__all__ = ["RemoteEntries", "open_remote"]


def open_remote(
    options: RemoteOptions, cache: CacheDirectory, report: Report
) -> RemoteEntries | None:
    """Prepare the shared cache of a build. Nothing is asked yet.

    Args:
        options: where it is.
        cache: the local cache, which keeps what is downloaded.
        report: says why there is none, or only one to read.

    Returns:
        None if this machine cannot use what the project names: others build it, too.

    Raises:
        WazcacheError: this machine cannot use what `WAZCACHE_REMOTE` names.
    """
    try:
        trusted = _trusted_keys(options)
        if trusted is not None and not trusted:
            _without_keys(options, report)
            return None
        signing_key, writes = _signing_key(options, report)
        if signing_key is not None and trusted is not None:
            _check_own_key(signing_key, trusted, report)
        store = open_store(options, os.environ)
    except WazcacheError as error:
        if options.url_from_environment:
            raise
        report.trouble(f"{error}; the build goes on without its shared cache")
        return None
    remote = RemoteCache(store, cache, trusted, signing_key, bazel=options.bazel)
    return RemoteEntries(remote, cache, report, writes=writes)


def _trusted_keys(options: RemoteOptions) -> TrustedKeys | None:
    """Return the keys of which one must have signed; None if nothing need be signed.

    A machine that trusts keys takes nothing unsigned, whatever a project says: what it takes stays
    in the local cache, where other projects find it.
    """
    where = f"{options.table}.trusted-keys"
    trusted = TrustedKeys.read(os.environ, user_keys_file(), options.trusted_keys, where)
    return None if options.unsigned and not trusted else trusted


def _without_keys(options: RemoteOptions, report: Report) -> None:
    """Say that this machine trusts no key.

    Raises:
        WazcacheError: the person at this machine has named the shared cache.
    """
    text = (
        f"{options.where}: the shared cache {options.place} is not used: this machine trusts no "
        f"key. To use it, set {TRUSTED_KEYS} to the public keys of your team"
    )
    if options.url_from_environment:
        raise WazcacheError(text)
    report.say(text)


def _signing_key(options: RemoteOptions, report: Report) -> tuple[SigningKey | None, bool]:
    """Return the private key, and whether the build uploads."""
    if not options.writes:
        return None, False
    text = read_variable(SIGNING_KEY)
    if text is not None:
        return SigningKey.read(text), True
    if not options.unsigned:
        report.trouble(
            f"the shared cache {options.place} is only read, although its mode is read-write: "
            f"{SIGNING_KEY} is not set, so nothing can be signed"
        )
    return None, options.unsigned


def _check_own_key(signing_key: SigningKey, trusted: TrustedKeys, report: Report) -> None:
    """Say that others will not use what this build uploads, as far as this machine can know."""
    if problem := trusted.problem(signing_key.public):
        report.trouble(
            f"{SIGNING_KEY}: what this build uploads {problem}; neither this machine nor others "
            "with its keys use that"
        )


class RemoteEntries:
    """The entries of one build in the shared cache."""

    def __init__(
        self, remote: RemoteCache, cache: CacheDirectory, report: Report, *, writes: bool
    ) -> None:
        """Use a shared cache.

        Args:
            remote: the shared cache.
            cache: the local one.
            report: shows what is found and uploaded, and one warning if something is wrong.
            writes: whether to upload what is compiled.
        """
        self._remote = remote
        self._cache = cache
        self._report = report
        self._writes = writes
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
        left = self._begin([(job, job) for job in jobs if job.compiles])
        by_cli = [job for job in left if _may_have_other_version(job)]
        versions = self._remote.engines(_keys(by_cli)) if by_cli else {}
        others = [
            (job, job.by_version(versions[job.key.digest]))
            for job in by_cli
            if versions.get(job.key.digest, job.compiled_by) != job.compiled_by
        ]
        found = self._cache.find(other.key for _job, other in others)
        for job, other in others:
            if entry := found.get(other.key.digest):
                self._take(job, other, entry, entries)
                self._report.is_found(entry.seconds)
        self._begin([(job, other) for job, other in others if other.key.digest not in found])
        self._warn()
        arriving = {job.key.digest for job, _other in self._jobs.values()}
        return [job for job in jobs if job.key.digest not in (arriving | entries.keys())]

    def _begin(self, pairs: Sequence[tuple[Job, Job]]) -> list[Job]:
        """Begin the downloads of jobs; return the wanted jobs that the server does not have."""
        if not pairs:
            return []
        coming = self._remote.find(_keys([other for _job, other in pairs]))
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
        if self._writes and isinstance(job.key, ArtifactKey) and job.engine is not None:
            self._uploaded[job.key.digest] = job
            asked = replace(job.key, engine=job.engine.version)
            self._remote.upload(job.key, entry, asked)

    def finish(self) -> None:
        """Wait for the uploads, each for at most what its own bytes need, and report them."""
        for upload in self._remote.finish():
            job = self._uploaded[upload.key.digest]
            self._report.is_uploaded(job.label, upload.key.target, upload.size, upload.seconds)
        self._warn()

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
        if server.refusals and not self._has_told_refusals:
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
