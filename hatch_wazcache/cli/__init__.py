"""The command line: `hatch-wazcache`, or `python -m hatch_wazcache`."""

from __future__ import annotations

import json
import os
import sys
from contextlib import suppress
from typing import TYPE_CHECKING, TextIO

from hatch_wazcache.errors import ExitStatus, WazcacheError
from hatch_wazcache.util import environment
from hatch_wazcache.util.ci_log import ci_log
from hatch_wazcache.util.terminal import printable

if TYPE_CHECKING:
    from collections.abc import Sequence

    from hatch_wazcache.cli.result import Result

__all__ = ["main"]


def main(arguments: Sequence[str] | None = None) -> int:
    """Run a command.

    Args:
        arguments: the words after the program's name; None for those of this process.

    Returns:
        The exit status; `hatch-wazcache --help` says what each means.
    """
    _open_closed_streams()
    for stream in (sys.stdout, sys.stderr):  # the terminal's encoding may not have all characters
        stream.reconfigure(errors="backslashreplace")  # type: ignore[union-attr]
    try:
        try:
            return _run(arguments)
        finally:
            sys.stdout.flush()
    except BrokenPipeError:
        _discard_output(sys.stdout)
        return ExitStatus.BROKEN_PIPE
    except KeyboardInterrupt:
        if sys.stderr.isatty():
            print(file=sys.stderr)  # noqa: T201 - behind ^C
        _fail("interrupted")
        return ExitStatus.INTERRUPTED
    except WazcacheError as error:
        return _fail(str(error))
    except OSError as error:
        _discard_output(sys.stdout)  # it may be the file that failed
        where = f"{error.filename}: " if error.filename else ""
        return _fail(f"{where}{error.strerror or error}")


def _run(arguments: Sequence[str] | None) -> int:
    # Late: an interrupt has no traceback here.
    from hatch_wazcache.cli.arguments import make_parser
    from hatch_wazcache.cli.display import set_verbosity

    options = make_parser().parse(arguments)
    if options.cache_dir is not None:
        # Set the variable, so that every part of the command uses the same directory.
        os.environ[environment.CACHE_DIR] = options.cache_dir
    set_verbosity(options.verbosity)
    result: Result = options.run(options)
    if options.json:
        print(ci_log().json(json.dumps(result.data, indent=2)))  # noqa: T201
    else:
        for line in result.lines:
            print(ci_log().line(printable(line)))  # noqa: T201
    return _fail(result.problem) if result.problem else result.status


def _fail(message: str) -> int:
    for line in message.split("\n"):
        print(ci_log().line(f"hatch-wazcache: {printable(line)}"), file=sys.stderr)  # noqa: T201
    return ExitStatus.ERROR


def _open_closed_streams() -> None:
    """Open the null device in place of each closed standard stream.

    Otherwise the next file that is opened gets the stream's number, and output could go there.
    """
    for number in range(3):
        try:
            os.fstat(number)
        except OSError:
            os.open(os.devnull, os.O_RDWR)  # gets the lowest free number
    for name in ("stdout", "stderr"):
        if getattr(sys, name) is None:
            setattr(sys, name, open(os.devnull, "w", encoding="utf-8"))  # noqa: SIM115


def _discard_output(stream: TextIO) -> None:
    """Send the rest of the output to the null device; otherwise Python reports an error at exit."""
    with suppress(OSError):
        os.dup2(os.open(os.devnull, os.O_WRONLY), stream.fileno())
