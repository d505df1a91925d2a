"""Adds zip members that are already compressed, by libdeflate or in another archive.

zipfile can only compress them again. No other module works around that.
"""

from __future__ import annotations

import os
import struct
import zlib
from typing import IO, TYPE_CHECKING, NamedTuple, Protocol

from hatch_wazcache.errors import WazcacheError

if TYPE_CHECKING:
    import time
    import zipfile
    from collections.abc import Callable, Iterable

    from typing_extensions import Self

__all__ = [
    "DEFAULT_MODE",
    "DEFLATE_LEVEL",
    "KEPT_BY",
    "LOCAL_HEADER",
    "Compressed",
    "DateTime",
    "Deflated",
    "add_compressed",
    "add_header",
    "add_member",
    "member_info",
    "moment_of_build",
    "zip_time",
]

DEFLATE_LEVEL = 6
"""libdeflate's level: smaller results than zlib's 6 for large data, in a third of the time."""

_SMALL_LEVEL, _SMALL = 10, 1 << 15
"""The level for small data in the cache, and the largest such data in bytes.

For small data, the result of level 6 may be larger than zlib's.
"""

KEPT_BY = f"libdeflate-{DEFLATE_LEVEL}, {_SMALL_LEVEL} up to {_SMALL >> 10} KiB"
"""How an entry's data is deflated; part of its key."""

LOCAL_HEADER = struct.Struct("<4s5H3L2H")
"""The header before a member's name and data: APPNOTE.TXT 4.3.7."""

DEFAULT_MODE = 0o100644
"""The Unix mode of a member, if nothing says another."""

DateTime = tuple[int, int, int, int, int, int]
"""A member's time stamp: year to second."""


def zip_time(moment: time.struct_time) -> DateTime:
    """Return a time in the range of zip files, 1980 to 2107."""
    if moment.tm_year < 1980:
        return 1980, 1, 1, 0, 0, 0
    if moment.tm_year > 2107:
        return 2107, 12, 31, 23, 59, 58
    year, month, day, hour, minute, second = moment[:6]
    return year, month, day, hour, minute, min(second, 59)


def moment_of_build(moment: Callable[[], float]) -> DateTime:
    """Return the time stamp of generated members.

    Args:
        moment: returns SOURCE_DATE_EPOCH or a default, in seconds since 1970.

    Raises:
        WazcacheError: SOURCE_DATE_EPOCH is not a time.
    """
    import time

    try:
        return zip_time(time.gmtime(moment()))
    except (ValueError, OverflowError, OSError) as error:
        value = os.environ.get("SOURCE_DATE_EPOCH")
        raise WazcacheError(f"SOURCE_DATE_EPOCH = {value}: must be seconds since 1970") from error


class Compressed(Protocol):
    """Data that is already compressed."""

    @property
    def size(self) -> int:
        """The size of the data in bytes."""

    @property
    def crc32(self) -> int:
        """The CRC-32 of the data."""

    @property
    def stream_size(self) -> int:
        """The size of the deflated data in bytes."""

    def stream(self) -> Iterable[bytes]:
        """Yield the deflated data in chunks."""


class Deflated(NamedTuple):
    """Data deflated in memory, to the same bytes on every CPU and with every Python."""

    size: int
    crc32: int
    compressed: bytes

    @classmethod
    def of(cls, data: bytes | bytearray | memoryview, *, to_keep: bool = False) -> Self:
        """Deflate data.

        Args:
            data: the data.
            to_keep: whether the cache keeps the result for many wheels. Then small data is
                compressed better, which needs more time.
        """
        import deflate

        level = _SMALL_LEVEL if to_keep and len(data) <= _SMALL else DEFLATE_LEVEL
        compressed = bytes(deflate.deflate_compress(data, level))
        return cls(len(data), zlib.crc32(data), compressed)

    @property
    def stream_size(self) -> int:
        return len(self.compressed)

    def stream(self) -> Iterable[bytes]:
        return [self.compressed]


def member_info(
    name: str, date_time: DateTime, external_attr: int, *, size: int, crc32: int, stream_size: int
) -> zipfile.ZipInfo:
    """Describe a deflated member.

    Args:
        name: its path in the archive, with forward slashes.
        date_time: its time stamp, 1980 to 2107.
        external_attr: Unix mode in the upper 16 bits.
        size: bytes, uncompressed.
        crc32: of the uncompressed bytes.
        stream_size: bytes, compressed.
    """
    import zipfile

    info = zipfile.ZipInfo(name, date_time)
    info.create_system = 3  # Unix, on every machine: so the mode counts and the bytes are the same
    info.external_attr = external_attr
    info.compress_type = zipfile.ZIP_DEFLATED
    info.file_size, info.CRC, info.compress_size = size, crc32, stream_size
    return info


def add_compressed(
    archive: zipfile.ZipFile, name: str, date_time: DateTime, external_attr: int, data: Compressed
) -> None:
    """Append a member with compressed data; see `add_member`."""
    info = member_info(
        name,
        date_time,
        external_attr,
        size=data.size,
        crc32=data.crc32,
        stream_size=data.stream_size,
    )
    add_member(archive, info, data.stream())


def add_member(archive: zipfile.ZipFile, info: zipfile.ZipInfo, stream: Iterable[bytes]) -> None:
    """Append a member with compressed data. If `stream` raises, the archive is of no use.

    Args:
        archive: open for writing, into a seekable file.
        info: the member with its sizes and CRC, from `member_info`.
        stream: the chunks, together `info.compress_size` bytes.
    """
    add_header(archive, info)
    file: IO[bytes] = archive.fp  # type: ignore[assignment]
    for chunk in stream:
        file.write(chunk)


def add_header(archive: zipfile.ZipFile, info: zipfile.ZipInfo) -> int:
    """Append a member without its data, and leave room for the data.

    zipfile has no public way to add a compressed stream, so this does the same as its own writer
    before and after the data.

    Args:
        archive: open for writing, into a seekable file.
        info: the member with its sizes and CRC, from `member_info`.

    Returns:
        The offset in the file at which the `info.compress_size` bytes of data begin.
    """
    file: IO[bytes] = archive.fp  # type: ignore[assignment]
    info.header_offset = archive.start_dir
    file.seek(info.header_offset)
    file.write(info.FileHeader(zip64=None))
    start = file.tell()
    archive.start_dir = start + info.compress_size
    archive.filelist.append(info)
    archive.NameToInfo[info.filename] = info
    archive._didModify = True  # type: ignore[attr-defined]  # noqa: SLF001
    return start
