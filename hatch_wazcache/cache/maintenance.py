"""Maintains a cache's directory: lists, prunes, clears and verifies its entries.

It deletes only files with the names of entries, and no entry that a running build has looked up.
`leases` explains that.
"""

from __future__ import annotations

import os
import re
from contextlib import nullcontext, suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING

from hatch_wazcache.cache.entry import BrokenEntryError, Entry, read_entry
from hatch_wazcache.cache.leases import in_use_since
from hatch_wazcache.cache.location import is_cache
from hatch_wazcache.cache.lock import exclusive
from hatch_wazcache.cache.trust import Trust
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
    "prune_to_size",
    "size_on_disk",
    "verify",
]

_SCOPE = re.compile(r"sources|wasmtime-[\w.+]+-[\w]+-[a-z]+")
_ENTRY = re.compile(r"([0-9a-f]{64})\.zip")


@dataclass(frozen=True)
class Item:
    """A file with the name of an entry, not read yet."""

    path: Path
    scope: str
    key: str
    size: int
    """Bytes on disk."""
    used: float
    """When it was last looked up or stored, in seconds since 1970."""

    @property
    def engine(self) -> str | None:
        """The version of wasmtime that it is for; None for the compressed `.wasm` of an asset."""
        return self.scope.split("-", 2)[1] if "-" in self.scope else None

    @property
    def target(self) -> str | None:
        """The target that it is for; None for the compressed `.wasm` of an asset."""
        return self.scope.split("-", 2)[2] if "-" in self.scope else None

    def read(self) -> Entry:
        """Read the entry's description.

        Raises:
            BrokenEntryError: the file is not an entry of this key.
            OSError: it cannot be read.
        """
        return read_entry(self.path, self.key)


@dataclass(frozen=True)
class Pruned:
    """The result of a prune."""

    items: tuple[Item, ...] = ()
    """The entries that were removed; after a dry run, those that would be removed."""
    in_use: int = 0
    """How many entries stay because a running build has looked them up."""
    failed: int = 0
    """How many entries could not be removed."""

    @property
    def removed(self) -> int:
        return len(self.items)

    @property
    def freed(self) -> int:
        """Bytes."""
        return sum(item.size for item in self.items)


def exists(root: Path, project: Path | None = None) -> bool:
    """Say whether there is a cache, without creating one.

    Args:
        root: the cache.
        project: the root of the project that uses it.

    Raises:
        WazcacheError: it is not a directory, or others can write to it.
        OSError: it cannot be read.
    """
    if not os.path.lexists(root):
        return False
    if not root.is_dir():
        raise WazcacheError(f"the cache {root} is not a directory")
    if problem := Trust(root, project).problem():
        raise WazcacheError(f"the cache {root} {problem}")
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
                size = size_on_disk(status)
                found.append(Item(file, folder.name, match[1], size, status.st_mtime))
    return sorted(found, key=lambda item: (item.used, item.key))


def size_on_disk(status: os.stat_result) -> int:
    """Return the bytes that a file occupies."""
    return status.st_blocks * 512 if hasattr(status, "st_blocks") else status.st_size


def _folders(root: Path) -> Iterator[Path]:
    with suppress(FileNotFoundError, NotADirectoryError):
        for folder in sorted(root.iterdir()):
            if _SCOPE.fullmatch(folder.name) and folder.is_dir() and not folder.is_symlink():
                yield folder


def prune(
    root: Path,
    *,
    max_size: int | None = None,
    wanted: Callable[[Item], bool] = lambda _item: True,
    dry_run: bool = False,
) -> Pruned:
    """Remove the unwanted entries, then the least recently used ones until the size fits.

    Args:
        root: the cache.
        max_size: bytes that all entries together may have afterwards; None for any size.
        wanted: says whether an entry stays, if there is room.
        dry_run: write and remove nothing, only list what would be removed.

    Raises:
        WazcacheError: there are unwanted entries, but no tag that marks the folder as a cache.
    """
    gone, in_use, failed = [], 0, 0
    is_ours = is_cache(root / "CACHEDIR.TAG")
    with exclusive(root) if is_ours and not dry_run else nullcontext():  # it may create a file
        unwanted = _unwanted(items(root), max_size, wanted)
        if unwanted and not is_ours:
            raise _not_ours(root)
        since = in_use_since(root, sweep=is_ours and not dry_run)
        for item in unwanted:
            if item.used >= since:
                in_use += 1
            elif dry_run or _remove(item):
                gone.append(item)
            else:
                failed += 1
        if is_ours and not dry_run:
            _tidy(root, since)
    return Pruned(tuple(gone), in_use, failed)


def prune_to_size(root: Path, max_size: int, say: Callable[[str], None]) -> None:
    """Remove the least recently used entries until the size fits. A failure is not an error.

    Args:
        root: the cache.
        max_size: bytes.
        say: called with the reason if the cache cannot be pruned.
    """
    try:
        prune(root, max_size=max_size)
    except OSError as error:
        say(f"the cache {root} cannot be pruned: {error.strerror or error}")
    except WazcacheError as error:
        say(f"the cache cannot be pruned: {error}")


def _not_ours(root: Path) -> WazcacheError:
    return WazcacheError(
        f"{root} has no CACHEDIR.TAG of hatch-wazcache, so it may hold other files with the names "
        "of entries: nothing is removed; delete the folder yourself, or name another one with "
        "cache-dir or WAZCACHE_DIR"
    )


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
    """Remove the file, or an empty folder of this name; say whether it is gone."""
    try:
        is_folder = item.path.is_dir() and not item.path.is_symlink()
        (item.path.rmdir if is_folder else item.path.unlink)()
    except FileNotFoundError:
        return True
    except OSError:
        return False
    return True


def clear(root: Path, *, dry_run: bool = False) -> Pruned:
    """Remove all entries, the statistics and the notes; or only list what would be removed."""
    pruned = prune(root, wanted=lambda _item: False, dry_run=dry_run)
    if not dry_run and is_cache(root / "CACHEDIR.TAG"):
        _forget(root)
    return pruned


def _forget(root: Path) -> None:
    """Remove the statistics of builds and the notes on engines."""
    with exclusive(root):
        for folder in (root / "builds", root / "engines"):
            for path in folder.iterdir() if folder.is_dir() else ():
                if re.fullmatch(
                    r"total\.json|\d+-[0-9a-f]+\.json|(sha256|program)=[\w-]+", path.name
                ):
                    with suppress(OSError):
                        path.unlink()


def _tidy(root: Path, since: float) -> None:
    """Remove files of killed builds, unused locks, and empty scopes."""
    temporary_files.sweep(root / "tmp")
    if since < float("inf"):
        return  # a running build may soon use a lock or a folder
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
        repair: remove broken entries; the next build makes them again.
        checked: called with each entry after its check.

    Returns:
        The broken entries, each with the reason.
    """
    broken = []
    is_ours = is_cache(root / "CACHEDIR.TAG")
    for item in items(root):
        problem = _problem(item)
        if problem is not None:
            broken.append((item, problem))
            if repair and not is_ours:
                raise _not_ours(root)
            if repair:
                with exclusive(root):
                    if _problem(item) is not None:  # a build may have replaced it
                        _remove(item)
        checked(item)
    return broken


def _problem(item: Item) -> str | None:
    """Return the problem of an entry; None if it has none, or if a prune has just removed it."""
    try:
        item.read().verify()
    except FileNotFoundError:
        return None
    except (BrokenEntryError, OSError) as error:
        return str(error) if os.path.lexists(item.path) else None
    return None
