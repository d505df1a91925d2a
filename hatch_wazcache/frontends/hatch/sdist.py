"""The sdist: it holds every asset, and no files of caches or editable installs."""

from __future__ import annotations

import os
import shutil
from pathlib import Path
from typing import TYPE_CHECKING, Any

from hatch_wazcache.errors import WazcacheError
from hatch_wazcache.frontends.hatch.files import distribution_path, find_layout, reserve
from hatch_wazcache.packing.find_assets import find_checked_assets
from hatch_wazcache.packing.unwanted import unwanted_files
from hatch_wazcache.util.temporary_folder import TemporaryFolder

if TYPE_CHECKING:
    from hatchling.builders.config import BuilderConfig

    from hatch_wazcache.project.config import Config

__all__ = ["prepare_sdist"]


def prepare_sdist(
    config: BuilderConfig, options: Config, build_data: dict[str, Any]
) -> TemporaryFolder:
    """Add the assets to hatchling's sdist, and leave out unwanted files.

    Args:
        config: hatchling's configuration of the sdist.
        options: our options.
        build_data: hatchling's data, as the hooks have set it; gets the assets.

    Returns:
        A folder with copies of assets, to keep until the sdist is written. It is removed when the
        process ends.

    Raises:
        WazcacheError: a glob matches nothing, or an asset is not WebAssembly.
    """
    copies = TemporaryFolder()
    assets = []
    for asset in find_checked_assets(options, Path(config.root)):
        linked = asset.path.is_symlink()
        file = _copy(asset.path, asset.relative, copies.name) if linked else asset.path
        build_data["force_include"][str(file)] = asset.relative
        assets.append(distribution_path(config, asset.relative))
    unwanted = unwanted_files(find_layout(config, build_data), assets, options)
    reserve(config, unwanted, build_data)
    return copies


def _copy(source: Path, relative: str, folder: str) -> Path:
    """Copy the file behind a link: in an sdist the link itself could lead nowhere."""
    copy = Path(folder, str(len(os.listdir(folder))))
    try:
        shutil.copy2(source, copy)
    except OSError as error:
        raise WazcacheError(f"{relative}: cannot be read: {error.strerror or error}") from error
    return copy
