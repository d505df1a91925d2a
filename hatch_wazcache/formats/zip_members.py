"""Zip members whose compressed bytes are at hand: made by libdeflate, or copied as they are.

The one place that knows how a member gets into an archive without being compressed by zipfile.
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
    "DEFLATE_LEVEL",
    "KEPT_BY",
    "LOCAL_HEADER",
    "Compressed",
    "DateTime",
    "Deflated",
    "add_compressed",
    "add_member",
    "member_info",
    "moment_of_build",
    "zip_time",
]

DEFLATE_LEVEL = 6
"""libdeflate's level: smaller than zlib's 6 in a third of its time, as long as there is much."""

_LEVEL_OF_LITTLE, _LITTLE = 10, 1 << 15
"""The level for what is kept, up to so many bytes, where 6 may give more than zlib; takes 1 ms."""

KEPT_BY = f"libdeflate-{DEFLATE_LEVEL}, {_LEVEL_OF_LITTLE} up to {_LITTLE >> 10} KiB"
"""How an entry's data is deflated, for its key."""

LOCAL_HEADER = struct.Struct("<4s5H3L2H")
"""What stands before a member's name and data: APPNOTE.TXT 4.3.7."""

DateTime = tuple[int, int, int, int, int, int]
"""A member's time stamp: year to second."""


def zip_time(moment: time.struct_time) -> DateTime:
    """Return a time as a zip file can hold it: not before 1980, not after 2107."""
    if moment.tm_year < 1980:
        return 1980, 1, 1, 0, 0, 0
    if moment.tm_year > 2107:
        return 2107, 12, 31, 23, 59, 58
    year, month, day, hour, minute, second = moment[:6]
    return year, month, day, hour, minute, min(second, 59)


def moment_of_build(moment: Callable[[], float]) -> DateTime:
    """Return the time stamp of generated members.

    Args:
        moment: reads seconds since 1970 out of SOURCE_DATE_EPOCH, or has its own where it is not.

    Raises:
        WazcacheError: the variable holds none.
    """
    import time

    try:
        return zip_time(time.gmtime(moment()))
    except (ValueError, OverflowError, OSError) as error:
        value = os.environ.get("SOURCE_DATE_EPOCH")
        raise WazcacheError(f"SOURCE_DATE_EPOCH = {value}: must be seconds since 1970") from error


class Compressed(Protocol):
    """Data whose compressed bytes are at hand."""

    @property
    def size(self) -> int:
        """Bytes of the data."""

    @property
    def crc32(self) -> int:
        """Of the data."""

    @property
    def stream_size(self) -> int:
        """Bytes of the data, deflated."""

    def stream(self) -> Iterable[bytes]:
        """Yield the deflated data in chunks."""


class Deflated(NamedTuple):
    """Data that was deflated in memory: the same bytes on every CPU and with every Python."""

    size: int
    crc32: int
    compressed: bytes

    @classmethod
    def of(cls, data: bytes | bytearray | memoryview, *, to_keep: bool = False) -> Self:
        """Deflate data.

        Args:
            data: the data.
            to_keep: it is done once for many wheels, and may take longer.
        """
        import deflate

        is_little = to_keep and len(data) <= _LITTLE
        level = _LEVEL_OF_LITTLE if is_little else DEFLATE_LEVEL
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
    info.create_system = 3  # Unix on every machine, so that the mode counts and bytes agree
    info.external_attr = external_attr
    info.compress_type = zipfile.ZIP_DEFLATED
    info.file_size, info.CRC, info.compress_size = size, crc32, stream_size
    return info


def add_compressed(
    archive: zipfile.ZipFile, name: str, date_time: DateTime, external_attr: int, data: Compressed
) -> None:
    """Append a member with data whose compressed bytes are at hand; see `add_member`."""
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
    """Append a member whose compressed bytes are given.

    zipfile has no public way to add a compressed stream, so this does what its own writer does
    around one. An exception out of `stream` leaves the archive as it was.

    Args:
        archive: open for writing, into a seekable file.
        info: with its sizes and CRC, as of `member_info`.
        stream: the chunks, together `info.compress_size` bytes.
    """
    file: IO[bytes] = archive.fp  # type: ignore[assignment]
    start: int = archive.start_dir
    file.seek(start)
    try:
        info.header_offset = start
        file.write(info.FileHeader(zip64=None))
        for chunk in stream:
            file.write(chunk)
    except BaseException:
        file.seek(start)
        file.truncate()
        raise
    archive.start_dir = file.tell()
    archive.filelist.append(info)
    archive.NameToInfo[info.filename] = info
    archive._didModify = True  # type: ignore[attr-defined]  # noqa: SLF001
