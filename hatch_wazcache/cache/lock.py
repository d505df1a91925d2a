"""One lock for a whole cache: look-ups share it, whoever deletes has it alone.

So a look-up is either over, its entry marked as used, before a prune begins; or it begins when the
entry is gone, and is a miss. Where there are no such locks, as on Windows and some network file
systems, an entry that is pulled from under a build is made again.
"""

from __future__ import annotations

import os
import sys
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

if sys.platform != "win32":
    import fcntl

__all__ = ["exclusive", "shared"]


@contextmanager
def shared(root: Path) -> Iterator[None]:
    """Hold the cache while something is looked up."""
    with _held(root, exclusively=False):
        yield


@contextmanager
def exclusive(root: Path) -> Iterator[None]:
    """Hold the cache while something is deleted."""
    with _held(root, exclusively=True):
        yield


@contextmanager
def _held(root: Path, *, exclusively: bool) -> Iterator[None]:
    descriptor = -1
    if sys.platform != "win32":
        with suppress(OSError):
            descriptor = os.open(root / "lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
            fcntl.flock(descriptor, fcntl.LOCK_EX if exclusively else fcntl.LOCK_SH)
    try:
        yield
    finally:
        if descriptor >= 0:
            os.close(descriptor)
