"""Writes a build as a folder of files, for a build system that packs such a folder.

A record lists the files that builds of this project wrote there, with their digests. Only these
files are ever removed: the folder can be any folder, and can have other files in it.
"""

from __future__ import annotations

import hashlib
import json
import os
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING

from hatch_wazcache.errors import WazcacheError
from hatch_wazcache.util import temporary_files
from hatch_wazcache.util.digests import file_sha256

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping

    from hatch_wazcache.packing.build import Build

__all__ = ["BuildTree"]


class BuildTree:
    """A folder that a build fills, and the record of our files in it."""

    def __init__(self, folder: Path, base: Path, project: str) -> None:
        """Read nothing yet.

        Args:
            folder: its subfolders are packages; absolute.
            base: the folder for the record.
            project: the project's name. Each project has its own record.
        """
        self._folder = folder
        try:
            place = os.path.relpath(folder, base)  # stays right when the project is moved
        except ValueError:  # two drives of Windows
            place = str(folder)
        key = hashlib.sha256(f"{project}\0{place}".encode()).hexdigest()[:16]
        self.record = base / f"wazcache-{key}.json"

    def write(self, build: Build) -> None:
        """Write assets, artifacts, loaders and manifests as an installed wheel would hold them.

        The record is written first, so that it names every file of a build that is killed.

        Args:
            build: its entries are made.

        Raises:
            WazcacheError: the folder cannot be written.
        """
        plan, entries, generated = build.plan, build.entries, dict(build.generated_files())
        assets = {
            self._folder / asset.distribution: asset
            for asset in (plan.assets if build.project.config.keep_wasm else ())
            if not _is_same(self._folder / asset.distribution, asset.source)
        }
        written = {asset.distribution: asset.wasm.sha256 for asset in assets.values()}
        for artifact in plan.artifacts:
            written[artifact.distribution] = entries.by_key[artifact.key.digest].sha256
        for name, data in generated.items():
            written[name] = hashlib.sha256(data).hexdigest()
        try:
            self._write_record({**self._read_record(), **written})
            for path, asset in assets.items():
                if asset.job.is_small:
                    temporary_files.write_file(path, [asset.read()])
                else:
                    entries.write(asset.job, path)
            for artifact in plan.artifacts:
                entries.write(artifact.job, self._folder / artifact.distribution)
            for name, data in generated.items():
                temporary_files.write_file(self._folder / name, [data])
        except OSError as error:
            where = error.filename or self._folder
            raise WazcacheError(f"{where}: cannot be written: {error.strerror or error}") from error

    def remove_old(self, sources: Collection[Path]) -> None:
        """Remove the files that earlier builds wrote, unless they have changed since.

        Args:
            sources: folders with sources, without links in their paths. Nothing in them is removed.

        Raises:
            WazcacheError: a file cannot be removed.
        """
        try:
            for name, sha256 in self._read_record().items():
                path = self._folder / name
                if self._is_in_tree(path, sources) and _sha256(path) == sha256:
                    path.unlink()
            self.record.unlink(missing_ok=True)
        except OSError as error:
            where = error.filename or self._folder
            raise WazcacheError(f"{where}: cannot be removed: {error.strerror or error}") from error

    def remove_copies(self, copies: Mapping[Path, str], sources: Collection[Path]) -> None:
        """Remove files that this build has copied into the folder and that must not be packed.

        Args:
            copies: source to path in the folder.
            sources: as for `remove_old`.

        Raises:
            WazcacheError: a file cannot be removed.
        """
        try:
            for source, name in copies.items():
                path = self._folder / name
                if self._is_in_tree(path, sources) and _sha256(path) == _sha256(source):
                    path.unlink()
        except OSError as error:
            where = error.filename or self._folder
            raise WazcacheError(f"{where}: cannot be removed: {error.strerror or error}") from error

    def _is_in_tree(self, path: Path, sources: Collection[Path]) -> bool:
        """Say whether a path is a file in the folder, not behind a link and not a source."""
        if path.is_symlink() or not path.is_file():
            return False
        folders = [path.parent, *path.parent.parents]
        folders = folders[: folders.index(self._folder) + 1]
        return not any(folder.is_symlink() for folder in folders[:-1]) and not any(
            Path(os.path.realpath(folder)) in sources for folder in folders
        )

    def _read_record(self) -> dict[str, str]:
        """Return the recorded digests by paths in the folder; nothing from a damaged record."""
        try:
            record = json.loads(self.record.read_bytes())
        except (OSError, ValueError, RecursionError):
            return {}
        files = record.get("files") if isinstance(record, dict) else None
        return {
            name: sha256
            for name, sha256 in (files.items() if isinstance(files, dict) else ())
            if isinstance(sha256, str) and _is_inside(name)
        }

    def _write_record(self, files: Mapping[str, str]) -> None:
        text = f"The next build removes these files in {self._folder}, unless they have changed."
        record = {"about": text, "files": files}
        temporary_files.write_file(self.record, [json.dumps(record, indent=1).encode()])


def _is_inside(name: str) -> bool:
    path = PurePosixPath(name)
    return not path.is_absolute() and ".." not in path.parts and not set(name) & {"\0", "\\", ":"}


def _is_same(path: Path, other: Path) -> bool:
    return path.exists() and path.samefile(other)


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return file_sha256(file)
