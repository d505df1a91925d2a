"""An entry: one ordinary zip file with `entry.json`, stored, and the data, deflated.

`entry.json` comes first, so that one short read tells all there is to know; it ends with a digest
of itself. The data's compressed bytes have a digest of their own, checked whenever they are
copied, so nothing of an entry is used before it has been checked.
"""

from __future__ import annotations

import hashlib
import json
import math
import os
import stat
import struct
import zipfile
import zlib
from typing import IO, TYPE_CHECKING, Any, NamedTuple

from hatch_wazcache.formats.zip_members import LOCAL_HEADER, Deflated, add_compressed

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path

__all__ = ["BrokenEntryError", "Entry", "read_entry", "write_entry"]

_JSON_NAME = "entry.json"
_DATE_TIME = (1980, 1, 1, 0, 0, 0)
_MODE = 0o100644 << 16
_LARGEST_HEAD = 1 << 16
_CHUNK = 1 << 20


class BrokenEntryError(Exception):
    """An entry that must not be used: cut, changed, of another key, or not an entry at all."""


class Entry(NamedTuple):
    """A checked `entry.json`, and where the data's compressed bytes are."""

    path: Path
    key: str
    inputs: Mapping[str, object]
    size: int
    """Bytes of the data."""
    sha256: str
    """Of the data, hexadecimal."""
    crc32: int
    """Of the data."""
    stream_size: int
    """Bytes of the data, deflated."""
    stream_sha256: str
    stream_offset: int
    seconds: float
    """What it took to make, and what a hit saves."""

    def stream(self) -> Iterator[bytes]:
        """Yield the deflated data in chunks.

        Raises:
            BrokenEntryError: after the last chunk, if they are not what was published; whoever
                takes the chunks must not use them before the end.
        """
        digest = hashlib.sha256()
        left = self.stream_size
        try:
            with self.path.open("rb", buffering=0) as file:
                file.seek(self.stream_offset)
                while left:
                    chunk = file.read(min(_CHUNK, left))
                    if not chunk:
                        raise BrokenEntryError(f"{self.path} is cut short")
                    left -= len(chunk)
                    digest.update(chunk)
                    yield chunk
        except OSError as error:
            raise BrokenEntryError(f"{self.path}: {error}") from error
        if digest.hexdigest() != self.stream_sha256:
            raise BrokenEntryError(f"{self.path} has been changed since it was written")

    def data(self) -> Iterator[bytes]:
        """Yield the data itself in chunks, with the promise and the exception of `stream`."""
        inflate = zlib.decompressobj(-zlib.MAX_WBITS)
        digest = hashlib.sha256()
        left = self.size
        try:
            for chunk in self.stream():
                rest = chunk
                # A bomb, or what follows the end, is not taken to its own end.
                while rest and left >= 0 and not inflate.eof:
                    part = inflate.decompress(rest, _CHUNK)
                    left -= len(part)
                    digest.update(part)
                    yield part
                    rest = inflate.unconsumed_tail or inflate.unused_data
                if rest:
                    raise BrokenEntryError(f"{self.path} does not hold what it says")
            part = inflate.flush()
        except zlib.error as error:
            raise BrokenEntryError(f"{self.path}: {error}") from error
        left -= len(part)
        digest.update(part)
        yield part
        if left or not inflate.eof or digest.hexdigest() != self.sha256:
            raise BrokenEntryError(f"{self.path} does not hold what it says")


def write_entry(
    file: IO[bytes],
    key: str,
    inputs: Mapping[str, object],
    name: str,
    data: bytes | bytearray | memoryview,
    seconds: float,
) -> None:
    """Write an entry into an empty file.

    Args:
        file: open for writing and seekable.
        key: the digest of `inputs`.
        inputs: all that decided the data.
        name: the data's name inside, for whoever unpacks it.
        data: what is kept.
        seconds: what it took to make.
    """
    deflated = Deflated.of(data, to_keep=True)
    about = {
        "key": key,
        "inputs": dict(inputs),
        "name": name,
        "size": len(data),
        "sha256": hashlib.sha256(data).hexdigest(),
        "crc32": deflated.crc32,
        "stream-size": deflated.stream_size,
        "stream-sha256": hashlib.sha256(deflated.compressed).hexdigest(),
        "seconds": round(float(seconds), 3),
    }
    with zipfile.ZipFile(file, "w") as archive:
        archive.writestr(zipfile.ZipInfo(_JSON_NAME, _DATE_TIME), _signed(about))
        add_compressed(archive, name, _DATE_TIME, _MODE, deflated)


def read_entry(path: Path, key: str) -> Entry:
    """Read what an entry says of itself and check it; `Entry.stream` checks the data.

    Args:
        path: the file.
        key: the key that it must be for.

    Raises:
        BrokenEntryError: it is no entry, or not of this key.
        FileNotFoundError: there is none.
        OSError: it cannot be read.
    """
    if not stat.S_ISREG(os.lstat(path).st_mode):
        raise BrokenEntryError(f"{path} is not a regular file")
    with path.open("rb", buffering=0) as file:
        head = file.read(_LARGEST_HEAD)
        size = file.seek(0, 2)
    try:
        text, after = _stored_member(head)
        about = _checked(text)
        name_length, extra_length = LOCAL_HEADER.unpack_from(head, after)[-2:]
        entry = Entry(
            path=path,
            key=_field(about, "key", str),
            inputs=_field(about, "inputs", dict),
            size=_count(about, "size"),
            sha256=_field(about, "sha256", str),
            crc32=_count(about, "crc32", 1 << 32),
            stream_size=_count(about, "stream-size"),
            stream_sha256=_field(about, "stream-sha256", str),
            stream_offset=after + LOCAL_HEADER.size + name_length + extra_length,
            seconds=_seconds(about),
        )
    except (ValueError, KeyError, TypeError, RecursionError, struct.error) as error:
        raise BrokenEntryError(f"{path} is not an entry: {error}") from error
    if entry.key != key:
        raise BrokenEntryError(f"{path} is the entry of another key, {entry.key}")
    if entry.stream_offset + entry.stream_size > size:
        raise BrokenEntryError(f"{path} is cut short")
    return entry


def _stored_member(head: bytes) -> tuple[bytes, int]:
    """Return the first member's bytes and the offset behind them."""
    signature, _, _, method, _, _, _, stored, _, name_length, extra = LOCAL_HEADER.unpack_from(head)
    start = LOCAL_HEADER.size + name_length + extra
    if (signature, method) != (b"PK\3\4", 0) or head[LOCAL_HEADER.size : start] != (
        _JSON_NAME.encode()
    ):
        raise ValueError(f"it does not begin with {_JSON_NAME}")
    if start + stored > len(head):
        raise ValueError(f"its {_JSON_NAME} is too long")
    return head[start : start + stored], start + stored


def _field(about: Mapping[str, Any], name: str, kind: type) -> Any:
    """Return a field's value; whoever could sign it may still have written nonsense."""
    if type(about[name]) is not kind:
        raise ValueError(f"its {name} is no {kind.__name__}")
    return about[name]


def _count(about: Mapping[str, Any], name: str, end: int = 1 << 63) -> int:
    if not 0 <= _field(about, name, int) < end:
        raise ValueError(f"its {name} is out of bounds")
    return int(about[name])


def _seconds(about: Mapping[str, Any]) -> float:
    if not 0 <= _field(about, "seconds", float) < math.inf:
        raise ValueError("its seconds are out of bounds")
    return float(about["seconds"])


def _signed(about: Mapping[str, object]) -> str:
    text = json.dumps(about, indent=1, sort_keys=True)[:-2]
    return f'{text},\n "this": "{hashlib.sha256(text.encode()).hexdigest()}"\n}}\n'


def _checked(text: bytes) -> dict[str, Any]:
    body, found, tail = text.rpartition(b',\n "this": "')
    if not found or tail != hashlib.sha256(body).hexdigest().encode() + b'"\n}\n':
        raise ValueError(f"its {_JSON_NAME} has been changed")
    return json.loads(text)  # type: ignore[no-any-return]
