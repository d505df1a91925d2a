"""The files of new entries: drafts in the cache, and entries that the cache could not store."""

from __future__ import annotations

import os
import shutil
import sys
import tempfile
from contextlib import suppress
from pathlib import Path
from typing import IO

from hatch_wazcache.util import temporary_files

__all__ = ["Draft", "EntriesAside"]


class Draft:
    """A locked file in the cache, for one entry. While it is open, no sweep deletes it."""

    def __init__(self, path: Path, file: IO[bytes]) -> None:
        self.path = path
        self._file = file
        self._owner = os.getpid()

    @property
    def is_of_this_process(self) -> bool:
        """Whether this process made it; a fork inherits the drafts of its parent."""
        return self._owner == os.getpid()

    def move(self, final: Path) -> None:
        """Rename the draft to its final name, in one step.

        It stays open, so `copy` works even if somebody deletes the final file.
        """
        if sys.platform == "win32":
            self._file.close()  # Windows does not rename an open file
        temporary_files.replace(self.path, final)

    def copy(self, final: Path) -> None:
        """Copy the draft's content, even if all files of the cache were deleted."""
        with final.open("wb") as file:
            if self._file.closed:
                file.write(self.path.read_bytes())
            else:
                self._file.seek(0)
                shutil.copyfileobj(self._file, file)

    def discard(self) -> None:
        """Remove the draft, unless it was moved."""
        self._file.close()
        if self.is_of_this_process:
            with suppress(OSError):
                self.path.unlink()


class EntriesAside:
    """Entries that the cache could not store: temporary files until the cache is closed."""

    def __init__(self) -> None:
        self._files: list[tuple[Path, int]] = []

    def add(self, path: Path) -> None:
        """Keep a file that was written outside the cache."""
        self._files.append((path, os.getpid()))

    def new_file(self) -> Path:
        """Create an empty file for an entry, in the system's temporary directory."""
        descriptor, name = tempfile.mkstemp(".zip", "wazcache-")
        os.close(descriptor)
        self.add(Path(name))
        return Path(name)

    def remove(self) -> None:
        """Remove the files that this process has added. A fork does not remove its parent's."""
        while self._files:
            path, owner = self._files.pop()
            if owner == os.getpid():
                with suppress(OSError):
                    path.unlink()
