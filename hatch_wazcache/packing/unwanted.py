"""Files that a build system includes and that have no place in a distribution."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING

from hatch_wazcache.packing.editable_files import leftovers
from hatch_wazcache.project.caches_in_tree import caches_in_tree
from hatch_wazcache.wheels.manifest import manifest_name

if TYPE_CHECKING:
    from collections.abc import Collection

    from hatch_wazcache.project.config import Config
    from hatch_wazcache.project.packages import Layout

__all__ = ["unwanted_files"]


def unwanted_files(layout: Layout, assets: Collection[str], config: Config) -> set[str]:
    """Find files of caches, and files that editable installs left.

    A cache is searched on disk: a build adds entries after the build system has listed its files.

    Args:
        layout: which files the build system includes, and where it puts them.
        assets: paths in the distribution.
        config: the options.

    Returns:
        Paths in the distribution.
    """
    root, files = layout.root, layout.files
    manifest = manifest_name(Path(config.loader).name if config.loader else None)
    found = set(leftovers(root, files, assets, manifest))
    for cache in caches_in_tree(root, files, config):
        for folder, _folders, names in os.walk(cache):
            for name in names:
                path = Path(folder, name)
                relative = path.relative_to(root).as_posix()
                found.add(files.get(str(path)) or layout.distribution_path(relative))
    return found
