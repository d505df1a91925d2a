"""Reads an untrusted wheel's file name and the files of its .dist-info folder.

https://packaging.python.org/en/latest/specifications/binary-distribution-format/
"""

from __future__ import annotations

import csv
import io
import re
from collections import defaultdict
from itertools import islice
from math import prod
from typing import TYPE_CHECKING, NamedTuple

from packaging.tags import parse_tag
from packaging.utils import parse_wheel_filename

from hatch_wazcache.wheels.wheel_reader import BrokenWheelError

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from pathlib import Path

    from packaging.tags import Tag

    from hatch_wazcache.wheels.wheel_reader import WheelReader

__all__ = [
    "WheelName",
    "fields_of",
    "info_folder",
    "parse_name",
    "read_generator",
    "read_metadata",
    "read_purelib",
    "read_record",
    "read_tags",
]

_MOST_TAGS = 1000
_MOST_ROWS = 200_000
_LARGEST_RECORD = 16 << 20
_LARGEST_FIELDS = 4 << 20
"""The largest size of WHEEL and METADATA, in bytes."""
_LONGEST_SHOWN = 100


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
    _refuse_many_tags(["-".join(path.stem.rsplit("-", 3)[1:])])
    try:
        project, version, _build, tags = parse_wheel_filename(path.name)
    except ValueError as error:
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
    tags = _read_fields(wheel, "WHEEL").get("tag", [])
    if not tags:
        raise BrokenWheelError("has no Tag line")
    _refuse_many_tags(tags)
    for tag in tags:
        if not re.fullmatch(r"[^-\s]+-[^-\s]+-[^-\s]+", tag):
            raise BrokenWheelError(f"has a Tag line that is not a tag: {_shortened(tag)}")
    try:
        return frozenset(tag for line in tags for tag in parse_tag(line))
    except ValueError as error:
        text = _shortened(str(error))
        raise BrokenWheelError(f"has a Tag line that is not a tag ({text})") from error


def read_generator(wheel: WheelReader) -> str:
    """Return the name of the build backend that WHEEL gives, such as `hatchling 1.27.0`.

    Raises:
        BrokenWheelError: WHEEL is missing or cannot be read.
    """
    return next(iter(_read_fields(wheel, "WHEEL").get("generator", [])), "")


def read_purelib(wheel: WheelReader) -> bool:
    """Say whether WHEEL has `Root-Is-Purelib: true`.

    Raises:
        BrokenWheelError: WHEEL is missing or cannot be read.
    """
    return _read_fields(wheel, "WHEEL").get("root-is-purelib", [""])[0].lower() == "true"


def read_metadata(wheel: WheelReader) -> Mapping[str, list[str]]:
    """Return the values of each field of METADATA, by its name in lower case.

    Raises:
        BrokenWheelError: METADATA is missing or cannot be read.
    """
    return _read_fields(wheel, "METADATA")


def _read_fields(wheel: WheelReader, name: str) -> Mapping[str, list[str]]:
    return fields_of(_read_info(wheel, name, _LARGEST_FIELDS))


def fields_of(data: bytes) -> Mapping[str, list[str]]:
    """Return the values of each field at the top of METADATA or WHEEL, by its name in lower case.

    A line that is no field is passed over, and the first empty line is the end.
    """
    fields = defaultdict(list)
    # Long lines are unfolded.
    for line in re.sub(r"\r?\n[ \t]+", " ", data.decode("utf-8", "replace")).split("\n"):
        if not line.strip():
            break
        field, _, value = line.partition(":")
        fields[field.strip().lower()].append(value.strip())
    return fields


def _refuse_many_tags(compressed: Iterable[str]) -> None:
    """Refuse compressed tags that expand to very many tags: `a.b-c.d-e.f` expands to eight.

    Raises:
        BrokenWheelError: there are more than any real wheel has.
    """
    total = 0
    for tag in compressed:
        total += prod(part.count(".") + 1 for part in tag.split("-"))
        if total > _MOST_TAGS:
            raise BrokenWheelError(f"has more than {_MOST_TAGS} tags")


def _shortened(text: str) -> str:
    return text if len(text) <= _LONGEST_SHOWN else f"{text[:_LONGEST_SHOWN]}…"


def read_record(wheel: WheelReader) -> list[list[str]]:
    """Return the rows of RECORD.

    Raises:
        BrokenWheelError: there is none, or it cannot be read.
    """
    text = io.StringIO(
        _read_info(wheel, "RECORD", _LARGEST_RECORD).decode("utf-8", "replace"), newline=""
    )
    try:
        rows = [row for row in islice(csv.reader(text), _MOST_ROWS + 1) if row]
    except csv.Error as error:
        raise BrokenWheelError(f"is not valid CSV ({error})") from error
    if len(rows) > _MOST_ROWS:
        raise BrokenWheelError(f"has more than {_MOST_ROWS} rows")
    return rows


def _read_info(wheel: WheelReader, name: str, largest: int) -> bytes:
    member = f"{info_folder(wheel)}/{name}"
    if member not in wheel:
        raise BrokenWheelError("is missing")
    return wheel.text(member, largest)
