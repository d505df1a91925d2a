"""The files of new entries: drafts in the cache, and entries that the cache could not store."""

from __future__ import annotations

import os
import shutil
import sys
from contextlib import suppress
from typing import IO, TYPE_CHECKING

from hatch_wazcache.util import temporary_files
from hatch_wazcache.util.temporary_folder import temporary_directory

if TYPE_CHECKING:
    from pathlib import Path

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
    """Entries that the cache could not store: temporary files until the cache is closed."""

    def __init__(self) -> None:
        self._files: list[tuple[Path, IO[bytes], int]] = []

    def add(self, path: Path) -> None:
        """Keep a file that a compiler has written outside the cache."""
        file = path.open("rb")
        temporary_files.share(file)
        temporary_directory()
        self._files.append((path, file, os.getpid()))

    def new_file(self) -> Path:
        """Create an empty file for an entry, in the system's temporary directory."""
        path, file = temporary_files.create(temporary_directory())
        self._files.append((path, file, os.getpid()))
        return path

    def remove(self) -> None:
        """Remove the files that this process has added. A fork does not remove its parent's."""
        while self._files:
            path, file, owner = self._files.pop()
            file.close()
            if owner == os.getpid():
                with suppress(OSError):
                    path.unlink()
