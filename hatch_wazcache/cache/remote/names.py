"""The names that objects have on a server, in both layouts.

A server of Bazel's layout takes only names of 64 hexadecimal digits, and compares what is in `cas/`
with its name.
"""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from hatch_wazcache.cache.key import ArtifactKey

__all__ = ["engine_name", "entry_name", "signature_name"]


def signature_name(key: ArtifactKey, *, bazel: bool) -> str:
    """Name the signature of an entry.

    Args:
        key: the entry's.
        bazel: whether the server has the layout of Bazel's caches.
    """
    return f"ac/{key.digest}" if bazel else f"{key.scope}/{key.digest}.sig"


def entry_name(key: ArtifactKey, sha256: str, *, bazel: bool) -> str:
    """Name an entry.

    Args:
        key: the entry's.
        sha256: the digest of the whole entry, as its signature says, hexadecimal.
        bazel: whether the server has the layout of Bazel's caches.
    """
    return f"cas/{sha256}" if bazel else f"{key.scope}/{key.digest}.zip"


def engine_name(key: ArtifactKey, *, bazel: bool) -> str:
    """Name the text that says which patch release of the wasmtime CLI has compiled for a key.

    The text is not signed: it only chooses the key to ask for next, of a release that is newer.

    Args:
        key: with the engine's own version.
        bazel: whether the server has the layout of Bazel's caches.
    """
    if bazel:
        return f"ac/{hashlib.sha256(f'hatch-wazcache engine {key.digest}'.encode()).hexdigest()}"
    return f"{key.scope}/{key.digest}.engine"
