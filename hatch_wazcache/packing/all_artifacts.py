"""All artifacts of a project: for every target and engine, in its own wheels or in companions.

Several machines can compile one share each, without talking to each other.
"""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING, NamedTuple

from hatch_wazcache.cache.key import ArtifactKey
from hatch_wazcache.packing.build import Build, check_stored

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from hatch_wazcache.compile.job import Job
    from hatch_wazcache.project.project import Project
    from hatch_wazcache.report import Report

__all__ = ["Shard", "all_artifacts", "share", "warm_shard"]


class Shard(NamedTuple):
    """One of several shares of a project's artifacts."""

    number: int
    """The first is 1."""
    total: int


@contextmanager
def all_artifacts(project: Project, report: Report) -> Iterator[tuple[Build, list[Job]]]:
    """Plan the artifacts of all targets and engines, and open the caches for them.

    Args:
        project: the project.
        report: shows warnings.

    Yields:
        The build, open until the end; and a job for each key. Artifacts for the CPU of this machine
        are left out, because no other machine can use them.

    Raises:
        WazcacheError: an asset or an engine is not fit to build.
    """
    config = project.config
    # The artifacts of companions have the keys that they would have in the package's own wheels.
    project = project._replace(config=config._replace(companion=None))
    targets = sorted(config.possible_targets, key=lambda target: not target.systems)
    build = Build(project, targets[0], report)
    try:
        jobs = {job.key.digest: job for job in build.artifact_jobs(targets[1:])}
        yield (
            build,
            [
                job
                for job in jobs.values()
                if isinstance(job.key, ArtifactKey) and not job.key.is_for_one_machine
            ],
        )
    finally:
        build.close()


def share(jobs: Iterable[Job], shard: Shard) -> list[Job]:
    """Return one share of jobs.

    Each job is in one share, and all shares have about the same bytes of code to compile. All
    machines with the same jobs agree on it, whatever the order of the jobs.
    """
    loads = [0] * shard.total
    mine = []
    for job in sorted(jobs, key=lambda job: (-job.wasm.code_size, job.key.digest)):
        lightest = loads.index(min(loads))
        loads[lightest] += max(job.wasm.code_size, 1)
        if lightest == shard.number - 1:
            mine.append(job)
    return mine


def warm_shard(project: Project, report: Report, shard: Shard) -> None:
    """Compile one share of all artifacts of a project. It counts as a build in the statistics.

    Args:
        project: what to build.
        report: shows progress and warnings, and counts.
        shard: which share.

    Raises:
        WazcacheError: an asset cannot be compiled, or the cache cannot store it.
    """
    with all_artifacts(project, report) as (build, jobs):
        mine = share(jobs, shard)
        report.say(f"shard {shard.number} of {shard.total}: {len(mine)} of {len(jobs)} artifacts")
        build.entries.make(mine)
        build.record_and_prune()
    check_stored(build)
