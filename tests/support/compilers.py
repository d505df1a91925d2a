"""Counts the compilers that a build starts."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path


@dataclass
class Compilers:
    """Counts the compilers that were started: real ones, by way of a script that notes each."""

    script: Path
    log: Path

    @property
    def started(self) -> int:
        return len(self.log.read_text().splitlines())
