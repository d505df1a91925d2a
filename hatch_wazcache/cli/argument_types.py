"""Turns words of the command line into values: folders, sizes, ages and versions."""

from __future__ import annotations

import argparse
import glob
import os
import re
import sys
from typing import TYPE_CHECKING, Any

from hatch_wazcache.util.sizes_and_times import parse_size

if TYPE_CHECKING:
    from collections.abc import Sequence

    from hatch_wazcache.packing.all_artifacts import Shard

__all__ = ["Wheels", "age", "folder", "shard", "size", "svg_file", "versions"]

_SECONDS = {"m": 60, "h": 3600, "d": 86400, "w": 7 * 86400}


class Wheels(argparse.Action):
    """Takes files. On Windows also patterns such as `dist/*.whl`, which no shell there replaces."""

    def __call__(
        self,
        parser: argparse.ArgumentParser,  # noqa: ARG002 - argparse passes it by position
        namespace: argparse.Namespace,
        values: str | Sequence[Any] | None,
        option: str | None = None,  # noqa: ARG002
    ) -> None:
        wheels = list(values or ())
        if sys.platform == "win32":
            wheels = [name for word in wheels for name in _matching(word)]
        setattr(namespace, self.dest, wheels)


def _matching(word: str) -> list[str]:
    """Return the files that a pattern matches; the word itself if it is a file or matches none."""
    return (not os.path.lexists(word) and sorted(glob.glob(word))) or [word]


def folder(text: str) -> str:
    """Return the absolute path of a folder, which may not exist."""
    if not text:
        raise argparse.ArgumentTypeError("must not be empty")
    return os.path.abspath(os.path.expanduser(text))


def size(text: str) -> int:
    """Return a size in bytes."""
    try:
        return parse_size(text)
    except OverflowError:
        raise argparse.ArgumentTypeError(f"{text} is larger than any disk") from None
    except ValueError as error:
        raise argparse.ArgumentTypeError(str(error)) from None


def svg_file(text: str) -> str:
    """Return the path of an SVG file."""
    if not text.endswith(".svg"):
        raise argparse.ArgumentTypeError(f"{text!r} does not end with .svg")
    return text


def age(text: str) -> float:
    """Return an age such as `30d` in seconds."""
    match = re.fullmatch(r"(\d+(?:\.\d+)?)\s*([mhdw])", text.strip())
    if match is None:
        raise argparse.ArgumentTypeError(f"{text!r} is not an age such as 30d, 12h or 2w")
    return float(match[1]) * _SECONDS[match[2]]


def shard(text: str) -> Shard:
    """Return a share such as `2/5`, the second of five."""
    from hatch_wazcache.packing.all_artifacts import Shard

    match = re.fullmatch(r"([0-9]{1,4})/([0-9]{1,4})", text.strip())
    if match is None or not 1 <= int(match[1]) <= int(match[2]):
        raise argparse.ArgumentTypeError(f"{text!r} is not a share such as 1/5 or 5/5")
    return Shard(int(match[1]), int(match[2]))


def versions(text: str) -> tuple[str, ...]:
    """Return the versions of a list such as `47,48.0.1`."""
    found = tuple(version.strip() for version in text.split(","))
    if not all(re.fullmatch(r"\d[\w.+]*", version) for version in found):
        raise argparse.ArgumentTypeError(f"{text!r} is not a version such as 47.0.1, or several")
    return found
