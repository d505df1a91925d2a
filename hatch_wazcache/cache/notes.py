"""Small facts that the cache remembers about engines, each in a file of `engines/`.

These are the versions of wasmtime's libraries, the wasmtime CLIs that were compared with them, and
the patch releases that have compiled entries of the shared cache.
"""

from __future__ import annotations

import hashlib
from contextlib import suppress
from typing import TYPE_CHECKING

from hatch_wazcache.cache.location import make_directory
from hatch_wazcache.util import temporary_files

if TYPE_CHECKING:
    from pathlib import Path

__all__ = ["Notes", "engine_note"]


def engine_note(digest: str) -> str:
    """Name the note on the patch release that has compiled for a key, in the shared cache.

    Args:
        digest: that of the key with the engine's own version.
    """
    return f"engine={digest}"


class Notes:
    """The notes of one cache. A note carries a digest, so a damaged one does not count."""

    def __init__(self, root: Path | None) -> None:
        """Make the notes of a cache.

        Args:
            root: the cache; None to remember nothing.
        """
        self._root = root

    def recall(self, name: str) -> str | None:
        """Return the note of a name; None if there is none."""
        if self._root and name:
            with suppress(OSError, UnicodeDecodeError):
                note = (self._root / "engines" / name).read_text("utf-8")
                value, _, digest = note.partition(" ")
                if digest == _digest(name, value):
                    return value
        return None

    def remember(self, name: str, value: str) -> None:
        """Write a note. If there is no name, or the file cannot be written, nothing is remembered.

        Args:
            name: the digest of the subject, `sha256=…` or `program=…`; also the file's name.
            value: a text without spaces.
        """
        if self._root and name:
            with suppress(OSError):
                make_directory(self._root / "engines")
                make_directory(self._root / "tmp")
                text = f"{value} {_digest(name, value)}"
                temporary_files.write(
                    text.encode(), self._root / "engines" / name, self._root / "tmp"
                )


def _digest(name: str, value: str) -> str:
    return hashlib.sha256(f"{name} {value}".encode()).hexdigest()
