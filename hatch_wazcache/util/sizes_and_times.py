"""Sizes and times as people read and write them."""

from __future__ import annotations

import re

__all__ = ["parse_size", "size_text", "time_text"]

_UNITS = {"": 1, "k": 10**3, "M": 10**6, "G": 10**9, "Ki": 1 << 10, "Mi": 1 << 20, "Gi": 1 << 30}


def parse_size(text: str | int) -> int:
    """Read a size as people write it: `5 GiB`, `500MB`, `1.5G`, `0`.

    Returns:
        Bytes.

    Raises:
        ValueError: it is no size.
    """
    if isinstance(text, int):
        text = str(text)
    match = re.fullmatch(r"\s*(\d+(?:\.\d+)?)\s*([kKMG]i?)?B?\s*", text)
    if match is None:
        raise ValueError(f"{text!r} is no size such as 5 GiB")
    unit = (match[2] or "").replace("K", "k").replace("ki", "Ki")
    return int(float(match[1]) * _UNITS[unit])


def size_text(size: int) -> str:
    """Write bytes for people: `512 B`, `9.2 kB`, `219.9 MB`."""
    if size < 1000:
        return f"{size} B"
    for unit, factor in (("kB", 10**3), ("MB", 10**6)):
        if size / factor < 999.95:
            return f"{size / factor:.1f} {unit}"
    return f"{size / 10**9:.1f} GB"


def time_text(seconds: float) -> str:
    """Write a duration for people: `0.4 s`, `25.1 s`, `3 min 5 s`."""
    if seconds < 99.95:
        return f"{seconds:.1f} s"
    minutes, rest = divmod(round(seconds), 60)
    return f"{minutes} min {rest} s"
