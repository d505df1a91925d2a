"""What a command answers, for programs and for people."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

__all__ = ["Result"]


@dataclass(frozen=True)
class Result:
    """The same twice; `main` shows one of them."""

    data: Mapping[str, object]
    """For `--json`: sizes in bytes, durations in seconds, times in seconds since 1970."""
    lines: Sequence[str]
    status: int = 0
    problem: str = ""
    """What could not be done; the status is 1 then."""
