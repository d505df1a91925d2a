"""Temporary folders of the system that do not outlive a crash: the next one removes leftovers.

A signal such as SIGTERM ends Python without a clean-up. So the process that made a folder keeps it
locked, as in `temporary_files`.
"""

from __future__ import annotations

import os
import shutil
import tempfile
import weakref
from functools import cache
from pathlib import Path

from hatch_wazcache.util import temporary_files

__all__ = ["TemporaryFolder", "temporary_directory"]


class TemporaryFolder:
    """A private folder in the system's temporary directory; a context manager that yields its path.

    It is removed by `cleanup`, and at the end of the process. A fork does not remove its parent's.
    """

    def __init__(self) -> None:
        """Make the folder, and remove the leftovers of processes that are gone.

        Raises:
            OSError: there is no temporary directory, or it is full.
        """
        directory = temporary_directory()
        folder, lock = temporary_files.create_folder(directory)
        self.name = str(folder)
        self._remove = weakref.finalize(self, _remove, self.name, lock, os.getpid())

    def __enter__(self) -> str:
        return self.name

    def __exit__(self, *_error: object) -> None:
        self.cleanup()

    def cleanup(self) -> None:
        """Remove the folder. Can be called twice."""
        self._remove()


def temporary_directory() -> Path:
    """Return the system's temporary directory, without leftovers of processes that are gone.

    Raises:
        OSError: there is none.
    """
    directory = Path(tempfile.gettempdir())
    _sweep_once(directory)
    return directory


@cache
def _sweep_once(directory: Path) -> None:
    temporary_files.sweep(directory)


def _remove(name: str, lock: int, owner: int) -> None:
    if os.getpid() == owner:
        shutil.rmtree(name, ignore_errors=True)
    if lock >= 0:
        os.close(lock)
