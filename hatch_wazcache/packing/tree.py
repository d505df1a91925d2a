"""The build as a folder of files, for a build system that packs such a folder by itself."""

from __future__ import annotations

from typing import TYPE_CHECKING

from hatch_wazcache.errors import WazcacheError
from hatch_wazcache.util import temporary_files

if TYPE_CHECKING:
    from pathlib import Path

    from hatch_wazcache.packing.build import Build

__all__ = ["write_tree"]


def write_tree(build: Build, folder: Path) -> None:
    """Write assets, artifacts, loaders and manifests as an installed wheel would hold them.

    Args:
        build: its entries are made.
        folder: its subfolders are packages.

    Raises:
        WazcacheError: the folder cannot be written.
    """
    plan, entries = build.plan, build.entries
    try:
        for asset in plan.assets if build.project.config.keep_wasm else ():
            path = folder / asset.distribution
            if asset.job.is_small:
                temporary_files.write_file(path, [asset.read()])
            else:
                entries.write(asset.job, path)
        for artifact in plan.artifacts:
            entries.write(artifact.job, folder / artifact.distribution)
        for name, data in build.generated_files():
            temporary_files.write_file(folder / name, [data])
    except OSError as error:
        where = error.filename or folder
        raise WazcacheError(f"{where}: cannot be written: {error.strerror or error}") from error
