"""The command that shows the help of the program, or of a command."""

from __future__ import annotations

from typing import TYPE_CHECKING

from hatch_wazcache.cli.result import Result

if TYPE_CHECKING:
    from argparse import Namespace

    from hatch_wazcache.cli.parser import Commands

__all__ = ["add_help"]


def add_help(commands: Commands) -> None:
    """Add the command, behind all commands that it has help for."""

    def help_(options: Namespace) -> Result:
        parser = commands.parser
        if options.about is not None:
            parser = commands.parser_of(options.about)
        text = parser.format_help()
        return Result({"help": text}, text.splitlines())

    added = commands.add("help", help_, "show the help of a command", of_cache=False)
    added.add_argument(
        "about", metavar="COMMAND", nargs="?", choices=[*commands.names], help="a command"
    )
