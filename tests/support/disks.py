"""Small file systems that tests fill or make read-only."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.support.marks import NO_MOUNT


@contextmanager
def mounted(folder: Path, options: str) -> Iterator[None]:
    """A small file system in memory, whose size limits root, too."""
    folder.mkdir(mode=0o700, exist_ok=True)
    mount = ["mount", "-t", "tmpfs", "-o", f"mode=700,{options}", "none", str(folder)]
    if subprocess.run(mount, check=False, capture_output=True).returncode:
        pytest.skip(NO_MOUNT)
    try:
        yield
    finally:
        subprocess.run(["umount", str(folder)], check=True)
