"""Sizes and times as text."""

from __future__ import annotations

import re

__all__ = ["parse_size", "size_text", "time_text"]

_UNITS = {"": 1, "k": 10**3, "M": 10**6, "G": 10**9, "Ki": 1 << 10, "Mi": 1 << 20, "Gi": 1 << 30}
_SIZE = re.compile(r"\s*(?P<number>\d+(?:\.\d+)?)\s*(?P<unit>(?P<prefix>[kKMG]i?)?B?)\s*")


def parse_size(text: str | int) -> int:
    """Read a size with its unit: `5 GiB`, `500MB`, `1.5G`, `20 B`. Only 0 needs no unit.

    Returns:
        Bytes.

    Raises:
        ValueError: the text is not a size. The message says so, and names a size.
    """
    match = _SIZE.fullmatch(str(text))
    if match is None:
        raise ValueError(f"{text!r} is not a size such as 500MB or 5GiB")
    if not match["unit"] and float(match["number"]):
        raise ValueError(f"{text} has no unit: write {text}MB or {text}GiB, or {text}B for bytes")
    prefix = (match["prefix"] or "").replace("K", "k").replace("ki", "Ki")
    return int(float(match["number"]) * _UNITS[prefix])


def size_text(size: int) -> str:
    """Write a number of bytes: `512 B`, `9.2 kB`, `219.9 MB`."""
    if size < 1000:
        return f"{size} B"
    for unit, factor in (("kB", 10**3), ("MB", 10**6)):
        if size / factor < 999.95:
            return f"{size / factor:.1f} {unit}"
    return f"{size / 10**9:.1f} GB"


def time_text(seconds: float) -> str:
    """Write a duration: `0.4 s`, `25.1 s`, `3 min 5 s`."""
    if seconds < 99.95:
        return f"{seconds:.1f} s"
    minutes, rest = divmod(round(seconds), 60)
    return f"{minutes} min {rest} s"
