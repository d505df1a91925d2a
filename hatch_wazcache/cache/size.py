"""Sizes as people write them."""

from __future__ import annotations

import re

__all__ = ["parse_size"]

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
