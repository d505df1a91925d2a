"""Lists what a cache holds: entries and fetched wheels, each as an item with its size and age."""

from __future__ import annotations

import os
import re
import shutil
from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING

from hatch_wazcache.cache.artifact_check import artifact_problem
from hatch_wazcache.cache.entry import BrokenEntryError, Entry, read_entry
from hatch_wazcache.cache.fetched_wheel import (
    FetchedWheel,
    fetched_wheels,
    has_only_data,
    move_aside,
)

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from hatch_wazcache.cache.trust import Trust

__all__ = [
    "EntryItem",
    "Item",
    "WheelItem",
    "entries",
    "folders",
    "items",
    "size_on_disk",
    "wheels",
]

_SCOPE = re.compile(r"sources|wasmtime-[\w.+]+-[\w]+-[a-z]+")
_ENTRY = re.compile(r"([0-9a-f]{64})\.zip")


@dataclass(frozen=True)
class Item:
    """An entry or a fetched wheel, by its name."""

    path: Path
    key: str
    """The key of an entry, or the name of a wheel's folder."""
    size: int
    """Bytes on disk."""
    used: float
    """When it was last looked up or stored, in seconds since 1970."""

    @property
    def engine(self) -> str | None:
        """The version of wasmtime that it is for; None for the compressed `.wasm` of an asset."""
        raise NotImplementedError

    def problem(self, trust: Trust) -> str | None:
        """Check every digest. Return the problem; None if there is none.

        It has no problem if a prune has just removed it.
        """
        raise NotImplementedError

    def remove(self) -> bool:
        """Remove it; say whether it is gone."""
        raise NotImplementedError


@dataclass(frozen=True)
class EntryItem(Item):
    """A file with the name of an entry, not read yet."""

    scope: str

    @property
    def engine(self) -> str | None:
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

    def problem(self, trust: Trust) -> str | None:
        del trust  # `CacheDirectory` checks it for each entry that it finds
        try:
            entry = self.read()
            entry.verify()
            return None if self.engine is None else artifact_problem(entry)
        except FileNotFoundError:
            return None
        except (BrokenEntryError, OSError) as error:
            return str(error) if os.path.lexists(self.path) else None

    def remove(self) -> bool:
        """Remove the file, or an empty folder of this name; say whether it is gone."""
        try:
            is_folder = self.path.is_dir() and not self.path.is_symlink()
            (self.path.rmdir if is_folder else self.path.unlink)()
        except FileNotFoundError:
            return True
        except OSError:
            return False
        return True


@dataclass(frozen=True)
class WheelItem(Item):
    """The folder of a fetched wheel, with the files not checked yet."""

    wheel: FetchedWheel

    @property
    def engine(self) -> str | None:
        return None if has_only_data(self.wheel.distribution) else str(self.wheel.version)

    def problem(self, trust: Trust) -> str | None:
        from hatch_wazcache.cache.fetching import verify_fetched

        found = verify_fetched(self.path, trust)
        return found if os.path.lexists(self.path) else None

    def remove(self) -> bool:
        try:
            shutil.rmtree(move_aside(self.path), ignore_errors=True)
        except FileNotFoundError:
            return True
        except OSError:
            return False
        return True


def items(root: Path) -> list[Item]:
    """List the entries and the fetched wheels of a cache, the least recently used first."""
    return sorted([*entries(root), *wheels(root)], key=_by_use)


def entries(root: Path) -> list[EntryItem]:
    """List the entries of a cache, the least recently used first."""
    found = []
    for folder in folders(root):
        for file in folder.iterdir():
            match = _ENTRY.fullmatch(file.name)
            if match is None:
                continue
            with suppress(OSError):
                status = file.lstat()
                size = size_on_disk(status)
                found.append(EntryItem(file, match[1], size, status.st_mtime, folder.name))
    return sorted(found, key=_by_use)


def wheels(root: Path) -> list[WheelItem]:
    """List the fetched wheels of a cache, the least recently used first."""
    found = []
    for wheel in fetched_wheels(root / "engines"):
        with suppress(OSError):
            used = wheel.folder.stat().st_mtime
            size = sum(map(size_on_disk, _statuses(wheel.folder)))
            found.append(WheelItem(wheel.folder, wheel.folder.name, size, used, wheel))
    return sorted(found, key=_by_use)


def _by_use(item: Item) -> tuple[float, str]:
    return item.used, item.key


def _statuses(folder: Path) -> Iterator[os.stat_result]:
    for parent, _folders, files in os.walk(folder):
        for name in files:
            with suppress(OSError):
                yield os.lstat(os.path.join(parent, name))


def size_on_disk(status: os.stat_result) -> int:
    """Return the bytes that a file occupies."""
    return status.st_blocks * 512 if hasattr(status, "st_blocks") else status.st_size


def folders(root: Path) -> Iterator[Path]:
    """Yield the folders of entries."""
    with suppress(FileNotFoundError, NotADirectoryError):
        for folder in sorted(root.iterdir()):
            if _SCOPE.fullmatch(folder.name) and folder.is_dir() and not folder.is_symlink():
                yield folder
