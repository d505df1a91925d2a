"""The command `gofmt-py`: a small part of what Go's own `gofmt` offers."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

import gofmt

__all__ = ["main"]


def main(arguments: Sequence[str] | None = None) -> int:
    """Format what the command line names; 0 is success, 1 a file that failed, 2 a wrong option."""
    parser = argparse.ArgumentParser(prog="gofmt-py", description="Format Go source.")
    parser.add_argument("paths", nargs="*", metavar="file", help="standard input if there is none")
    parser.add_argument("-l", action="store_true", dest="list", help="list files that would change")
    parser.add_argument("-w", action="store_true", dest="write", help="write the files in place")
    options = parser.parse_args(arguments)
    if options.write and not options.paths:
        parser.error("-w needs a file")

    exit_code = 0
    for path in options.paths or [None]:
        name = path or "<standard input>"
        try:
            _format(path, name, write=options.write, list_only=options.list)
        except OSError as error:
            _complain(f"{name}: {error.strerror}")
            exit_code = 1
        except UnicodeDecodeError:
            _complain(f"{name}: not UTF-8")
            exit_code = 1
        except gofmt.FormatError as error:
            _complain(f"{name}:{error}")
            exit_code = 1
    return exit_code


def _format(path: str | None, name: str, *, write: bool, list_only: bool) -> None:
    """Format one source. Bytes in and out: text streams would change line ends on Windows."""
    source = Path(path).read_bytes() if path else sys.stdin.buffer.read()
    formatted = gofmt.format(source.decode()).encode()
    if list_only and formatted != source:
        print(name)
    if write and path and formatted != source:
        Path(path).write_bytes(formatted)
    if not write and not list_only:
        sys.stdout.buffer.write(formatted)


def _complain(message: str) -> None:
    print(f"gofmt-py: {message}", file=sys.stderr)


if __name__ == "__main__":
    sys.exit(main())
