"""The options of the commands for the cache and for projects."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from hatch_wazcache.cli.argument_types import age, shard, size, svg_file, versions

if TYPE_CHECKING:
    import argparse

    from hatch_wazcache.adoption.ci_file import System

__all__ = [
    "CI_FILES",
    "add_check",
    "add_dry_run",
    "add_generate_ci",
    "add_info",
    "add_init",
    "add_plan",
    "add_prune",
    "add_remote",
    "add_remove",
    "add_warm",
]

CI_FILES: dict[System, str] = {
    "github": ".github/workflows/wheels.yml",
    "gitlab": ".gitlab-ci.yml",
}
"""Where each CI looks for its file."""

_REMOTE_ACTIONS = {
    "status": "show the server, the keys, and which of the project's artifacts it has",
    "pull": "download the project's artifacts into the local cache",
    "push": "compile the artifacts that the local cache has again, sign them, and upload them",
    "verify": "download the project's artifacts, check signatures and digests, and keep nothing",
}


def add_init(parser: argparse.ArgumentParser) -> None:
    """Add the options of `init`."""
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


def add_check(parser: argparse.ArgumentParser) -> None:
    """Add the options of `check`."""
    parser.description = (
        "Check a project before it is committed: the options; whether each glob matches .wasm "
        "files, and these are whole, and no pointers of Git LFS; and whether committed loaders are "
        "those of this release. Nothing is built, and no code of the project runs."
    )
    parser.add_argument(
        "projects",
        metavar="DIR",
        nargs="*",
        default=[os.curdir],
        help="the folder of a pyproject.toml; the default is the working directory",
    )
    parser.add_argument(
        "--generated",
        action="store_true",
        help="a build generates .wasm files, so they may be missing now",
    )


def add_generate_ci(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of `generate-ci`."""
    parser.description = (
        "Print a workflow of GitHub Actions, or a pipeline of GitLab, that builds the sdist and "
        "the wheels of all platforms on one machine, audits them, and publishes them to PyPI by "
        "trusted publishing. The names are those of the project. Its options are read; none of "
        "its code runs."
    )
    parser.add_argument("system", metavar="CI", choices=[*CI_FILES], help="github or gitlab")
    parser.add_argument(
        "-o",
        "--output",
        metavar="FILE",
        help="write the file instead of printing it: "
        + " or ".join(CI_FILES.values())
        + "; a file with another text is not replaced",
    )


def add_info(parser: argparse.ArgumentParser) -> None:
    """Add the options of `info`."""
    parser.add_argument(
        "--plot",
        type=svg_file,
        nargs="?",
        const=True,
        metavar="FILE.svg",
        help="also draw what the cache holds and the time that it has saved, by project, engine "
        "and target, and over time: in the terminal, or into this file",
    )


def add_plan(parser: argparse.ArgumentParser) -> None:
    """Add the options of `plan`."""
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


def add_warm(parser: argparse.ArgumentParser) -> None:
    """Add the options of `warm`."""
    parser.description = (
        "Compile the artifacts that a build for this machine, or for the target in "
        "WAZCACHE_TARGET, would put into its wheel. With --shard, compile a share of the artifacts "
        "of all targets and engines: several machines then compile a project together. Makes no "
        "wheel."
    )
    parser.add_argument(
        "--shard",
        type=shard,
        metavar="NUMBER/TOTAL",
        help="compile only this share of all artifacts: 2/5 for the second of five machines. The "
        "shares have about the same bytes of code, and each artifact is in one of them",
    )


def add_prune(parser: argparse.ArgumentParser) -> None:
    """Add the options of `prune`."""
    parser.description = (
        "Remove entries. An entry is removed if one of the options selects it. Without any, the "
        "least recently used entries are removed until the cache fits into the project's max-size, "
        "or 5 GiB. An entry that a running build has looked up stays."
    )
    parser.add_argument(
        "--max-size",
        type=size,
        metavar="SIZE",
        help="remove the least recently used entries, until the cache has this size",
    )
    parser.add_argument(
        "--older-than",
        type=age,
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
        type=versions,
        metavar="VERSION[,...]",
        help="remove the entries of this wasmtime: 47.0.1, or 47 for every 47.x.y",
    )
    parser.add_argument(
        "--ci",
        action="store_true",
        help="keep only entries that the last build of each project and target used, for CI",
    )
    add_dry_run(parser)


def add_remote(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of `remote`."""
    actions = "".join(f"  {name:<7}  {what}\n" for name, what in _REMOTE_ACTIONS.items())
    parser.epilog = f"actions:\n{actions}\n{parser.epilog}"
    parser.add_argument(
        "action", choices=[*_REMOTE_ACTIONS], metavar="ACTION", help=", ".join(_REMOTE_ACTIONS)
    )


def add_remove(parser: argparse.ArgumentParser) -> None:
    """Add the options of `remove`."""
    parser.description = (
        "Remove the entries and fetched wheels that only builds of this project used; or one "
        "entry, by its key; or one fetched wheel, by its name. What other projects also use stays, "
        "unless you name its key. At least the last fifty builds are known. What a running build "
        "has looked up stays."
    )
    parser.add_argument(
        "what",
        metavar="KEY|PROJECT",
        help="a key, the first characters of one key, or a project's name, as `list` shows them",
    )
    add_dry_run(parser)


def add_dry_run(parser: argparse.ArgumentParser) -> None:
    """Add the option that only lists what a command would remove."""
    parser.add_argument(
        "--dry-run", action="store_true", help="remove nothing, only list what would be removed"
    )
