"""The files of a distribution that hatchling builds, and where it puts each of them."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, Any

from hatch_wazcache.errors import WazcacheError
from hatch_wazcache.project.packages import Layout

if TYPE_CHECKING:
    from collections.abc import Iterable

    from hatchling.builders.config import BuilderConfig

__all__ = ["distribution_path", "find_layout", "reserve"]


def find_layout(config: BuilderConfig, build_data: dict[str, Any]) -> Layout:
    """Ask hatchling for the files that it includes, in the same way as its own build.

    Args:
        config: hatchling's configuration of the distribution.
        build_data: hatchling's data, as earlier hooks have set it.

    Raises:
        WazcacheError: hatchling does not find the files.
    """
    reserved = set(config.build_reserved_paths)
    try:
        with config.set_build_data(build_data):  # on leaving, it forgets the reserved paths
            files = {
                file.path: _with_slashes(file.distribution_path)
                for file in config.builder.recurse_included_files()
            }
    except (ValueError, FileNotFoundError) as error:
        raise WazcacheError(str(error)) from error
    finally:
        config.build_reserved_paths |= reserved
    return Layout(Path(config.root), files, lambda relative: distribution_path(config, relative))


def distribution_path(config: BuilderConfig, relative: str) -> str:
    """Return a file's path in the distribution.

    Args:
        config: hatchling's configuration of the distribution.
        relative: the file's path relative to the project's root.
    """
    return _with_slashes(config.get_distribution_path(relative.replace("/", os.sep)))


def reserve(config: BuilderConfig, paths: Iterable[str], build_data: dict[str, Any]) -> None:
    """Make hatchling skip files, by their paths in the distribution.

    Args:
        config: hatchling's configuration of the distribution.
        paths: the paths that hatchling must skip.
        build_data: hatchling's data, as the hooks have set it.
    """
    reserved = {path.replace("/", os.sep) for path in paths}
    config.build_reserved_paths |= reserved - _outside_packages(config, build_data)


def _outside_packages(config: BuilderConfig, build_data: dict[str, Any]) -> set[str]:
    """Find paths that must not be reserved: hatchling adds a folder such as `.data` to them later.

    Only the configuration of a wheel has such options.
    """
    found = set()
    for option in ("shared_data", "shared_scripts", "extra_metadata"):
        own: dict[str, str] = getattr(config, option, {})
        hooks = {
            os.path.normpath(os.path.join(config.root, source)): path
            for source, path in build_data.get(option, {}).items()
        }
        for file in config.builder.recurse_explicit_files({**own, **hooks}):
            found.add(file.distribution_path)
    return found


def _with_slashes(path: str) -> str:
    return path.replace(os.sep, "/")
