"""The commands' names and options, and what `--help` says of them."""

from __future__ import annotations

import argparse
import os
import re
from typing import TYPE_CHECKING, Any

from hatch_wazcache import __version__
from hatch_wazcache.cli import cache_commands, project_commands, wheel_commands
from hatch_wazcache.errors import ExitStatus
from hatch_wazcache.util.sizes_and_times import parse_size

if TYPE_CHECKING:
    from collections.abc import Callable

    from hatch_wazcache.cli.result import Result

__all__ = ["make_parser"]

_CACHE = """\
the cache is the one that --cache-dir names; else WAZCACHE_DIR; else the option cache-dir of the
project here, if there is one; else the user's cache folder.

"""

_STATUS = "exit status:\n" + "".join(
    f"  {status.value:<3}  {status.meaning}\n" for status in ExitStatus
)

_SECONDS = {"m": 60, "h": 3600, "d": 86400, "w": 7 * 86400}


def make_parser() -> argparse.ArgumentParser:
    """Make the parser; what it returns has the command as `run`."""
    parser = argparse.ArgumentParser(
        prog="hatch-wazcache",
        description="Look into the cache of compiled WebAssembly, and into wheels that hold some.",
        epilog=_CACHE + _STATUS,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--version", action="version", version=f"hatch-wazcache {__version__}")
    _add_place(parser, None)
    _add_json(parser, default=False)
    adding = parser.add_subparsers(title="commands", required=True, metavar="COMMAND")

    def add(
        name: str, run: Callable[[Any], Result], text: str, *, of_cache: bool = True
    ) -> argparse.ArgumentParser:
        added = adding.add_parser(
            name,
            help=text,
            description=f"{text[0].upper()}{text[1:]}.",
            epilog=_CACHE + _STATUS if of_cache else _STATUS,
            formatter_class=argparse.RawDescriptionHelpFormatter,
        )
        # Given before the command, an option is not to be undone by the command's default.
        if of_cache:
            _add_place(added, argparse.SUPPRESS)
        _add_json(added, default=argparse.SUPPRESS)
        added.set_defaults(run=run)
        return added

    add("info", cache_commands.info, "where the cache is, how big, and what it has saved")
    add("list", cache_commands.list_, "all entries, the last used first")
    add("show", cache_commands.show, "all that decided an entry, and who used it").add_argument(
        "key", metavar="KEY", help="a key, or any beginning that only one key has"
    )
    add(
        "why", project_commands.why, "is an asset in the cache; what differs from the nearest entry"
    ).add_argument("asset", metavar="ASSET", help="a .wasm file of the project")
    add("warm", project_commands.warm, "compile a project's assets without building a wheel")
    add("verify", cache_commands.verify, "check every digest of every entry").add_argument(
        "--repair", action="store_true", help="remove broken entries"
    )
    _add_prune(add("prune", cache_commands.prune, "remove entries"))
    _add_dry_run(add("clear", cache_commands.clear, "remove all entries, and the statistics"))
    add("dir", cache_commands.dir_, "the cache's directory, for scripts")
    text = "hold wheels against what they claim to be"
    _add_audit(add("audit", wheel_commands.audit, text, of_cache=False))
    text = "what is in a wheel, and which artifacts load here"
    inspect = add("inspect", wheel_commands.inspect, text, of_cache=False)
    inspect.add_argument("wheel", metavar="WHEEL", help="a file")
    return parser


def _add_place(parser: argparse.ArgumentParser, default: Any) -> None:
    parser.add_argument(
        "--cache-dir", type=_folder, metavar="DIR", default=default, help="the cache"
    )
    parser.add_argument(
        "-p",
        "--project",
        metavar="DIR",
        default=default,
        help="the project; else the nearest one from the working directory upwards",
    )


def _add_json(parser: argparse.ArgumentParser, *, default: Any) -> None:
    parser.add_argument(
        "--json",
        action="store_true",
        default=default,
        help="one JSON document: bytes, seconds, times since 1970",
    )


def _add_prune(parser: argparse.ArgumentParser) -> None:
    parser.description = (
        "Remove entries. An entry goes if any of the options says so; without any, the least "
        "recently used go until the cache is within the project's max-size, or 5 GiB. An entry "
        "that a running build has looked up stays."
    )
    parser.add_argument(
        "--max-size", type=_size, metavar="SIZE", help="the least recently used go, over a size"
    )
    parser.add_argument(
        "--older-than", type=_age, metavar="AGE", help="not used for so long: 30d, 12h, 2w"
    )
    parser.add_argument(
        "--unused",
        action="store_true",
        help="used by none of the builds on record, which are at least the last fifty",
    )
    parser.add_argument(
        "--engine",
        type=_versions,
        metavar="VERSION[,...]",
        help="of this wasmtime: 47.0.1, or 47 for all that begin so",
    )
    parser.add_argument(
        "--ci",
        action="store_true",
        help="not used by the last build of any project and target, for a CI's cache",
    )
    _add_dry_run(parser)


def _add_audit(parser: argparse.ArgumentParser) -> None:
    parser.description = (
        "Hold wheels against what they claim to be: the tags against the artifacts, whose own "
        "headers say what they are for; every digest against RECORD and the manifests; the .wasm "
        "against the one that was compiled. Of a profile's settings an artifact tells those of "
        "the code generator; --recompile covers all."
    )
    parser.add_argument("wheels", metavar="WHEEL", nargs="+", help="a file")
    parser.add_argument(
        "--recompile",
        action="store_true",
        help="compile every artifact again, with the installed wasmtime, and compare the bytes",
    )
    parser.add_argument(
        "--compiler",
        metavar="PATH",
        help="the wasmtime program for other systems' artifacts, or a folder with some; else "
        "WAZCACHE_WASMTIME, else the one on PATH",
    )


def _add_dry_run(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--dry-run", action="store_true", help="only say what would go")


def _folder(text: str) -> str:
    if not text:
        raise argparse.ArgumentTypeError("must not be empty")
    return os.path.abspath(os.path.expanduser(text))


def _size(text: str) -> int:
    try:
        return parse_size(text)
    except (ValueError, OverflowError):
        raise argparse.ArgumentTypeError(f"{text!r} is no size such as 500MB or 5GiB") from None


def _age(text: str) -> float:
    match = re.fullmatch(r"(\d+(?:\.\d+)?)\s*([mhdw])", text.strip())
    if match is None:
        raise argparse.ArgumentTypeError(f"{text!r} is no age such as 30d, 12h or 2w")
    return float(match[1]) * _SECONDS[match[2]]


def _versions(text: str) -> tuple[str, ...]:
    versions = tuple(version.strip() for version in text.split(","))
    if not all(re.fullmatch(r"\d[\w.+]*", version) for version in versions):
        raise argparse.ArgumentTypeError(f"{text!r} is no version such as 47.0.1, or several")
    return versions
