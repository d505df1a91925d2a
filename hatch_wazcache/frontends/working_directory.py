"""Runs a build backend outside a build: in the project's root, with its output sent to stderr."""

from __future__ import annotations

import os
import sys
from contextlib import contextmanager
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

__all__ = ["in_project_root"]


@contextmanager
def in_project_root(root: Path) -> Iterator[None]:
    """Change to the project's root, and send standard output to standard error.

    Build backends expect the root as the working directory. Their output must not get into the
    output of our command, which may be JSON.

    Args:
        root: the project's root.
    """
    before = os.getcwd()
    sys.stdout.flush()
    stdout = os.dup(1)
    os.dup2(2, 1)
    os.chdir(root)
    try:
        yield
    finally:
        os.chdir(before)
        sys.stdout.flush()
        os.dup2(stdout, 1)
        os.close(stdout)
