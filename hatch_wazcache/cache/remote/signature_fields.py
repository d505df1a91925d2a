"""The fields of a signature's file: names, types and bounds, and the one way to write them."""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = ["FIELDS", "SCHEMA", "canonical", "read_fields"]

SCHEMA = 1
_MOST_BYTES = 1 << 32
"""Bytes of an artifact at most: relocations of 32 bits cannot address more code."""

_MOST_AROUND = 1 << 17
"""Bytes in an entry at most that are not its data: `entry.json` and the headers of the zip file."""

_MOST_SECONDS = 1e6
FIELDS = {
    "key": str,
    "inputs": dict,
    "size": int,
    "sha256": str,
    "crc32": int,
    "stream-size": int,
    "stream-sha256": str,
    "entry-size": int,
    "entry-sha256": str,
    "seconds": float,
    "signed-at": int,
}
_SIGNER = ("public-key", "signature")
_SHA256 = re.compile(r"[0-9a-f]{64}")
_DIGESTS = ("key", "sha256", "stream-sha256", "entry-sha256")
"""The last one is also a name on a server of Bazel's layout."""

_BOUNDS = {
    "size": _MOST_BYTES,
    "crc32": 1 << 32,
    "stream-size": _MOST_BYTES,
    "entry-size": _MOST_BYTES + _MOST_AROUND,
    "seconds": _MOST_SECONDS,
    "signed-at": 1 << 40,
}


def canonical(fields: Mapping[str, object]) -> bytes:
    """Write JSON in the one form that is signed: sorted, ASCII, without spaces."""
    return json.dumps(fields, sort_keys=True, separators=(",", ":"), allow_nan=False).encode()


def read_fields(data: bytes) -> dict[str, Any]:
    """Read the fields of a file, and check everything but who signed them.

    Args:
        data: the whole file, which may come from an attacker.

    Raises:
        ValueError: it is not written as signatures are; the text shows nothing of it.
        RecursionError: it is too deep.
    """
    fields = json.loads(data)
    if type(fields) is not dict or fields.get("schema") != SCHEMA:
        raise ValueError("it is not one, or is of a newer hatch-wazcache")
    for name, kind in FIELDS.items():
        if type(fields.get(name)) is not kind:
            raise ValueError(f"{name} is missing, or of a wrong type")
    for name in _SIGNER:
        if type(fields.get(name, "")) is not str:
            raise ValueError(f"{name} is of a wrong type")
    for name in _DIGESTS:
        if _SHA256.fullmatch(fields[name]) is None:
            raise ValueError(f"{name} is not a SHA-256")
    _check_bounds(fields)
    if not fields.keys() <= {"schema", *FIELDS, *_SIGNER}:
        raise ValueError("it has an unknown field")
    # Also refuses a field that stands there twice, of which programs read different ones.
    if canonical({**fields, "schema": SCHEMA}) != data:
        raise ValueError("it is not written as signatures are")
    return fields


def _check_bounds(fields: Mapping[str, Any]) -> None:
    for name, end in _BOUNDS.items():
        if not 0 <= fields[name] < end:
            raise ValueError(f"{name} is out of bounds")
    if not fields["stream-size"] < fields["entry-size"] <= fields["stream-size"] + _MOST_AROUND:
        raise ValueError("entry-size is out of bounds")
