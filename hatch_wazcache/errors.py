"""The expected errors, and the exit statuses of the command line."""

from __future__ import annotations

from enum import IntEnum
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from typing_extensions import Self

__all__ = ["ExitStatus", "WasmtimeError", "WazcacheError"]


class WazcacheError(Exception):
    """Stops a build or a command. The text says what is wrong, where, and what to do.

    A front end shows the text without a traceback, and exits with a status that is not 0.
    """


class WasmtimeError(WazcacheError):
    """Says that the build environment does not have the wasmtime that the project needs."""

    def __init__(self, problem: str, advice: str) -> None:
        """Make the error.

        Args:
            problem: the problem.
            advice: the advice; a front end can replace it.
        """
        super().__init__(f"{problem}; {advice}")
        self.problem = problem


class ExitStatus(IntEnum):
    """How a command of `hatch-wazcache` ended."""

    DONE = 0, "done"
    ERROR = 1, "an error; standard error says which"
    WRONG_USAGE = 2, "wrong usage"
    FINDINGS = 3, "a broken entry is still in the cache, or an audit or a check has findings"
    INTERRUPTED = 130, "interrupted"
    BROKEN_PIPE = 141, "the reader of the output has ended"

    meaning: str

    def __new__(cls, value: int, meaning: str) -> Self:
        """Give a status its meaning, for `--help`."""
        member = int.__new__(cls, value)
        member._value_ = value
        member.meaning = meaning
        return member
