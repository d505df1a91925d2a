"""Reads the members of an untrusted wheel.

Nothing is unpacked to disk, and only short texts are read into memory whole.
"""

from __future__ import annotations

import hashlib
import stat
import struct
import zipfile
import zlib
from contextlib import contextmanager
from itertools import pairwise
from typing import TYPE_CHECKING, BinaryIO, cast

from hatch_wazcache.errors import WazcacheError
from hatch_wazcache.util.sizes_and_times import size_text

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator
    from pathlib import Path

    from typing_extensions import Self

__all__ = ["BrokenWheelError", "WheelReader"]

_CHUNK = 1 << 20
_LARGEST_TEXT = 16 << 20
_MOST_MEMBERS = 100_000
_LONGEST_REASON = 200
_METHODS = (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED)

# Deflate can compress by a factor of 1032. Artifacts of real code reach 3.
_LARGEST_RATIO = 100
_LARGEST_ANYWAY = 256 << 20

_UNREADABLE = (
    zipfile.BadZipFile,
    zlib.error,
    struct.error,
    EOFError,
    OSError,
    OverflowError,
    RuntimeError,
    ValueError,
)
"""The exceptions that zipfile raises for damaged files and for files of another format."""


class BrokenWheelError(Exception):
    """A wheel, or a member of it, cannot be read. The text says why; the caller names the file."""


class WheelReader:
    """An open wheel."""

    def __init__(self, path: Path) -> None:
        """Open a wheel.

        Raises:
            WazcacheError: there is no such file, or it cannot be read.
            BrokenWheelError: it is not a zip file, or it is a zip bomb.
        """
        self.path = path
        self.size = _file_size(path)
        try:
            self._archive = zipfile.ZipFile(path)
        except _UNREADABLE as error:
            if isinstance(error, OSError) and error.errno is not None:
                raise WazcacheError(f"{path}: cannot be read: {error.strerror}") from error
            raise BrokenWheelError(
                f"is not a zip file, or is cut short or damaged ({error})"
            ) from error
        self.infos: list[zipfile.ZipInfo] = self._archive.infolist()
        """All members, in the order of the archive's directory, with folders and duplicates."""
        files = [info for info in self.infos if info.filename[-1:] != "/"]
        self._infos = {info.filename: info for info in files}
        try:
            self._refuse_bombs()
        except BaseException:
            self.close()
            raise
        self._sha256: dict[str, bytes] = {}

    def _refuse_bombs(self) -> None:
        """Refuse archives that could keep a reader busy for hours, before inflating anything."""
        infos = sorted(self.infos, key=lambda info: info.header_offset)
        if len(infos) > _MOST_MEMBERS:
            raise BrokenWheelError(f"has more than {_MOST_MEMBERS} members")
        for info, after in pairwise(infos):
            if info.header_offset + info.compress_size > after.header_offset:
                raise BrokenWheelError(
                    f"is a zip bomb, or damaged: {info.filename} and {after.filename} share "
                    "their bytes"
                )
        unpacked = sum(info.file_size for info in infos)
        if unpacked > max(_LARGEST_RATIO * self.size, _LARGEST_ANYWAY):
            raise BrokenWheelError(
                f"is a zip bomb: it has {size_text(self.size)}, and {size_text(unpacked)} unpacked"
            )

    def close(self) -> None:
        self._archive.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_error: object) -> None:
        self.close()

    @property
    def names(self) -> Collection[str]:
        """The paths of all files, each once, in the archive's order."""
        return self._infos.keys()

    def __contains__(self, name: str) -> bool:
        return name in self._infos

    def info(self, name: str) -> zipfile.ZipInfo:
        """Return what the archive's directory says about a member."""
        return self._infos[name]

    def size_of(self, name: str) -> int:
        """Return a member's size in bytes, as the archive's directory says."""
        return self._infos[name].file_size

    def stored_size(self, name: str) -> int:
        """Return a member's compressed size in bytes, as the archive's directory says."""
        return self._infos[name].compress_size

    @contextmanager
    def open(self, name: str) -> Iterator[BinaryIO]:
        """Open a member. It can seek; seeking back inflates it again from the beginning.

        Raises:
            BrokenWheelError: it cannot be unpacked; raised here, or while it is read.
        """
        info = self._infos[name]
        if info.flag_bits & 1:
            raise BrokenWheelError("is encrypted")
        if info.compress_type not in _METHODS:
            raise BrokenWheelError("uses a compression method that wheels do not use")
        try:
            with self._archive.open(info) as file:
                yield cast("BinaryIO", file)
        except _UNREADABLE as error:
            why = str(error)[:_LONGEST_REASON] or "it is cut short"
            raise BrokenWheelError(f"cannot be unpacked ({why})") from error

    def chunks(self, name: str) -> Iterator[bytes]:
        """Yield a member's data.

        Raises:
            BrokenWheelError: it cannot be unpacked.
        """
        with self.open(name) as file:
            while chunk := file.read(_CHUNK):
                yield chunk

    def unpack(self, name: str, file: BinaryIO) -> str:
        """Write a member's data to a file.

        Returns:
            Their SHA-256, hexadecimal.

        Raises:
            BrokenWheelError: it cannot be unpacked.
            OSError: the file cannot be written.
        """
        digest = hashlib.sha256()
        for chunk in self.chunks(name):
            digest.update(chunk)
            file.write(chunk)
        self._sha256[name] = digest.digest()
        return digest.hexdigest()

    def text(self, name: str, largest: int = _LARGEST_TEXT) -> bytes:
        """Return all data of a small member.

        Args:
            name: the member.
            largest: its largest size in bytes.

        Raises:
            BrokenWheelError: it cannot be unpacked, or is too large.
        """
        if self.size_of(name) > largest:
            size, limit = size_text(self.size_of(name)), size_text(largest)
            raise BrokenWheelError(f"is too large to be read: {size}, more than {limit}")
        return b"".join(self.chunks(name))

    def digest(self, name: str, algorithm: str = "sha256") -> bytes:
        """Return the digest of a member's data.

        Args:
            name: the member.
            algorithm: one of hashlib's guaranteed algorithms.

        Raises:
            BrokenWheelError: it cannot be unpacked.
        """
        if algorithm == "sha256" and name in self._sha256:
            return self._sha256[name]
        digest = hashlib.new(algorithm)
        for chunk in self.chunks(name):
            digest.update(chunk)
        if algorithm == "sha256":
            self._sha256[name] = digest.digest()
        return digest.digest()


def _file_size(path: Path) -> int:
    try:
        status = path.stat()
    except OSError as error:
        if path.is_symlink():
            raise WazcacheError(f"{path}: is a symlink whose target does not exist") from error
        raise WazcacheError(f"{path}: {error.strerror or error}") from error
    except ValueError as error:
        raise WazcacheError(f"{path!r}: {error}") from error
    if stat.S_ISDIR(status.st_mode):
        raise WazcacheError(f"{path}: is a directory, not a wheel")
    if not stat.S_ISREG(status.st_mode):
        raise WazcacheError(f"{path}: is not a regular file")
    return status.st_size
