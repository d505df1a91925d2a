"""Reads the options of commands that compile for finished wheels: the wasmtime CLI, the time limit.

Such a command has no project, so an environment variable is the only other place for each.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from hatch_wazcache.compile.job import DEFAULT_TIMEOUT
from hatch_wazcache.project.fields import Field, read_compiler, read_seconds_text
from hatch_wazcache.util.environment import COMPILER, TIMEOUT, read_variable

if TYPE_CHECKING:
    from hatch_wazcache.compile.wasmtime_cli_places import Compiler
    from hatch_wazcache.util.problems import Problems

__all__ = ["command_field", "compiler_option", "timeout_option"]


def command_field(where: str, value: object, problems: Problems) -> Field:
    """Return a value of the command line as a field, as if it were one of a table.

    Args:
        where: the option, or the variable.
        value: its value. A path starts in the working directory.
        problems: collects what is wrong.
    """
    return Field(where, value, {}, Path.cwd(), problems)


def compiler_option(given: str | None, problems: Problems) -> Compiler:
    """Return the wasmtime CLI that `--compiler` or WAZCACHE_WASMTIME names."""
    field = _field("--compiler", given, COMPILER, problems)
    return None if field is None else read_compiler(field)


def timeout_option(given: str | None, problems: Problems) -> float:
    """Return the seconds that `--timeout` or WAZCACHE_TIMEOUT allows for one compilation."""
    field = _field("--timeout", given, TIMEOUT, problems)
    return DEFAULT_TIMEOUT if field is None else read_seconds_text(field)


def _field(option: str, given: str | None, variable: str, problems: Problems) -> Field | None:
    if given is not None:
        return command_field(option, given, problems)
    text = read_variable(variable)
    return None if text is None else command_field(variable, text, problems)
