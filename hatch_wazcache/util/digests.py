"""SHA-256 of files, and digests as RECORD writes them."""

from __future__ import annotations

import base64
import hashlib
import os
import threading
from contextlib import contextmanager
from typing import TYPE_CHECKING, BinaryIO

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = ["background_sha256", "file_sha256", "record_digest"]

_LONG = 1 << 20
"""Bytes of which the digest is worth a thread."""


def file_sha256(file: BinaryIO) -> str:
    """Return the hexadecimal SHA-256 of the rest of a file, read in small pieces."""
    digest = hashlib.sha256()
    size = os.fstat(file.fileno()).st_size
    buffer = memoryview(bytearray(min(size, 1 << 20) or 1))  # small for small files, for speed
    while count := file.readinto(buffer):  # type: ignore[attr-defined]
        digest.update(buffer[:count])
    return digest.hexdigest()


@contextmanager
def background_sha256(data: bytes | bytearray | memoryview) -> Iterator[hashlib._Hash]:
    """Digest data in a thread, while the block does something else with it.

    Yields:
        The digest, which is complete at the end of the block.
    """
    digest = hashlib.sha256()
    thread = threading.Thread(target=digest.update, args=(data,)) if len(data) >= _LONG else None
    try:
        if thread is not None:
            thread.start()
    except RuntimeError:  # the system allows no more threads
        thread = None
    try:
        yield digest
    finally:
        if thread is None:
            digest.update(data)
        else:
            thread.join()


def record_digest(sha256: str) -> str:
    """Return a digest as the RECORD of a wheel writes it.

    Args:
        sha256: hexadecimal.
    """
    encoded = base64.urlsafe_b64encode(bytes.fromhex(sha256))
    return "sha256=" + encoded.decode("ascii").rstrip("=")
