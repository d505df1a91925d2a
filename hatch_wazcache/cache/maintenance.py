"""What keeps a cache's directory small, sound and known: prune, clear, verify, statistics.

Only files that are named as the cache names its own are ever deleted, and no entry that a build
which still runs has looked up: see `in_use_since`.
"""

from __future__ import annotations

import os
import re
from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING

from hatch_wazcache.cache.directory import distrust
from hatch_wazcache.cache.entry import BrokenEntryError, Entry, read_entry
from hatch_wazcache.cache.lock import exclusive
from hatch_wazcache.errors import WazcacheError
from hatch_wazcache.util import temporary_files

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

__all__ = [
    "Item",
    "Pruned",
    "clear",
    "exists",
    "items",
    "prune",
    "verify",
]

_SCOPE = re.compile(r"sources|wasmtime-[\w.+]+-[\w]+-[a-z]+")
_ENTRY = re.compile(r"([0-9a-f]{64})\.zip")


@dataclass(frozen=True)
class Item:
    """A file that is named as an entry, seen from outside."""

    path: Path
    scope: str
    key: str
    size: int
    """Bytes on disk."""
    used: float
    """When it was last looked up or published, in seconds since 1970."""

    @property
    def engine(self) -> str | None:
        """The version of wasmtime that it is for; None for an asset's own stream."""
        return self.scope.split("-", 2)[1] if "-" in self.scope else None

    @property
    def target(self) -> str | None:
        """The target that it is for; None for an asset's own stream."""
        return self.scope.split("-", 2)[2] if "-" in self.scope else None

    def read(self) -> Entry:
        """Read what it says of itself.

        Raises:
            BrokenEntryError: it is no entry of this key.
            OSError: it cannot be read.
        """
        return read_entry(self.path, self.key)


@dataclass(frozen=True)
class Pruned:
    """What a prune did."""

    items: tuple[Item, ...] = ()
    """What is gone, or would be."""
    in_use: int = 0
    """Entries that were to go, but a build that runs has looked them up."""
    failed: int = 0
    """Entries that were to go, but cannot be removed."""

    @property
    def removed(self) -> int:
        return len(self.items)

    @property
    def freed(self) -> int:
        """Bytes."""
        return sum(item.size for item in self.items)


def exists(root: Path) -> bool:
    """Say whether there is a cache, without making one.

    Raises:
        WazcacheError: it is no directory, or others can write to it.
        OSError: it cannot be looked at.
    """
    if not os.path.lexists(root):
        return False
    if not root.is_dir():
        raise WazcacheError(f"the cache {root} is not a directory")
    if reason := distrust(root):
        raise WazcacheError(f"the cache {root} {reason}")
    return True


def items(root: Path) -> list[Item]:
    """List the entries of a cache, the least recently used first."""
    found = []
    for folder in _folders(root):
        for file in folder.iterdir():
            match = _ENTRY.fullmatch(file.name)
            if match is None:
                continue
            with suppress(OSError):
                status = file.lstat()
                size = status.st_blocks * 512 if hasattr(status, "st_blocks") else status.st_size
                found.append(Item(file, folder.name, match[1], size, status.st_mtime))
    return sorted(found, key=lambda item: (item.used, item.key))


def _folders(root: Path) -> Iterator[Path]:
    with suppress(FileNotFoundError, NotADirectoryError):
        for folder in sorted(root.iterdir()):
            if _SCOPE.fullmatch(folder.name) and folder.is_dir() and not folder.is_symlink():
                yield folder


def in_use_since(root: Path) -> float:
    """Return when the oldest build that still runs began; infinity if none runs.

    Each build holds a lease, a locked file, from before its first look-up to its end; entries that
    were used after the oldest of them began may be about to be copied.
    """
    temporary_files.sweep(root / "leases")
    began = float("inf")
    with suppress(OSError):
        for lease in (root / "leases").iterdir():
            with suppress(OSError):
                began = min(began, lease.stat().st_mtime)
    return began


def prune(
    root: Path,
    *,
    max_size: int | None = None,
    wanted: Callable[[Item], bool] = lambda _item: True,
    dry_run: bool = False,
) -> Pruned:
    """Remove entries: those that are not wanted, then the least recently used over a size.

    Args:
        root: the cache.
        max_size: bytes that the entries may take together afterwards; None for any.
        wanted: says which entries stay, if there is room.
        dry_run: only tell what would go.
    """
    gone, in_use, failed = [], 0, 0
    with exclusive(root):
        unwanted = _unwanted(items(root), max_size, wanted)
        since = in_use_since(root)
        for item in unwanted:
            if item.used >= since:
                in_use += 1
            elif dry_run or _remove(item):
                gone.append(item)
            else:
                failed += 1
        if not dry_run:
            _tidy(root, since)
    return Pruned(tuple(gone), in_use, failed)


def _unwanted(
    listed: list[Item], max_size: int | None, wanted: Callable[[Item], bool]
) -> list[Item]:
    unwanted: list[Item] = []
    rest: list[Item] = []
    for item in listed:
        (rest if wanted(item) else unwanted).append(item)
    total = sum(item.size for item in rest)
    while rest and max_size is not None and total > max_size:
        total -= rest[0].size
        unwanted.append(rest.pop(0))
    return unwanted


def _remove(item: Item) -> bool:
    """Remove the file, or what else has its name; say whether it is gone."""
    try:
        is_folder = item.path.is_dir() and not item.path.is_symlink()
        (item.path.rmdir if is_folder else item.path.unlink)()
    except FileNotFoundError:
        return True
    except OSError:
        return False
    return True


def clear(root: Path, *, dry_run: bool = False) -> Pruned:
    """Remove all entries, and what is known of builds; or only tell what would go."""
    pruned = prune(root, wanted=lambda _item: False, dry_run=dry_run)
    if not dry_run:
        _forget(root)
    return pruned


def _forget(root: Path) -> None:
    """Remove what is known of builds and engines."""
    with exclusive(root):
        for folder in (root / "builds", root / "engines"):
            for path in folder.iterdir() if folder.is_dir() else ():
                if re.fullmatch(
                    r"total\.json|\d+-[0-9a-f]+\.json|(sha256|program)=[\w-]+", path.name
                ):
                    with suppress(OSError):
                        path.unlink()


def _tidy(root: Path, since: float) -> None:
    """Remove what killed builds left, locks that nobody holds, and empty folders of ours."""
    temporary_files.sweep(root / "tmp")
    if since < float("inf"):
        return  # a build may be about to use a lock or a folder
    for lock in (root / "locks").glob("*.lock"):
        with suppress(OSError):
            if re.fullmatch(r"[0-9a-f]{64}\.lock", lock.name):
                lock.unlink()
    for folder in _folders(root):
        with suppress(OSError):
            folder.rmdir()


def verify(
    root: Path, *, repair: bool = False, checked: Callable[[Item], None] = lambda _item: None
) -> list[tuple[Item, str]]:
    """Check every digest of every entry.

    Args:
        root: the cache.
        repair: remove what is broken; a build makes it again.
        checked: is told of each entry after it was checked.

    Returns:
        The broken entries, each with what is wrong.
    """
    broken = []
    for item in items(root):
        problem = _problem(item)
        if problem is not None:
            broken.append((item, problem))
            if repair:
                with exclusive(root):
                    if _problem(item) is not None:  # it may have been made again meanwhile
                        _remove(item)
        checked(item)
    return broken


def _problem(item: Item) -> str | None:
    """Say what is wrong with an entry; None if it is sound, or was pruned meanwhile."""
    try:
        for _chunk in item.read().data():
            pass
    except FileNotFoundError:
        return None
    except (BrokenEntryError, OSError) as error:
        return str(error) if os.path.lexists(item.path) else None
    return None
