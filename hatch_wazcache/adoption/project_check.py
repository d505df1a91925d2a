"""Checks the files of a project before they are committed: it builds nothing, and runs no code."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, NamedTuple

from hatch_wazcache.errors import WazcacheError
from hatch_wazcache.formats.wasm import check_wasm
from hatch_wazcache.packing.committed_loader import is_current, is_generated
from hatch_wazcache.packing.find_assets import find_assets, matching_files
from hatch_wazcache.project.options import read_config
from hatch_wazcache.project.pyproject import (
    choose_table,
    hook_tables,
    read_pyproject,
    shared_table,
    unread_table,
)
from hatch_wazcache.project.source_tree import python_files
from hatch_wazcache.resources import is_loader
from hatch_wazcache.wheels.manifest import manifest_name

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from hatch_wazcache.project.config import Config

__all__ = ["ProjectCheck", "check_project"]


class ProjectCheck(NamedTuple):
    """The result of a check."""

    assets: int
    loaders: int
    """How many are committed."""
    problems: list[str]


def check_project(root: Path, *, generated: bool) -> ProjectCheck:
    """Check the options, the assets, and the committed loaders of a project.

    Environment variables do not count: others, who build the project, have other ones.

    Args:
        root: the folder of its `pyproject.toml`, absolute.
        generated: whether a build generates `.wasm` files, so that they may be missing now.

    Raises:
        WazcacheError: the project does not use hatch-wazcache, or a file cannot be read.
    """
    pyproject = read_pyproject(root)
    if unread := unread_table(root, pyproject):
        return ProjectCheck(0, 0, [unread])
    own = hook_tables(root, pyproject)
    if not own and shared_table(pyproject) is None:
        raise WazcacheError(
            f"{root}: there is no pyproject.toml with [tool.wazcache], or with the table of the "
            "build hook wazcache"
        )
    problems: list[str] = []
    count = 0
    try:
        table, location = choose_table(pyproject, own)
        config = read_config(table, location, {}, root)
    except WazcacheError as error:
        problems += str(error).split("\n")
    else:
        count = _check_assets(config, root, problems, generated=generated)
    loaders = list(_committed_loaders(root))
    problems += [
        f"{os.path.relpath(loader, root)}: is not the loader of this release of hatch-wazcache; "
        "renew it: `hatch-wazcache init --update`"
        for loader in loaders
        if not is_current(loader.read_bytes())
    ]
    return ProjectCheck(count, len(loaders), problems)


def _check_assets(config: Config, root: Path, problems: list[str], *, generated: bool) -> int:
    """Check each asset, and return how many there are."""
    count = 0
    for pattern in config.assets:
        if generated and not matching_files(root, pattern.glob):
            continue
        try:
            files = list(find_assets(config._replace(assets=(pattern,)), root))
        except WazcacheError as error:
            problems += str(error).split("\n")
            continue
        count += len(files)
        for file in files:
            try:
                check_wasm(file.path, file.relative)
            except WazcacheError as error:
                problems.append(str(error))
    problems[:] = dict.fromkeys(problems)
    return count


def _committed_loaders(root: Path) -> Iterator[Path]:
    """Yield the loaders of a project that no editable install has written."""
    for path in python_files(root):
        if is_loader(path) and not is_generated(path, manifest_name(path.name), root):
            yield path
