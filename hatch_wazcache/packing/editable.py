"""What an editable install writes into the source tree: writes it, finds it again, removes it.

The manifest that lies there names it all, and is written first, so that whatever a killed
installation leaves behind can be found.
"""

from __future__ import annotations

import os
from functools import partial
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING

from hatch_wazcache.engine.targets import SYSTEMS
from hatch_wazcache.project.packages import is_loader, manifest_name
from hatch_wazcache.util import temporary_files
from hatch_wazcache.wheels.manifest import manifest_for_editable, read_manifest

if TYPE_CHECKING:
    from collections.abc import Callable, Container, Iterable, Iterator, Mapping

    from hatch_wazcache.cache.entry import Entry
    from hatch_wazcache.compile.job import Job
    from hatch_wazcache.packing.plan import Plan
    from hatch_wazcache.wheels.manifest import DigestOf

__all__ = ["leftovers", "remove", "write"]

_DEFAULT_MANIFEST = manifest_name(None)

_NO_SOURCES = (".git", ".hg", ".hatch", ".nox", ".tox", ".venv", "__pycache__", "node_modules")
"""Folders that are not searched."""


def write(
    plan: Plan,
    root: Path,
    project: str,
    loader: bytes,
    copy: Callable[[Job, Callable[[Entry], None]], None],
    digest: DigestOf,
) -> None:
    """Write artifacts, manifests and loaders beside the sources, each file at once or not at all.

    What stood there before goes first: an old artifact must never stand beside a new manifest,
    wherever this is killed.

    Args:
        plan: the build's plan.
        root: the project's root.
        project: the project's name.
        loader: the loader's text.
        copy: calls its second argument with the job's entry, again if that was broken.
        digest: tells an artifact's SHA-256 (hexadecimal) and size in bytes.

    Raises:
        OSError: the source tree cannot be written.
    """
    committed, kept = set(), set()
    for package in plan.packages:
        before = list(_wrote(package.source / package.manifest, root))
        kept.add(package.source / package.manifest)
        if package.loader:
            path = package.source / package.loader
            kept.add(path)
            if path not in before and path.exists():
                committed.add(path)
        _unlink(path for path in before if path not in kept)
    for manifest in dict.fromkeys(package.manifest for package in plan.packages):
        remove(root, project, manifest, kept)
    _unlink(artifact.asset.package.source / artifact.name for artifact in plan.artifacts)
    for package in plan.packages:
        artifacts = [a for a in plan.artifacts if a.asset.package == package]
        wrote = [artifact.name for artifact in artifacts]
        if package.loader and package.source / package.loader not in committed:
            wrote.append(package.loader)
        wrote.append(package.manifest)
        text = manifest_for_editable(plan, package, digest, project, wrote)
        temporary_files.write_file(package.source / package.manifest, [text])
        for artifact in artifacts:
            path = package.source / artifact.name
            copy(artifact.job, partial(_write_data, path))
        if package.loader:
            temporary_files.write_file(package.source / package.loader, [loader])


def leftovers(
    root: Path, files: Mapping[str, str], assets: Iterable[str], manifest: str
) -> Iterator[str]:
    """Find what editable installs left among the files of a distribution; it has no place there.

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
            for written in _wrote(path, root):
                if str(written) in files:
                    yield files[str(written)]


def remove(root: Path, project: str, manifest: str, keep: Container[Path] = ()) -> None:
    """Remove exactly what editable installs of this project wrote; assets may be gone by now.

    Args:
        root: the project's root; a folder below it with a project of its own is left alone.
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
            about = read_manifest(path).get("editable")
            if isinstance(about, dict) and about.get("project") == project:
                _unlink(written for written in _wrote(path, root) if written not in keep)


def _manifests(folder: Path, manifest: str) -> Iterator[Path]:
    """Find the manifests in a folder, also those of the option `loader` as it was before."""
    for path in folder.glob("*.json"):
        if path.name in (manifest, _DEFAULT_MANIFEST) or is_loader(path.with_suffix(".py")):
            yield path


def _wrote(manifest: Path, root: Path) -> Iterator[Path]:
    """Yield the files that a manifest says were written, itself last; none outside its folder."""
    about = read_manifest(manifest).get("editable")
    names = about.get("wrote") if isinstance(about, dict) else None
    for name in names if isinstance(names, list) else ():
        if not isinstance(name, str) or "\0" in name:
            continue
        path = PurePosixPath(name)
        inside = not path.is_absolute() and ".." not in path.parts and "\\" not in name
        loader = len(path.parts) == 1 and path.with_suffix(".json").name == manifest.name
        if inside and (path.suffix == ".cwasm" or (loader and path.suffix == ".py")):
            written = manifest.parent / path
            if written.parent.resolve().is_relative_to(root.resolve()):  # a link may lead out
                yield written
    if isinstance(names, list):
        yield manifest


def _write_data(path: Path, entry: Entry) -> None:
    temporary_files.write_file(path, entry.data())


def _unlink(paths: Iterable[Path]) -> None:
    for path in list(paths):
        path.unlink(missing_ok=True)
