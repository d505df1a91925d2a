"""The command line: `hatch-wazcache`, or `python -m hatch_wazcache`."""

from __future__ import annotations

import json
import os
import sys
from contextlib import suppress
from typing import TYPE_CHECKING, TextIO

from hatch_wazcache.errors import ExitStatus, WazcacheError
from hatch_wazcache.project import environment

if TYPE_CHECKING:
    from collections.abc import Sequence

    from hatch_wazcache.cli.result import Result

__all__ = ["main"]


def main(arguments: Sequence[str] | None = None) -> int:
    """Run a command.

    Args:
        arguments: in place of the process's own.

    Returns:
        The exit status; `hatch-wazcache --help` says what each means.
    """
    for stream in (sys.stdout, sys.stderr):  # a path need not be of the terminal's encoding
        stream.reconfigure(errors="backslashreplace")  # type: ignore[union-attr]
    try:
        try:
            return _run(arguments)
        finally:
            sys.stdout.flush()
    except BrokenPipeError:
        _give_up(sys.stdout)
        return ExitStatus.BROKEN_PIPE
    except KeyboardInterrupt:
        return ExitStatus.INTERRUPTED
    except WazcacheError as error:
        return _fail(str(error))
    except OSError as error:
        _give_up(sys.stdout)  # which may be what failed
        where = f"{error.filename}: " if error.filename else ""
        return _fail(f"{where}{error.strerror or error}")


def _run(arguments: Sequence[str] | None) -> int:
    from hatch_wazcache.cli.arguments import make_parser  # here an interrupt has no traceback

    options = make_parser().parse_args(arguments)
    if options.cache_dir is not None:
        # The same as the variable, so that all which a command starts agrees on it.
        os.environ[environment.CACHE_DIR] = options.cache_dir
    answer: Result = options.run(options)
    if options.json:
        print(json.dumps(answer.data, indent=2))  # noqa: T201
    else:
        for line in answer.lines:
            print(line)  # noqa: T201
    return _fail(answer.problem) if answer.problem else answer.status


def _fail(message: str) -> int:
    for line in message.splitlines():
        print(f"hatch-wazcache: {line}", file=sys.stderr)  # noqa: T201
    return ExitStatus.ERROR


def _give_up(stream: TextIO) -> None:
    """Have what is still to be written go nowhere, or Python complains as it ends."""
    with suppress(OSError):
        os.dup2(os.open(os.devnull, os.O_WRONLY), stream.fileno())
