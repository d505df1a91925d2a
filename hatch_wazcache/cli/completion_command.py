"""The command that prints a shell's script for completion.

shtab makes the script from the parser. The script starts no Python, so a Tab takes no time.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from hatch_wazcache.cli.result import Result
from hatch_wazcache.errors import WazcacheError

if TYPE_CHECKING:
    import argparse

    from hatch_wazcache.cli.parser import Commands

__all__ = ["add_completion"]

_SHELLS = {
    "bash": "~/.local/share/bash-completion/completions/hatch-wazcache",
    "zsh": "a folder of $fpath, such as ~/.zfunc/_hatch-wazcache",
    "fish": "~/.config/fish/completions/hatch-wazcache.fish",
}
"""The shells, and the file for the script of each."""


def add_completion(commands: Commands) -> None:
    """Add the command."""

    def completion(options: argparse.Namespace) -> Result:
        script = _script(commands, options.shell)
        return Result({"shell": options.shell, "script": script}, script.splitlines())

    text = "print the script that lets a shell complete commands and options"
    added = commands.add("completion", completion, text, of_cache=False)
    places = "".join(f"  {shell:<6}  {place}\n" for shell, place in _SHELLS.items())
    added.epilog = f"where to put the script:\n{places}\n{added.epilog}"
    added.add_argument("shell", choices=[*_SHELLS], metavar="SHELL", help=", ".join(_SHELLS))


def _script(commands: Commands, shell: str) -> str:
    try:
        import shtab
    except ImportError:
        raise WazcacheError(
            'completion needs shtab: install it with pip install "hatch-wazcache[completion]"'
        ) from None
    values: dict[str, Any] = {
        "DIR": shtab.DIRECTORY,
        "PATH": shtab.FILE,
        # zsh finds nothing with shtab's own pattern, which is in parentheses.
        "ASSET": {**shtab.glob("*.wasm"), "zsh": "_files -g '*.wasm'"},
        "WHEEL": {**shtab.glob("*.whl"), "zsh": "_files -g '*.whl'"},
    }
    for name in commands.names:
        parser = commands.parser_of(name)
        parser.description = commands.texts[name]  # zsh and fish show it in one line
        for action in parser._actions:  # noqa: SLF001 - argparse has no public list
            if action.metavar in values:
                action.complete = values[action.metavar]  # type: ignore[attr-defined]
    script = str(shtab.complete(commands.parser, shell=shell))
    # In zsh, shtab lets "(*)" complete only the first of several files.
    return script.replace('"(*):', '"*:') if shell == "zsh" else script
