"""Writes the files of an editable install into the source tree.

The manifest lists all of them and is written first. So the next install finds every file that a
killed install left behind.
"""

from __future__ import annotations

import errno
from typing import TYPE_CHECKING

from hatch_wazcache.errors import WazcacheError
from hatch_wazcache.formats.artifact import is_artifact
from hatch_wazcache.packing.build import Build
from hatch_wazcache.packing.committed_loader import is_generated
from hatch_wazcache.packing.editable_files import listed, real_path, remove
from hatch_wazcache.packing.manifests import manifest_for_editable, path_from_package
from hatch_wazcache.resources import loader_text
from hatch_wazcache.util import temporary_files
from hatch_wazcache.util.digests import file_sha256

if TYPE_CHECKING:
    from collections.abc import Container, Iterable
    from pathlib import Path

    from hatch_wazcache.packing.plan import Artifact
    from hatch_wazcache.project.packages import Package
    from hatch_wazcache.project.project import Project
    from hatch_wazcache.report import Report

__all__ = ["refresh_editable", "write_editable"]

_NO_PERMISSION = (errno.EACCES, errno.EPERM, errno.EROFS)

_SHARING_VIOLATION = 32
"""Windows' error for a file that a process uses, as for an artifact that is loaded."""


class _ReadOnlyError(WazcacheError):
    """The user has no permission to write to the source tree."""


def write_editable(build: Build) -> None:
    """Write artifacts, manifests and loaders beside the sources.

    A source tree that cannot be written is a warning if the package works without artifacts.

    Args:
        build: its entries are made.

    Raises:
        WazcacheError: the files cannot be written; or a file would lie outside the project or
            replace a file of the project.
    """
    try:
        _write(build)
    except _ReadOnlyError as error:
        if not _has_loaders(build.plan.packages):
            raise
        build.report.warn(f"{error}; without them the package compiles the .wasm when it loads it")
    else:
        build.entries.remote.finish()
        build.report.is_done("beside the .wasm files, for an editable install")


def refresh_editable(project: Project, report: Report) -> None:
    """Bring the files of an editable install up to date. Counts as a build in the statistics.

    Args:
        project: the installed project.
        report: shows progress and warnings, and counts.

    Raises:
        WazcacheError: an asset cannot be compiled; or as for `write_editable`, but a source tree
            that cannot be written is always an error.
    """
    build = Build(project, project.native_target, report)
    try:
        build.make_entries()
        _write(build)
        build.record_and_prune()
    finally:
        build.close()


def _write(build: Build) -> None:
    """Write the files, each completely or not at all.

    Files of an earlier install are removed first. So an old artifact never lies beside a new
    manifest, even if this process is killed. A file with the right bytes is not touched: on Windows
    it may be in use.
    """
    _check_places(build)
    try:
        current = {a.editable_path for a in build.plan.artifacts if _is_current(build, a)}
        committed = _remove_old(build, current)
        for package in build.plan.packages:
            _write_package(build, package, committed, current)
    except OSError as error:
        where = error.filename or build.project.layout.root  # a full disk has no name
        in_use = getattr(error, "winerror", None) == _SHARING_VIOLATION
        read_only = error.errno in _NO_PERMISSION and not in_use
        kind = _ReadOnlyError if read_only else WazcacheError
        raise kind(
            f"{where}: cannot be written: {error.strerror or error}; an editable install puts "
            "artifacts beside the .wasm files"
        ) from error


def _check_places(build: Build) -> None:
    """Refuse to write outside the project, and to replace a file of the project."""
    root, plan = build.project.layout.root, build.plan
    real_root = root.resolve()
    folders = {package.source for package in plan.packages}
    folders |= {artifact.editable_path.parent for artifact in plan.artifacts}
    problems = [
        f"{folder.relative_to(root)}: leads out of the project's root, to {folder.resolve()}; an "
        "editable install writes there, so move the folder into the project"
        for folder in sorted(folders)
        if not folder.resolve().is_relative_to(real_root)
    ]
    earlier = {
        path
        for package in plan.packages
        for path in listed(package.source / package.manifest, root)
    }
    owners: dict[Path, Artifact] = {}
    for artifact in plan.artifacts:
        path = artifact.editable_path
        other = owners.setdefault(path, artifact)
        if other != artifact:
            problems.append(
                f"{path}: artifacts of {artifact.job.label} and {other.job.label} would both lie "
                "there in an editable install; rename one of the .wasm files"
            )
        if real_path(path) not in earlier and path.is_file() and not _may_replace(path):
            problems.append(
                f"{path}: an editable install writes an artifact of {artifact.job.label} there, "
                "but this file is not an artifact; rename it"
            )
    if problems:
        raise WazcacheError("\n".join(problems))


def _may_replace(path: Path) -> bool:
    return path.stat().st_size == 0 or is_artifact(path)


def _has_loaders(packages: Iterable[Package]) -> bool:
    """Say whether each package finds its loader, and the loader its manifest."""
    return all(
        (package.source / name).is_file()
        for package in packages
        if package.loader
        for name in (package.loader, package.manifest)
    )


def _is_current(build: Build, artifact: Artifact) -> bool:
    """Say whether the source tree already has an artifact with the right bytes."""
    path, entry = artifact.editable_path, build.entries.by_key[artifact.key.digest]
    if not path.is_file() or path.stat().st_size != entry.size:
        return False
    with path.open("rb") as file:
        return file_sha256(file) == entry.sha256


def _remove_old(build: Build, current: Container[Path]) -> set[Path]:
    """Remove the files of earlier installs, except those that are replaced in one step.

    Returns:
        The loaders that no install wrote. They are committed files, so nothing replaces them.
    """
    root, plan = build.project.layout.root, build.plan
    committed, kept = set(), set()
    for package in plan.packages:
        kept.add(real_path(package.source / package.manifest))
        if package.loader:
            loader = package.source / package.loader
            kept.add(real_path(loader))
            project = build.project.name
            if loader.exists() and not is_generated(loader, package.manifest, root, project):
                committed.add(loader)
    kept |= {real_path(a.editable_path) for a in plan.artifacts if a.editable_path in current}
    for manifest in dict.fromkeys(package.manifest for package in plan.packages):
        remove(root, build.project.name, manifest, kept)
    for artifact in plan.artifacts:
        if artifact.editable_path not in current:
            artifact.editable_path.unlink(missing_ok=True)
    return committed


def _write_package(
    build: Build, package: Package, committed: Container[Path], current: Container[Path]
) -> None:
    """Write the files of one package, the manifest first."""
    plan, entries = build.plan, build.entries
    artifacts = [artifact for artifact in plan.artifacts if artifact.asset.package == package]
    wrote = [path_from_package(package, artifact.editable_path) for artifact in artifacts]
    loader = package.source / package.loader if package.loader else None
    if package.loader and loader not in committed:
        wrote.append(package.loader)
    wrote.append(package.manifest)
    manifest = manifest_for_editable(plan, package, entries.by_key, build.project, wrote)
    _write_if_new(package.source / package.manifest, manifest.to_bytes())
    for artifact in artifacts:
        if artifact.editable_path not in current:
            entries.write(artifact.job, artifact.editable_path)
    if loader and loader not in committed:
        _write_if_new(loader, loader_text())


def _write_if_new(path: Path, data: bytes) -> None:
    if not path.is_file() or path.read_bytes() != data:
        temporary_files.write_file(path, [data])
