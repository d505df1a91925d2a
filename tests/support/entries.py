"""Entries of a cache."""

from __future__ import annotations

import hashlib
import os
import struct
from pathlib import Path

from hatch_wazcache.cache.directory import CacheDirectory
from hatch_wazcache.cache.key import ArtifactKey, SourceKey

DATA = os.urandom(5000) + bytes(5000)
KEY = SourceKey(hashlib.sha256(DATA).hexdigest())


def artifact_of(key: ArtifactKey, code: bytes = b"") -> bytes:
    """Make the smallest file with the header of an artifact; wasmtime does not load it."""

    def text(value: str) -> bytes:
        return bytes([len(value)]) + value.encode()

    flags = b"".join(text(flag) + b"\2\1" for flag in key.cpu_flags)
    major = key.engine.partition(".")[0]
    engine = b"\0" + text(major) + text(key.triple) + b"\0" + bytes([len(key.cpu_flags)]) + flags
    names = b"\0.names\0.wasmtime.engine\0.wasmtime.addrmap\0"
    body = engine + names + code
    at = 64
    table = b"".join(
        struct.pack("<IIQQQQIIQQ", name, kind, 0, 0, start, size, 0, 0, 1, 0)
        for name, kind, start, size in (
            (0, 0, 0, 0),
            (1, 3, at + len(engine), len(names)),
            (8, 1, at, len(engine)),
            (25, 1, at, 0),
        )
    )
    machine = {"x86_64": 62, "aarch64": 183}[key.triple.partition("-")[0]]
    ident = b"\x7fELF\2\1\1\xc8" + bytes(8)
    start = at + len(body)
    head = struct.pack(
        "<16sHHIQQQIHHHHHH", ident, 1, machine, 1, 0, 0, start, 1, 64, 0, 0, 64, 4, 1
    )
    return head + body + table


def cache_at(path: Path) -> tuple[CacheDirectory, list[str]]:
    warnings: list[str] = []
    return CacheDirectory(path, warnings.append), warnings


def publish(cache: CacheDirectory, entry: Path, key: SourceKey = KEY):
    draft = cache.draft()
    assert draft is not None
    draft.path.write_bytes(entry.read_bytes())
    return cache.publish(key, draft.path, draft)
