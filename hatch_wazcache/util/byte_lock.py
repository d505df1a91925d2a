"""Locks on single bytes of open files, against other processes.

They end with the process. On POSIX they belong to the process, on Windows to the open file. Windows
also keeps others from reading a locked byte, so it should be behind the file's end.
"""

from __future__ import annotations

import errno
import os
import sys

if sys.platform == "win32":
    import msvcrt
else:
    import fcntl

__all__ = ["try_to_lock", "unlock"]

_IS_LOCKED = (errno.EACCES, errno.EAGAIN, 0)
"""The errors for a locked byte. POSIX allows the first two; the last one is wine's."""


def try_to_lock(descriptor: int, byte: int) -> bool:
    """Lock a byte of a file; False if it is locked.

    Args:
        descriptor: the file, open for writing. On Windows its position changes.
        byte: which byte, less than 2 GiB: `_locking` of Windows knows no more.

    Raises:
        OSError: the file system has no locks.
    """
    try:
        if sys.platform != "win32":
            fcntl.lockf(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB, 1, byte)
        else:
            os.lseek(descriptor, byte, os.SEEK_SET)
            msvcrt.locking(descriptor, msvcrt.LK_NBLCK, 1)
    except OSError as error:
        if error.errno in _IS_LOCKED:
            return False
        raise
    return True


def unlock(descriptor: int, byte: int) -> None:
    """Unlock a byte that this process has locked.

    Raises:
        OSError: the file is gone, as on a server that cannot be reached.
    """
    if sys.platform != "win32":
        fcntl.lockf(descriptor, fcntl.LOCK_UN, 1, byte)
    else:
        os.lseek(descriptor, byte, os.SEEK_SET)
        msvcrt.locking(descriptor, msvcrt.LK_UNLCK, 1)
