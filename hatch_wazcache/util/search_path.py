"""Finds programs on PATH, but never in the folder of the project."""

from __future__ import annotations

import os
import sys

__all__ = ["find_program"]


def find_program(name: str) -> str | None:
    """Find a program in the absolute folders of PATH; return its path, or None.

    Relative and empty entries mean the current folder, which is the project's during a build. So a
    project could bring its own program. `shutil.which` searches that folder on Windows even if it
    is not on PATH.

    Args:
        name: the program's name, without `.exe`.
    """
    name += ".exe" if sys.platform == "win32" else ""
    for folder in os.environ.get("PATH", os.defpath).split(os.pathsep):
        path = os.path.join(folder, name)
        if os.path.isabs(folder) and os.path.isfile(path) and os.access(path, os.X_OK):
            return path
    return None
