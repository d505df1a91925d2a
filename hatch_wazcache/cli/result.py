"""The result of a command, for programs and for people."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from hatch_wazcache.errors import ExitStatus

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

__all__ = ["Result"]


class Result(NamedTuple):
    """The same result in two forms; `main` prints one of them."""

    data: Mapping[str, object]
    """For `--json`: sizes in bytes, durations in seconds, times in seconds since 1970."""
    lines: Sequence[str]
    """For people. `main` escapes control characters, so they may hold any text."""
    status: ExitStatus = ExitStatus.DONE
    """The exit status, if there is no problem."""
    problem: str = ""
    """The part of the work that failed. The exit status is then `ERROR`."""
