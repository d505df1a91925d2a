"""SHA-256 of files."""

from __future__ import annotations

import hashlib
import os
from typing import BinaryIO

__all__ = ["file_sha256"]


def file_sha256(file: BinaryIO) -> str:
    """Return the hexadecimal SHA-256 of the rest of a file, read in small pieces."""
    digest = hashlib.sha256()
    size = os.fstat(file.fileno()).st_size
    buffer = memoryview(bytearray(min(size, 1 << 20) or 1))  # small for small files, for speed
    while count := file.readinto(buffer):  # type: ignore[attr-defined]
        digest.update(buffer[:count])
    return digest.hexdigest()
