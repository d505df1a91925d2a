"""The folder of a cache, and the files that mark it as a cache."""

from __future__ import annotations

import os
from contextlib import suppress
from pathlib import Path

from hatch_wazcache.errors import WazcacheError

__all__ = ["default_directory", "is_cache", "make_directory", "mark_as_cache"]

_CACHEDIR_TAG = """\
Signature: 8a477f597d28d172789f06886806bc55
# This directory is a cache of hatch-wazcache: compiled WebAssembly that can be made again.
# See https://bford.info/cachedir/
"""

_MARKS = {"CACHEDIR.TAG": _CACHEDIR_TAG, ".gitignore": "*\n"}


def default_directory() -> Path:
    """Return the user's cache directory for `wazcache`, in the system's usual place.

    Raises:
        WazcacheError: the user has no home, or the home is not a directory.
    """
    import platformdirs

    with suppress(RuntimeError):  # HOME is not set, and no user has this uid
        path = Path(platformdirs.user_cache_path("wazcache", appauthor=False))
        places = (path, *path.parents)
        existing = next((place for place in places if os.path.lexists(place)), path)
        if path.is_absolute() and os.path.isdir(existing):
            return path
    raise WazcacheError("there is no home directory for the cache; set WAZCACHE_DIR to a folder")


def is_cache(tag: Path) -> bool:
    """Say whether a file is the CACHEDIR.TAG that hatch-wazcache writes."""
    try:
        return tag.read_text("utf-8") == _CACHEDIR_TAG
    except (OSError, UnicodeDecodeError):
        return False


def mark_as_cache(root: Path) -> None:
    """Write the marks into a new cache: backup programs and git then skip it.

    A directory that already holds other files gets no marks: it may be a home directory.

    Raises:
        OSError: the directory cannot be written.
    """
    if set(os.listdir(root)) <= _MARKS.keys():
        for name, text in _MARKS.items():
            with suppress(FileExistsError), (root / name).open("x") as file:
                file.write(text)


def make_directory(path: Path) -> None:
    """Create a private directory (0700), and its parents too; an existing one stays as it is.

    Raises:
        WazcacheError: a file has the name of one of the directories.
        OSError: it cannot be created.
    """
    try:
        path.mkdir(mode=0o700, exist_ok=True)
    except FileNotFoundError:
        if path.parent == path:  # a drive or server of Windows that is not there
            raise
        # Not parents=True: that creates the parents with the umask, and a umask of 000 lets
        # everybody write to them.
        make_directory(path.parent)
        path.mkdir(mode=0o700, exist_ok=True)
    except (FileExistsError, NotADirectoryError) as error:
        blocking = next(p for p in (path, *path.parents) if os.path.lexists(p))
        raise WazcacheError(
            f"cache-dir: {blocking} is not a directory; remove it or name another cache-dir"
        ) from error
