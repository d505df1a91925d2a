"""What goes into other people's packages and projects: loader, PyInstaller hook, files for a CI.

`loader.py` goes there verbatim. It imports wasmtime and the standard library only, and supports
Python 3.9.
"""

from __future__ import annotations

from pkgutil import get_data
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path

__all__ = [
    "LOADER_MARK",
    "LOADER_PYTHON",
    "ci_template",
    "companion_folder",
    "is_loader",
    "loader_text",
]

LOADER_MARK = b"# The loader of hatch-wazcache"
"""The first words of every version of the loader. A file without them belongs to the project."""

LOADER_PYTHON = (3, 9)
"""The oldest Python that the loader supports."""


def loader_text() -> bytes:
    """Return the text of the loader."""
    text = get_data(__name__, "loader.py")
    assert text is not None
    return text


def ci_template(system: str) -> str:
    """Return the template of the file for a CI: `github` or `gitlab`."""
    text = get_data(__name__, f"ci/{system}.yml")
    assert text is not None
    return text.decode()


def companion_folder(name: str) -> str:
    """Return the folder of a companion's files in `site-packages`, as the loader looks for it."""
    return name.replace("-", "_").replace(".", "_")


def is_loader(path: Path) -> bool:
    """Say whether a file is a loader of any version."""
    try:
        with path.open("rb") as file:
            return file.read(len(LOADER_MARK)) == LOADER_MARK
    except OSError:
        return False
