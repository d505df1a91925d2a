"""What a command answers, for programs and for people."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from hatch_wazcache.errors import ExitStatus

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

__all__ = ["Result"]


@dataclass(frozen=True)
class Result:
    """The same twice; `main` shows one of them."""

    data: Mapping[str, object]
    """For `--json`: sizes in bytes, durations in seconds, times in seconds since 1970."""
    lines: Sequence[str]
    status: ExitStatus = ExitStatus.DONE
    problem: str = ""
    """What could not be done; the status is `ERROR` then."""
