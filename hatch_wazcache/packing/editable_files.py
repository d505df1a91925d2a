"""Finds and removes the files that editable installs wrote into a source tree.

Their manifests list them. A manifest may come from anywhere, so each file is checked, too.
"""

from __future__ import annotations

import os
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING

from hatch_wazcache.engine.targets import SYSTEMS
from hatch_wazcache.formats.artifact import is_artifact
from hatch_wazcache.resources import is_loader
from hatch_wazcache.util import temporary_files
from hatch_wazcache.wheels.manifest import manifest_name, read_editable_info

if TYPE_CHECKING:
    from collections.abc import Container, Iterable, Iterator, Mapping

__all__ = ["leftovers", "listed", "real_path", "remove"]

_DEFAULT_MANIFEST = manifest_name(None)

_NO_SOURCES = (".git", ".hg", ".hatch", ".nox", ".tox", ".venv", "__pycache__", "node_modules")
"""Folders without sources, which are not searched."""


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
            for written in _paths(path, root):
                real = real_path(written)
                for name in {os.path.normpath(written), str(real)}:
                    if name in files and real_path(Path(name)) == real:
                        yield files[name]


def remove(root: Path, project: str, manifest: str, keep: Container[Path] = ()) -> None:
    """Remove exactly the files that editable installs of this project wrote.

    A file goes if a manifest lists it and it is an artifact, a loader or that manifest. The assets
    need not exist any more.

    Args:
        root: the project's root. Folders below it with a project of their own are left alone.
        project: the project's name.
        manifest: the name of the manifests.
        keep: real paths of files to leave.
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
            for written in listed(path, root, project):
                if written not in keep and written.is_file() and _is_ours(written, path):
                    written.unlink(missing_ok=True)


def _is_ours(path: Path, manifest: Path) -> bool:
    """Say whether an install wrote a file that a manifest lists, by the file's content."""
    if path.suffix == ".cwasm":
        return is_artifact(path)
    return path == real_path(manifest) or is_loader(path)


def _manifests(folder: Path, manifest: str) -> Iterator[Path]:
    """Find the manifests in a folder, also those of an earlier value of the option `loader`."""
    for path in folder.glob("*.json"):
        if path.name in (manifest, _DEFAULT_MANIFEST) or is_loader(path.with_suffix(".py")):
            yield path


def listed(manifest: Path, root: Path, project: str | None = None) -> list[Path]:
    """Return the real paths of the files that a manifest lists."""
    return [real_path(path) for path in _paths(manifest, root, project)]


def _paths(manifest: Path, root: Path, project: str | None = None) -> Iterator[Path]:
    """Yield the paths of the files that a manifest lists, itself last.

    The manifest may come from anywhere, so other kinds of files and files outside the project are
    ignored. If `project` is given, the manifests of other projects are ignored, too.
    """
    info = read_editable_info(manifest)
    if info is None or project not in (None, info.project):
        return
    real_root = root.resolve()
    for name in info.wrote:
        path = PurePosixPath(name)
        if "\0" in name or "\\" in name or path.is_absolute():
            continue
        is_loader_name = len(path.parts) == 1 and path.with_suffix(".json").name == manifest.name
        if path.suffix == ".cwasm" or (path.suffix == ".py" and is_loader_name):
            written = manifest.parent / path
            if real_path(written).is_relative_to(real_root):
                yield written
    yield manifest


def real_path(path: Path) -> Path:
    """Return where a file lies, without the links in the path of its folder."""
    return Path(os.path.realpath(path.parent), path.name)
