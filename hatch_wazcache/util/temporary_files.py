"""Temporary files and folders that do not outlive a crash: the next build deletes leftovers.

The process that made one keeps it locked. So the next process can tell a leftover from one in use.
Process ids and clocks cannot tell that: two containers may share the folder.
"""

from __future__ import annotations

import os
import secrets
import stat
import sys
import time
from contextlib import contextmanager, suppress
from typing import IO, TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from pathlib import Path

if sys.platform != "win32":
    import fcntl

__all__ = [
    "create",
    "create_folder",
    "is_leftover",
    "is_temporary",
    "new_file_mode",
    "place",
    "replace",
    "sweep",
    "temporary",
    "write",
    "write_file",
]

_PREFIX, _SUFFIX = ".wazcache-", ".tmp"
_WINDOWS = ".windows.tmp"
"""The suffix of folders on Windows, which are locked in another way. Wine and Cygwin may share the
directory."""

_MOVING = 60.0
"""Seconds for which a file may be unlocked on Windows, which closes a file before it moves it."""


def create(directory: Path) -> tuple[Path, IO[bytes]]:
    """Create an empty file with a unique name, open for reading and writing, private (0600).

    Args:
        directory: an existing folder for it.

    Returns:
        Its path and the open file. Closing the file unlocks it.
    """
    while True:
        path = directory / f"{_PREFIX}{secrets.token_hex(8)}{_SUFFIX}"
        flags = os.O_RDWR | os.O_CREAT | os.O_EXCL | getattr(os, "O_BINARY", 0)
        file = os.fdopen(os.open(path, flags, 0o600), "w+b")
        if _lock(file) and path.exists():  # no sweep has deleted it meanwhile
            return path, file
        file.close()


def create_folder(directory: Path) -> tuple[Path, int]:
    """Create an empty folder with a unique name, private (0700).

    Args:
        directory: an existing folder for it.

    Returns:
        Its path, and a descriptor; closing it unlocks the folder. Windows cannot lock a folder; it
        has a file beside it, which Windows removes when this process closes it or ends.
    """
    while True:
        path = directory / f"{_PREFIX}{secrets.token_hex(8)}{_SUFFIX}"
        if sys.platform == "win32":
            path = path.with_suffix(_WINDOWS)
            flags = os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_TEMPORARY
            descriptor = os.open(_lock_of_folder(path), flags, 0o600)
            path.mkdir(mode=0o700)
            return path, descriptor
        path.mkdir(mode=0o700)
        with suppress(FileNotFoundError):  # a sweep has deleted it meanwhile
            descriptor = os.open(path, os.O_RDONLY)
            if _try_to_lock(descriptor) is not False and path.exists():
                return path, descriptor
            os.close(descriptor)


@contextmanager
def temporary(directory: Path) -> Iterator[Path]:
    """Make an empty file and remove it at the end; after a crash, `sweep` removes it."""
    path, file = create(directory)
    try:
        yield path
    finally:
        file.close()
        path.unlink(missing_ok=True)


def place(path: Path, file: IO[bytes], final: Path) -> None:
    """Rename a temporary file to its final name, in one step.

    The file stays locked until then, so no sweep deletes it.
    """
    file.flush()
    if sys.platform == "win32":
        file.close()  # Windows does not rename an open file
    replace(path, final)
    file.close()


def replace(path: Path, final: Path) -> None:
    """Rename a file, and replace the file that has the final name.

    Windows refuses that while another program, such as a virus scanner, reads the old file. So it
    is tried again for a second.

    Raises:
        OSError: it cannot be renamed.
    """
    for pause in (0.01, 0.05, 0.1, 0.3, 0.5) if sys.platform == "win32" else ():
        try:
            path.replace(final)
        except PermissionError:
            time.sleep(pause)
        else:
            return
    path.replace(final)


def write(data: bytes, final: Path, directory: Path) -> None:
    """Write a small file completely, or not at all.

    Args:
        data: the whole content.
        final: its path.
        directory: the folder for the temporary file, on the same file system.
    """
    with _placed(directory, final) as (_path, file):
        file.write(data)


def write_file(path: Path, chunks: Iterable[bytes]) -> None:
    """Write a file completely, or not at all, with the permissions of the umask.

    A program that has the old file open keeps the old content.

    Args:
        path: its folder is created if it is missing.
        chunks: the whole content.

    Raises:
        OSError: it cannot be written.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    with _placed(path.parent, path) as (temporary, file):
        for chunk in chunks:
            file.write(chunk)
        temporary.chmod(new_file_mode())


def new_file_mode() -> int:
    """Return the permissions that the umask gives to a new file."""
    umask = os.umask(0)
    os.umask(umask)
    return 0o666 & ~umask


@contextmanager
def _placed(directory: Path, final: Path) -> Iterator[tuple[Path, IO[bytes]]]:
    """Open a temporary file for writing, then rename it; after an error, remove it."""
    path, file = create(directory)
    try:
        yield path, file
        place(path, file, final)
    except BaseException:
        file.close()
        path.unlink(missing_ok=True)
        raise


def is_temporary(name: str) -> bool:
    """Say whether a file has a name that `create` gives."""
    return name.startswith(_PREFIX) and name.endswith(_SUFFIX)


def is_leftover(path: Path) -> bool:
    """Say whether the process that made a temporary file is gone; False if that is not known.

    Raises:
        OSError: the file cannot be read.
    """
    if sys.platform == "win32":
        return False  # files are not locked on Windows
    with path.open("rb") as file:
        return _lock(file)


def sweep(directory: Path) -> None:
    """Remove the temporary files and folders of processes that are gone, as far as that works."""
    with suppress(OSError):
        for path in directory.glob(f"{_PREFIX}*{_SUFFIX}"):
            with suppress(OSError):
                status = path.lstat()
                if stat.S_ISDIR(status.st_mode):
                    _sweep_folder(path, status)
                if not stat.S_ISREG(status.st_mode):
                    continue
                with path.open("rb") as file:
                    in_use = not _lock(file)
                    if not in_use and sys.platform != "win32":
                        path.unlink()
                if sys.platform == "win32" and time.time() - path.stat().st_mtime > _MOVING:
                    path.unlink()  # Windows refuses it while the file is open


def _sweep_folder(path: Path, status: os.stat_result) -> None:
    """Remove a folder of this user and this kind of system, unless a process has locked it."""
    import shutil

    if path.name.endswith(_WINDOWS) != (sys.platform == "win32"):
        return
    if sys.platform == "win32":
        if not _lock_of_folder(path).exists():
            shutil.rmtree(path, ignore_errors=True)
        return
    if status.st_uid != os.geteuid():
        return
    descriptor = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW)
    try:
        if _try_to_lock(descriptor):
            shutil.rmtree(path, ignore_errors=True)
    finally:
        os.close(descriptor)


def _lock_of_folder(path: Path) -> Path:
    """Return the file beside a folder that says, on Windows, that a process uses the folder."""
    return path.with_suffix(".lock")


def _lock(file: IO[bytes]) -> bool:
    """Lock a file; False if another process has locked it."""
    locked = _try_to_lock(file.fileno())
    # A file system without locks: a sweep, which opens for reading, skips all.
    return file.writable() if locked is None else locked


def _try_to_lock(descriptor: int) -> bool | None:
    """Lock a file or folder; False if another process has locked it, None if that is not known."""
    if sys.platform != "win32":
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return False
        except OSError:
            return None
    return True
