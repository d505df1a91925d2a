"""An entry: one ordinary zip file with `entry.json`, stored, and the data, deflated.

`entry.json` comes first, so one short read gets the whole description. It ends with a digest of
itself. It also holds a digest of the compressed data, which is checked while the data is copied. So
nothing in an entry is used unchecked.
"""

from __future__ import annotations

import hashlib
import io
import json
import math
import os
import stat
import struct
import zipfile
import zlib
from typing import IO, TYPE_CHECKING, Any, NamedTuple

from hatch_wazcache.cache.key import digest_of
from hatch_wazcache.formats.zip_members import LOCAL_HEADER, Deflated, add_compressed
from hatch_wazcache.util.digests import background_sha256

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path

__all__ = ["BrokenEntryError", "Entry", "read_entry", "write_entry"]

_JSON_NAME = "entry.json"
_DATE_TIME = (1980, 1, 1, 0, 0, 0)
_MODE = 0o100644 << 16
_LARGEST_HEAD = 1 << 16
_CHUNK = 1 << 18
"""Bytes: small enough for a cache of the CPU, because each chunk is digested and written."""
_SMALL = 1 << 20
"""Bytes of compressed data for which an entry is put together in memory."""
_END_OF_ZIP = 22
"""Bytes of the record that ends a zip file without a comment: APPNOTE.TXT 4.3.16."""


class BrokenEntryError(Exception):
    """A file that must not be used: cut, changed, of another key, or not an entry."""


class Entry(NamedTuple):
    """The checked `entry.json` of an entry, and the position of its compressed data."""

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
    """How long it took to make; a hit saves this time."""

    @property
    def compiled_by(self) -> str:
        """The version of wasmtime that compiled it; empty for the `.wasm` of an asset."""
        return str(self.inputs.get("engine", ""))

    def has_bytes_of(self, other: Entry) -> bool:
        """Say whether the data and its compressed form are those of another entry."""
        return self[3:8] == other[3:8]  # from `size` to `stream_sha256`

    def stream(self) -> Iterator[bytes]:
        """Yield the deflated data in chunks.

        Raises:
            BrokenEntryError: after the last chunk, if the data was changed. So the caller must not
                use any chunk before the end.
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
        """Yield the data itself in chunks, with the same checks and errors as `stream`."""
        inflate = zlib.decompressobj(-zlib.MAX_WBITS)
        digest = hashlib.sha256()
        left = self.size
        try:
            for chunk in self.stream():
                rest = chunk
                # Stop early for a zip bomb, and for bytes behind the end.
                while rest and left >= 0 and not inflate.eof:
                    part = inflate.decompress(rest, _CHUNK)
                    left -= len(part)
                    digest.update(part)
                    yield part
                    rest = inflate.unconsumed_tail or inflate.unused_data
                if rest:
                    raise BrokenEntryError(
                        f"{self.path} does not hold the data that its entry.json describes"
                    )
            part = inflate.flush()
        except zlib.error as error:
            raise BrokenEntryError(f"{self.path}: {error}") from error
        left -= len(part)
        digest.update(part)
        yield part
        if left or not inflate.eof or digest.hexdigest() != self.sha256:
            raise BrokenEntryError(
                f"{self.path} does not hold the data that its entry.json describes"
            )

    def verify(self) -> None:
        """Check the whole file: every digest, and the directory at the end of the zip file.

        Raises:
            BrokenEntryError: a build could not use it, or a zip program could not unpack it.
        """
        for _chunk in self.data():
            pass
        self.check_directory()

    def check_directory(self) -> None:
        """Check the directory at the end of the zip file, without reading the data.

        Raises:
            BrokenEntryError: a zip program could not unpack it.
        """
        try:
            with zipfile.ZipFile(self.path) as archive:
                members = archive.infolist()
            with self.path.open("rb") as file:
                file.seek(-_END_OF_ZIP, os.SEEK_END)
                is_end = file.read(4) == b"PK\5\6"
        except (OSError, zipfile.BadZipFile, ValueError) as error:
            raise BrokenEntryError(f"{self.path} is not a whole zip file: {error}") from error
        sizes = [(m.CRC, m.file_size, m.compress_size) for m in members[1:]]
        if not is_end or sizes != [(self.crc32, self.size, self.stream_size)]:
            raise BrokenEntryError(f"{self.path} has a wrong directory at its end")


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
        inputs: everything that decided the data.
        name: the data's name in the zip file.
        data: the bytes to store.
        seconds: how long it took to make.
    """
    with background_sha256(data) as sha256:
        deflated = Deflated.of(data, to_keep=True)
    description = {
        "key": key,
        "inputs": dict(inputs),
        "name": name,
        "size": len(data),
        "sha256": sha256.hexdigest(),
        "crc32": deflated.crc32,
        "stream-size": deflated.stream_size,
        "stream-sha256": hashlib.sha256(deflated.compressed).hexdigest(),
        "seconds": round(float(seconds), 3),
    }
    # zipfile seeks forty times, and each time a file is flushed.
    small = io.BytesIO() if deflated.stream_size <= _SMALL else None
    with zipfile.ZipFile(small or file, "w") as archive:
        archive.writestr(zipfile.ZipInfo(_JSON_NAME, _DATE_TIME), _signed(description))
        add_compressed(archive, name, _DATE_TIME, _MODE, deflated)
    if small is not None:
        file.write(small.getbuffer())


def read_entry(path: Path, key: str) -> Entry:
    """Read and check the description of an entry; `Entry.stream` checks the data.

    Args:
        path: the file.
        key: the key that it must have.

    Raises:
        BrokenEntryError: it is not an entry, or has another key or other inputs; or it is the
            entry of a `.wasm`, and its data has another digest than that.
        FileNotFoundError: there is no such file.
        OSError: it cannot be read.
    """
    if not stat.S_ISREG(os.lstat(path).st_mode):
        raise BrokenEntryError(f"{path} is not a regular file")
    with path.open("rb", buffering=0) as file:
        head = file.read(_LARGEST_HEAD)
        size = file.seek(0, 2)
    try:
        text, after = _stored_member(head)
        description = _checked(text)
        name_length, extra_length = LOCAL_HEADER.unpack_from(head, after)[-2:]
        entry = Entry(
            path=path,
            key=_field(description, "key", str),
            inputs=_field(description, "inputs", dict),
            size=_count(description, "size"),
            sha256=_field(description, "sha256", str),
            crc32=_count(description, "crc32", 1 << 32),
            stream_size=_count(description, "stream-size"),
            stream_sha256=_field(description, "stream-sha256", str),
            stream_offset=after + LOCAL_HEADER.size + name_length + extra_length,
            seconds=_seconds(description),
        )
    except (ValueError, KeyError, TypeError, RecursionError, struct.error) as error:
        raise BrokenEntryError(f"{path} is not an entry: {error}") from error
    if entry.key != key:
        raise BrokenEntryError(f"{path} is the entry of another key, {entry.key}")
    if digest_of(entry.inputs) != key:
        raise BrokenEntryError(f"{path} has the inputs of another key")
    if "engine" not in entry.inputs and entry.inputs.get("wasm") != entry.sha256:
        raise BrokenEntryError(f"{path} is the entry of another .wasm, {entry.sha256}")
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


def _field(description: Mapping[str, Any], name: str, kind: type) -> Any:
    """Return a field's value, and check its type: the digest alone does not prove that."""
    if type(description[name]) is not kind:
        raise ValueError(f"its {name} is not of type {kind.__name__}")
    return description[name]


def _count(description: Mapping[str, Any], name: str, end: int = 1 << 63) -> int:
    if not 0 <= _field(description, name, int) < end:
        raise ValueError(f"its {name} is out of bounds")
    return int(description[name])


def _seconds(description: Mapping[str, Any]) -> float:
    if not 0 <= _field(description, "seconds", float) < math.inf:
        raise ValueError("its seconds are out of bounds")
    return float(description["seconds"])


def _signed(description: Mapping[str, object]) -> str:
    text = json.dumps(description, indent=1, sort_keys=True)[:-2]
    return f'{text},\n "this": "{hashlib.sha256(text.encode()).hexdigest()}"\n}}\n'


def _checked(text: bytes) -> dict[str, Any]:
    body, found, tail = text.rpartition(b',\n "this": "')
    if not found or tail != hashlib.sha256(body).hexdigest().encode() + b'"\n}\n':
        raise ValueError(f"its {_JSON_NAME} has been changed")
    return json.loads(text)  # type: ignore[no-any-return]
