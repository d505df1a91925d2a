"""Leases protect the entries of running processes from a prune.

A process holds one lease, a locked file, from before its first look-up until it closes the cache. A
prune keeps each entry that was used since the oldest lease began.
"""

from __future__ import annotations

import os
import threading
import time
from contextlib import suppress
from typing import TYPE_CHECKING

from hatch_wazcache.cache.drafts import Draft
from hatch_wazcache.util import temporary_files

if TYPE_CHECKING:
    from pathlib import Path

__all__ = ["Lease", "in_use_since"]

_FOLDER = "leases"

_LONGEST = 86400.0
"""Seconds that a lease can last."""


class Lease:
    """The lease of this process on a cache. Can be used from several threads."""

    def __init__(self, root: Path) -> None:
        """Prepare a lease on the cache `root`; `begin` starts it."""
        self._folder = root / _FOLDER
        self._file: Draft | None = None
        self._lock = threading.Lock()

    @property
    def is_held(self) -> bool:
        """Whether this process holds the lease. A fork does not hold its parent's lease."""
        return self._file is not None and self._file.is_of_this_process

    def begin(self) -> None:
        """Start the lease, unless this process holds it."""
        with self._lock:
            if not self.is_held:
                with suppress(OSError):
                    self._folder.mkdir(mode=0o700, exist_ok=True)
                    self._file = Draft(*temporary_files.create(self._folder))

    def mark_used(self, path: Path) -> None:
        """Set the time of an entry's last use to now, and the lease's no later than that."""
        with suppress(OSError):
            os.utime(path)
            if self._file is not None:
                used = path.stat().st_mtime_ns
                if used < self._file.path.stat().st_mtime_ns:  # the clock was set back
                    os.utime(self._file.path, ns=(used, used))

    def end(self) -> None:
        """End the lease: a prune may now remove the entries that this process has used."""
        with self._lock:
            if self._file is not None:
                self._file.discard()
                self._file = None


def in_use_since(root: Path, *, sweep: bool = True) -> float:
    """Return the time when the oldest active lease began; infinity if there is none.

    A running build may soon copy any entry that was used after that time. Leases older than a day
    do not count: a file system without locks keeps the leases of killed processes.

    Args:
        root: the cache.
        sweep: whether to remove the leases of processes that are gone.
    """
    if sweep:
        temporary_files.sweep(root / _FOLDER)
    began = float("inf")
    oldest = time.time() - _LONGEST
    with suppress(OSError):
        for lease in (root / _FOLDER).iterdir():
            with suppress(OSError):
                time_of_lease = lease.stat().st_mtime
                if time_of_lease >= oldest and not temporary_files.is_leftover(lease):
                    began = min(began, time_of_lease)
    return began
