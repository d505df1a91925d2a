"""Counts the compilers that a build starts."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path


@dataclass
class Compilers:
    """Counts the started compilers: a script notes each, and runs the real one."""

    script: Path
    log: Path

    @property
    def started(self) -> int:
        return len(self.log.read_text().splitlines())
