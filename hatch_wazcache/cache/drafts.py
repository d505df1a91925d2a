"""The files of new entries: drafts in the cache, and entries that the cache could not store."""

from __future__ import annotations

import os
import shutil
import sys
from contextlib import suppress
from pathlib import Path
from typing import IO

from hatch_wazcache.util import temporary_files
from hatch_wazcache.util.temporary_folder import TemporaryFolder

__all__ = ["Draft", "EntriesAside"]


class Draft:
    """A locked file in the cache, for one entry. While it is open, no sweep deletes it."""

    def __init__(self, path: Path, file: IO[bytes]) -> None:
        self.path = path
        self.file: IO[bytes] = file
        """Open for reading and writing."""
        self._owner = os.getpid()
        self._is_moved = False

    @property
    def is_of_this_process(self) -> bool:
        """Whether this process made it; a fork inherits the drafts of its parent."""
        return self._owner == os.getpid()

    def move(self, final: Path) -> None:
        """Rename the draft to its final name, in one step.

        It stays open, so `copy` works even if somebody deletes the final file.
        """
        if sys.platform == "win32":
            self.file.close()  # Windows does not rename an open file
        temporary_files.replace(self.path, final)
        self._is_moved = True

    def copy(self, final: Path) -> None:
        """Copy the draft's content, even if all files of the cache were deleted."""
        with final.open("wb") as file:
            if self.file.closed:
                file.write(self.path.read_bytes())
            else:
                self.file.seek(0)
                shutil.copyfileobj(self.file, file)

    def discard(self) -> None:
        """Remove the draft, unless it was moved."""
        self.file.close()
        if self.is_of_this_process and not self._is_moved:
            with suppress(OSError):
                self.path.unlink()


class EntriesAside:
    """Entries that the cache could not store: temporary files until the cache is closed.

    They are in one locked folder. Thousands of locked files would be more than a process may open.
    """

    def __init__(self) -> None:
        self._folder: TemporaryFolder | None = None
        self._made = 0

    def add(self, path: Path) -> Path:
        """Take a file that a compiler has written outside the cache; return its new path.

        Raises:
            OSError: it cannot be moved.
        """
        return Path(shutil.move(path, self.new_path()))

    def new_path(self) -> Path:
        """Return the path for an entry.

        Raises:
            OSError: the system has no temporary directory, or no room.
        """
        if self._folder is None:
            self._folder = TemporaryFolder()
        self._made += 1
        return Path(self._folder.name, f"{self._made}.zip")

    def remove(self) -> None:
        """Remove the files that this process has added. A fork does not remove its parent's."""
        if self._folder is not None:
            self._folder.cleanup()
            self._folder = None
