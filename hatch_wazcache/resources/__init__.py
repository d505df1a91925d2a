"""Files that go into other people's packages, verbatim. Nothing here is imported by a build.

`loader.py` imports wasmtime and the standard library only, and supports Python 3.9.
"""

from __future__ import annotations

from pkgutil import get_data

__all__ = ["LOADER_PYTHON", "loader_text"]

LOADER_PYTHON = (3, 9)
"""The oldest Python that the loader supports."""


def loader_text() -> bytes:
    """Return the text of the loader."""
    text = get_data(__name__, "loader.py")
    assert text is not None
    return text
