"""Reads a wheel's file name and the files of its .dist-info folder, without trust.

https://packaging.python.org/en/latest/specifications/binary-distribution-format/
"""

from __future__ import annotations

import csv
import io
import re
from typing import TYPE_CHECKING, NamedTuple

from packaging.tags import parse_tag
from packaging.utils import InvalidWheelFilename, parse_wheel_filename

from hatch_wazcache.wheels.wheel_reader import BrokenWheelError

if TYPE_CHECKING:
    from pathlib import Path

    from packaging.tags import Tag

    from hatch_wazcache.wheels.wheel_reader import WheelReader

__all__ = ["WheelName", "info_folder", "parse_name", "read_record", "read_tags"]


class WheelName(NamedTuple):
    """The parts of a wheel's file name."""

    project: str
    version: str
    tags: frozenset[Tag]


def parse_name(path: Path) -> WheelName:
    """Read a wheel's file name.

    Raises:
        BrokenWheelError: it is not the name of a wheel.
    """
    try:
        project, version, _build, tags = parse_wheel_filename(path.name)
    except InvalidWheelFilename as error:
        raise BrokenWheelError(f"does not have the file name of a wheel ({error})") from error
    return WheelName(project, str(version), tags)


def info_folder(wheel: WheelReader) -> str:
    """Return the name of the .dist-info folder.

    Raises:
        BrokenWheelError: there is none, or more than one.
    """
    folders = {name.partition("/")[0] for name in wheel.names if "/" in name}
    found = sorted(folder for folder in folders if folder.endswith(".dist-info"))
    if len(found) != 1:
        raise BrokenWheelError(f"has {len(found)} .dist-info folders, not one")
    return found[0]


def read_tags(wheel: WheelReader) -> frozenset[Tag]:
    """Return the tags in WHEEL.

    Raises:
        BrokenWheelError: there are none, or they cannot be read.
    """
    text = _read_info(wheel, "WHEEL").decode("utf-8", "replace")
    fields = [line.partition(":") for line in text.splitlines()]
    tags = [value.strip() for key, _, value in fields if key.strip().lower() == "tag"]
    if not tags or not all(re.fullmatch(r"[^-\s]+-[^-\s]+-[^-\s]+", tag) for tag in tags):
        raise BrokenWheelError(f"has no usable Tag line{': ' if tags else ''}{', '.join(tags)}")
    return frozenset(tag for line in tags for tag in parse_tag(line))


def read_record(wheel: WheelReader) -> list[list[str]]:
    """Return the rows of RECORD.

    Raises:
        BrokenWheelError: there is none, or it cannot be read.
    """
    text = io.StringIO(_read_info(wheel, "RECORD").decode("utf-8", "replace"), newline="")
    try:
        return [row for row in csv.reader(text) if row]
    except csv.Error as error:
        raise BrokenWheelError(f"is not valid CSV ({error})") from error


def _read_info(wheel: WheelReader, name: str) -> bytes:
    member = f"{info_folder(wheel)}/{name}"
    if member not in wheel:
        raise BrokenWheelError("is missing")
    return wheel.text(member)
