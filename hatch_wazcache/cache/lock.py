"""The lock of a whole cache; the locks of keys are in `key_lock.py`.

Look-ups share the cache's lock; a prune holds it alone. So while a prune runs, every earlier
look-up has marked its entry as used, and every later look-up waits, and misses removed entries.
Windows and some network file systems have no such locks. There a build may lose an entry, and makes
it again.
"""

from __future__ import annotations

import os
import sys
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

if sys.platform != "win32":
    import fcntl

__all__ = ["exclusive", "lock_file", "shared"]

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
        The file's descriptor; -1 if it is not locked. A child process that inherits the descriptor
        keeps the lock until it ends; a fork closes it.
    """
    descriptor, is_locked = -1, False
    if sys.platform != "win32":
        how = fcntl.LOCK_EX if exclusively else fcntl.LOCK_SH
        with suppress(OSError):
            descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
            _held.add(descriptor)
            try:
                fcntl.flock(descriptor, how | fcntl.LOCK_NB)
            except BlockingIOError:
                if not wait:
                    raise
                waiting()
                fcntl.flock(descriptor, how)
            is_locked = True
    try:
        yield descriptor if is_locked else -1
    finally:
        if descriptor in _held:
            _held.remove(descriptor)
            os.close(descriptor)


def _close_in_fork() -> None:
    """Close the files that other threads had locked: else the fork would keep them locked."""
    while _held:
        os.close(_held.pop())


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_close_in_fork)
