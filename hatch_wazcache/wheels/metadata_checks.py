"""Checks a wheel's name against WHEEL, and its members against RECORD."""

from __future__ import annotations

import base64
from typing import TYPE_CHECKING

from packaging.utils import canonicalize_name
from packaging.version import InvalidVersion, Version

from hatch_wazcache.wheels.finding import Finding
from hatch_wazcache.wheels.metadata import info_folder, parse_name, read_record, read_tags
from hatch_wazcache.wheels.wheel_reader import BrokenWheelError

if TYPE_CHECKING:
    from collections.abc import Iterator

    from hatch_wazcache.wheels.metadata import WheelName
    from hatch_wazcache.wheels.wheel_reader import WheelReader

__all__ = ["check_name", "check_record"]

_WITHOUT_DIGEST = ("RECORD", "RECORD.jws", "RECORD.p7s")
"""The files of the .dist-info folder for which RECORD has no digest."""

_ALGORITHMS = ("sha256", "sha384", "sha512")


def check_name(wheel: WheelReader) -> Iterator[Finding]:
    """Compare the wheel's name with WHEEL and with the name of the .dist-info folder."""
    try:
        name = parse_name(wheel.path)
        folder = info_folder(wheel)
    except BrokenWheelError as error:
        yield Finding(None, str(error))
        return
    if not _is_folder_of(folder, name):
        yield Finding(None, f"its name says {name.project} {name.version}, its files are {folder}")
    try:
        tags = read_tags(wheel)
    except BrokenWheelError as error:
        yield Finding(f"{folder}/WHEEL", str(error))
        return
    if tags != name.tags:
        in_file, in_name = (", ".join(sorted(map(str, both))) for both in (tags, name.tags))
        yield Finding(f"{folder}/WHEEL", f"says {in_file}; the wheel's name says {in_name}")


def _is_folder_of(folder: str, name: WheelName) -> bool:
    project, _, version = folder.removesuffix(".dist-info").rpartition("-")
    try:
        same_version = Version(version) == Version(name.version)
    except InvalidVersion:
        return False
    return same_version and canonicalize_name(project) == name.project


def check_record(wheel: WheelReader) -> Iterator[Finding]:
    """Compare every member with its row in RECORD, and every row with its member."""
    try:
        folder = info_folder(wheel)
    except BrokenWheelError:
        return  # `check_name` reports it
    try:
        rows = read_record(wheel)
    except BrokenWheelError as error:
        yield Finding(f"{folder}/RECORD", str(error))
        return
    recorded: dict[str, list[str]] = {}
    for row in rows:
        if row[0] in recorded:
            yield Finding(row[0], "has two rows in RECORD")
        elif row[0] not in wheel:
            yield Finding(row[0], "is in RECORD, but not in the wheel")
        recorded[row[0]] = row
    without_digest = {f"{folder}/{name}" for name in _WITHOUT_DIGEST}
    for name in wheel.names:
        if name in without_digest:
            continue
        if name not in recorded:
            yield Finding(name, "is in the wheel, but not in RECORD")
        elif problem := _compare(wheel, name, recorded[name]):
            yield Finding(name, problem)


def _compare(wheel: WheelReader, name: str, row: list[str]) -> str | None:
    """Say how a member differs from its row in RECORD."""
    in_record, size = (*row[1:], "", "")[:2]
    algorithm, _, value = in_record.partition("=")
    if algorithm not in _ALGORITHMS:
        found = f"the digest {in_record!r}" if in_record else "no digest"
        return f"has {found} in RECORD; must be sha256=…"
    try:
        digest = wheel.digest(name, algorithm)
    except BrokenWheelError as error:
        return str(error)
    encoded = base64.urlsafe_b64encode(digest).decode().rstrip("=")
    if encoded != value:
        return f"has the digest {algorithm}={encoded}; RECORD says {in_record}"
    if size and size != str(wheel.size_of(name)):
        return f"has {wheel.size_of(name)} bytes; RECORD says {size}"
    return None
