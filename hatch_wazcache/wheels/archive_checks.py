"""Checks a wheel as a zip archive: whether all installers unpack the same files from it."""

from __future__ import annotations

import re
from bisect import bisect_left
from typing import TYPE_CHECKING

from hatch_wazcache.formats.zip_members import LOCAL_HEADER
from hatch_wazcache.util.sizes_and_times import size_text
from hatch_wazcache.wheels import PYPI_LIMIT
from hatch_wazcache.wheels.finding import Finding, Note

if TYPE_CHECKING:
    from collections.abc import Iterator

    from hatch_wazcache.wheels.wheel_reader import WheelReader

__all__ = ["check_headers", "check_names", "check_size"]

_SIZES_BEHIND = 1 << 3
"""The flag of a member whose sizes stand behind its data."""


def check_size(wheel: WheelReader) -> Iterator[Note]:
    """Note a wheel that PyPI would refuse."""
    if wheel.size > PYPI_LIMIT:
        limit = size_text(PYPI_LIMIT)
        text = (
            f"has {size_text(wheel.size)}; PyPI refuses files over {limit} unless you ask for more"
        )
        yield Note(None, text)


def check_names(wheel: WheelReader) -> Iterator[Finding]:
    """Find the members whose names are not plain paths below one folder, or not unique."""
    seen = set()
    for info in wheel.infos:
        name = info.filename
        if name in seen:
            text = "is in the archive twice; installers differ in which of the two they install"
            yield Finding(name, text)
        seen.add(name)
        parts = name.removesuffix("/").split("/")
        if info.orig_filename != name or not name.isprintable() or not name or "\\" in name:
            yield Finding(info.orig_filename, "installers read its name differently")
        elif name.startswith("/") or re.match("[A-Za-z]:", name) or ".." in parts:
            text = "its name leads out of the folder that the wheel is installed into"
            yield Finding(name, text)
        elif "" in parts or "." in parts:
            text = "installers read its name differently: a part of it is empty or one dot"
            yield Finding(name, text)
    names = sorted(seen)
    for name in names:
        below = f"{name}/"
        at = bisect_left(names, below)
        if at < len(names) and names[at].startswith(below):
            yield Finding(name, "is a file, and also a folder of other files; nobody can unpack it")


def check_headers(wheel: WheelReader) -> Iterator[Finding]:
    """Find the members whose own header differs from the archive's directory.

    An installer that unpacks a wheel while it downloads it follows the header before the member's
    data. pip follows the directory at the archive's end.
    """
    with wheel.path.open("rb") as file:
        for info in wheel.infos:
            if info.filename.endswith("/"):
                continue
            try:
                file.seek(info.header_offset)
            except (OSError, ValueError, OverflowError):
                continue  # before the file's beginning; found when it is unpacked
            head = file.read(LOCAL_HEADER.size)
            if len(head) < LOCAL_HEADER.size or info.flag_bits & 1:
                continue  # found when it is unpacked
            _, _, flags, method, _, _, *sizes, _, _ = LOCAL_HEADER.unpack(head)
            in_directory = [info.CRC, info.compress_size, info.file_size]
            # zip64 keeps the sizes elsewhere.
            elsewhere = flags & _SIZES_BEHIND or 0xFFFFFFFF in sizes
            same = method == info.compress_type and not flags & 1
            if not same or (sizes != in_directory and not elsewhere):
                yield Finding(info.filename, "its own header differs from the archive's directory")
