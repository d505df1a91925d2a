"""A build system asked outside of a build: it is promised the project's root, and may print."""

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
    """Work in the project's root; what is printed goes to standard error, since it is no answer.

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
