"""Writes a platform wheel: first the heavy members, then those of the base wheel.

Heavy members are copied with their compressed bytes, each into the room that the wheel has left for
it, so threads can copy several of them side by side. The base wheel is the wheel that the build
system made. The new wheel has a temporary name, until `finish` or the caller of `complete` renames
it.
"""

from __future__ import annotations

import atexit
import csv
import hashlib
import io
import os
import sys
import zipfile
from contextlib import suppress
from functools import partial
from threading import Lock
from types import MappingProxyType
from typing import TYPE_CHECKING

from hatch_wazcache.errors import WazcacheError
from hatch_wazcache.formats.zip_members import (
    DEFAULT_MODE,
    Compressed,
    DateTime,
    Deflated,
    add_compressed,
    add_header,
    add_member,
    member_info,
)
from hatch_wazcache.util import temporary_files
from hatch_wazcache.util.digests import record_digest

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
    from pathlib import Path

__all__ = ["PlatformWheel"]

_LARGEST_IN_MEMORY = 8 << 20
"""The largest member of the base wheel, in bytes, that is deflated again, in memory."""

_ROOM_FOR_THE_REST = 4 << 20
"""The bytes to reserve on the disk for the base wheel's members."""

_PLENTY = 10
"""Room is reserved on a disk that has this many times as much."""

_CHUNK = 1 << 20


class PlatformWheel:
    """A wheel that is being written, under the temporary name `path`."""

    def __init__(self, directory: Path, date_time: DateTime, *, sweep: bool = True) -> None:
        """Begin a wheel.

        Args:
            directory: the wheel's folder.
            date_time: the time stamp of generated members.
            sweep: whether to remove files that killed builds left in the folder.

        Raises:
            WazcacheError: the directory cannot be written.
        """
        try:
            directory.mkdir(parents=True, exist_ok=True)
            if sweep:
                temporary_files.sweep(directory)
            self.path, self._file = temporary_files.create(directory)
        except OSError as error:
            raise WazcacheError(
                f"{directory}: cannot be written: {error.strerror or error}"
            ) from error
        atexit.register(self.abandon)  # if a build fails, hatchling calls no hook
        self._date_time = date_time
        self._archive = zipfile.ZipFile(self._file, "w")
        self._lock = Lock()
        """For the position in the file, while threads write to it."""
        self._records: dict[str, tuple[str, int]] = {}

    def reserve(self, size: int) -> None:
        """Reserve room on the disk, if the system can do that. It only saves time.

        `finish` renames this wheel over hatchling's. If ext4 has not allocated all blocks of the
        file by then, it writes the whole file out first. That took a fifth of a warm build.

        Args:
            size: bytes of all heavy members; the base wheel's members are small.
        """
        if not hasattr(os, "posix_fallocate"):
            return
        size += _ROOM_FOR_THE_REST
        with suppress(OSError):
            disk = os.fstatvfs(self._file.fileno())
            if disk.f_bavail * disk.f_frsize < size * _PLENTY:
                return  # others need room too: the base wheel may be on the same disk
            try:
                os.posix_fallocate(self._file.fileno(), 0, size)
            except OSError:  # there is a quota, or others were faster
                self._file.truncate(0)  # ext4 keeps the part that it has reserved

    def add_member(
        self,
        name: str,
        data: Compressed,
        sha256: str,
        *,
        date_time: DateTime | None = None,
        mode: int = DEFAULT_MODE,
    ) -> None:
        """Add a member by copying its compressed bytes.

        Args:
            name: its path in the wheel.
            data: its compressed bytes.
            sha256: of the uncompressed bytes, hexadecimal.
            date_time: its time stamp; by default the time stamp of generated members.
            mode: its Unix mode, with the file's type.

        Raises:
            OSError: the wheel cannot be written.
        """
        fill = self.leave_room(name, data, sha256, date_time=date_time, mode=mode)
        fill(data.stream())

    def leave_room(
        self,
        name: str,
        data: Compressed,
        sha256: str,
        *,
        date_time: DateTime | None = None,
        mode: int = DEFAULT_MODE,
    ) -> Callable[[Iterable[bytes]], None]:
        """Add a member whose compressed bytes are written later, before the wheel is completed.

        Args: as for `add_member`.

        Returns:
            A function that writes the chunks of `data`, in any thread. If it fails, or if its
            chunks raise an exception, it may be called again.
        """
        date_time = date_time or self._date_time
        info = member_info(
            name,
            date_time,
            mode << 16,
            size=data.size,
            crc32=data.crc32,
            stream_size=data.stream_size,
        )
        start = add_header(self._archive, info)
        self._records[name] = record_digest(sha256), data.size
        return partial(self._write, start)

    def _write(self, place: int, chunks: Iterable[bytes]) -> None:
        for chunk in chunks:
            with self._lock:
                self._file.seek(place)
                self._file.write(chunk)
            place += len(chunk)

    def add_bytes(self, name: str, data: bytes) -> None:
        """Add a small generated file."""
        self.add_member(name, Deflated.of(data), hashlib.sha256(data).hexdigest())

    def flush(self) -> None:
        """Write all added members to the disk, so that a full disk is an error here.

        Raises:
            OSError: the wheel cannot be written.
        """
        self._file.flush()

    def finish(
        self,
        base: Path,
        final: Path,
        drop: Collection[str],
        note: Callable[[str], None],
        replaced: Mapping[str, bytes] = MappingProxyType({}),
    ) -> int:
        """Complete the wheel, and give it its final name.

        Args:
            base: the wheel that the build system made.
            final: the final name, in the same directory. It may be the base wheel's, which is
                replaced.
            drop: members of the base wheel to leave out.
            note: shows a line for each member that is too large to deflate again.
            replaced: the new bytes of members of the base wheel, which keep their places.

        Returns:
            The wheel's size in bytes.

        Raises:
            WazcacheError: the base wheel does not have one RECORD.
            OSError: the wheel cannot be written.
        """
        size = self.complete(base, drop, note, replaced)
        self._place(final)
        return size

    def complete(
        self,
        base: Path,
        drop: Collection[str],
        note: Callable[[str], None],
        replaced: Mapping[str, bytes] = MappingProxyType({}),
    ) -> int:
        """Add the base wheel's members and a RECORD. The wheel keeps its temporary name.

        The caller renames it, and calls `abandon` afterwards.

        Args, Returns, Raises: as for `finish`.
        """
        with base.open("rb") as opened, zipfile.ZipFile(opened) as archive:
            mode = os.fstat(opened.fileno()).st_mode & 0o777
            record = _record_member(archive, base)
            rows = _read_record(archive, record)
            for info in archive.infolist():
                name = info.filename
                if not info.external_attr >> 16 and not info.is_dir():
                    info.external_attr |= DEFAULT_MODE << 16  # a zip of Windows, without modes
                if name == record.filename or name in self._records or name in drop:
                    continue
                if name in replaced:
                    data = Deflated.of(replaced[name])
                    add_compressed(self._archive, name, info.date_time, info.external_attr, data)
                else:
                    self._add_from(archive, info, note)
            rows = [_row_of(row[0], replaced) if row[0] in replaced else row for row in rows]
            self._add_record(record.filename, record.date_time, record.external_attr, rows)
        return self._close(mode)

    def finish_alone(self, info: str, final: Path) -> int:
        """Add a RECORD, and give the wheel its final name. All other members have been added.

        Args:
            info: the .dist-info folder.
            final: the final name, in the same directory.

        Returns:
            The wheel's size in bytes.

        Raises:
            OSError: the wheel cannot be written.
        """
        self._add_record(f"{info}/RECORD", self._date_time, DEFAULT_MODE << 16, [])
        size = self._close(temporary_files.new_file_mode())
        self._place(final)
        return size

    def _place(self, final: Path) -> None:
        temporary_files.replace(self.path, final)
        self.abandon()

    def _close(self, mode: int) -> int:
        """Write the wheel's end, and return its size in bytes. The file stays locked."""
        self._archive.close()
        self._file.truncate()  # `reserve` may have made it longer
        self._file.flush()
        size = os.fstat(self._file.fileno()).st_size
        os.chmod(self.path, mode)
        if sys.platform == "win32":
            self._file.close()  # Windows does not rename an open file
        return size

    def _add_from(
        self, archive: zipfile.ZipFile, info: zipfile.ZipInfo, note: Callable[[str], None]
    ) -> None:
        """Add a member of the base wheel: deflated again, if it is not too large."""
        if info.file_size <= _LARGEST_IN_MEMORY:
            data = Deflated.of(archive.read(info))
            add_compressed(self._archive, info.filename, info.date_time, info.external_attr, data)
            return
        note(
            f"{info.filename} ({info.file_size / 1e6:.0f} MB) is too large to compress again; its "
            "bytes in the wheel depend on the zlib of this machine"
        )
        self._copy(archive, info)

    def _add_record(
        self, path: str, date_time: DateTime, external_attr: int, rows: list[list[str]]
    ) -> None:
        """Write RECORD.

        Args:
            path: its path in the wheel.
            date_time: its time stamp.
            external_attr: Unix mode in the upper 16 bits.
            rows: the rows of the base wheel's RECORD.
        """
        members = self._archive.NameToInfo
        added = [(name, *record) for name, record in self._records.items()]
        kept = [row for row in rows if row[0] in members and row[0] not in self._records]
        text = _write_record([*added, *kept, (path, "", "")])
        add_compressed(self._archive, path, date_time, external_attr, Deflated.of(text))

    def _copy(self, archive: zipfile.ZipFile, info: zipfile.ZipInfo) -> None:
        """Copy the compressed or stored bytes of a member of another archive."""
        copy = member_info(
            info.filename,
            info.date_time,
            info.external_attr,
            size=info.file_size,
            crc32=info.CRC,
            stream_size=info.compress_size,
        )
        copy.compress_type = info.compress_type
        with archive.open(info) as member:
            # zipfile has read the local header, so the file is now where the stream begins.
            file = member._fileobj  # type: ignore[attr-defined]  # noqa: SLF001
            add_member(self._archive, copy, _chunks(file, info.compress_size))

    def abandon(self) -> None:
        """Remove the wheel, unless it was renamed. May be called at any time, and twice."""
        atexit.unregister(self.abandon)
        self._archive.fp = None  # its __del__ would write to the closed file, and show a traceback
        with suppress(OSError, ValueError):
            self._file.close()
        with suppress(OSError):
            self.path.unlink()


def _chunks(file: io.BufferedIOBase, size: int) -> Iterator[bytes]:
    while size:
        chunk = file.read(min(size, _CHUNK))
        if not chunk:
            raise OSError("the base wheel is cut short")
        size -= len(chunk)
        yield chunk


def _record_member(archive: zipfile.ZipFile, base: Path) -> zipfile.ZipInfo:
    records = [
        info
        for info in archive.infolist()
        if info.filename.count("/") == 1 and info.filename.endswith(".dist-info/RECORD")
    ]
    if len(records) != 1:
        raise WazcacheError(f"{base}: is not a wheel: it has {len(records)} RECORD files, not one")
    return records[0]


def _read_record(archive: zipfile.ZipFile, record: zipfile.ZipInfo) -> list[list[str]]:
    text = archive.read(record).decode("utf-8")
    return [row for row in csv.reader(io.StringIO(text, newline="")) if row]


def _row_of(name: str, members: Mapping[str, bytes]) -> list[str]:
    data = members[name]
    return [name, record_digest(hashlib.sha256(data).hexdigest()), str(len(data))]


def _write_record(rows: Iterable[Sequence[str | int]]) -> bytes:
    text = io.StringIO()
    csv.writer(text, lineterminator="\n").writerows(rows)
    return text.getvalue().encode()
