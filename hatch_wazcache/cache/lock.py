"""The lock of a whole cache; the locks of keys are in `key_lock.py`.

Look-ups share the cache's lock; a prune holds it alone. So while a prune runs, every earlier
look-up has marked its entry as used, and every later look-up waits, and misses removed entries.
Python has no shared locks on Windows, so look-ups wait for each other there. Some network file
systems have no locks. There a build may lose an entry, and makes it again.
"""

from __future__ import annotations

import os
import sys
import time
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

if sys.platform == "win32":
    from hatch_wazcache.util.byte_lock import try_to_lock
else:
    import fcntl

__all__ = ["exclusive", "lock_file", "shared"]

_BYTE = (1 << 31) - 1
"""The byte of the file that is locked on Windows: the last one that can be."""

_PAUSE = 0.01
"""Seconds after which a locked file is tried again on Windows."""

_held: set[int] = set()
"""The descriptors of the files that this process has locked."""


@contextmanager
def shared(root: Path) -> Iterator[None]:
    """Lock the cache for a look-up."""
    with lock_file(root / "lock", exclusively=False):
        yield


@contextmanager
def exclusive(root: Path) -> Iterator[None]:
    """Lock the cache for deleting."""
    with lock_file(root / "lock"):
        yield


@contextmanager
def lock_file(
    path: Path,
    *,
    exclusively: bool = True,
    wait: bool = True,
    waiting: Callable[[], None] = lambda: None,
) -> Iterator[int]:
    """Lock a file.

    Args:
        path: the file; it is created if it is missing.
        exclusively: whether no other process may share the lock.
        wait: whether to wait for the processes that have locked it.
        waiting: called before such a wait.

    Yields:
        The file's descriptor; -1 if it is not locked. On POSIX a child process that inherits the
        descriptor keeps the lock until it ends; a fork closes it.
    """
    descriptor, is_locked = -1, False
    with suppress(OSError):
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT, 0o600)
        _held.add(descriptor)
        if not _try_to_lock(descriptor, exclusively=exclusively):
            if not wait:
                raise BlockingIOError
            waiting()
            _wait_for(descriptor, exclusively=exclusively)
        is_locked = True
    try:
        yield descriptor if is_locked else -1
    finally:
        if descriptor in _held:
            _held.remove(descriptor)
            os.close(descriptor)


def _try_to_lock(descriptor: int, *, exclusively: bool) -> bool:
    """Lock a file; False if another process has locked it."""
    if sys.platform == "win32":
        return try_to_lock(descriptor, _BYTE)
    else:  # noqa: RET505 - for mypy, which checks one system
        how = fcntl.LOCK_EX if exclusively else fcntl.LOCK_SH
        try:
            fcntl.flock(descriptor, how | fcntl.LOCK_NB)
        except BlockingIOError:
            return False
        return True


def _wait_for(descriptor: int, *, exclusively: bool) -> None:
    """Lock a file as soon as no other process has locked it."""
    if sys.platform != "win32":
        fcntl.flock(descriptor, fcntl.LOCK_EX if exclusively else fcntl.LOCK_SH)
    else:
        while not try_to_lock(descriptor, _BYTE):
            time.sleep(_PAUSE)


def _close_in_fork() -> None:
    """Close the files that other threads had locked: else the fork would keep them locked."""
    while _held:
        os.close(_held.pop())


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_close_in_fork)
