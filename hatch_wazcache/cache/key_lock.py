"""The locks of the keys that are being compiled: all are bytes of one file.

A file for each key would cost more than its lock. ext4 needs up to a millisecond for a new file if
many files were deleted in the last minute, as builds and tests do.
"""

from __future__ import annotations

import os
import threading
from contextlib import ExitStack, suppress
from functools import partial
from typing import TYPE_CHECKING

from hatch_wazcache.cache.location import make_directory
from hatch_wazcache.util.byte_lock import try_to_lock, unlock

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

__all__ = ["lock_key"]

_DIGITS = 7
"""The first digits of a key that name its byte. On Windows a byte is one of the first 2 GiB."""

_guard = threading.RLock()
"""Held while a lock changes, and while this process forks. A signal handler may do both."""


def lock_key(root: Path, digest: str) -> ExitStack | None:
    """Lock the key with this digest.

    Returns:
        A stack that unlocks the key when it is closed; None if this or another process has the
        lock. On a file system without locks everybody gets it: two compile, and both results are
        right.
    """
    held = ExitStack()
    folder = root / "locks"
    with suppress(OSError, NotImplementedError):
        try:
            release = _lock_in(folder, digest)
        except FileNotFoundError:
            make_directory(folder)
            release = _lock_in(folder, digest)
        if release is None:
            return None
        held.callback(release)
    return held


class _LockFile:
    """A file with a byte for each key, and the bytes that this process has locked.

    On POSIX such locks belong to the process. It could lock a byte twice, and it loses all its
    locks when it closes any descriptor of the file. So there is one, which is closed after the last
    lock.
    """

    def __init__(self, descriptor: int) -> None:
        status = os.fstat(descriptor)
        self.identity = status.st_dev, status.st_ino
        self.descriptor = descriptor
        self.locked: set[int] = set()


_files: dict[tuple[int, int], _LockFile] = {}
"""The files in which this process has locked keys, by device and inode."""


def _lock_in(folder: Path, digest: str) -> Callable[[], None] | None:
    """Lock a key; return a function that unlocks it, None if it is locked.

    Raises:
        OSError: there is no such folder, or its file cannot be made or locked.
    """
    byte = int(digest[:_DIGITS], 16)
    with _guard:
        file = _opened(folder / "keys")
        try:
            if byte not in file.locked and try_to_lock(file.descriptor, byte):
                file.locked.add(byte)
                return partial(_unlock, file, byte)
        finally:
            _close_unused(file)
    return None


def _unlock(file: _LockFile, byte: int) -> None:
    with _guard:
        if byte in file.locked:  # not in a fork: its parent has the lock
            file.locked.remove(byte)
            with suppress(OSError):  # the lock ends with the process anyway
                unlock(file.descriptor, byte)
            _close_unused(file)


def _opened(path: Path) -> _LockFile:
    """Return an open file. If it was deleted and made again, it is another one."""
    with suppress(FileNotFoundError):
        status = path.stat()
        if (known := _files.get((status.st_dev, status.st_ino))) is not None:
            return known
    file = _LockFile(os.open(path, os.O_RDWR | os.O_CREAT, 0o600))
    return _files.setdefault(file.identity, file)


def _close_unused(file: _LockFile) -> None:
    if not file.locked and _files.pop(file.identity, None) is file:
        os.close(file.descriptor)


def _begin_fork() -> None:
    """Forget the locks of the parent. To close its files here unlocks nothing there."""
    for file in _files.values():
        file.locked.clear()
        os.close(file.descriptor)
    _files.clear()
    _guard.release()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(
        before=_guard.acquire, after_in_parent=_guard.release, after_in_child=_begin_fork
    )
