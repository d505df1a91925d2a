"""Maintains a cache's directory: prunes, clears and verifies its entries and fetched wheels.

It deletes only what has the name of an entry or of a fetched wheel, and nothing that a running
build has looked up. `leases` explains that.
"""

from __future__ import annotations

import os
import re
from contextlib import nullcontext, suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING

from hatch_wazcache.cache.fetched_wheel import LOCK, remove_leftovers
from hatch_wazcache.cache.items import Item, folders, items
from hatch_wazcache.cache.leases import in_use_since
from hatch_wazcache.cache.location import is_cache
from hatch_wazcache.cache.lock import exclusive, lock_file
from hatch_wazcache.cache.trust import Trust
from hatch_wazcache.errors import WazcacheError
from hatch_wazcache.util import temporary_files

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

__all__ = [
    "Pruned",
    "clear",
    "exists",
    "prune",
    "prune_to_size",
    "verify",
]


@dataclass(frozen=True)
class Pruned:
    """The result of a prune."""

    items: tuple[Item, ...] = ()
    """What was removed; after a dry run, what would be removed."""
    kept: tuple[Item, ...] = ()
    """What stays because a running build has looked it up."""
    stuck: tuple[Item, ...] = ()
    """What could not be removed."""

    @property
    def removed(self) -> int:
        return len(self.items)

    @property
    def in_use(self) -> int:
        return len(self.kept)

    @property
    def failed(self) -> int:
        return len(self.stuck)

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


def prune(
    root: Path,
    *,
    max_size: int | None = None,
    wanted: Callable[[Item], bool] = lambda _item: True,
    dry_run: bool = False,
) -> Pruned:
    """Remove the unwanted items, then the least recently used ones until the size fits.

    Args:
        root: the cache.
        max_size: bytes that everything together may have afterwards; None for any size.
        wanted: says whether an item stays, if there is room.
        dry_run: write and remove nothing, only list what would be removed.

    Raises:
        WazcacheError: there are unwanted items, but no tag that marks the folder as a cache.
    """
    gone, kept, stuck = [], [], []
    is_ours = is_cache(root / "CACHEDIR.TAG")
    with exclusive(root) if is_ours and not dry_run else nullcontext():  # it may create a file
        unwanted = _unwanted(items(root), max_size, wanted)
        if unwanted and not is_ours:
            raise _not_ours(root)
        since = in_use_since(root, sweep=is_ours and not dry_run)
        for item in unwanted:
            if item.used >= since:
                kept.append(item)
            elif dry_run or item.remove():
                gone.append(item)
            else:
                stuck.append(item)
        if is_ours and not dry_run:
            _tidy(root, since)
    return Pruned(tuple(gone), tuple(kept), tuple(stuck))


def prune_to_size(root: Path, max_size: int, say: Callable[[str], None]) -> None:
    """Remove the least recently used items until the size fits. A failure is not an error.

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


def clear(root: Path, *, dry_run: bool = False) -> Pruned:
    """Remove everything: entries, fetched wheels, statistics and notes.

    Args:
        root: the cache.
        dry_run: remove nothing, only list what would be removed.

    Raises:
        WazcacheError: as for `prune`.
    """
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
    with lock_file(root / "engines" / LOCK, wait=False) as lock:
        remove_leftovers(root / "engines", is_locked=lock >= 0)
    if since < float("inf"):
        return  # a running build may soon use a lock or a folder
    for path in (root / "locks").glob("*.lock"):  # of Windows, and of earlier releases
        with suppress(OSError):
            if re.fullmatch(r"[0-9a-f]{64}\.lock", path.name):
                path.unlink()
    for folder in folders(root):
        with suppress(OSError):
            folder.rmdir()


def verify(
    root: Path,
    project: Path | None = None,
    *,
    repair: bool = False,
    checked: Callable[[Item], None] = lambda _item: None,
) -> list[tuple[Item, str]]:
    """Check every digest of every entry and fetched wheel.

    Args:
        root: the cache.
        project: the root of the project that uses it.
        repair: remove broken ones; the next build makes or fetches them again.
        checked: called with each item after its check.

    Returns:
        The broken items, each with the reason.
    """
    broken = []
    trust = Trust(root, project)
    is_ours = is_cache(root / "CACHEDIR.TAG")
    for item in items(root):
        problem = item.problem(trust)
        if problem is not None:
            broken.append((item, problem))
            if repair and not is_ours:
                raise _not_ours(root)
            if repair:
                with exclusive(root):
                    if item.problem(trust) is not None:  # a build may have replaced it
                        item.remove()
        checked(item)
    return broken
