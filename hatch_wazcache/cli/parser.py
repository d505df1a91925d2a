"""The form of the commands: a parser with the options that all have, its help, and its errors."""

from __future__ import annotations

import argparse
import re
import sys
import textwrap
from typing import TYPE_CHECKING, Any, NoReturn

from hatch_wazcache.cli.argument_types import folder
from hatch_wazcache.errors import ExitStatus
from hatch_wazcache.project.fields import nearest
from hatch_wazcache.util.ci_log import ci_log
from hatch_wazcache.util.terminal import printable

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from hatch_wazcache.cli.result import Result

__all__ = ["Commands", "Parser"]

_CACHE = """\
the cache is, in this order: the folder of --cache-dir; the folder of WAZCACHE_DIR; the folder of
the project's option cache-dir; the user's cache folder.

"""

_STATUS = "exit status:\n" + "".join(
    f"  {status.value:<3}  {status.meaning}\n" for status in ExitStatus
)

_LIST_ITEM = re.compile(r"  \S+  +")


class Parser(argparse.ArgumentParser):
    """A parser with wrapped help, and with errors that name the nearest word."""

    def __init__(self, **options: Any) -> None:
        """Make a parser, as `argparse.ArgumentParser` does."""
        super().__init__(formatter_class=_HelpFormatter, **options)
        # Python 3.14 colors help, and then `help` would differ from `--help`.
        self.color = False

    def _check_value(self, action: argparse.Action, value: Any) -> None:
        """Check a value with choices. argparse calls it."""
        if action.choices is None or value in action.choices:
            return
        choices = list(map(str, action.choices))
        what = "a command" if action.metavar == "COMMAND" else "one of the choices"
        hint = nearest(value, choices) or f"choose from {', '.join(choices)}"
        raise argparse.ArgumentError(action, f"{str(value)!r} is not {what}; {hint}")

    def parse(self, words: Sequence[str] | None) -> argparse.Namespace:
        """Read a command line; the result has the command's function as `run`.

        Args:
            words: the words after the program's name; None for those of this process.

        Raises:
            SystemExit: it is wrong. Standard error then says why, with the nearest right word.
        """
        if not (sys.argv[1:] if words is None else words):
            self.print_help(sys.stderr)
            self.exit(ExitStatus.WRONG_USAGE)
        options, unknown = self.parse_known_args(words)
        if unknown:
            parser: Parser = options.parser
            known = [flag for action in parser._actions for flag in action.option_strings]
            flag = unknown[0].partition("=")[0]
            hint = nearest(flag, known) if flag.startswith("-") else ""
            text = f"unrecognized arguments: {' '.join(unknown)}"
            parser.error(text + (f"; {hint}" if hint else ""))
        return options

    def error(self, message: str) -> NoReturn:
        """End the process with the usage and a message."""
        self.print_usage(sys.stderr)
        text = ci_log().line(f"{self.prog}: error: {printable(message)}")
        self.exit(ExitStatus.WRONG_USAGE, f"{text}\n")


class _ShowVersion(argparse.Action):
    """Prints the version. argparse's own action would need it for every command."""

    def __init__(self, option_strings: Sequence[str], **_: Any) -> None:
        text = "show program's version number and exit"
        super().__init__(option_strings, argparse.SUPPRESS, 0, default=argparse.SUPPRESS, help=text)

    def __call__(self, parser: argparse.ArgumentParser, *_: Any) -> NoReturn:
        from hatch_wazcache import __version__

        print(f"hatch-wazcache {__version__}")  # noqa: T201
        parser.exit()


class _HelpFormatter(argparse.RawDescriptionHelpFormatter):
    """Wraps paragraphs to the terminal's width, and the items of a list below their texts."""

    def _fill_text(self, text: str, width: int, indent: str) -> str:
        return "\n".join(f"{indent}{line}".rstrip() for line in _wrapped(text, width))


def _wrapped(text: str, width: int) -> Iterator[str]:
    for number, paragraph in enumerate(text.strip("\n").split("\n\n")):
        yield from [""] if number else []
        lines: list[str] = []
        for line in paragraph.splitlines():
            if lines and not _LIST_ITEM.match(line) and not _LIST_ITEM.match(lines[-1]):
                lines[-1] += f" {line}"
            else:
                lines.append(line)
        for line in lines:
            item = _LIST_ITEM.match(line)
            later = " " * len(item[0]) if item else ""
            yield from textwrap.wrap(
                line,
                max(width, len(later) + 10),
                subsequent_indent=later,
                break_long_words=False,
                break_on_hyphens=False,
            )


class Commands:
    """Adds commands to the parser of the program."""

    def __init__(self) -> None:
        """Make the parser of the program, with no commands."""
        self.parser = Parser(
            prog="hatch-wazcache",
            description="Show and prune the cache of compiled WebAssembly, and check wheels.",
            epilog=f"{_CACHE}`hatch-wazcache help COMMAND` shows the options of a command.\n\n"
            f"{_STATUS}",
        )
        self.parser.add_argument("-V", "--version", action=_ShowVersion)
        _add_context(self.parser, None)
        _add_output(self.parser, json=False, count=0)
        self.texts: dict[str, str] = {}
        """What each command does, by its name."""
        self._adding = self.parser.add_subparsers(
            title="commands", required=True, metavar="COMMAND", dest="command"
        )

    @property
    def names(self) -> list[str]:
        """The names of the commands so far."""
        return list(self._adding.choices)

    def parser_of(self, name: str) -> Parser:
        """Return the parser of a command."""
        found: Parser = self._adding.choices[name]
        return found

    def add(
        self, name: str, run: Callable[[Any], Result], text: str, *, of_cache: bool = True
    ) -> Parser:
        """Add a command.

        Args:
            name: its name.
            run: does it.
            text: what it does, for the list of commands. Also its description, if no other is set.
            of_cache: whether it takes the options that choose the cache.
        """
        added: Parser = self._adding.add_parser(
            name,
            help=text,
            description=f"{text[0].upper()}{text[1:]}.",
            epilog=_CACHE + _STATUS if of_cache else _STATUS,
        )
        self.texts[name] = text
        # Without SUPPRESS, the default would overwrite an option that is given before the command.
        if of_cache:
            _add_context(added, argparse.SUPPRESS)
        _add_output(added, json=argparse.SUPPRESS, count=argparse.SUPPRESS)
        added.set_defaults(run=run, parser=added)
        return added


def _add_context(parser: argparse.ArgumentParser, default: Any) -> None:
    parser.add_argument(
        "--cache-dir", type=folder, metavar="DIR", default=default, help="the cache"
    )
    parser.add_argument(
        "-p",
        "--project",
        metavar="DIR",
        default=default,
        help="the project; the default is the nearest one, from the working directory upwards",
    )


def _add_output(parser: argparse.ArgumentParser, *, json: Any, count: Any) -> None:
    parser.add_argument(
        "--json",
        action="store_true",
        default=json,
        help="print one JSON document, with bytes, seconds, and seconds since 1970",
    )
    much = parser.add_mutually_exclusive_group()
    much.add_argument(
        "-v",
        "--verbose",
        action="store_const",
        const=1,
        default=count,
        dest="verbosity",
        help="also say which cache, engine and compiler are used, and why something is missing",
    )
    much.add_argument(
        "-q",
        "--quiet",
        action="store_const",
        const=-1,
        default=count,
        dest="verbosity",
        help="show only errors and the result",
    )
