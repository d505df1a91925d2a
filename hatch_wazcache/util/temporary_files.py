"""Temporary files that a killed process leaves no trace of for longer than until the next build.

Each is held by a lock of the operating system while its owner lives, so that whoever comes next can
tell a leftover from a file in use, whatever the process ids and clocks of two containers say.
"""

from __future__ import annotations

import os
import secrets
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
    "is_temporary",
    "place",
    "replace",
    "sweep",
    "temporary",
    "write",
    "write_file",
]

_PREFIX, _SUFFIX = ".wazcache-", ".tmp"

_MOVING = 60.0
"""Seconds for which a file may be held by nobody on Windows: it is closed before it is moved."""


def create(directory: Path) -> tuple[Path, IO[bytes]]:
    """Create an empty file of a name of its own, open for reading and writing.

    Args:
        directory: where; must exist. The file is private to the user (0600).

    Returns:
        Its path and the open file. Closing the file gives up the hold on it.
    """
    while True:
        path = directory / f"{_PREFIX}{secrets.token_hex(8)}{_SUFFIX}"
        flags = os.O_RDWR | os.O_CREAT | os.O_EXCL | getattr(os, "O_BINARY", 0)
        file = os.fdopen(os.open(path, flags, 0o600), "w+b")
        if _hold(file) and path.exists():  # not swept between the two
            return path, file
        file.close()


@contextmanager
def temporary(directory: Path) -> Iterator[Path]:
    """Make an empty file that is removed in the end, by whoever comes next if need be."""
    path, held = create(directory)
    try:
        yield path
    finally:
        held.close()
        path.unlink(missing_ok=True)


def place(path: Path, file: IO[bytes], final: Path) -> None:
    """Put a temporary file in its place, at once for all who look.

    It is held until it is there, so that nobody takes it for a leftover.
    """
    file.flush()
    if sys.platform == "win32":
        file.close()  # an open file cannot be moved there
    replace(path, final)
    file.close()


def replace(path: Path, final: Path) -> None:
    """Rename a file onto another.

    On Windows that is refused while somebody reads the other, a virus scanner perhaps: it is tried
    again for a second.

    Raises:
        OSError: it cannot be.
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
    """Write a small file at once, or not at all.

    Args:
        data: all that is to be in it.
        final: its path.
        directory: where it is written first, on the same file system.
    """
    with _placed(directory, final) as (_path, file):
        file.write(data)


def write_file(path: Path, chunks: Iterable[bytes]) -> None:
    """Write a file for everybody, at once: a program that has the old one open keeps it.

    Args:
        path: its folder is made if need be; it gets the permissions that the umask gives.
        chunks: all that is to be in it.

    Raises:
        OSError: it cannot be written.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    with _placed(path.parent, path) as (temporary, file):
        for chunk in chunks:
            file.write(chunk)
        umask = os.umask(0)
        os.umask(umask)
        temporary.chmod(0o666 & ~umask)


@contextmanager
def _placed(directory: Path, final: Path) -> Iterator[tuple[Path, IO[bytes]]]:
    """Make a temporary file to be written, and put it in its place after that; or leave nothing."""
    path, file = create(directory)
    try:
        yield path, file
        place(path, file, final)
    except BaseException:
        file.close()
        path.unlink(missing_ok=True)
        raise


def is_temporary(name: str) -> bool:
    """Say whether a file of this name is one that `create` made, or a leftover of it."""
    return name.startswith(_PREFIX) and name.endswith(_SUFFIX)


def sweep(directory: Path) -> None:
    """Remove the temporary files whose owners are gone; what cannot be removed stays."""
    with suppress(OSError):
        for path in directory.glob(f"{_PREFIX}*{_SUFFIX}"):
            with suppress(OSError):
                if path.is_symlink() or not path.is_file():
                    continue
                with path.open("rb") as file:
                    held = not _hold(file)
                    if not held and sys.platform != "win32":
                        path.unlink()
                if sys.platform == "win32" and time.time() - path.stat().st_mtime > _MOVING:
                    path.unlink()  # refused while the owner has it open


def _hold(file: IO[bytes]) -> bool:
    if sys.platform != "win32":
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return False
        except OSError:  # a file system without locks: nothing is swept there by mistake
            return file.writable()
    return True
