"""What people do with the artifacts of a project in its shared cache: look, pull, push, verify."""

from __future__ import annotations

import time
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from hatch_wazcache.cache.directory import CacheDirectory
from hatch_wazcache.cache.entry import BrokenEntryError, Entry
from hatch_wazcache.errors import WazcacheError
from hatch_wazcache.packing.all_artifacts import all_artifacts
from hatch_wazcache.packing.open_remote import connect
from hatch_wazcache.util.environment import REMOTE, SIGNING_KEY
from hatch_wazcache.util.temporary_folder import TemporaryFolder

if TYPE_CHECKING:
    from collections.abc import Iterator

    from hatch_wazcache.cache.remote.options import RemoteOptions
    from hatch_wazcache.compile.job import Job
    from hatch_wazcache.packing.build import Build
    from hatch_wazcache.packing.remote_entries import RemoteEntries
    from hatch_wazcache.project.project import Project
    from hatch_wazcache.report import Report

__all__ = ["Outcome", "look", "pull", "push", "remote_of", "verify"]


class Outcome(NamedTuple):
    """What the shared cache has of a project, or what was done."""

    artifacts: int
    """All that the project has, for all targets and engines."""
    there: int = 0
    """Those that the server has, and that are trusted."""
    here: int = 0
    """Those that the local cache has."""
    done: int = 0
    """Those that were downloaded, uploaded or checked."""
    findings: tuple[str, ...] = ()
    """What is wrong, one sentence each."""
    failure: str = ""
    """Why the server was given up, or did not answer."""
    seconds: float = 0.0
    """How long the server needed to say what it has."""


def remote_of(project: Project) -> RemoteOptions:
    """Return the shared cache of a project.

    Raises:
        WazcacheError: it has none.
    """
    remote = project.config.remote
    if remote is None:
        raise WazcacheError(
            f"there is no shared cache: set {project.config.where('remote')}.url, or {REMOTE}"
        )
    return remote


@contextmanager
def _opened(
    project: Project, report: Report, options: RemoteOptions
) -> Iterator[tuple[Build, list[Job], RemoteEntries]]:
    with all_artifacts(project, report) as (build, jobs):
        remote = connect(options, build.entries.cache, report, patient=True)
        build.entries.remote.use(remote)
        yield build, jobs, remote


def look(project: Project, report: Report) -> Outcome:
    """Ask the server which of the project's artifacts it has.

    Raises:
        WazcacheError: this machine cannot use the shared cache.
    """
    options = remote_of(project)._replace(writes=False)
    with _opened(project, report, options) as (build, jobs, remote):
        missing = build.entries.look_up(jobs)
        began = time.monotonic()
        there = remote.look(jobs)
        seconds = time.monotonic() - began
        return Outcome(
            len(jobs),
            len(there),
            len(jobs) - len(missing),
            findings=_refusals(jobs, remote),
            failure=remote.server.failure,
            seconds=seconds,
        )


def pull(project: Project, report: Report) -> Outcome:
    """Download the project's artifacts that the local cache does not have.

    Raises:
        WazcacheError: this machine cannot use the shared cache.
    """
    options = remote_of(project)._replace(writes=False)
    with _opened(project, report, options) as (build, jobs, remote):
        missing = build.entries.look_up(jobs)
        absent = remote.ask(missing, build.entries.by_key)
        failed = remote.receive(build.entries.by_key)
        build.record_and_prune()
        got = len(missing) - len(absent) - len(failed)
        return Outcome(
            len(jobs),
            len(missing) - len(absent),
            len(jobs) - len(missing),
            got,
            _refusals(jobs, remote),
            remote.server.failure,
        )


def push(project: Project, report: Report) -> Outcome:
    """Upload the project's artifacts that the local cache has, and the server does not have.

    Each is compiled again, and only what the compiler has made now is signed: this machine's cache
    may hold what others have made. An entry with other bytes is a finding, and is replaced.

    Raises:
        WazcacheError: this machine cannot write to the shared cache, or an asset cannot be
            compiled.
    """
    options = remote_of(project)._replace(writes=True)
    with _opened(project, report, options) as (build, jobs, remote):
        if not remote.writes:
            raise WazcacheError(f"nothing can be signed without a private key: set {SIGNING_KEY}")
        entries = build.entries
        there = remote.look(jobs)
        if remote.server.is_given_up:
            return Outcome(len(jobs), failure=remote.server.failure)
        wanted = _recompilable([job for job in jobs if job.key.digest not in there], build)
        before = entries.cache.find(job.key for job in wanted)
        again = [job for job in wanted if job.key.digest in before]
        if again:
            entries.compile(again, again=True)
        build.record_and_prune()
        different = tuple(
            f"{_name(job)}: the entry in the local cache had other bytes than the compiler makes; "
            "it was replaced"
            for job in again
            if entries.by_key[job.key.digest].sha256 != before[job.key.digest].sha256
        )
        return Outcome(
            len(jobs),
            len(there),
            len(again),
            report.uploaded,
            different,
            remote.server.failure,
        )


def _recompilable(jobs: list[Job], build: Build) -> list[Job]:
    """Return the jobs that this machine can compile, with the keys of its compilers."""
    try:
        return build.entries.rekeyed(jobs)
    except WazcacheError as error:
        build.report.say(f"{error}; so artifacts that need it are left out")
        return [job for job in jobs if not job.needs_wasmtime_cli]


def verify(project: Project, report: Report) -> Outcome:
    """Download every artifact of the project that the server has, and check all of its digests.

    Nothing is kept.

    Raises:
        WazcacheError: this machine cannot use the shared cache.
    """
    options = remote_of(project)._replace(writes=False)
    with all_artifacts(project, report) as (_build, jobs), TemporaryFolder() as folder:
        cache = CacheDirectory(Path(folder), report.trouble)
        remote = connect(options, cache, report, patient=True)
        checked: dict[str, Entry] = {}
        try:
            absent = remote.ask(jobs, checked)
            remote.receive(checked)
            findings = [*_refusals(jobs, remote), *_broken(jobs, checked)]
        finally:
            remote.close()
            cache.close()
        good = sum(job.key.digest in checked for job in jobs)
        return Outcome(
            len(jobs),
            len(jobs) - len(absent),
            done=good,
            findings=tuple(findings),
            failure=remote.server.failure,
        )


def _broken(jobs: list[Job], checked: dict[str, Entry]) -> Iterator[str]:
    """Yield the entries whose compressed data is wrong. Such an entry was signed so."""
    for job in jobs:
        if job.key.digest in checked:
            try:
                checked[job.key.digest].verify()
            except BrokenEntryError:
                yield f"{_name(job)}: is signed, but broken"


def _refusals(jobs: list[Job], remote: RemoteEntries) -> tuple[str, ...]:
    names = {job.key.digest: _name(job) for job in jobs}
    return tuple(
        f"{names.get(key, key)}: {reason}" for key, reason in remote.server.refused_keys.items()
    )


def _name(job: Job) -> str:
    target = getattr(job.key, "target", "")
    return f"{job.label} for {target}, {job.key.digest[:12]}"
