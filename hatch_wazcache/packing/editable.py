"""The files of an editable install in the source tree: writes, finds and removes them.

The manifest names them all and is written first. So the next install finds every file that a
killed one left behind.
"""

from __future__ import annotations

import os
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING

from hatch_wazcache.engine.targets import SYSTEMS
from hatch_wazcache.errors import WazcacheError
from hatch_wazcache.packing.manifests import manifest_for_editable
from hatch_wazcache.resources import loader_text
from hatch_wazcache.util import temporary_files
from hatch_wazcache.wheels.manifest import is_loader, manifest_name, read_editable_info

if TYPE_CHECKING:
    from collections.abc import Container, Iterable, Iterator, Mapping

    from hatch_wazcache.packing.build import Build
    from hatch_wazcache.project.packages import Package

__all__ = ["leftovers", "remove", "write_editable"]

_DEFAULT_MANIFEST = manifest_name(None)

_NO_SOURCES = (".git", ".hg", ".hatch", ".nox", ".tox", ".venv", "__pycache__", "node_modules")
"""Folders without sources, which are not searched."""


def write_editable(build: Build) -> None:
    """Write artifacts, manifests and loaders beside the sources, each file at once or not at all.

    Files of an earlier install go first. So an old artifact never lies beside a new manifest, even
    if this process is killed.

    Args:
        build: its entries are made.

    Raises:
        WazcacheError: the source tree cannot be written.
    """
    try:
        committed = _remove_old(build)
        for package in build.plan.packages:
            _write_package(build, package, committed)
    except OSError as error:
        where = error.filename or build.project.layout.root  # a full disk has no name
        raise WazcacheError(
            f"{where}: cannot be written: {error.strerror or error}; an editable install puts "
            "artifacts beside the .wasm files"
        ) from error


def _remove_old(build: Build) -> set[Path]:
    """Remove what earlier installs wrote, but for the files that are replaced in one step.

    Returns:
        The loaders that no install wrote. They are committed files, so `remove` never removes them.
    """
    root, plan = build.project.layout.root, build.plan
    committed, kept = set(), set()
    for package in plan.packages:
        before = list(_written_by(package.source / package.manifest, root))
        kept.add(package.source / package.manifest)
        if package.loader:
            path = package.source / package.loader
            kept.add(path)
            if path not in before and path.exists():
                committed.add(path)
        _unlink(path for path in before if path not in kept)
    for manifest in dict.fromkeys(package.manifest for package in plan.packages):
        remove(root, build.project.name, manifest, kept)
    _unlink(artifact.asset.package.source / artifact.name for artifact in plan.artifacts)
    return committed


def _write_package(build: Build, package: Package, committed: Container[Path]) -> None:
    """Write the files of one package, the manifest first."""
    plan, entries = build.plan, build.entries
    artifacts = [artifact for artifact in plan.artifacts if artifact.asset.package == package]
    wrote = [artifact.name for artifact in artifacts]
    if package.loader and package.source / package.loader not in committed:
        wrote.append(package.loader)
    wrote.append(package.manifest)
    manifest = manifest_for_editable(plan, package, entries.by_key, build.project.name, wrote)
    temporary_files.write_file(package.source / package.manifest, [manifest.to_bytes()])
    for artifact in artifacts:
        entries.write(artifact.job, package.source / artifact.name)
    if package.loader:
        temporary_files.write_file(package.source / package.loader, [loader_text()])


def leftovers(
    root: Path, files: Mapping[str, str], assets: Iterable[str], manifest: str
) -> Iterator[str]:
    """Find files of editable installs among those of a distribution, which must not hold them.

    Args:
        root: the project's root.
        files: absolute source path to path in the distribution.
        assets: paths in the distribution.
        manifest: the name of the manifests.

    Yields:
        Paths in the distribution.
    """
    artifacts = {
        f"{asset.removesuffix('.wasm')}.{system}" for asset in assets for system in SYSTEMS
    }
    for source, distribution in files.items():
        if temporary_files.is_temporary(os.path.basename(source)):
            yield distribution
        elif distribution.endswith(".cwasm"):
            folder, _, name = distribution.rpartition("/")
            parts = name.split(".")
            beginnings = (".".join(parts[:count]) for count in range(1, len(parts)))
            if any(f"{folder}/{beginning}" in artifacts for beginning in beginnings):
                yield distribution
    for folder in {os.path.dirname(source) for source in files}:
        for path in _manifests(Path(folder), manifest):
            for written in _written_by(path, root):
                if str(written) in files:
                    yield files[str(written)]


def remove(root: Path, project: str, manifest: str, keep: Container[Path] = ()) -> None:
    """Remove exactly the files that editable installs of this project wrote.

    The assets need not exist any more.

    Args:
        root: the project's root. Folders below it with a project of their own are left alone.
        project: the project's name.
        manifest: the name of the manifests.
        keep: files to leave.
    """
    for name, folders, files in os.walk(root):
        folder = Path(name)
        if folder != root and "pyproject.toml" in files:
            folders.clear()
            continue
        folders[:] = [name for name in folders if name not in _NO_SOURCES]
        if any(temporary_files.is_temporary(name) for name in files):
            temporary_files.sweep(folder)
        for path in _manifests(folder, manifest):
            info = read_editable_info(path)
            if info is not None and info.project == project:
                _unlink(written for written in _written_by(path, root) if written not in keep)


def _manifests(folder: Path, manifest: str) -> Iterator[Path]:
    """Find the manifests in a folder, also those of an earlier value of the option `loader`."""
    for path in folder.glob("*.json"):
        if path.name in (manifest, _DEFAULT_MANIFEST) or is_loader(path.with_suffix(".py")):
            yield path


def _written_by(manifest: Path, root: Path) -> Iterator[Path]:
    """Yield the files that a manifest lists, itself last, but none outside its folder."""
    info = read_editable_info(manifest)
    if info is None:
        return
    for name in info.wrote:
        if "\0" in name:
            continue
        path = PurePosixPath(name)
        inside = not path.is_absolute() and ".." not in path.parts and "\\" not in name
        loader = len(path.parts) == 1 and path.with_suffix(".json").name == manifest.name
        if inside and (path.suffix == ".cwasm" or (loader and path.suffix == ".py")):
            written = manifest.parent / path
            if written.parent.resolve().is_relative_to(root.resolve()):  # a link may lead out
                yield written
    yield manifest


def _unlink(paths: Iterable[Path]) -> None:
    for path in list(paths):
        path.unlink(missing_ok=True)
