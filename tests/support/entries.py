"""Entries of a cache."""

from __future__ import annotations

import os
from pathlib import Path

from hatch_wazcache.cache.directory import CacheDirectory
from hatch_wazcache.cache.key import SourceKey

KEY = SourceKey("0" * 64)
DATA = os.urandom(5000) + bytes(5000)


def cache_at(path: Path) -> tuple[CacheDirectory, list[str]]:
    warnings: list[str] = []
    return CacheDirectory(path, warnings.append), warnings


def publish(cache: CacheDirectory, entry: Path, key: SourceKey = KEY):
    draft = cache.draft()
    assert draft is not None
    draft.path.write_bytes(entry.read_bytes())
    return cache.publish(key, draft.path, draft)
