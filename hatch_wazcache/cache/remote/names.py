"""The names that objects have on a server, in both layouts, and what one of them may hold.

A server of Bazel's layout takes only names of 64 hexadecimal digits, and compares what is in `cas/`
with its name.
"""

from __future__ import annotations

import hashlib
import re
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from hatch_wazcache.cache.key import ArtifactKey

__all__ = ["engine_name", "entry_name", "is_newer_patch", "signature_name"]


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


def is_newer_patch(text: str, engine: str) -> bool:
    """Say whether a text is a newer release than an engine, of the same major version.

    An older one is not taken: whoever can write to the server could bring back faults of compilers
    that the engine of this build does not have.
    """
    numbers = r"[0-9]{1,9}\.[0-9]{1,9}\.[0-9]{1,9}"
    if not (re.fullmatch(numbers, text) and re.fullmatch(numbers, engine)):
        return False
    found, own = ([int(part) for part in version.split(".")] for version in (text, engine))
    return found[0] == own[0] and found > own
