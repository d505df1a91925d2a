"""SHA-256 of files, and digests as RECORD writes them."""

from __future__ import annotations

import base64
import hashlib
import os
from typing import BinaryIO

__all__ = ["file_sha256", "record_digest"]


def file_sha256(file: BinaryIO) -> str:
    """Return the hexadecimal SHA-256 of the rest of a file, read in small pieces."""
    digest = hashlib.sha256()
    size = os.fstat(file.fileno()).st_size
    buffer = memoryview(bytearray(min(size, 1 << 20) or 1))  # small for small files, for speed
    while count := file.readinto(buffer):  # type: ignore[attr-defined]
        digest.update(buffer[:count])
    return digest.hexdigest()


def record_digest(sha256: str) -> str:
    """Return a digest as the RECORD of a wheel writes it.

    Args:
        sha256: hexadecimal.
    """
    encoded = base64.urlsafe_b64encode(bytes.fromhex(sha256))
    return "sha256=" + encoded.decode("ascii").rstrip("=")
