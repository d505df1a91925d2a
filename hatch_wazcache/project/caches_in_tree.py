"""Caches inside the source tree. Their files have no place in a distribution."""

from __future__ import annotations

import os
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

from hatch_wazcache.errors import WazcacheError

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from hatch_wazcache.project.config import Config

__all__ = ["caches_in_tree", "refuse_shared_folder"]

_OUTPUT_FOLDERS = ("build", "dist")


def caches_in_tree(root: Path, files: Iterable[str], config: Config) -> Iterator[Path]:
    """Find the folders of caches inside the project: this build's, and those of earlier builds.

    Args:
        root: the project's root.
        files: absolute paths of the files that the build system would include.
        config: the options.

    Yields:
        Paths below the root.
    """
    from hatch_wazcache.cache.location import default_directory, is_cache

    caches = [
        Path(source).parent
        for source in files
        if os.path.basename(source) == "CACHEDIR.TAG" and is_cache(Path(source))
    ]
    with suppress(WazcacheError):
        caches.append(config.cache_dir or default_directory())
    real_root = os.path.realpath(root)
    for cache in caches:
        real = Path(os.path.realpath(cache))
        if real.is_relative_to(real_root):
            yield root / real.relative_to(real_root)


def refuse_shared_folder(config: Config, root: Path) -> None:
    """Refuse a cache in a folder with other files: a distribution leaves that folder out.

    Args:
        config: the options.
        root: the project's root.

    Raises:
        WazcacheError: the cache's folder holds other files, or a build system writes to it.
    """
    cache = config.cache_dir
    if cache is None or not Path(os.path.realpath(cache)).is_relative_to(os.path.realpath(root)):
        return
    if os.path.realpath(cache) in {os.path.realpath(root / name) for name in _OUTPUT_FOLDERS}:
        raise WazcacheError(
            f"{config.location}.cache-dir, or WAZCACHE_DIR: build systems write wheels and other "
            f"files to {cache}; choose a folder for the cache alone"
        )
    try:
        found = os.listdir(cache)
    except OSError:  # there is no folder yet, or the cache reports that it cannot be read
        return
    if found and "CACHEDIR.TAG" not in found:
        raise WazcacheError(
            f"{config.location}.cache-dir, or WAZCACHE_DIR: {cache} holds other files "
            f"({min(found)}); name a folder for the cache alone"
        )
